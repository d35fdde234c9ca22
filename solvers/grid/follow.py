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
    """An excess function with a loop of its own for following roots."""

    def march(self, pieces: Pieces, tol: float, size: int) -> np.ndarray | None:
        """What the function `march` gives; None where it cannot."""


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
    if monotone:  # where neither has a root, one may come and go between them
        return np.asarray(same & (anchors.count[one] > 0))
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


@dataclass
class Pieces:
    """Stretches between like anchors along which one root is followed.

    left, right : the anchors, point numbers (pieces,); starts : coefficients of ln x as a polynomial in the share of
    the way from left to right, lowest first, (pieces, WINDOW); slopes : of the excess at both ends (pieces, 2);
    bounds : lowest and highest ln x that is expected (pieces, 2).
    """

    left: np.ndarray
    right: np.ndarray
    starts: np.ndarray
    slopes: np.ndarray
    bounds: np.ndarray

    def some(self, index: np.ndarray) -> Pieces:
        """Some of the pieces."""
        return Pieces(self.left[index], self.right[index], self.starts[index], self.slopes[index], self.bounds[index])


def _followed(excess: Excess, anchored: _Anchored, tol: float) -> tuple[np.ndarray, np.ndarray]:
    """Points between like anchors where every root was found where it was expected, with its ln x, slopes and gaps,
    (3, points, roots)."""
    anchors = anchored.scan
    good = np.zeros(anchors.points[-1] + 1 if anchors.points.size else 0, bool)
    for left, right in zip(anchors.points[:-1][anchored.alike], anchors.points[1:][anchored.alike], strict=True):
        good[left + 1 : right] = True
    found = np.full((3, good.size, anchors.logs.shape[1]), np.nan)
    for k in range(found.shape[2]):
        pieces = _pieces(anchored, k)
        if not pieces.left.size:
            continue
        near = excess.march(pieces, tol, good.size) if isinstance(excess, Following) else None
        near = march(excess, pieces, tol, good.size) if near is None else near
        found[:, :, k] = near[:3]
        bad = near[3] == 0
        good &= ~bad
    points = np.nonzero(good)[0]
    return points, found[:, points]


def _pieces(anchored: _Anchored, k: int) -> Pieces:
    """Where root number k is followed."""
    anchors = anchored.scan
    place = np.nonzero(anchored.alike & np.isfinite(anchors.logs[:-1, k]))[0]
    left, right = anchors.points[place], anchors.points[place + 1]
    ends = np.stack([anchors.logs[place, k], anchors.logs[place + 1, k]], axis=1)
    slack = 0.3 * np.abs(ends[:, 1] - ends[:, 0]) + 1e-6
    bounds = np.stack([ends.min(axis=1) - slack, ends.max(axis=1) + slack], axis=1)
    slopes = np.stack([anchors.slopes[place, k], anchors.slopes[place + 1, k]], axis=1)
    return Pieces(left, right, _interpolating(anchored, place, anchors.logs[:, k]), slopes, bounds)


WINDOW = 6
"""Anchors through which a polynomial is laid, where so many neighbouring ones are alike; else 4, or 2."""


def _interpolating(anchored: _Anchored, place: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Coefficients (pieces, WINDOW) of polynomials through the anchors about each piece."""
    points, alike = anchored.scan.points, anchored.alike
    found = np.zeros((place.size, WINDOW))
    found[:, 0], found[:, 1] = logs[place], logs[place + 1] - logs[place]
    for size in (4, WINDOW):
        reach = size // 2 - 1
        inside = (place >= reach) & (place + reach < alike.size)
        near = place[inside]
        whole = np.all([alike[near + j] for j in range(-reach, reach + 1)], axis=0)
        chosen, near = np.nonzero(inside)[0][whole], near[whole]
        if not near.size:
            continue
        window = near[:, None] + np.arange(-reach, reach + 2)
        t = (points[window] - points[near][:, None]) / (points[near + 1] - points[near])[:, None]
        even = (t == np.arange(-reach, reach + 2)).all(axis=1)
        values = logs[window]
        inverse = np.linalg.inv(np.vander(np.arange(-reach, reach + 2.0), increasing=True))
        found[chosen[even], :size] = values[even] @ inverse.T
        odd = ~even
        if odd.any():
            matrices = t[odd][:, :, None] ** np.arange(size)
            found[chosen[odd], :size] = np.linalg.solve(matrices, values[odd][:, :, None])[:, :, 0]
    return found


def march(excess: Excess, pieces: Pieces, tol: float, size: int) -> np.ndarray:
    """Follow a root along every piece, by secants from the interpolated starts.

    Returns (4, size): ln x, slope, what is left of the excess, nan at points that are in no piece; and 0 where the root
    did not settle within its bounds (1 elsewhere).
    """
    width = pieces.right - pieces.left
    piece = np.repeat(np.arange(width.size), width - 1)
    before = np.cumsum(width - 1) - (width - 1)
    offset = np.arange(piece.size) - before[piece] + 1
    share = offset / width[piece]
    start = np.zeros(piece.size)
    for column in pieces.starts.T[::-1]:
        start = start * share + column[piece]
    slope = (1 - share) * pieces.slopes[piece, 0] + share * pieces.slopes[piece, 1]
    points = pieces.left[piece] + offset
    found = np.full((4, size), np.nan)
    found[3] = 1.0
    near = secants(excess, points, start, slope, tol)
    near[3] *= (near[0] > pieces.bounds[piece, 0]) & (near[0] < pieces.bounds[piece, 1])
    found[:, points] = near
    return found


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
