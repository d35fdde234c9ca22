"""Isolated eigenvalues in holes of the support, which orthogonal weights leave.

A hole is the outside of the support in other variables: where W is orthogonal, du = W dv is also dv = W^-1 du, and
W^-1 is orthogonal with gain 1/sigma.  With some of the fields turned around, T = b (lam - L)^-1 a + e becomes its
principal pivot transform T', which is 1/T for a single field.  As outside the support,

    the hole is  spectral radius of g_k^2 E|T'_kl|^2 < 1,     g = 1/sigma for fields that are turned, sigma for others
    isolated eigenvalues in it have  det(1 - A') = 0,  A'_kl = E[y_k T'_kl x_l] / E[y_k^2]

with (x, y) = (v, u) for fields that are turned and (u, v) for others: W^-1 takes u to v.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from derive.theory import Theory
from solvers.averages import Values
from solvers.measure import SiteMeasure, StaticSites
from solvers.spectrum.density.components import components
from solvers.spectrum.outliers import Outliers, complex_roots, newton_root, real_roots

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

LOG2_SCANNED, LOG2_NODES, SCRAMBLES = 8, 13, 4
MOST_FITTED, COARSE_RTOL = 4096, 1e-4
MOST_TURNED = 6
"""Fields of orthogonal matrices up to which every choice of those that are turned is tried."""

ALL_MOVED = 1e-12


@dataclass(frozen=True)
class _Turned:
    """One component of one site measure with the fields ``turned`` (positions) turned around."""

    part: SiteMeasure
    turned: tuple[int, ...]

    eta: float = 0.0

    def transfer(self, lam: Complex) -> Complex:
        """T' at lam (m,): (m, n, K, K), infinite or nan where a unit's T cannot be turned."""
        part, h = self.part, list(self.turned)
        rest = [k for k in range(len(part.fields)) if k not in h]
        shifted = lam[:, None, None, None] * np.eye(part.states) - part.L
        with np.errstate(all="ignore"):
            try:
                T = part.b @ np.linalg.solve(shifted, np.broadcast_to(part.a, (lam.size, *part.a.shape))) + part.e
                inverse = np.linalg.inv(T[..., h, :][..., h])
            except np.linalg.LinAlgError:
                return np.full((lam.size, part.nodes, len(part.fields), len(part.fields)), np.inf, complex)
            found = np.empty_like(T)
            found[np.ix_(range(lam.size), range(part.nodes), h, h)] = inverse
            if rest:
                right, left = inverse @ T[..., h, :][..., rest], T[..., rest, :][..., h]
                other = T[..., rest, :][..., rest] - left @ right
                found[np.ix_(range(lam.size), range(part.nodes), h, rest)] = -right
                found[np.ix_(range(lam.size), range(part.nodes), rest, h)] = left @ inverse
                found[np.ix_(range(lam.size), range(part.nodes), rest, rest)] = other
        return np.asarray(found, complex)

    def __call__(self, lam: npt.NDArray[np.inexact], rtol: float = 0.0) -> Array:
        """ln of the spectral radius of the gain at lam (m,), negative in the hole; infinite where it has none."""
        gains = np.array([1.0 / g if k in self.turned else g for k, g in enumerate(self.part.gains)])
        found = np.full(lam.size, np.inf)
        for number, value in enumerate(np.asarray(lam, complex)):
            with np.errstate(all="ignore"):
                square = np.abs(self.transfer(np.array([value]))[0]) ** 2
                K = gains[:, None] ** 2 * np.tensordot(self.part.weights, square, axes=1)
                if np.isfinite(K).all():
                    found[number] = np.log(np.abs(np.linalg.eigvals(K)).max())
        return found

    def determinant(self, lam: Complex, rtol: float = 0.0) -> Complex:
        """det(1 - A') at lam (m,)."""
        part = self.part
        turned = np.isin(np.arange(len(part.fields)), self.turned)
        x, y = np.where(turned, part.v, part.u), np.where(turned, part.u, part.v)
        size = part.weights @ y**2
        found = np.empty(lam.size, complex)
        for number, value in enumerate(np.asarray(lam, complex)):
            with np.errstate(all="ignore"):
                T = self.transfer(np.array([value]))[0]
                A = np.einsum("n,nk,nkl,nl->kl", part.weights, y, T, x) / size[:, None]
            found[number] = np.linalg.det(np.eye(len(size)) - A) if np.isfinite(A).all() else np.nan
        return found


def find_in_holes(theory: Theory, values: Values, radius: float) -> Outliers:
    """Isolated eigenvalues inside a circle about zero that holds the support, in its holes; errors : from several node
    sets.  There are none where v = 0."""
    sites = StaticSites(theory, values, products=True)
    few = components(sites.measure(sites.rule(log2_nodes=LOG2_SCANNED, fitted=False))).coupled
    measures = [components(measure).coupled for measure in _measures(sites)]
    found: list[tuple[complex, float]] = []
    for number, part in enumerate(few):
        for turned in _choices(part):
            scanned = _Turned(part, turned)
            roots = [*real_roots(scanned, scanned, radius), *complex_roots(scanned, scanned, radius)]
            finer = [_Turned(row[number], turned) for row in measures if len(row) == len(few)]
            found += [polished for root in roots if (polished := _polished(root, finer)) is not None]
    found += [(root.conjugate(), error) for root, error in found if root.imag > 0.0]
    found.sort(key=lambda item: (-item[0].real, item[0].imag))
    return Outliers(tuple(root for root, _ in found), tuple(error for _, error in found))


def _measures(sites: StaticSites) -> list[SiteMeasure]:
    """The same units on several sets of nodes: product rules where small ones serve, else scrambled nets."""
    rule = sites.rule(log2_nodes=LOG2_NODES)
    if not sites.dimension:
        rules = [rule]
    elif rule.fitted and rule.weights.size <= MOST_FITTED:
        rules = [rule, sites.rule(log2_nodes=LOG2_NODES, rtol=COARSE_RTOL)]
    else:
        rules = [sites.rule(log2_nodes=LOG2_NODES, scramble=k, fitted=False) for k in range(SCRAMBLES)]
    return [sites.measure(rule) for rule in rules]


def _choices(part: SiteMeasure) -> Iterator[tuple[int, ...]]:
    """Which fields may be turned: those of orthogonal matrices, if each field has a matrix of its own."""
    haar = [k for k, ensemble in enumerate(part.ensembles) if ensemble == "haar"]
    alone = len(set(part.matrices)) == len(part.matrices)
    moved = part.weights.sum() > 1.0 - ALL_MOVED  # a unit that no field moves cannot be turned
    active = np.all(part.weights @ part.v**2 > 0.0)
    if alone and moved and active and len(haar) <= MOST_TURNED:
        for size in range(1, len(haar) + 1):
            yield from combinations(haar, size)


def _polished(root: complex, finer: Sequence[_Turned]) -> tuple[complex, float] | None:
    """The root on finer nodes, and how far it lies apart on them; None where some have none, or none in a hole."""
    places = []
    for one in finer:
        place = newton_root(one, root)
        if place is None or not one(np.array([place]))[0] < 0.0:
            return None
        places.append(complex(place.real, place.imag if root.imag else 0.0))
    nets = len(places) > 2
    value = complex(np.mean(places)) if nets else places[0]
    return value, float(np.abs(np.array(places) - value).max() + 1e-8)
