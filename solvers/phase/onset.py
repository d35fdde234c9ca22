"""A boundary that no equation gives, such as the onset of chaos: found by bisection between probes that differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from solvers.phase.boundaries import Boundary
from solvers.phase.lattice import Array, Lattice, Place
from solvers.phase.regimes import CHAOTIC, NAMES, UNDECIDED, Probe

Mask = npt.NDArray[np.bool_]
Looks = Callable[[float, float], Probe]

LINES = 5
INSET = 0.02
NARROW = 1
CHAOS_ONSET = "chaos onset"


@dataclass(frozen=True)
class _Found:
    """A point between two probes that differ; error : half their distance, in x and y."""

    x: float
    y: float
    error: tuple[float, float]


def find_onset(
    lattice: Lattice, region: Mask, places: Sequence[Place], probes: Sequence[Probe], look: Looks
) -> Boundary | None:
    """The curve between two probes of one region whose regimes differ, on a handful of lines across the region.

    None where a regime is undecided, or nothing was found.  Raises BudgetSpent.
    """
    pair = _differing(places, probes)
    if pair is None:
        return None
    (start, first), (end, second) = pair
    same = _alike(first, second)
    found = []
    crossing = _bisect(lattice, lattice.path(region, start, end), same, look)
    if crossing is not None:
        found.append(crossing)
    across = int(abs(end[0] - start[0]) > abs(end[1] - start[1]))  # 0: lines of constant y, 1: of constant x
    for line in _lines(region if not across else region.T):
        places_on = [place[::-1] if across else place for place in line]
        crossing = _on_line(lattice, places_on, same, look)
        if crossing is not None:
            found.append(crossing)
    if not found:
        return None
    found.sort(key=lambda point: point.x if across else point.y)
    kind = CHAOS_ONSET if (first.regime in CHAOTIC) != (second.regime in CHAOTIC) else (
        f"change from {NAMES[first.regime]} to {NAMES[second.regime]}")  # fmt: skip
    error = (max(point.error[0] for point in found), max(point.error[1] for point in found))
    return Boundary(kind, np.array([p.x for p in found]), np.array([p.y for p in found]), error, computed=False)


def _differing(
    places: Sequence[Place], probes: Sequence[Probe]
) -> tuple[tuple[Place, Probe], tuple[Place, Probe]] | None:
    known = [(place, probe) for place, probe in zip(places, probes, strict=True) if probe.regime != UNDECIDED]
    for item in known[1:]:
        if item[1].regime != known[0][1].regime:
            return known[0], item
    return None


def _alike(first: Probe, second: Probe) -> Callable[[Probe], bool | None]:
    """Whether a probe is on the side of the first; None where that cannot be said."""
    by_chaos = (first.regime in CHAOTIC) != (second.regime in CHAOTIC)

    def same(probe: Probe) -> bool | None:
        if probe.regime == UNDECIDED:
            return None
        if by_chaos:
            return (probe.regime in CHAOTIC) == (first.regime in CHAOTIC)
        return probe.regime == first.regime

    return same


def _lines(region: Mask) -> list[list[Place]]:
    """On a handful of rows, evenly spread over those that the region has, its longest run of columns."""
    rows = np.flatnonzero(region.any(axis=1))
    chosen = np.unique(np.round(np.quantile(rows, np.linspace(INSET, 1.0 - INSET, LINES))).astype(int))
    found = []
    for row in chosen:
        columns = np.flatnonzero(region[row])
        if not columns.size:
            continue
        runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
        longest = max(runs, key=len)
        found.append([(int(row), int(column)) for column in longest])
    return found


def _on_line(lattice: Lattice, line: Sequence[Place], same: Callable[[Probe], bool | None], look: Looks) -> (
    _Found | None
):  # fmt: skip
    """The crossing on a line whose ends, a little inside the region, are on different sides."""
    inset = max(1, int(INSET * len(line)))
    inner = list(line[inset : len(line) - inset])
    if len(inner) < 3:
        return None
    ends = [same(look(*lattice.parameters(place))) for place in (inner[0], inner[-1])]
    if None in ends or ends[0] == ends[1]:
        return None
    return _bisect(lattice, inner if ends[0] else inner[::-1], same, look)


def _bisect(
    lattice: Lattice, path: Sequence[Place], same: Callable[[Probe], bool | None], look: Looks
) -> _Found | None:
    """Between the first place of a path, which is on the side of the first probe, and the last, which is not."""
    if len(path) < 2:
        return None
    low, high = 0, len(path) - 1
    while high - low > NARROW:
        for share in (0.5, 0.25, 0.75):
            middle = low + round(share * (high - low))
            side = same(look(*lattice.parameters(path[middle]))) if low < middle < high else None
            if side is not None:
                break
        if side is None:
            break
        low, high = (middle, high) if side else (low, middle)
    a, b = (np.array(lattice.parameters(path[k])) for k in (low, high))
    middle_point, half = 0.5 * (a + b), 0.5 * np.abs(a - b)
    size = float(np.hypot(*half / lattice.spacing)) * lattice.spacing
    return _Found(float(middle_point[0]), float(middle_point[1]), (float(size[0]), float(size[1])))


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
