"""A site measure taken apart: sets of states and fields that influence each other, and what no field reaches.

Ordered by influence the Jacobian is block-triangular over these sets, so its eigenvalues are those of the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from solvers.measure import SiteMeasure

Array = npt.NDArray[np.float64]
NEGLIGIBLE = 1e-14
"""Couplings below this share of the largest site derivative are none."""


@dataclass(frozen=True)
class FreePoints:
    """Eigenvalues of L that no field moves: points (m,) with weights (m,), in units where each state has mass one."""

    points: npt.NDArray[np.complex128]
    weights: Array


@dataclass(frozen=True)
class Components:
    """coupled : one measure for each set of states and fields that feed back on themselves; free : all other
    eigenvalues; states : number S of states."""

    coupled: tuple[SiteMeasure, ...]
    free: FreePoints
    states: int


def components(measure: SiteMeasure) -> Components:
    """Split a measure into irreducible components, each with its sites at which a field acts."""
    S = measure.states
    links = _influence(measure)
    count, labels = connected_components(csr_matrix(links), directed=True, connection="strong")
    coupled: list[SiteMeasure] = []
    points: list[npt.NDArray[np.complex128]] = [np.zeros(0, complex)]
    weights: list[Array] = [np.zeros(0)]
    for label in range(count):
        members: npt.NDArray[np.intp] = np.nonzero(labels == label)[0]
        states, fields = members[members < S], np.asarray(members[members >= S] - S, np.intp)
        if not states.size:
            continue  # a field that feeds no state on its way back to itself
        part = _restricted(measure, states, fields)
        moved = _moved(part)
        if moved.any():
            coupled.append(_kept(part, moved))
        eigenvalues = np.linalg.eigvals(part.L[~moved])
        points.append(eigenvalues.ravel().astype(complex))
        weights.append(np.repeat(part.weights[~moved], states.size))
    return Components(tuple(coupled), FreePoints(np.concatenate(points), np.concatenate(weights)), S)


def _influence(measure: SiteMeasure) -> npt.NDArray[np.bool_]:
    """Who feeds whom (from, to) among states and fields."""
    S, K = measure.states, len(measure.fields)
    size = max((float(np.abs(x).max(initial=0.0)) for x in (measure.L, measure.a, measure.b, measure.e)), default=0.0)
    bound = NEGLIGIBLE * size
    links = np.zeros((S + K, S + K), bool)
    for rows, columns, part in (
        (slice(0, S), slice(0, S), measure.L),
        (slice(0, S), slice(S, None), measure.a),
        (slice(S, None), slice(0, S), measure.b),
        (slice(S, None), slice(S, None), measure.e),
    ):
        links[rows, columns] = np.abs(part).max(axis=0, initial=0.0) > bound
    links[S:][measure.gains == 0] = False  # W = 0 passes nothing on
    return links.T


def _restricted(measure: SiteMeasure, states: npt.NDArray[np.intp], fields: npt.NDArray[np.intp]) -> SiteMeasure:
    """Some states and fields alone."""
    return replace(
        measure,
        L=measure.L[:, states][:, :, states],
        a=measure.a[:, states][:, :, fields],
        b=measure.b[:, fields][:, :, states],
        e=measure.e[:, fields][:, :, fields],
        u=measure.u[:, fields],
        v=measure.v[:, fields],
        fields=tuple(measure.fields[k] for k in fields),
        matrices=tuple(measure.matrices[k] for k in fields),
        gains=measure.gains[fields],
        ensembles=tuple(measure.ensembles[k] for k in fields),
    )


def _moved(part: SiteMeasure) -> npt.NDArray[np.bool_]:
    """Nodes at which some field both moves a state and feels one (dead units are those where none does)."""
    if not part.fields:
        return np.zeros(part.nodes, bool)
    driven = np.abs(part.a).max(axis=(1, 2)) > 0
    felt = np.abs(part.b).max(axis=(1, 2)) > 0
    return np.asarray((driven & felt) | (np.abs(part.e).max(axis=(1, 2)) > 0))


def _kept(part: SiteMeasure, chosen: npt.NDArray[np.bool_]) -> SiteMeasure:
    """The chosen nodes with their own weights, which then sum to less than one."""
    if chosen.all():
        return part
    columns = {name: getattr(part, name)[chosen] for name in ("weights", "L", "a", "b", "e", "u", "v")}
    return replace(part, **columns)
