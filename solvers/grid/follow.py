"""Roots at every point of long runs of neighbouring parameter points.

Some points, the anchors, are scanned over the whole axis like a single solve.  Between two anchors that look alike,
roots are followed by secants from interpolated starts.  Where anchors differ, or a root is not where it is expected,
every point is scanned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from solvers.grid.scan import Excess, Scan, scan

SPACING = 64
"""Points from anchor to anchor."""

STEADY = 0.5
"""Anchors look alike where the excess differs by less than this share of its modulus, away from its roots."""

BESIDE = 2
"""Places of the axis beside a root at which the excess may change sign between anchors."""

TURNS = 6

ROUGH = 0.2
"""Relative error that an interpolated slope is taken to have; of a secant's it is as much as its last step was off."""


@runtime_checkable
class Following(Protocol):
    """An excess function with a loop of its own for secants."""

    def secants(self, log: np.ndarray, slope: np.ndarray, points: np.ndarray, tol: float) -> np.ndarray | None:
        """What the function `secants` gives; None where it cannot."""


@dataclass
class Roots:
    """Roots of every point, ascending and padded with nan, (points, most).

    logs : ln x; slopes : of the excess there; gaps : what is left of it; known : whether the whole axis could be
    searched (points,).
    """

    logs: np.ndarray
    slopes: np.ndarray
    gaps: np.ndarray
    known: np.ndarray

    def errors(self, noise: float) -> np.ndarray:
        """Absolute errors of ln x where the excess has that of ``noise``."""
        with np.errstate(all="ignore"):
            return (np.abs(self.gaps) + noise) / np.abs(self.slopes)


@dataclass
class _Anchored:
    """Anchors of the runs: their scan, and which intervals between neighbours are alike (anchors - 1,)."""

    scan: Scan
    alike: np.ndarray


def find_roots(
    excess: Excess, runs: np.ndarray, axis: np.ndarray, noise: float, tol: float, *, monotone: bool = False
) -> Roots:
    """All roots of every point.

    runs : number of the run of each point (points,), ascending; within a run points are neighbours; axis : ln x to
    search, ascending; noise : absolute error of the excess; tol : asked of ln x; monotone : the excess is known to
    decrease along the axis, so that one root in two anchors is all there is between them.
    """
    points = runs.size
    first = _anchors(runs)
    anchors = scan(excess, first, axis, noise, tol, tangencies=not monotone)
    anchored = _Anchored(anchors, _alike(anchors, runs, axis, monotone))
    followed, near = _followed(excess, anchored, tol)
    done = np.zeros(points, bool)
    done[first] = True
    done[followed] = True
    others = scan(excess, np.nonzero(~done)[0], axis, noise, tol, tangencies=not monotone)
    most = max(anchors.logs.shape[1], others.logs.shape[1])
    empty = np.full((3, points, most), np.nan)
    found = Roots(empty[0], empty[1], empty[2], np.ones(points, bool))
    for part in (anchors, others):
        own = (part.logs, part.slopes, part.gaps)
        for table, rows in zip((found.logs, found.slopes, found.gaps), own, strict=True):
            table[part.points, : rows.shape[1]] = rows
        found.known[part.points] = part.known
    for table, rows in zip((found.logs, found.slopes, found.gaps), near, strict=True):
        table[followed, : rows.shape[1]] = rows
    return found


def neighbours(index: np.ndarray, length: int) -> np.ndarray:
    """Runs of some of the points of a design in which runs of ``length`` points are neighbours."""
    if not index.size:
        return index
    new = (np.diff(index) != 1) | (index[1:] % length == 0)
    return np.concatenate([[0], np.cumsum(new)])


def _anchors(runs: np.ndarray) -> np.ndarray:
    """Every SPACING-th point of each run, and its last."""
    if not runs.size:
        return np.zeros(0, np.int64)
    starts = np.searchsorted(runs, runs, side="left")
    inside = (np.arange(runs.size) - starts) % SPACING == 0
    last = np.append(runs[1:] != runs[:-1], True)
    return np.nonzero(inside | last)[0]


def _alike(anchors: Scan, runs: np.ndarray, axis: np.ndarray, monotone: bool) -> np.ndarray:
    """Whether neighbouring anchors of one run have the same roots and nothing else comes near zero between them."""
    one, two = slice(None, -1), slice(1, None)
    same = runs[anchors.points[one]] == runs[anchors.points[two]]
    same &= (anchors.count[one] == anchors.count[two]) & anchors.known[one] & anchors.known[two]
    if monotone:
        return np.asarray(same)
    same &= ~(anchors.suspect[one] | anchors.suspect[two])
    a, b = anchors.table[one], anchors.table[two]
    steady = np.abs(a - b) < STEADY * np.minimum(np.abs(a), np.abs(b))
    for k in range(anchors.logs.shape[1]):
        ends = np.stack([anchors.logs[one, k], anchors.logs[two, k]])
        low = np.searchsorted(axis, np.nan_to_num(ends.min(axis=0), nan=np.inf)) - BESIDE
        high = np.searchsorted(axis, np.nan_to_num(ends.max(axis=0), nan=-np.inf)) + BESIDE
        place = np.arange(axis.size)
        steady |= (place >= low[:, None]) & (place < high[:, None])
        with np.errstate(invalid="ignore"):
            same &= ~(anchors.slopes[one, k] * anchors.slopes[two, k] <= 0)
    return np.asarray(same & steady.all(axis=1))


