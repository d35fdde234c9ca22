"""m1 and m2 of a site measure, in numbers: the twin of `derive.stability.singular` for measures without a theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from solvers.measure import SiteMeasure

Array = npt.NDArray[np.float64]


def unit_gains(measure: SiteMeasure) -> tuple[Array, Array]:
    """Phi = sigma^2 E[b b^T + e Phi e^T] and Psi = sigma^2 E[a^T a + e^T Psi e], (K, K), nil between matrices."""
    a, b = measure.a, measure.b
    phi = field_covariance(measure, measure.mean(b @ _t(b)))
    return phi, adjoint_covariance(measure, measure.mean(_t(a) @ a))


def same_matrix(measure: SiteMeasure) -> Array:
    """sigma^2 for fields of one matrix, zero otherwise, (K, K)."""
    names = np.array(measure.matrices, dtype=object)
    return np.asarray((names[:, None] == names[None, :]) * measure.gains[:, None] ** 2, dtype=float)


def field_covariance(measure: SiteMeasure, source: Array) -> Array:
    """Delta = sigma^2 (source + E[e Delta e^T]) inside each matrix; source, Delta : (K, K)."""
    return _through(measure, source, measure.e)


def adjoint_covariance(measure: SiteMeasure, source: Array) -> Array:
    """Gamma = sigma^2 (source + E[e^T Gamma e]) inside each matrix: what products pass back; source, Gamma : (K, K)."""
    return _through(measure, source, _t(measure.e))


def _through(measure: SiteMeasure, source: Array, e: Array) -> Array:
    """sigma^2 (source + E[e X e^T]) = X; e (n, K, K) is strictly triangular: it ends after as many turns as fields."""
    found, inside = np.zeros_like(source), same_matrix(measure)
    for _ in range(len(source) + 1 if e.any() else 1):
        found = inside * (source + measure.mean(e @ found @ _t(e)))
    return found


def moments_of(measure: SiteMeasure) -> tuple[float, float]:
    """m1 = (1/SN) E tr J J^T and m2 = (1/SN) E tr (J J^T)^2; see `derive.stability.singular` for the equations."""
    L, a, b, e = measure.L, measure.a, measure.b, measure.e
    phi, psi = unit_gains(measure)
    Z = L @ _t(L) + a @ phi @ _t(a)
    B = b @ _t(b) + e @ phi @ _t(e)
    C = b @ _t(L) + e @ phi @ _t(a)
    weighted = psi @ B
    paths = np.einsum("nij,nji->n", Z, Z) + 2.0 * np.einsum("kl,nlj,nkj->n", psi, C, C)
    paths = paths + np.einsum("nkl,nlk->n", weighted, weighted)
    m1 = float(measure.mean(np.einsum("nii->n", Z))) / measure.states
    m2 = float(measure.mean(paths)) - _orthogonal(measure, psi, measure.mean(B))
    return m1, m2 / measure.states


def orthogonal_fields(measure: SiteMeasure) -> list[list[int]]:
    """Fields of each orthogonal matrix."""
    return [list(members) for members in measure.groups.values() if measure.ensembles[members[0]] == "haar"]


def _orthogonal(measure: SiteMeasure, psi: Array, B: Array) -> float:
    """sum over orthogonal weights of tr (Psi E[B] Psi E[B]) inside each."""
    parts = (psi[np.ix_(f, f)] @ B[np.ix_(f, f)] for f in orthogonal_fields(measure))
    return float(sum(np.trace(part @ part) for part in parts))


def _t(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return matrix.swapaxes(-1, -2)
