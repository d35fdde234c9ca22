"""Solution branches of the mean field along one free parameter, followed through folds, with what happens on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from solvers.budget import BudgetSpent
from solvers.continuation import Control, Crossing, Event, Path, trace
from solvers.critical.criterion import Criterion, linearised_at
from solvers.critical.problem import VANISHED, Array, Branch, Space, branch_of
from solvers.fixed_point import SCAN_RTOL, solve_all

FOLD, CRITICAL, LOW, HIGH, ZERO = "fold", "critical", "low", "high", "zero"
SAME = 2e-3
STARTS = 5


@dataclass(frozen=True)
class Traced:
    """A branch with its path; ``excess`` : criterion at each point (negative: ordered); ``attracting`` : likewise."""

    branch: Branch
    path: Path
    excess: tuple[float, ...]
    attracting: tuple[bool, ...]

    def crossings(self, event: str) -> tuple[Crossing, ...]:
        """The crossings of one event."""
        return tuple(c for c in self.path.crossings if c.event == event)

    @property
    def free(self) -> Array:
        """The free parameter at each point."""
        return np.array([point.y[-1] for point in self.path.points])


class Follower:
    """Follows branches of one space along its single free parameter."""

    def __init__(
        self, space: Space, criterion: Criterion, limits: tuple[float, float], rtol: float = SCAN_RTOL
    ) -> None:
        self.space, self.criterion, self.limits, self.rtol = space, criterion, limits, rtol
        self.notes: list[str] = []
        self._known: dict[tuple[tuple[int, ...], bytes], float] = {}

    def excess(self, branch: Branch, y: Array) -> float:
        """The criterion at coordinates y, to the accuracy of a search."""
        key = (branch.active, y.tobytes())
        if key not in self._known:
            values = linearised_at(branch, y, branch.complete(y, self.rtol))
            estimate = self.criterion.excess(self.space.theory, values, self.space.evaluator, self.rtol)
            self._known[key] = estimate.value
        return self._known[key]

    def branches(self, starts: int = STARTS) -> list[Traced]:
        """Every branch met by solving the mean field at ``starts`` values of the parameter, each followed both ways."""
        low, high = self.limits
        lines = [low + (high - low) * share for share in _spread(starts)]
        found: list[Traced] = []
        try:
            for number, value in enumerate(lines):
                for x in self._solutions(value):
                    branch = self._branch_at(x, value)
                    if branch is None or _known(found, branch, branch.coordinates(x, np.array([value])), number):
                        continue
                    traced = self._follow(branch, branch.coordinates(x, np.array([value])), lines)
                    if traced.path.points:
                        found.append(traced)
        except BudgetSpent as spent:
            self.notes.append(f"{spent}: {len(found)} branches followed")
        return found

    def _solutions(self, value: float) -> list[Array]:
        equations = self.space.equations.at(self.space.parameters(np.array([value])))
        fixed = solve_all(equations, 1e-8)
        return [np.array([point.values[s] for s in equations.feedback]) for point in fixed.solutions]

    def _branch_at(self, x: Array, value: float) -> Branch | None:
        """The branch of a solution; None where an unknown vanishes at this parameter only (the branch ends there)."""
        return lasting(branch_of(self.space, x), x, np.array([value]), (self.limits,), self.rtol)

    def _follow(self, branch: Branch, y: Array, lines: Sequence[float]) -> Traced:
        low, high = self.limits
        n = len(branch.active)
        scale = np.append(2.0 * np.maximum(np.abs(y[:n]), 1.0), high - low)
        width = high - low
        events = [
            Event(LOW, lambda point: (point.y[-1] - low) / width + 1e-12, terminal=True),
            Event(HIGH, lambda point: (high - point.y[-1]) / width + 1e-12, terminal=True),
            Event(FOLD, lambda point: float(point.tangent[-1])),
            Event(CRITICAL, lambda point: self.excess(branch, point.y)),
        ]
        events += [
            Event(ZERO, lambda point, k=k: float(point.y[k]) - VANISHED, terminal=True)  # type: ignore[misc]
            for k in range(n) if not branch.signed[k]
        ]  # fmt: skip
        events += [
            Event(f"line {k}", lambda point, v=v: (point.y[-1] - v) / width)  # type: ignore[misc]
            for k, v in enumerate(lines)
        ]
        path = trace(lambda y: branch.residual(y, self.rtol), y, scale, events, Control())
        excess = tuple(self.excess(branch, point.y) for point in path.points)
        attracting = tuple(branch.attracting(point.y, point.slopes / point.scale) for point in path.points)
        return Traced(branch, path, excess, attracting)


def lasting(
    branch: Branch, x: Array, free: Array, limits: Sequence[tuple[float, float]], rtol: float
) -> Branch | None:
    """The branch with what vanishes at these free parameters only among its unknowns.

    None where that is a variance: zero is then not a solution elsewhere, but the end of the branch.
    """
    feedback = branch.space.equations.feedback
    moving: set[int] = set()
    for k, (low, high) in enumerate(limits):
        other = free.copy()
        other[k] += (0.037 if free[k] < 0.5 * (low + high) else -0.037) * (high - low)
        image = branch.space.equations.at(branch.space.parameters(other)).complete(x, rtol).image
        moving |= {m for m in range(len(x)) if x[m] == 0 and abs(image[m]) > 1e-13}
    if any(feedback[m].is_nonnegative for m in moving):
        return None
    return replace(branch, active=tuple(sorted({*branch.active, *moving})))


def _spread(count: int) -> Array:
    """Shares of the range, denser at the low end, both ends included."""
    return np.linspace(0.0, 1.0, count) ** 1.5


def _known(found: Sequence[Traced], branch: Branch, y: Array, line: int) -> bool:
    """Whether a branch already followed went through this solution."""
    for other in found:
        if other.branch.active != branch.active:
            continue
        if not branch.active:
            return True
        for crossing in (*other.crossings(f"line {line}"), *_ends(other.path)):
            gap = np.abs(crossing.point.y - y)
            if np.all(gap <= SAME * (np.abs(y) + crossing.point.scale * 0.05)):
                return True
    return False


def _ends(path: Path) -> list[Crossing]:
    return [Crossing("end", point, 0) for point in (path.points[0], path.points[-1])]


def at_parameter(traced: Traced, value: float) -> list[tuple[float, bool]]:
    """Criterion (interpolated) and whether the solution attracts, wherever the branch passes a parameter value."""
    found = []
    free = traced.free
    for k in range(len(free) - 1):
        a, b = free[k], free[k + 1]
        if min(a, b) <= value <= max(a, b) and a != b:
            share = (value - a) / (b - a)
            level = (1 - share) * traced.excess[k] + share * traced.excess[k + 1]
            near = k if share < 0.5 else k + 1
            found.append((float(level), traced.attracting[near]))
    return found