def _followed(excess: Excess, anchored: _Anchored, tol: float) -> tuple[np.ndarray, np.ndarray]:
    """Points between like anchors where every root was found where it was expected, with its ln x, slopes and gaps,
    (3, points, roots)."""
    anchors, alike = anchored.scan, anchored.alike
    width = np.diff(anchors.points)
    piece = np.repeat(np.nonzero(alike)[0], width[alike] - 1)
    if not piece.size:
        return piece, np.empty((3, 0, anchors.logs.shape[1]))
    offset = np.arange(piece.size) - np.repeat(np.cumsum(width[alike] - 1) - (width[alike] - 1), width[alike] - 1) + 1
    points = anchors.points[piece] + offset
    share = offset / width[piece]
    found = np.full((3, points.size, anchors.logs.shape[1]), np.nan)
    good = np.ones(points.size, bool)
    for k in range(found.shape[2]):
        has = np.nonzero(np.isfinite(anchors.logs[piece, k]))[0]
        start = _interpolated(anchors.logs[:, k], alike, piece[has], share[has], width)
        slope = (1 - share[has]) * anchors.slopes[piece[has], k] + share[has] * anchors.slopes[piece[has] + 1, k]
        near = excess.secants(start, slope, points[has], tol) if isinstance(excess, Following) else None
        near = secants(excess, points[has], start, slope, tol) if near is None else near
        found[:, has, k] = near[:3]
        settled = near[3] > 0
        ends = np.sort(np.stack([anchors.logs[piece[has], k], anchors.logs[piece[has] + 1, k]]), axis=0)
        slack = 0.3 * (ends[1] - ends[0]) + 1e-6
        with np.errstate(invalid="ignore"):
            settled &= (near[0] > ends[0] - slack) & (near[0] < ends[1] + slack)
        good[has] &= settled
    return points[good], found[:, good]


def _interpolated(
    logs: np.ndarray, alike: np.ndarray, piece: np.ndarray, share: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Cubic through four anchors where their intervals are alike and equally long, else a line."""
    linear = (1 - share) * logs[piece] + share * logs[piece + 1]
    before, after = np.maximum(piece - 1, 0), np.minimum(piece + 2, logs.size - 1)
    next_piece = np.minimum(piece + 1, alike.size - 1)
    smooth = (piece > 0) & (piece + 2 < logs.size) & alike[before] & alike[next_piece]
    smooth &= (width[before] == width[piece]) & (width[next_piece] == width[piece])
    t = share
    cubic = (
        -t * (t - 1) * (t - 2) / 6 * logs[before] + (t + 1) * (t - 1) * (t - 2) / 2 * logs[piece]
        - (t + 1) * t * (t - 2) / 2 * logs[piece + 1] + (t + 1) * t * (t - 1) / 6 * logs[after]
    )  # fmt: skip
    return np.where(smooth & np.isfinite(cubic), cubic, linear)


def secants(
    excess: Excess, points: np.ndarray, start: np.ndarray, slope: np.ndarray, tol: float
) -> np.ndarray:
    """ln x, slope, what is left of the excess, and 1 where it settled (4, n), from good starts and slopes."""
    logs, slope, settled = start.copy(), slope.copy(), np.zeros(start.size, bool)
    gap = excess(logs, points)
    active, share = np.arange(start.size), np.full(start.size, ROUGH)
    for _ in range(TURNS):
        with np.errstate(all="ignore"):
            step = -gap[active] / slope[active]
            left = np.abs(step) * share[active]  # of the error, after this step
        close = left < 0.01 * tol
        done = active[close]
        logs[done] += step[close]
        gap[done] = left[close] * np.abs(slope[done])
        settled[done] = True
        active, step = active[~close], step[~close]
        if not active.size:
            break
        logs[active] += step
        value = excess(logs[active], points[active])
        with np.errstate(all="ignore"):
            fresh = (value - gap[active]) / step
        slope[active] = np.where((np.abs(step) > 1e-7) & np.isfinite(fresh), fresh, slope[active])
        with np.errstate(all="ignore"):
            share[active] = np.minimum(np.abs(value / (slope[active] * step)), 1.0)
        gap[active] = value
    return np.stack([logs, slope, gap, settled])
