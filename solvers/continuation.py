"""Curves F(y) = 0 with F: R^(n+1) -> R^n, by pseudo-arclength continuation.

    path = trace(function, start, scale, events)          # both ways from a point of the curve

A step goes along the tangent and Newton's method brings it back, in the plane perpendicular to the tangent, so that
folds in any coordinate are passed (Keller 1977).  The step grows where Newton converges at once and the tangent turns
little; it is halved where not, and below a smallest step the path ends and says so.  Lengths are measured in units of
``scale``, one for each coordinate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from solvers.budget import BudgetSpent, check_budget

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]

CLOSED = "closed"


@dataclass(frozen=True)
class Point:
    """A point of a curve.

    u, tangent : coordinates (n+1,) and the unit tangent, in units of ``scale``; slopes : dF/du, (n, n+1).
    """

    u: Array
    tangent: Array
    scale: Array
    slopes: Array

    @property
    def y(self) -> Array:
        """Coordinates in their own units."""
        return self.u * self.scale


@dataclass(frozen=True)
class Event:
    """A function of a `Point` whose sign changes are located; ``terminal``: positive inside, the path ends at zero."""

    name: str
    function: Callable[[Point], float]
    terminal: bool = False


@dataclass(frozen=True)
class Crossing:
    """A located sign change: after point number ``after`` of the path."""

    event: str
    point: Point
    after: int


@dataclass(frozen=True)
class Path:
    """points : in order; crossings : events met, in order; ends : why either end is one ("closed" for a loop)."""

    points: tuple[Point, ...]
    crossings: tuple[Crossing, ...]
    ends: tuple[str, str]

    @property
    def closed(self) -> bool:
        """Whether the curve is a loop."""
        return self.ends[1] == CLOSED


@dataclass(frozen=True)
class Control:
    """Steps in units of ``scale``; turn : largest angle in radians between tangents of one step; tolerance : of a
    corrected point; difference : step of the numerical derivative."""

    first: float = 0.02
    smallest: float = 1e-5
    largest: float = 0.1
    turn: float = 0.35
    tolerance: float = 1e-7
    difference: float = 1e-3
    most_points: int = 400


@dataclass
class _Walk:
    points: list[Point] = field(default_factory=list)
    crossings: list[Crossing] = field(default_factory=list)
    end: str = ""


def trace(
    function: Function, start: Array, scale: Array, events: Sequence[Event] = (), control: Control | None = None
) -> Path:
    """The curve through a point near ``start``, followed both ways until it closes or ends.

    A start that cannot be corrected onto the curve gives a path without points whose ends say so.
    """
    curve = Curve(function, np.asarray(scale, float), control or Control())
    first = curve.land(np.asarray(start, float) / curve.scale)
    if first is None:
        return Path((), (), ("no point of the curve near the start",) * 2)
    ahead = _follow(curve, first, events)
    if ahead.end == CLOSED:
        return Path(tuple(ahead.points), tuple(ahead.crossings), (CLOSED, CLOSED))
    behind = _follow(curve, replace(first, tangent=-first.tangent), events)
    behind.crossings = [c for c in behind.crossings if c.point.u is not first.u]
    turned = [replace(point, tangent=-point.tangent) for point in reversed(behind.points[1:])]
    shift = len(turned)
    before = [
        Crossing(c.event, replace(c.point, tangent=-c.point.tangent), shift - 1 - c.after)
        for c in reversed(behind.crossings)
    ]
    after = [replace(c, after=c.after + shift) for c in ahead.crossings]
    return Path((*turned, *ahead.points), (*before, *after), (behind.end, ahead.end))


class Curve:
    """Newton's method on and near one curve, in scaled coordinates."""

    def __init__(self, function: Function, scale: Array, control: Control) -> None:
        self.function, self.scale, self.control = function, scale, control

    def value(self, u: Array) -> Array:
        """F at scaled coordinates, (n,)."""
        return np.asarray(self.function(u * self.scale), float)

    def jacobian(self, u: Array, length: float = 1.0) -> Array:
        """dF/du by central differences, one-sided where F is not defined on the other side, (n, n+1).

        Steps of the path that have to be short mean that F changes fast, and differences are taken closer.
        """
        h, here = self.control.difference * min(1.0, max(length / self.control.first, 1e-2)), None
        columns = []
        for unit in np.eye(len(u)):
            ahead, behind = self.value(u + h * unit), self.value(u - h * unit)
            if np.all(np.isfinite(ahead)) and np.all(np.isfinite(behind)):
                columns.append((ahead - behind) / (2 * h))
                continue
            here = self.value(u) if here is None else here
            columns.append((ahead - here) / h if np.all(np.isfinite(ahead)) else (here - behind) / h)
        return np.array(columns).T.reshape(-1, len(u))

    def land(self, u: Array) -> Point | None:
        """The nearest point of the curve (Gauss-Newton steps of least length)."""
        for _ in range(20):
            value, slopes = self.value(u), self.jacobian(u)
            if not (np.all(np.isfinite(value)) and np.all(np.isfinite(slopes))):
                return None
            step = np.linalg.pinv(slopes) @ value if value.size else np.zeros(len(u))
            u = u - step
            if np.linalg.norm(step) < self.control.tolerance:
                return self.point(u, None)
            if np.linalg.norm(step) > 10.0:
                return None
        return None

    def point(self, u: Array, like: Array | None, length: float = 1.0) -> Point | None:
        """The point with its tangent, in the direction of ``like``; None where the derivative is not finite."""
        slopes = self.jacobian(u, length)
        if not np.all(np.isfinite(slopes)):
            return None
        tangent = np.linalg.svd(slopes)[2][-1] if slopes.size else np.eye(len(u))[-1]
        if like is not None and tangent @ like < 0:
            tangent = -tangent
        return Point(u, tangent, self.scale, slopes)

    def correct(self, guess: Array, base: Point) -> Array | None:
        """Back to the curve in the plane through ``guess`` perpendicular to the tangent of ``base``.

        The derivative at ``base`` serves, corrected by Broyden's rule; None where this does not contract.
        """
        matrix = np.vstack([base.slopes, base.tangent])
        u, last = guess, np.inf
        step: Array = np.zeros(len(guess))
        for number in range(8):
            value = self.value(u)
            if not np.all(np.isfinite(value)):
                return None
            gap = np.append(value, base.tangent @ (u - guess))
            if number:
                matrix = matrix + np.outer(gap, step) / (step @ step)
            try:
                step = np.asarray(-np.linalg.solve(matrix, gap), dtype=float)
            except np.linalg.LinAlgError:
                return None
            size = float(np.linalg.norm(step))
            if not size < max(0.7 * last, 1e-300) or size > 1.0:
                return None
            u, last = u + step, size
            if size < self.control.tolerance:
                return u
        return None


