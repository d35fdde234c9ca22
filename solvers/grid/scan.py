"""All roots of an excess function on a logarithmic axis, at many parameter points at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Excess = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""e = ln(G(x)/x) at ln x (n,), for the points of these numbers (n,)."""

NEAR_TANGENCY = 0.25
"""An extremum of the excess this close to zero may hide a pair of roots between two places of the scan."""

CLOSER, ROUNDS = 12, 3
"""Places, and how often repeated, at which such an extremum is looked at."""

LIMIT = 700.0


@dataclass
class Scan:
    """Excess of some points on the axis, and its roots.

    points : (n,) their numbers; table : (n, axis); logs, slopes, gaps : ln x of the roots, ascending and padded with
    nan, the slope de/d ln x and what is left of the excess there, (n, most); suspect : near a tangency (n,);
    known : no nan on the axis (n,).
    """

    points: np.ndarray
    table: np.ndarray
    logs: np.ndarray
    slopes: np.ndarray
    gaps: np.ndarray
    suspect: np.ndarray
    known: np.ndarray

    @property
    def count(self) -> np.ndarray:
        """Roots of each point."""
        return np.asarray(np.isfinite(self.logs).sum(axis=1))


def scan(
    excess: Excess, points: np.ndarray, axis: np.ndarray, noise: float, tol: float, *, tangencies: bool = True
) -> Scan:
    """Look along the whole axis at some points, and settle every root to ``tol`` in ln x.

    noise : absolute error of the excess; values below it have no sign; tangencies : look for pairs of roots between
    places of the axis.
    """
    size = points.size
    table = excess(np.tile(axis, size), np.repeat(points, axis.size)).reshape(size, axis.size)
    known = np.asarray(~np.isnan(table).any(axis=1))
    row, low, high = _sign_changes(table, axis, noise)
    suspect = np.zeros(size, bool)
    if tangencies:
        suspect, pairs = _tangencies(excess, points, table, axis)
        row = np.concatenate([row, pairs[0]])
        low, high = np.concatenate([low, pairs[1]]), np.concatenate([high, pairs[2]])
    order = np.lexsort((low, row))
    row, low, high = row[order], low[order], high[order]
    logs, slopes, gaps = settle(excess, points[row], low, high, tol)
    first = np.searchsorted(row, np.arange(size))
    place = np.arange(row.size) - first[row]
    most = int(place.max()) + 1 if row.size else 0
    found = []
    for values in (logs, slopes, gaps):
        padded = np.full((size, most), np.nan)
        padded[row, place] = values
        found.append(padded)
    return Scan(points, table, found[0], found[1], found[2], suspect, known)


def _sign_changes(table: np.ndarray, axis: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and ends of the intervals over which the sign changes; places without a sign are passed over."""
    sign = np.where(np.abs(table) > noise, np.sign(np.nan_to_num(table)), 0.0)
    place = np.where(sign != 0, np.arange(axis.size), -1)
    last = np.maximum.accumulate(place, axis=1)[:, :-1]
    before = np.where(last >= 0, np.take_along_axis(sign, np.maximum(last, 0), axis=1), 0.0)
    row, column = np.nonzero(before * sign[:, 1:] < 0)
    return row, axis[last[row, column]], axis[column + 1]


def _tangencies(
    excess: Excess, points: np.ndarray, table: np.ndarray, axis: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Which points have an extremum near zero, and the intervals of the pairs of roots that it hides."""
    here, left, right = table[:, 1:-1], table[:, :-2], table[:, 2:]
    sign = np.sign(here)
    with np.errstate(invalid="ignore"):
        near = (np.abs(here) <= NEAR_TANGENCY) & (np.sign(left) == sign) & (np.sign(right) == sign)
        near &= (np.abs(here) <= np.minimum(np.abs(left), np.abs(right))) & (np.abs(left) != np.abs(right))
    row, column = np.nonzero(near)
    suspect = np.zeros(points.size, bool)
    suspect[row] = True
    outer_low, outer_high = axis[column], axis[column + 2]
    low, high, best = outer_low, outer_high, np.full(row.size, np.nan)
    value = np.abs(here[row, column])
    for _ in range(ROUNDS if row.size else 0):
        places = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, CLOSER + 2)[1:-1]
        found = excess(places.ravel(), np.repeat(points[row], CLOSER)).reshape(places.shape)
        found = np.where(np.isnan(found), np.inf, found * sign[row, column][:, None])
        least = np.argmin(found, axis=1)
        value, best = found[np.arange(row.size), least], places[np.arange(row.size), least]
        width = (high - low) / (CLOSER + 1)
        low, high = best - width, best + width
    crossed = value < 0
    rows = np.concatenate([row[crossed], row[crossed]])
    return suspect, (
        rows,
        np.concatenate([outer_low[crossed], best[crossed]]),
        np.concatenate([best[crossed], outer_high[crossed]]),
    )


def settle(
    excess: Excess, points: np.ndarray, low: np.ndarray, high: np.ndarray, tol: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Roots between ends of opposite sign by the Illinois rule: ln x, slope there, and what is left of the excess."""
    low, high = low.copy(), high.copy()
    if not points.size:
        return low, high, low
    low_value, high_value = excess(low, points), excess(high, points)
    best, gap, slope = low.copy(), low_value.copy(), np.full(low.size, np.nan)
    active, side = np.arange(points.size), np.zeros(points.size)
    for turn in range(60):
        a, b, fa, fb = low[active], high[active], low_value[active], high_value[active]
        with np.errstate(all="ignore"):
            trial = (a * fb - b * fa) / (fb - fa)
        inside = (trial > np.minimum(a, b)) & (trial < np.maximum(a, b))
        trial = np.where(inside & (turn % 8 != 7), trial, 0.5 * (a + b))
        value = excess(trial, points[active])
        with np.errstate(all="ignore"):
            here = (value - gap[active]) / (trial - best[active])
        moved = np.abs(trial - best[active])
        slope[active] = np.where((moved > 1e-12) & np.isfinite(here), here, slope[active])
        best[active], gap[active] = trial, value
        at_low = np.sign(value) == np.sign(fa)
        again = side[active] == np.where(at_low, 1, -1)  # an end kept twice counts half, lest it be kept for ever
        side[active] = np.where(at_low, 1, -1)
        kept = np.where(again, 0.5, 1.0)
        low[active], low_value[active] = np.where(at_low, trial, a), np.where(at_low, value, kept * fa)
        high[active], high_value[active] = np.where(at_low, b, trial), np.where(at_low, kept * fb, value)
        with np.errstate(all="ignore"):
            left = np.abs(value / slope[active])
        active = active[~((value == 0) | (left < 0.01 * tol) | (high[active] - low[active] < 0.01 * tol))]
        if not active.size:
            break
    return best, slope, gap
