"""Singular values of a product of T free Jacobians, from the pencil of one of them.

With m = E[s^2/(w^2 - s^2)] of one step, S(m) = (1 + m)/(m w^2) is the S-transform of its squared singular values; that
of the product is S^T, so that the product takes the value m at W with

    T ln w - (T - 1)/2 ln((1 + m)/m) = ln W,     E ln(W^2 - s^2) = T (that of one step at w) + (T - 1) ln m

One unknown, ln w, is followed from large W down to the real axis (theory, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from solvers.budget import check_budget
from solvers.measure import SiteMeasure
from solvers.spectrum.singular_law import Array, Ends, SingularLaw
from solvers.spectrum.singular_newton import START, PencilPoints, PencilSolver
from solvers.spectrum.singular_pencil import Complex

Mask = npt.NDArray[np.bool_]

FLOOR = 1e-9
"""Angle of W above the real axis at which the axis is taken to be reached."""

ITERATIONS, TOLERANCE = 8, 1e-9
NUDGE = 1e-5
FIRST_STEP, LEAST_STEP, BOLDEST = 0.05, 1e-4, 0.2
MOST_STEPS = 300
ABOVE = 5.0
"""|w|^2 at the start in units of steps times m2/m1, beyond which the expansion in 1/w^2 is good for a first guess."""

NEGLIGIBLE = 1e-9
"""A share that counts as none."""

LOWEST = 1e-6
"""Height, in units of one step's size, at which E[s^-2] of one step is taken; where it diverges it is large there."""

REAL = 1e-6
"""Argument of w up to which it counts as real."""

FARTHEST, CLOSE = 2.0, 0.7
"""In ln w: what moves further in one step has landed on another branch."""


@dataclass(frozen=True)
class FreePoints:
    """m : of the product, (n,); above : share of its singular values above s; found : where that is solved."""

    m: Complex
    above: Array
    found: Mask


@dataclass(frozen=True)
class _Place:
    """x = ln w, alpha and beta of the pencil there, its angle, m, and d ln W/dx; each (n,) or (n, P)."""

    x: Complex
    alpha: Complex
    beta: Complex
    angle: Array
    m: Complex
    rate: Complex

    def at(self, chosen: npt.NDArray[np.intp]) -> _Place:
        """Some of the points."""
        return _Place(*(getattr(self, item.name)[chosen] for item in fields(self)))

    def put(self, chosen: npt.NDArray[np.intp], other: _Place) -> _Place:
        """These points with others in their places."""
        columns = [getattr(self, item.name).copy() for item in fields(self)]
        for column, item in zip(columns, fields(self), strict=True):
            column[chosen] = getattr(other, item.name)
        return _Place(*columns)


class Memory:
    """Places found so far, of one product at any site measures of the same units: starts for their neighbours."""

    def __init__(self) -> None:
        self._log_s: Array = np.zeros(0)
        self._places: _Place | None = None

    def add(self, log_s: Array, places: _Place) -> None:
        """Keep these, (n,)."""
        if self._places is None:
            self._log_s, self._places = log_s, places
            return
        pairs = ((getattr(self._places, item.name), getattr(places, item.name)) for item in fields(places))
        self._log_s, self._places = np.concatenate([self._log_s, log_s]), _Place(*map(np.concatenate, pairs))

    def near(self, log_s: Array) -> tuple[_Place, Complex] | None:
        """The nearest of the places kept, and where ln w is to be expected from there; None while there are none."""
        if self._places is None:
            return None
        nearest = np.argmin(np.abs(log_s[:, None] - self._log_s), axis=1)
        place = self._places.at(nearest)
        return place, np.asarray(place.x + (log_s - self._log_s[nearest]) / place.rate)