def _follow(curve: Curve, first: Point, events: Sequence[Event]) -> _Walk:
    """One way along the curve, with the crossings of events on it."""
    control, walk = curve.control, _Walk([first])
    marks = [event.function(first) for event in events]
    walk.crossings += [Crossing(e.name, first, 0) for e, mark in zip(events, marks, strict=True) if mark == 0.0]
    length = control.first
    while not walk.end:
        here = walk.points[-1]
        try:
            check_budget()
            if len(walk.points) >= control.most_points:
                walk.end = f"stopped after {control.most_points} points"
                break
            there, length = _step(curve, here, length)
            if there is None:
                walk.end = f"Newton's method fails beyond here, also for a step of {control.smallest:g}"
                break
            if len(walk.points) > 2 and _passes(here, there, first):
                walk.end = CLOSED
                there = first
            marks = _locate(curve, walk, here, there, events, marks)
        except BudgetSpent as spent:
            walk.end = str(spent)
    return walk


def _step(curve: Curve, here: Point, length: float) -> tuple[Point | None, float]:
    """The next point and the length of the step after it."""
    control = curve.control
    while length >= control.smallest:
        guess = here.u + length * here.tangent
        u = curve.correct(guess, here)
        there = None if u is None else curve.point(u, here.tangent, length)
        if there is not None:
            turn = float(np.arccos(np.clip(there.tangent @ here.tangent, -1.0, 1.0)))
            if turn <= control.turn:
                grow = 1.5 if turn < 0.4 * control.turn else 1.0
                return there, min(grow * length, control.largest)
        length *= 0.5
        here = curve.point(here.u, here.tangent, length) or here
    return None, length


def _passes(here: Point, there: Point, first: Point) -> bool:
    """Whether the step from here to there goes through the first point, in its direction."""
    step = there.u - here.u
    length = float(np.linalg.norm(step))
    along = float((first.u - here.u) @ step) / length
    aside = float(np.linalg.norm(first.u - here.u - along * step / length))
    return 0.0 < along <= length and aside < 0.1 * length and bool(first.tangent @ here.tangent > 0.5)


def _locate(
    curve: Curve, walk: _Walk, here: Point, there: Point, events: Sequence[Event], marks: list[float]
) -> list[float]:
    """Append the point, or the terminal crossing before it, and every crossing on the way."""
    new = [event.function(there) for event in events]
    after = len(walk.points) - 1
    found: list[tuple[float, Event, Point]] = []
    for event, old, value in zip(events, marks, new, strict=True):
        if event.terminal and old <= 0.0:  # a start at a limit is landed on either side of it
            if value < old:
                walk.end = event.name
                return marks
            continue
        if np.isfinite(old) and np.isfinite(value) and old * value < 0:
            located = _refine(curve, here, there, event, old, value)
            if located is not None:
                found.append((float((located.u - here.u) @ here.tangent), event, located))
    for _, event, point in sorted(found, key=lambda item: item[0]):
        walk.crossings.append(Crossing(event.name, point, after))
        if event.terminal:
            walk.points.append(point)
            walk.end = event.name
            return new
    walk.points.append(there)
    return new


def _refine(curve: Curve, here: Point, there: Point, event: Event, low: float, high: float) -> Point | None:
    """The zero of an event between two points (Illinois steps); None where the sign jumps without a zero."""
    a, b = 0.0, float((there.u - here.u) @ here.tangent)
    size, reach = max(abs(low), abs(high)), abs(b)
    point, value = there, high
    for _ in range(40):
        middle = (a * high - b * low) / (high - low)
        u = curve.correct(here.u + middle * here.tangent, here)
        trial = None if u is None else curve.point(u, here.tangent)
        if trial is None:
            return None
        point, value = trial, event.function(trial)
        if abs(value) <= 1e-9 * size or abs(b - a) < 1e-9 * reach:
            break
        if value * high < 0:
            a, low = b, high
        else:
            low *= 0.5  # so that neither end gets stuck
        b, high = middle, value
    return point if abs(value) <= 1e-3 * size else None
