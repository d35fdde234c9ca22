"""The law of singular values of the one-step Jacobian of one site measure: share below, density, quantiles, edges.

With F(w) = E ln det(pencil) + (terms in alpha beta), stationary in alpha and beta,  Im F(s + i0) = pi S (share above
s): one point of the pencil gives the distribution function itself, its error of second order in that of alpha and beta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from solvers.measure import SiteMeasure
from solvers.spectrum.singular_memory import PencilMemory
from solvers.spectrum.singular_newton import PencilSolver

Array = npt.NDArray[np.float64]

GRID = 24
ROUNDS = 14
SHARE = 1e-6
"""Accuracy asked of the share below a quantile."""

EMPTY = 1e-6
"""A share below which an end of the law is taken to be reached."""

SEEN = (1e-4, 3e-2)
"""Shares left beyond a point from which an end is extrapolated."""

NEAR_ZERO = 1e-4
"""In units of the root mean square; what lies below it and does not thin out towards zero is an atom at zero."""


ONE_VALUE = 1e-11
"""Relative variance of s^2 below which all singular values are one and the same number."""

AT_JUMP = 2e-5
"""A level this close to the share of exact zeros belongs to them."""


@dataclass(frozen=True)
class Ends:
    """lower, upper : of the support (without an atom at zero); zero : share of singular values that vanish; errors :
    how far an end may lie beyond the place where a share of EMPTY is left, of one site measure."""

    lower: float
    upper: float
    zero: float
    lower_error: float = 0.0
    upper_error: float = 0.0


class SingularLaw:
    """Singular values s >= 0 with total share one; those known are kept, so that searches do not repeat work.

    Attributes
    ----------
    m1, m2 : moments of s^2; size : sqrt(m1), the scale of s; point : whether every singular value equals ``size``
    (an isometry, or a Jacobian that vanishes); lost : points at which the pencil was not solved; memory : see
    `PencilSolver`
    """

    def __init__(self, measure: SiteMeasure | PencilSolver, memory: PencilMemory | None = None) -> None:
        self._solver = PencilSolver(measure, memory) if isinstance(measure, SiteMeasure) else measure
        self.m1, self.m2, self.size = self._solver.m1, self._solver.m2, self._solver.size
        self.states = self._solver.pencil.states
        self.point = not self.m2 > self.m1**2 * (1.0 + ONE_VALUE)
        self._known: dict[float, float] = {}
        self.lost = 0

    def density(self, s: Array) -> Array:
        """rho(s) = -(2/pi) Im (1/S) E tr G11, nan where the pencil was not solved."""
        found = self._solver.at(np.asarray(s, float))
        self.lost += int(np.sum(~found.converged))
        return np.where(found.converged, np.maximum(-2.0 / np.pi * found.trace.imag, 0.0), np.nan)

    def share_below(self, s: Array) -> Array:
        """Share of singular values at or below s > 0, nan where the pencil was not solved or s is nan."""
        s = np.asarray(s, float)
        if self.point:
            return np.where(s >= self.size, 1.0, 0.0)
        new = np.array([x for x in np.unique(s[np.isfinite(s)]) if float(x) not in self._known])
        if new.size:
            share, solved = self.solved_shares(new)
            self.lost += int(np.sum(~solved))
            share = np.where(solved, share, np.nan)
            self._known |= dict(zip(new.tolist(), share.tolist(), strict=True))
        return np.array([self._known.get(float(x), np.nan) for x in s])

    def solved_shares(self, s: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Shares below s by solving the pencil there, and where it was solved; each (n,)."""
        found = self._solver.at(s)
        return np.clip(1.0 - found.angle / (np.pi * self.states), 0.0, 1.0), found.converged

    def _scan(self) -> None:
        """A grid from next to zero to beyond the upper end."""
        if len(self._known) >= GRID:
            return
        fractions = np.concatenate([[NEAR_ZERO, 2 * NEAR_ZERO, 0.003, 0.01, 0.03], np.linspace(0.08, 2.4, GRID - 7)])
        self.share_below(self.size * fractions)
        top = 2.4 * self.size
        while self.share_below(np.array([top]))[0] < 1.0 - EMPTY and top < 1e3 * self.size:
            top *= 1.5

    def _table(self) -> tuple[Array, Array]:
        """What is known, in order, made monotone."""
        known = sorted((s, share) for s, share in self._known.items() if np.isfinite(share))
        s, share = np.array(known).reshape(-1, 2).T
        return s, np.maximum.accumulate(share)

    def quantiles(self, levels: Sequence[float]) -> Array:
        """s such that a share of ``level`` lies below; zero inside an atom at zero.  All levels are sought together."""
        if self.point:
            return np.full(len(levels), self.size)
        self._scan()
        zero = self.ends_zero()
        wanted = np.array([level for level in levels if level > zero + (AT_JUMP if zero else 0.0)])
        for _ in range(ROUNDS if wanted.size else 0):
            s, share = self._table()
            low, high = _brackets(s, share, wanted)
            open_levels = (high - low > 1e-10 * self.size) & ~_reached(s, share, wanted)
            if not open_levels.any():
                break
            self.share_below(np.unique(_trial(s, share, wanted, low, high)[open_levels]))
        found = _inverted(*self._table(), wanted)
        values = dict(zip(wanted.tolist(), found.tolist(), strict=True))
        return np.array([values.get(float(level), 0.0) for level in levels])

    def unresolved(self, levels: Sequence[float]) -> Array:
        """How far apart the points are between which the share below passes a level in a jump, zero elsewhere.

        At an atom, and where the pencil was not solved, a quantile lies somewhere between them.
        """
        if self.point:
            return np.zeros(len(levels))
        s, share = self._table()
        low, high = _brackets(s, share, np.asarray(levels))
        return np.where(_reached(s, share, np.asarray(levels)), 0.0, high - low)

    def ends_zero(self) -> float:
        """Share of exact zeros: what is left of the share below as s falls to zero."""
        one, two = self.share_below(self.size * np.array([NEAR_ZERO, 2 * NEAR_ZERO]))
        zero = 2 * one - two
        return float(zero) if zero > 0.9 * one and one > EMPTY else 0.0

    def ends(self) -> Ends:
        """Ends of the support, to the accuracy at which a share of EMPTY is seen."""
        if self.point:
            return Ends(self.size, self.size, float(self.size == 0.0))
        self._scan()
        zero = self.ends_zero()
        upper = self._end(1.0 - EMPTY, upper=True)
        first = self.share_below(np.array([2 * NEAR_ZERO * self.size]))[0]
        if first > zero + EMPTY:
            lower, lower_error = 0.0, 2 * NEAR_ZERO * self.size
        else:
            lower = self._end(zero + EMPTY, upper=False)
            lower_error = self._beyond(lower, self.probes(Ends(lower, upper, zero), upper=False), zero)
        upper_error = self._beyond(upper, self.probes(Ends(lower, upper, zero), upper=True), None)
        return Ends(lower, upper, zero, lower_error, upper_error)

    def probes(self, ends: Ends, *, upper: bool) -> Array:
        """Two known points inside the support, at which what is left beyond them is small and clearly seen; empty
        where there are none, as at an end that is an atom."""
        s, share = self._table()
        left = 1.0 - share if upper else share - ends.zero
        seen = np.nonzero((left > SEEN[0]) & (left < SEEN[1]) & (s > 0.0))[0]
        if seen.size < 2 or np.ptp(left[seen]) == 0.0:
            return np.zeros(0)
        return np.asarray(s[[seen[np.argmin(left[seen])], seen[np.argmax(left[seen])]]])

    def _beyond(self, end: float, probes: Array, zero: float | None) -> float:
        """How far the end may be from where EMPTY is left: it is also sought by its square-root law."""
        if not probes.size:
            return 1e-6 * self.size
        share = self.share_below(probes)
        return abs(root_end(probes, 1.0 - share if zero is None else share - zero) - end) + 1e-6 * self.size

    def _end(self, level: float, *, upper: bool) -> float:
        """Bisection between the last known point on either side of a level."""
        for _ in range(18):
            s, share = self._table()
            (low,), (high,) = _brackets(s, share, np.array([level]))
            if high - low < 1e-6 * self.size:
                break
            self.share_below(np.array([0.5 * (low + high)]))
        return float(high if upper else low)


