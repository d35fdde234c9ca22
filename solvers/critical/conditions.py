"""What singles out a point of a solution branch: criticality, a fold, non-zero solutions leaving the zero state."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.optimize import brentq

from solvers.averages import Estimate
from solvers.critical.branches import FOLD, Follower, Traced
from solvers.critical.criterion import linearised_at
from solvers.critical.points import critical_guesses, fades
from solvers.critical.problem import AT_ZERO_RTOL, Array, Branch
from solvers.fixed_point import SCAN_RTOL, derivative

CRITICALITY, FOLDING, ONSET = "critical", "fold", "onset"

FOLD_RTOL = 1e-9
"""Averages at a fold are differentiated, and must be smoother than a search needs them otherwise."""

STEP = 0.02
"""Relative step of differences of fourth order: their own error is STEP^4, and noise grows by 1/STEP alone."""


class Condition(Protocol):
    """A number that vanishes where a solution is special; it defines curves in the plane of two parameters."""

    @property
    def name(self) -> str:
        """A short name for this kind of curve."""

    def guesses(self, follower: Follower, traced: Traced) -> list[Array]:
        """Coordinates of such points on a branch of one parameter, roughly."""

    def value(self, follower: Follower, branch: Branch, y: Array, rtol: float) -> Estimate:
        """Zero at such a point, with its error; averages to relative accuracy rtol."""


class Criticality:
    """The criterion of the search: chi1 = 1, or the support on the line of stability."""

    name = CRITICALITY

    def guesses(self, follower: Follower, traced: Traced) -> list[Array]:
        """Sign changes of the criterion, and pairs of them between two points, except where a branch fades away."""
        return [y for y in critical_guesses(follower, traced) if not fades(traced, y)]

    def value(self, follower: Follower, branch: Branch, y: Array, rtol: float) -> Estimate:
        """The excess of the criterion."""
        if rtol == follower.rtol:
            return Estimate(follower.excess(branch, y), 0.0)
        space = branch.space
        values = linearised_at(branch, y, branch.complete(y, rtol))
        return follower.criterion.excess(space.theory, values, space.evaluator, rtol)


class Folding:
    """Two solutions meet: the derivative of the residual in the moments is singular.

    In terms of logarithms of variances it is d ln G_i/d ln q_j - delta_ij.  Where a fold meets the zero state its
    determinant vanishes like the variances themselves and is divided by them, so that the curve reaches that point.
    """

    name = FOLDING

    def guesses(self, follower: Follower, traced: Traced) -> list[Array]:
        """The folds that continuation passed."""
        return [crossing.point.y for crossing in traced.crossings(FOLD)] if traced.branch.active else []

    def value(self, follower: Follower, branch: Branch, y: Array, rtol: float) -> Estimate:
        """det(d ln G/d ln q - 1) / (sum of q), by differences of fourth order."""
        fine, n, signed = min(rtol, FOLD_RTOL), len(branch.active), branch.signed
        columns, errors = [], []
        for k in range(n):
            h = STEP * (max(abs(y[k]), 1e-3) if signed[k] else y[k])
            at = [self._residual(branch, y, k, step * h, fine) for step in (-2, -1, 1, 2)]
            slope = (at[0][0] - 8 * at[1][0] + 8 * at[2][0] - at[3][0]) / (12 * h)
            factor = 1.0 if signed[k] else 0.5 * y[k]
            columns.append(factor * slope)
            errors.append(abs(factor / h) * max(float(np.max(error)) for _, error in at))
        size = float(np.sum(np.where(signed, 0.0, y[:n]) ** 2)) or 1.0
        matrix = np.array(columns).T
        with np.errstate(all="ignore"):
            others = float(np.max(np.abs(matrix), initial=1.0)) ** (n - 1)
            return Estimate(float(np.linalg.det(matrix)) / size, n * others * max(errors) / size)

    def _residual(self, branch: Branch, y: Array, k: int, shift: float, rtol: float) -> tuple[Array, Array]:
        moved = y.copy()
        moved[k] += shift
        return branch.gap(moved, branch.complete(moved, rtol))


class Onset:
    """Non-zero solutions leave the zero state continuously: the map of the moments has slope 1 there."""

    name = ONSET

    def guesses(self, follower: Follower, traced: Traced) -> list[Array]:
        """Where the slope passes 1 along the zero state."""
        if not traced.branch.zero:
            return []
        points = [point.y for point in traced.path.points]
        level = [self.value(follower, traced.branch, y, SCAN_RTOL).value for y in points]
        found = []
        for k in range(len(points) - 1):
            if level[k] * level[k + 1] < 0:
                found.append(self._between(follower, traced.branch, points[k], points[k + 1]))
        return found

    def _between(self, follower: Follower, branch: Branch, low: Array, high: Array) -> Array:
        def level(share: float) -> float:
            return self.value(follower, branch, (1 - share) * low + share * high, SCAN_RTOL).value

        share = float(brentq(level, 0.0, 1.0, xtol=1e-9))
        return np.asarray((1 - share) * low + share * high)

    def value(self, follower: Follower, branch: Branch, y: Array, rtol: float) -> Estimate:
        """Largest real part of the eigenvalues of dG/dq at q = 0, minus 1."""
        x, free = branch.split(y)
        equations = branch.space.equations.at(branch.space.parameters(free))
        slopes = derivative(equations, x, AT_ZERO_RTOL)
        if not np.isfinite(slopes).all():
            return Estimate(np.nan, np.inf)
        value = float(np.max(np.linalg.eigvals(slopes).real)) - 1.0
        return Estimate(value, 1e-3 * AT_ZERO_RTOL + 1e-7 * abs(value + 1.0))
