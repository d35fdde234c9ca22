"""Single points of a branch of static solutions: moments, stability, number of fixed points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from derive.errors import AnsatzError
from solvers.averages import Values
from solvers.branches.complexity import Complexity, complexity
from solvers.budget import check_budget
from solvers.critical.criterion import Edge
from solvers.critical.problem import Array, Branch, Space
from solvers.fixed_point import SCAN_RTOL, finish, polish_from
from solvers.result import CONVERGED, FixedPoint
from solvers.solve import AT_KINK, moments_at, off_the_kink
from solvers.spectrum import spectrum_of
from solvers.stability import is_stable

ROUNDING = 1e-6
"""Share of the range by which the end of a path may miss a limit."""

NEAR_END = 1e-4
"""Share of the range within which a branch whose variances vanish has reached the end of the range."""

FADED = 1e-4
"""A branch ends where the root of a variance is as small as this."""

NEAR = 0.6
"""Share of the step between two points of a path by which a solution between them may lie off the straight line."""


@dataclass(frozen=True)
class BranchPoint:
    """value : of the parameter; q, Q : by field and state; errors : of q; stable : None where it was not asked or is
    not known; complexity : None where it was not asked or does not exist; verdict : "converged" or what is wrong."""

    value: float
    q: Mapping[str, float]
    Q: Mapping[str, float]
    errors: Mapping[str, float]
    stable: bool | None
    complexity: Complexity | None
    verdict: str = CONVERGED


class Inspector:
    """Looks at points of branches of one space; ``notes`` : what a reader must know of all of them."""

    def __init__(self, space: Space, tol: float, *, stability: bool, complexity: bool) -> None:
        self.space, self.tol = space, tol
        self.notes: list[str] = []
        self._stability, self._complexity = stability, complexity
        self._limits = -np.inf, np.inf
        functions, spectrum = space.theory.law.functions, space.theory.spectrum
        assert spectrum is not None
        self._edge = Edge(space.theory)
        if any(functions.has_delta(entry) for entry in [*spectrum.T, *spectrum.L]):
            self._stability = self._complexity = False
            self.notes.append("an activation jumps: the spectrum averages the square of a delta function and diverges")

    def points(self, branch: Branch, y: Array, grid: Array) -> Iterator[BranchPoint]:
        """At the values of ``grid`` that a stretch y (m, n + 1) with ascending parameter covers, in order."""
        self._limits = float(grid[0]), float(grid[-1])
        free = y[:, -1]
        width = float(grid[-1] - grid[0])
        low, high = (free[k] + sign * width * (NEAR_END if _vanishing(branch, y[k]) else ROUNDING)
                     for k, sign in ((0, -1), (-1, 1)))  # fmt: skip
        for value in grid:
            if low <= value <= high and len(free) > 1:
                check_budget()
                k = int(np.clip(np.searchsorted(free, value) - 1, 0, len(free) - 2))
                if (point := self._point(branch, y[k], y[k + 1], float(value))) is not None:
                    yield point

    def _point(self, branch: Branch, before: Array, after: Array, value: float) -> BranchPoint | None:
        if _vanishing(branch, before) or _vanishing(branch, after):
            return self._at_end(branch, value)
        share = float(np.clip((value - before[-1]) / max(after[-1] - before[-1], 1e-300), 0.0, 1.0))
        guess = (1 - share) * before + share * after
        solution = self._solution(branch, guess, value)
        if solution is None or not self._belongs(branch, solution, guess, before, after, value):
            self.notes.append(f"no solution of its own was found at {value:.6g} on a branch that passes there")
            return None
        return self._inspected(branch, solution, value)

    def _at_end(self, branch: Branch, value: float) -> BranchPoint | None:
        """The state in which a branch ends, where it does so at this very value; without a note where it does not."""
        equations = self.space.equations.at(self.space.parameters(np.array([value])))
        solution = finish(equations, np.zeros(len(equations.feedback)), self.tol)
        passes = value not in self._limits
        return None if passes or solution.residual > 0 else self._inspected(branch, solution, value)

    def _solution(self, branch: Branch, guess: Array, value: float) -> FixedPoint | None:
        equations = self.space.equations.at(self.space.parameters(np.array([value])))
        x, _ = branch.split(guess)
        if not branch.active:
            return finish(equations, x, self.tol)
        near = self._contracted(branch, guess, value)
        if near is None:
            return None
        x, _ = branch.split(near)
        return polish_from(equations, x, None, self.tol)

    def _contracted(self, branch: Branch, guess: Array, value: float) -> Array | None:
        """Newton's method in the coordinates of the path, where a fold is the only place at which it fails."""
        n, y = len(branch.active), np.append(guess[:-1], value)
        for _ in range(12):
            gap = branch.residual(y, SCAN_RTOL)
            step = 1e-4 * np.maximum(np.abs(y[:n]), 1e-3)
            columns = [
                (branch.residual(y + np.append(h, 0.0)) - branch.residual(y - np.append(h, 0.0))) / (2 * s)
                for s, h in zip(step, np.diag(step), strict=True)
            ]
            slopes = np.array(columns).T
            if not (np.isfinite(slopes).all() and np.isfinite(gap).all()):
                return None
            move = -np.linalg.pinv(slopes) @ gap
            y[:n] += np.clip(move, -0.5 * np.maximum(np.abs(y[:n]), 0.05), 0.5 * np.maximum(np.abs(y[:n]), 0.05))
            if np.all(np.abs(move) <= 1e-6 * np.maximum(np.abs(y[:n]), 1e-3)):
                return y
        return None

    def _belongs(
        self, branch: Branch, solution: FixedPoint, guess: Array, before: Array, after: Array, value: float
    ) -> bool:
        """Whether it lies between the two points of the path, and not on another branch."""
        x = np.array([solution.values[s] for s in self.space.equations.feedback])
        if len(np.nonzero(x)[0]) != len(branch.active):
            return False
        own = branch.coordinates(x, np.array([value]))[:-1]
        room = NEAR * np.linalg.norm(after[:-1] - before[:-1]) + 1e-4 * (1.0 + np.linalg.norm(own))
        return bool(np.linalg.norm(own - guess[:-1]) <= room)

    def _inspected(self, branch: Branch, solution: FixedPoint, value: float) -> BranchPoint:
        space, theory = self.space, self.space.theory
        numbers, errors = moments_at(theory, space.evaluator, solution, self.tol)
        equations = space.equations.at(space.parameters(np.array([value])))
        near = off_the_kink(theory, equations, solution)
        if near is not solution:
            self.notes.append(AT_KINK)
        level = self._level(branch, near.values)
        verdict = solution.verdict
        if verdict == CONVERGED and level is not None:
            verdict = level.verdict
        stable = self._stable(near.values, isolated=near is solution) if self._stability else None
        return BranchPoint(value, numbers["q"], numbers["Q"], errors["q"], stable, level, verdict)

    def _level(self, branch: Branch, values: Values) -> Complexity | None:
        if branch.zero:
            return Complexity(0.0, 0.0)  # one state, whatever the spectrum there
        if not self._complexity:
            return None
        try:
            return complexity(self.space.theory, values)
        except AnsatzError as reason:
            self.notes.append(f"no number of fixed points: {reason}")
            self._complexity = False
            return None

    def _stable(self, values: Values, *, isolated: bool) -> bool | None:
        """By support, outliers and atoms; a support that clearly crosses the line settles it."""
        theory, evaluator = self.space.theory, self.space.evaluator
        if self._edge.clearly_crossed(theory, values, evaluator):
            return False
        return is_stable(theory, spectrum_of(theory, values, evaluator, self.tol, curves=False, isolated=isolated))


def _vanishing(branch: Branch, y: Array) -> bool:
    """Whether a variance of the branch is about to vanish at the coordinates y."""
    variances = np.logical_not(branch.signed)
    return bool(np.any(np.abs(y[:-1][variances]) < FADED))