def root_end(s: Array, left: Array) -> float:
    """The end of a support near which the density is a square root, from the shares left beyond two points."""
    x = np.maximum(left, 0.0) ** (2.0 / 3.0)
    return float(s[0] + (s[0] - s[1]) * x[0] / (x[1] - x[0])) if x[1] > x[0] else float(s[0])


def _brackets(s: Array, share: Array, levels: Array) -> tuple[Array, Array]:
    place = np.clip(np.searchsorted(share, levels), 0, len(s) - 1)
    return np.where(place > 0, s[np.maximum(place - 1, 0)], 0.0), s[place]


def _reached(s: Array, share: Array, levels: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(np.min(np.abs(share[None, :] - levels[:, None]), axis=1) < SHARE)


def _inverted(s: Array, share: Array, levels: Array) -> Array:
    """Linear between the two points about each level."""
    low, high = _brackets(s, share, levels)
    place = np.clip(np.searchsorted(share, levels), 0, len(s) - 1)
    below = np.where(place > 0, share[np.maximum(place - 1, 0)], 0.0)
    with np.errstate(all="ignore"):
        part = np.where(share[place] > below, (levels - below) / (share[place] - below), 0.5)
    return np.asarray(low + np.clip(part, 0.0, 1.0) * (high - low))


def _trial(s: Array, share: Array, levels: Array, low: Array, high: Array) -> Array:
    """Linear interpolation, kept away from the ends of the bracket so that it shrinks at jumps as well."""
    return np.asarray(np.clip(_inverted(s, share, levels), low + 0.1 * (high - low), high - 0.1 * (high - low)))