class FreeProductSolver:
    """The product's resolvent and shares at W = s + i0.

    size : of one step's singular values; spread : m2/m1^2 - 1 of the product
    """

    def __init__(self, measure: SiteMeasure, steps: int, memory: Memory | None = None) -> None:
        self.one, self.steps = PencilSolver(measure), steps
        self.size = self.one.size
        self.spread = steps * (self.one.m2 / self.one.m1**2 - 1.0) if self.one.m1 else 0.0
        self._memory = memory or Memory()

    def at(self, log_s: Array) -> FreePoints:
        """At s = e^log_s, (n,): from a neighbour if there is one, else by coming down from a large imaginary W."""
        with np.errstate(all="ignore"):
            now, found = self._beside(log_s)
            rest = np.nonzero(~found)[0]
            if rest.size:
                places, found[rest] = self._from_above(log_s[rest])
                now = places if now is None else now.put(rest, places)
            assert now is not None
            kept = np.nonzero(found)[0]
            self._memory.add(log_s[kept], now.at(kept))
        turn = np.angle(now.m)
        turn = np.where(turn > 0.5 * np.pi, turn - 2.0 * np.pi, turn)  # m lies in the lower half plane
        return FreePoints(now.m, (self.steps * now.angle + (self.steps - 1) * turn) / np.pi, found)

    def _beside(self, log_s: Array) -> tuple[_Place | None, Mask]:
        """In one step from what is known close by."""
        near = self._memory.near(log_s)
        if near is None:
            return None, np.zeros(log_s.shape, bool)
        place, x = near
        now, good = self._solved(np.asarray(log_s + 1j * FLOOR, complex), x, place.alpha, place.beta)
        return now, good & (np.abs(now.x - place.x) < CLOSE)

    def _from_above(self, log_s: Array) -> tuple[_Place, Mask]:
        height = max(START, np.sqrt(ABOVE * self.steps * self.one.m2) / self.one.m1)
        top = np.maximum(self.steps * np.log(self.size) + np.log(height), log_s)
        x = top - (self.steps - 1) * np.log(self.size) + 0.5j * np.pi
        high = self.one.start(np.exp(x))
        now, good = self._solved(_path(top, log_s, np.zeros(top.shape)), x, high.alpha, high.beta)
        done, step, failed = np.zeros(log_s.shape), np.full(log_s.shape, FIRST_STEP), ~good
        for _ in range(MOST_STEPS):
            todo = np.nonzero((done < 1.0) & ~failed)[0]
            if not todo.size:
                break
            check_budget()
            following = np.minimum(done[todo] + step[todo], 1.0)
            old, new = (_path(top[todo], log_s[todo], part) for part in (done[todo], following))
            here = now.at(todo)
            trial, good = self._solved(new, here.x + (new - old) / here.rate, here.alpha, here.beta)
            good &= np.abs(trial.x - here.x) < FARTHEST
            kept, lost = todo[good], todo[~good]
            now = now.put(kept, trial.at(np.nonzero(good)[0]))
            done[kept] = following[good]
            step[kept] = np.minimum(1.5 * step[kept], BOLDEST)
            step[lost] *= 0.4
            failed[lost] = step[lost] < LEAST_STEP
        return now, (done >= 1.0) & ~failed

    def _solved(self, log_W: Complex, x: Complex, alpha: Complex, beta: Complex) -> tuple[_Place, Mask]:
        """Newton's method for ln w; the slope of m is taken anew where one step has not been enough."""
        rate = np.ones(x.shape, complex)
        for turn in range(ITERATIONS):
            points = self.one.newton(np.exp(x), alpha, beta)
            alpha, beta = points.alpha, points.beta
            value = self._log_W(x, points)
            if turn % 3 == 0:
                rate = self._rate(x, value, points)
            far = ~(np.abs(value - log_W) <= TOLERANCE * self.steps)
            if not far.any() or turn == ITERATIONS - 1:
                break
            change = np.where(far, (value - log_W) / rate, 0.0)
            change = np.where(np.isfinite(change), change, 0.0)
            x = x - change / np.maximum(1.0, np.abs(change))
        rate = self._rate(x, value, points)
        quadrant = (x.imag > -REAL) & (x.imag < 0.5 * np.pi + REAL)
        outer = (x.imag > REAL) | (rate.real > 0.0)  # on the axis ln W has two solutions, and falls along the other
        good = points.converged & ~far & np.isfinite(rate) & quadrant & outer
        return _Place(x, alpha, beta, points.angle, _m(x, points), rate), np.asarray(good)

    def _log_W(self, x: Complex, points: PencilPoints) -> Complex:
        """ln W at x = ln w; (1 + m)/m lies in the upper half plane."""
        with np.errstate(all="ignore"):
            ratio = np.log(np.exp(x) * points.trace) - np.log(_m(x, points))
        ratio = ratio.real + 1j * np.where(ratio.imag < -0.5 * np.pi, ratio.imag + 2.0 * np.pi, ratio.imag)
        return np.asarray(self.steps * x - 0.5 * (self.steps - 1) * ratio)

    def _rate(self, x: Complex, value: Complex, points: PencilPoints) -> Complex:
        """d ln W/dx, by a nudge."""
        beside = self.one.newton(np.exp(x + NUDGE), points.alpha, points.beta)
        return np.asarray((self._log_W(x + NUDGE, beside) - value) / NUDGE)


