"""Roots at every point of long runs of neighbouring parameter points.

Some points, the anchors, are scanned over the whole axis like a single solve.  Between two anchors that look alike, roots
are followed by secants from interpolated starts.  Where anchors differ, or a root is not where it is expected, every
point is scanned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.grid.scan import Excess, Scan, scan

SPACING = 16
"""Points from anchor to anchor."""

STEADY = 0.5
"""Anchors look alike where the excess differs by less than this share of its modulus, away from its roots."""

BESIDE = 2
"""Places of the axis beside a root at which the excess may change sign between anchors."""

TURNS = 6


@dataclass
class Roots:
    """Roots of every point, ascending and padded with nan, (points, most).

    logs : ln x; errors : of ln x, absolute; known : whether the whole axis could be searched (points,).
    """

    logs: np.ndarray
    errors: np.ndarray
    known: np.ndarray


@dataclass
class _Anchored:
    """Anchors of the runs: their scan, and which intervals between neighbours are alike (anchors - 1,)."""

    scan: Scan
    alike: np.ndarray


def find_roots(excess: Excess, runs: np.ndarray, axis: np.ndarray, noise: float, tol: float) -> Roots:
    """All roots of every point.

    runs : number of the run of each point (points,), ascending; within a run points are neighbours; axis : ln x to
    search, ascending; noise : absolute error of the excess; tol : asked of ln x.
    """
    points = runs.size
    first = _anchors(runs)
    anchors = scan(excess, first, axis, noise, tol)
    anchored = _Anchored(anchors, _alike(anchors, runs, axis))
    followed, logs, slopes, gaps = _followed(excess, anchored, tol)
    done = np.zeros(points, bool)
    done[first] = True
    done[followed] = True
    others = scan(excess, np.nonzero(~done)[0], axis, noise, tol)
    most = max(anchors.logs.shape[1], others.logs.shape[1])
    found = Roots(np.full((points, most), np.nan), np.full((points, most), np.nan), np.ones(points, bool))
    for part in (anchors, others):
        count = part.logs.shape[1]
        found.logs[part.points, :count] = part.logs
        found.errors[part.points, :count] = _error(part.gaps, part.slopes, noise)
        found.known[part.points] = part.known
    found.logs[followed, : logs.shape[1]] = logs
    found.errors[followed, : logs.shape[1]] = _error(gaps, slopes, noise)
    return found


def _error(gaps: np.ndarray, slopes: np.ndarray, noise: float) -> np.ndarray:
    with np.errstate(all="ignore"):
        return (np.abs(gaps) + noise) / np.abs(slopes)


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


def _alike(anchors: Scan, runs: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Whether neighbouring anchors of one run have the same roots and nothing else comes near zero between them."""
    one, two = slice(None, -1), slice(1, None)
    same = runs[anchors.points[one]] == runs[anchors.points[two]]
    same &= (anchors.count[one] == anchors.count[two]) & anchors.known[one] & anchors.known[two]
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


def _followed(
    excess: Excess, anchored: _Anchored, tol: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points between like anchors where every root was found where it was expected, with its ln x, slopes and gaps."""
    anchors, alike = anchored.scan, anchored.alike
    width = np.diff(anchors.points)
    piece = np.repeat(np.nonzero(alike)[0], width[alike] - 1)
    if not piece.size:
        return piece, *(np.empty((0, anchors.logs.shape[1])),) * 3
    offset = np.arange(piece.size) - np.repeat(np.cumsum(width[alike] - 1) - (width[alike] - 1), width[alike] - 1) + 1
    points = anchors.points[piece] + offset
    share = offset / width[piece]
    shape = (points.size, anchors.logs.shape[1])
    logs, slopes, gaps = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    good = np.ones(points.size, bool)
    for k in range(shape[1]):
        has = np.nonzero(np.isfinite(anchors.logs[piece, k]))[0]
        start = _interpolated(anchors.logs[:, k], alike, piece[has], share[has], width)
        slope = (1 - share[has]) * anchors.slopes[piece[has], k] + share[has] * anchors.slopes[piece[has] + 1, k]
        logs[has, k], slopes[has, k], gaps[has, k], settled = _secants(excess, points[has], start, slope, tol)
        ends = np.sort(np.stack([anchors.logs[piece[has], k], anchors.logs[piece[has] + 1, k]]), axis=0)
        slack = 0.3 * (ends[1] - ends[0]) + 1e-6
        with np.errstate(invalid="ignore"):
            settled &= (logs[has, k] > ends[0] - slack) & (logs[has, k] < ends[1] + slack)
        good[has] &= settled
    return points[good], logs[good], slopes[good], gaps[good]


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


def _secants(
    excess: Excess, points: np.ndarray, start: np.ndarray, slope: np.ndarray, tol: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """ln x, slope, what is left of the excess, and whether it settled, from good starts and slopes."""
    logs, slope, settled = start.copy(), slope.copy(), np.zeros(start.size, bool)
    gap = excess(logs, points)
    active = np.arange(start.size)
    for _ in range(TURNS):
        with np.errstate(all="ignore"):
            step = -gap[active] / slope[active]
        close = np.abs(step) < 0.01 * tol
        settled[active[close]] = True
        active, step = active[~close], step[~close]
        if not active.size:
            break
        logs[active] += step
        value = excess(logs[active], points[active])
        with np.errstate(all="ignore"):
            fresh = (value - gap[active]) / step
        slope[active] = np.where((np.abs(step) > 1e-7) & np.isfinite(fresh), fresh, slope[active])
        gap[active] = value
    return logs, slope, gap, settled
