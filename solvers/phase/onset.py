"""A boundary that no equation gives, such as the onset of chaos: found by bisection on a handful of lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from solvers.budget import BudgetSpent
from solvers.phase.boundaries import Boundary
from solvers.phase.lattice import Array, Lattice, Place

Mask = npt.NDArray[np.bool_]
Side = Callable[[float, float], bool | None]
"""On which side of the boundary a point is; None where that cannot be said."""

LINES = 4
INSET = 0.005
FINEST_PART = 80
"""An interval is halved until it is this part of its line, or one edge of the lattice."""

CHAOS_ONSET = "chaos onset"


@dataclass(frozen=True)
class Onset:
    """curve : None where nothing was found; spent : why the search stopped early, or ""."""

    curve: Boundary | None
    spent: str = ""


@dataclass(frozen=True)
class _Found:
    """A point between two of different side; error : half their distance, in x and y."""

    x: float
    y: float
    error: tuple[float, float]


def find_onset(lattice: Lattice, region: Mask, ends: tuple[Place, Place] | None, side: Side, kind: str) -> Onset:
    """The curve inside a region where ``side`` changes.

    ends : two places known to be on different sides, or None: then only lines across the region are looked at, first
    those along its shorter extent.
    """
    found: list[_Found] = []
    extent = [int(np.ptp(np.flatnonzero(region.any(axis=axis)))) for axis in (0, 1)]  # in columns, in rows
    across = extent[0] > extent[1]
    if ends is not None:
        across = abs(ends[0][0] - ends[1][0]) > abs(ends[0][1] - ends[1][1])
    spent = ""
    try:
        if ends is not None:
            found += _bisect(lattice, lattice.path(region, *ends), side)
        _search(lattice, region, across, side, found)
        if not found:
            across = not across
            _search(lattice, region, across, side, found)
    except BudgetSpent as reason:
        spent = str(reason)
    if not found:
        return Onset(None, spent)
    found.sort(key=lambda point: point.x if across else point.y)
    error = (max(point.error[0] for point in found), max(point.error[1] for point in found))
    x, y = np.array([point.x for point in found]), np.array([point.y for point in found])
    return Onset(Boundary(kind, x, y, error, computed=False), spent)


def _search(lattice: Lattice, region: Mask, across: bool, side: Side, found: list[_Found]) -> None:
    """Lines of constant y, or ``across``: of constant x; what is found is kept if the time runs out."""
    for line in _lines(region.T if across else region):
        places = [place[::-1] if across else place for place in line]
        inset = max(1, int(INSET * len(places)))
        inner = places[inset : len(places) - inset]
        if len(inner) < 3:
            continue
        looked = [inner[0], inner[len(inner) // 2], inner[-1]]
        sides = [side(*lattice.parameters(place)) for place in looked]
        for k in (0, 1):
            if None not in sides[k : k + 2] and sides[k] != sides[k + 1]:
                found += _bisect(lattice, inner[inner.index(looked[k]) : inner.index(looked[k + 1]) + 1], side)


def _lines(region: Mask) -> list[list[Place]]:
    """On a handful of rows, evenly spread over those that the region has, its longest run of columns."""
    rows = np.flatnonzero(region.any(axis=1))
    margin = 0.5 / LINES
    chosen = np.unique(np.round(np.quantile(rows, np.linspace(margin, 1.0 - margin, LINES))).astype(int))
    found = []
    for row in chosen:
        columns = np.flatnonzero(region[row])
        if not columns.size:
            continue
        runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
        longest = max(runs, key=len)
        found.append([(int(row), int(column)) for column in longest])
    return found


def _bisect(lattice: Lattice, path: Sequence[Place], side: Side) -> list[_Found]:
    """Where the side changes between the first place of a path and the last, once; nothing for a path of one place."""
    if len(path) < 2:
        return []
    low, high = 0, len(path) - 1
    first = side(*lattice.parameters(path[0]))
    while high - low > max(1, len(path) // FINEST_PART):
        middle, here = low, None
        for share in (0.5, 0.25, 0.75):
            middle = low + round(share * (high - low))
            here = side(*lattice.parameters(path[middle])) if low < middle < high else None
            if here is not None:
                break
        if here is None:
            break
        low, high = (middle, high) if here == first else (low, middle)
    a, b = (np.array(lattice.parameters(path[k])) for k in (low, high))
    centre, half = 0.5 * (a + b), 0.5 * np.abs(a - b)
    size = float(np.hypot(*half / lattice.spacing)) * lattice.spacing
    return [_Found(float(centre[0]), float(centre[1]), (float(size[0]), float(size[1])))]


def reaching(lattice: Lattice, region: Mask, curve: Boundary) -> tuple[Array, Array]:
    """The curve continued straight at both ends until it leaves the region, so that it cuts it in two."""
    line = np.stack([curve.x, curve.y], axis=1) / lattice.spacing
    origin = np.array([axis.low for axis in lattice.axes]) / lattice.spacing
    if len(line) < 2:
        return curve.x, curve.y
    ahead = _run_out(region, line[-1] - origin, line[-1] - line[-2]) + origin
    behind = _run_out(region, line[0] - origin, line[0] - line[1]) + origin
    whole = np.concatenate([[behind], line, [ahead]]) * lattice.spacing
    return whole[:, 0], whole[:, 1]


def _run_out(region: Mask, point: Array, step: Array) -> Array:
    """The first point outside the region, in steps of half an edge; coordinates in edges, (column, row)."""
    step = 0.5 * step / max(float(np.linalg.norm(step)), 1e-300)
    while True:
        point = point + step
        column, row = np.round(point).astype(int)
        inside = 0 <= row < region.shape[0] and 0 <= column < region.shape[1]
        if not inside or not region[row, column]:
            return np.asarray(point + 2 * step)