def _m(x: Complex, points: PencilPoints) -> Complex:
    """E[s^2/(w^2 - s^2)] of one step."""
    return np.asarray(np.exp(x) * points.trace - 1.0)


def _path(top: Array, log_s: Array, part: Array) -> Complex:
    """ln W: down the imaginary axis in the first half of the way, then along a circle towards the real one."""
    down, turned = np.minimum(2.0 * part, 1.0), np.maximum(2.0 * part - 1.0, 0.0)
    return np.asarray(top + (log_s - top) * down + 0.5j * np.pi * (2.0 * FLOOR / np.pi) ** turned)


class FreeProductLaw:
    """The law of the singular values s of a product of ``steps`` free Jacobians of one site measure.

    Attributes
    ----------
    m1, m2 : moments of s^2 (inf where they overflow); size : sqrt(m1); point : whether all s are equal; lost : points
    at which the equations were not solved
    """

    def __init__(self, measure: SiteMeasure, steps: int, memory: Memory | None = None) -> None:
        self.steps, self._root = steps, _RootLaw(measure, steps, memory)
        with np.errstate(over="ignore"):
            self.m1 = float(np.float64(self._root.m1) ** steps)
            self.m2 = float(np.float64(self.m1) ** 2 * (1.0 + self._root.solver.spread))
            self.size = float(np.float64(self._root.size) ** steps)
        self.point = self._root.point

    @property
    def lost(self) -> int:
        """Points not solved so far."""
        return self._root.lost

    def share_below(self, s: Array) -> Array:
        """Share of singular values at or below s > 0, nan where it was not found."""
        return self._root.share_below(np.asarray(s, float) ** (1.0 / self.steps))

    def density(self, s: Array) -> Array:
        """rho(s) = -(2/pi) Im (1 + m)/s, nan where it was not found."""
        s = np.asarray(s, float)
        found = self._root.solver.at(np.log(s))
        return np.where(found.found, np.maximum(-2.0 / np.pi * found.m.imag / s, 0.0), np.nan)

    def quantiles(self, levels: Sequence[float]) -> Array:
        """s such that a share of ``level`` lies below; zero inside an atom at zero."""
        return self._root.quantiles(levels) ** self.steps

    def unresolved(self, levels: Sequence[float]) -> Array:
        """As of `SingularLaw`."""
        here = self._root.quantiles(levels)
        return np.asarray((here + self._root.unresolved(levels)) ** self.steps - here**self.steps)

    def ends(self) -> Ends:
        """As of `SingularLaw`."""
        root, T = self._root.ends(), self.steps
        lower, upper = root.lower**T, root.upper**T
        errors = ((root.lower + root.lower_error) ** T - lower, (root.upper + root.upper_error) ** T - upper)
        return Ends(lower, upper, root.zero, *errors)

    def probes(self, ends: Ends, *, upper: bool) -> Array:
        """As of `SingularLaw`."""
        root = replace(ends, lower=ends.lower ** (1.0 / self.steps), upper=ends.upper ** (1.0 / self.steps))
        return self._root.probes(root, upper=upper) ** self.steps


class _RootLaw(SingularLaw):
    """The law of s^(1/steps), which is spread like that of one step; m1, m2, size, point : of one step."""

    def __init__(self, measure: SiteMeasure, steps: int, memory: Memory | None = None) -> None:
        self.solver = FreeProductSolver(measure, steps, memory)
        super().__init__(self.solver.one)
        lowest = self.solver.one.at(np.array([0.0]), LOWEST)
        self._inverse = abs(complex(lowest.trace[0] / lowest.w[0])) if lowest.converged[0] else np.inf

    def solved_shares(self, s: Array) -> tuple[Array, Mask]:
        """Shares below s, and where they were found; bounds by m2 and E[s^-2] spare what lies far outside."""
        solver, T = self.solver, self.solver.steps
        log_s = T * np.log(s)
        with np.errstate(all="ignore"):
            empty_above = np.log1p(solver.spread) + 4.0 * (T * np.log(solver.size) - log_s) < np.log(NEGLIGIBLE)
            empty_below = 2.0 * log_s + T * np.log(self._inverse) < np.log(NEGLIGIBLE)
        share, found = np.where(empty_above, 1.0, 0.0), empty_above | empty_below
        todo = np.nonzero(~found)[0]
        if todo.size:
            points = solver.at(log_s[todo])
            share[todo], found[todo] = np.clip(1.0 - points.above, 0.0, 1.0), points.found
        return share, found
