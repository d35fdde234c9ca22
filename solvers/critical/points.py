"""One free parameter: every critical point on every branch, folds, and jumps across criticality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from solvers.budget import BudgetSpent
from solvers.critical.branches import CRITICAL, FOLD, HIGH, LOW, ZERO, Follower, Traced, at_parameter
from solvers.critical.criterion import Edge
from solvers.critical.polish import Finisher, settle
from solvers.critical.problem import Array
from solvers.critical.result import BranchInfo, CriticalPoint, Turn

SMALL = 0.01
"""A critical point at which all moments are this small, against the largest on its branch, is the branch's end in the
zero state; there the resolution of the support makes more of the onset than there is."""

NEAR_LIMIT = 1e-4
TOUCH = 0.05


@dataclass(frozen=True)
class Search:
    """What one search found; ``complete``: it was not cut short."""

    points: tuple[CriticalPoint, ...]
    branches: tuple[BranchInfo, ...]
    turns: tuple[Turn, ...]
    notes: tuple[str, ...]
    complete: bool


def search_points(follower: Follower, finisher: Finisher) -> Search:
    """Follow all branches, settle what is critical on them, and look at folds."""
    traced = follower.branches()
    notes, complete = list(follower.notes), not follower.notes
    points: list[CriticalPoint] = []
    turns: list[Turn] = []
    try:
        for number, item in enumerate(traced):
            for y in critical_guesses(follower, item):
                settled = finisher.settle(item.branch, y)
                if fades(item, settled.y):
                    continue
                points.append(finisher.point(item.branch, settled, number))
        for number in range(len(traced)):
            for turn, point in _folds(follower, finisher, traced, number):
                turns.append(turn)
                points += [point] if point is not None else []
    except BudgetSpent as spent:
        notes.append(f"{spent}: {len(points)} critical points finished")
        complete = False
    points.sort(key=lambda point: next(iter(point.free.values())))
    branches = tuple(_info(follower, number, item) for number, item in enumerate(traced))
    return Search(tuple(points), branches, tuple(turns), tuple(notes), complete)


def critical_guesses(follower: Follower, item: Traced) -> list[Array]:
    """Where the criterion changes sign along a branch, and where it may touch zero between two points."""
    guesses = [crossing.point.y for crossing in item.crossings(CRITICAL)]
    for k in range(1, len(item.excess) - 1):
        before, here, after = item.excess[k - 1 : k + 2]
        turns = abs(here) <= min(abs(before), abs(after)) and before * here > 0 and after * here > 0
        if turns and abs(here) < TOUCH:
            guesses += _between(follower, item, k)
    return guesses


def _between(follower: Follower, item: Traced, k: int) -> list[Array]:
    """A pair of critical points hidden near point number k, by the parabola through three points."""
    points, levels = item.path.points[k - 1 : k + 2], item.excess[k - 1 : k + 2]
    place = np.array([float((p.u - points[1].u) @ points[1].tangent) for p in points])
    curve = np.polyfit(place, levels, 2)
    roots = np.roots(curve)
    if np.iscomplex(roots).any():
        return []
    return [(points[1].u + float(t.real) * points[1].tangent) * points[1].scale for t in roots]


def fades(item: Traced, y: Array) -> bool:
    """Whether coordinates on a branch that ends in the zero state are at that end, where all moments vanish."""
    n = len(item.branch.active)
    if not n or ZERO not in item.path.ends:
        return False
    largest = np.max([np.abs(point.y[:n]) for point in item.path.points], axis=0)
    return bool(np.all(np.abs(y[:n]) < SMALL * largest))


def _folds(
    follower: Follower, finisher: Finisher, traced: Sequence[Traced], number: int
) -> list[tuple[Turn, CriticalPoint | None]]:
    """The folds of one branch; with a critical point where an isolated eigenvalue alone crosses the line there."""
    item, found = traced[number], []
    low, high = follower.limits
    for crossing in item.crossings(FOLD):
        branch, point = item.branch, crossing.point
        residual = lambda y, branch=branch: branch.gap(y, branch.complete(y, finisher.rtol))  # noqa: E731
        settled = settle(residual, point.y, point.scale)
        parameter = float(settled.y[-1])
        excess = follower.excess(branch, settled.y)
        side = _side(item, crossing.after)
        beyond = _attracting_beyond(traced, number, crossing.after, parameter, side * 1e-3 * (high - low))
        own = next((item.excess[k] for k in (crossing.after, crossing.after + 1)
                    if k < len(item.attracting) and item.attracting[k]), None)  # fmt: skip
        crosses = own is not None and any(value * excess < 0 for value in beyond)
        error = float(settled.errors[-1] + 1e-6 * abs(point.tangent[-1]) * (high - low))
        turn = Turn(parameter, error, number, excess, tuple(beyond), crosses)
        unstable_alone = isinstance(finisher.criterion, Edge) and excess < 0
        record = finisher.point(branch, settled, number) if unstable_alone else None
        found.append((turn, record))
    return found


def _side(item: Traced, after: int) -> float:
    """The sign of the direction in which the branch does not continue beyond its fold."""
    free = item.free
    inner = free[max(after - 1, 0)] if after > 0 else free[min(after + 2, len(free) - 1)]
    turn = free[after] if abs(free[after] - inner) > 0 else free[min(after + 1, len(free) - 1)]
    return float(np.sign(turn - inner)) or 1.0


def _attracting_beyond(traced: Sequence[Traced], own: int, after: int, parameter: float, shift: float) -> list[float]:
    """The criterion of every attracting solution on the other side of a fold."""
    found = []
    for item in traced:
        for level, attracting in at_parameter(item, parameter + shift):
            if attracting:
                found.append(level)
    return found


def _info(follower: Follower, number: int, item: Traced) -> BranchInfo:
    first, last = (_end(follower, item, k) for k in (0, 1))
    state = "zero" if item.branch.zero else "active"
    return BranchInfo(number, state, item.free, np.array(item.excess), np.array(item.attracting), (first, last))


def _end(follower: Follower, item: Traced, which: int) -> str:
    """Why the branch ends, in words."""
    low, high = follower.limits
    text, point = item.path.ends[which], item.path.points[0 if which == 0 else -1]
    free, n = float(point.y[-1]), len(item.branch.active)
    vanishing = n > 0 and bool(np.any(np.abs(point.y[:n]) < 0.01 * point.scale[:n]))
    for name, end in ((LOW, low), (HIGH, high)):
        if text == name or (vanishing and abs(free - end) < NEAR_LIMIT * (high - low)):
            return f"{'lower' if name == LOW else 'upper'} end of the range"
    return f"zero state at {free:.6g}" if text == ZERO else text
