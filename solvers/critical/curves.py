"""Two free parameters: the curves on which a solution is critical, moments and parameters unknown together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from solvers.budget import BudgetSpent
from solvers.continuation import Control, Event, Path, Point, trace
from solvers.critical.branches import Follower, Traced, lasting
from solvers.critical.conditions import Condition, Criticality
from solvers.critical.criterion import Criterion
from solvers.critical.polish import Finisher
from solvers.critical.problem import Array, Branch, Space
from solvers.critical.result import CriticalPoint, CurveInfo
from solvers.fixed_point import SCAN_RTOL

Box = tuple[tuple[float, float], tuple[float, float]]

LINES = (0.2, 0.7)
"""Shares of either range at which one parameter is held and critical points are looked for, to start curves from."""

CURVE_CONTROL = Control(first=0.01, largest=0.06, most_points=300)
SAME = 5e-3
VANISHING = 0.01
"""A curve ends in the zero state where the root of a variance is this small against where the curve was found."""


@dataclass(frozen=True)
class Piece:
    """A piece of curve with its branch, and the condition that holds on it."""

    branch: Branch
    path: Path
    condition: Condition = field(default_factory=Criticality)


@dataclass(frozen=True)
class Curves:
    """What one search found; ``complete``: it was not cut short."""

    points: tuple[CriticalPoint, ...]
    pieces: tuple[CurveInfo, ...]
    notes: tuple[str, ...]
    complete: bool
    best_note: str


class Tracer:
    """Traces curves in the box of two free parameters on which solutions are critical, or meet another condition.

    make_space : a space with one of the two held at a value, for starts; it shares compiled averages; conditions : one
    family of curves each; shares : of either range, at which one parameter is held and starts are looked for.
    """

    def __init__(
        self, space: Space, criterion: Criterion, box: Box, held: tuple[float, float],
        make_space: Callable[[int, float], Space], rtol: float = SCAN_RTOL,
        conditions: Sequence[Condition] = (Criticality(),), shares: Sequence[float] = LINES,
    ) -> None:  # fmt: skip
        self.space, self.criterion, self.box, self.rtol = space, criterion, box, rtol
        self.held, self.make_space = held, make_space
        self.conditions, self.shares = conditions, shares
        self.pieces: list[Piece] = []
        self.notes: list[str] = []
        self.complete = True
        self.follower = Follower(space, criterion, box[0], rtol)

    def run(self) -> list[Piece]:
        """Starts on lines across the box, then the curve through each of them that is not on a known one."""
        lines = self._lines()
        try:
            for number, (k, value) in enumerate(lines):
                for condition, branch, y in self._starts(k, value):
                    if not self._known(condition, branch, y, number):
                        self._trace(condition, branch, y, lines)
        except BudgetSpent as spent:
            self.notes.append(f"{spent}: {len(self.pieces)} pieces of curve traced")
            self.complete = False
        return self.pieces

    def _lines(self) -> list[tuple[int, float]]:
        """(held parameter, its value)."""
        found: list[tuple[int, float]] = []
        for k in (1, 0):
            low, high = self.box[k]
            values = [self.held[k]] if low <= self.held[k] <= high else []
            values += [low + share * (high - low) for share in self.shares]
            found += [(k, value) for value in dict.fromkeys(values)]
        return found

    def _starts(self, k: int, value: float) -> list[tuple[Condition, Branch, Array]]:
        """Points that meet a condition with parameter number k held, roughly."""
        follower = Follower(self.make_space(k, value), self.criterion, self.box[1 - k], self.rtol)
        found = []
        for traced in follower.branches(starts=3):
            for condition, guess in ((c, guess) for c in self.conditions for guess in c.guesses(follower, traced)):
                branch, y = _lifted(self.space, traced, guess, k, value)
                x, free = branch.split(y)
                if (whole := lasting(branch, x, free, self.box, self.rtol)) is not None:
                    found.append((condition, whole, whole.coordinates(x, free)))
        return found

    def _trace(self, condition: Condition, branch: Branch, y: Array, lines: Sequence[tuple[int, float]]) -> None:
        n = len(branch.active)
        widths = np.array([high - low for low, high in self.box])
        scale = np.concatenate([2.0 * np.maximum(np.abs(y[:n]), 0.5), widths])
        events = [
            *(_limit(k, n, self.box[k][side], 1 - 2 * side, widths[k]) for k in (0, 1) for side in (0, 1)),
            *(_vanishing(k, VANISHING * abs(y[k])) for k in range(n) if not branch.signed[k]),
            *(_line(number, n + k, value, widths[k]) for number, (k, value) in enumerate(lines)),
            *(Event(f"turn {k}", lambda point, k=k: float(point.tangent[n + k])) for k in (0, 1)),  # type: ignore[misc]
        ]

        def function(y: Array) -> Array:
            return np.append(branch.residual(y, self.rtol), condition.value(self.follower, branch, y, self.rtol).value)

        path = trace(function, y, scale, events, CURVE_CONTROL)
        if path.points:
            self.pieces.append(Piece(branch, path, condition))
        else:
            where = ", ".join(f"{s} = {v:.4g}" for s, v in zip(self.space.free, y[n:], strict=True))
            self.notes.append(f"no curve through the {condition.name} point near {where}: {path.ends[0]}")

    def _known(self, condition: Condition, branch: Branch, y: Array, line: int) -> bool:
        for piece in self.pieces:
            if piece.branch.active != branch.active or piece.condition.name != condition.name:
                continue
            points = [c.point for c in piece.path.crossings if c.event == f"line {line}"]
            for point in (*points, piece.path.points[0], piece.path.points[-1]):
                if np.all(np.abs(point.y - y) <= SAME * (np.abs(y) + point.scale)):
                    return True
        return False


def _limit(k: int, n: int, end: float, sign: int, width: float) -> Event:
    return Event(f"limit {k} {end:g}", lambda point: sign * (point.y[n + k] - end) / width + 1e-12, terminal=True)


def _vanishing(k: int, small: float) -> Event:
    return Event("zero", lambda point: float(point.y[k]) - small, terminal=True)


def _line(number: int, place: int, value: float, width: float) -> Event:
    return Event(f"line {number}", lambda point: (point.y[place] - value) / width)


def _lifted(space: Space, traced: Traced, y: Array, k: int, value: float) -> tuple[Branch, Array]:
    """A point with parameter k held, as a point with both free."""
    branch = replace(traced.branch, space=space)
    own, other = y[:-1], y[-1]
    both = np.array([other, value] if k == 1 else [value, other])
    return branch, np.concatenate([own, both])


def finish_curves(tracer: Tracer, finisher: Finisher, names: tuple[str, ...]) -> Curves:
    """Trace, then settle every point, and look between points for the one nearest to isometry."""
    pieces = tracer.run()
    notes, complete = list(tracer.notes), tracer.complete
    points: list[CriticalPoint] = []
    infos: list[CurveInfo] = []
    try:
        for number, piece in enumerate(pieces):
            first = len(points)
            own = [finish_point(finisher, piece, point, number) for point in piece.path.points]
            if piece.path.closed:
                own = own[:-1]  # the first point again
            points += _with_best(finisher, piece, own, number)
            ends = (_end(piece, names, 0), _end(piece, names, -1))
            state = "zero" if piece.branch.zero else "active"
            infos.append(CurveInfo(number, state, first, len(points), piece.path.closed, ends))
    except BudgetSpent as spent:
        notes.append(f"{spent}: {len(points)} critical points finished")
        complete = False
    return Curves(tuple(points), tuple(infos), tuple(notes), complete, best_note(points, infos))


def finish_point(finisher: Finisher, piece: Piece, point: Point, number: int) -> CriticalPoint:
    """A point of a piece of curve, settled at full accuracy."""
    return finisher.point(piece.branch, finisher.settle(piece.branch, point.y), number)


def _with_best(finisher: Finisher, piece: Piece, own: list[CriticalPoint], number: int) -> list[CriticalPoint]:
    """The points of a piece, with the least isometry variance between two of them put in its place."""
    values = np.array([point["isometry_variance"] for point in own])
    if len(own) < 3 or not np.isfinite(values).all():
        return own
    k = int(np.argmin(values))
    if not 0 < k < len(own) - 1:
        return own
    points = piece.path.points[k - 1 : k + 2]
    place = np.array([0.0, *np.cumsum([np.linalg.norm(b.u - a.u) for a, b in pairwise(points)])])
    found: list[tuple[float, float, CriticalPoint]] = [(float(place[1]), values[k], own[k])]
    for _ in range(3):
        x = np.array([place[0], found[0][0], place[2]])
        curve = np.polyfit(x, [values[k - 1], found[0][1], values[k + 1]], 2)
        if not curve[0] > 0:
            break
        t = float(np.clip(-curve[1] / (2 * curve[0]), x[0], x[2]))
        if abs(t - found[0][0]) < 1e-4 * (place[2] - place[0]):
            break
        y = _blend(points, place, t)
        trial = finisher.point(piece.branch, finisher.settle(piece.branch, y), number)
        if not trial["isometry_variance"] < found[0][1]:
            break
        found.insert(0, (t, trial["isometry_variance"], trial))
    if found[0][2] is own[k]:
        return own
    after = k + 1 if found[0][0] > place[1] else k
    return [*own[:after], found[0][2], *own[after:]]


def _blend(points: Sequence[Point], place: Array, t: float) -> Array:
    """Coordinates between three points at length t, by a parabola in each coordinate."""
    table = np.array([point.y for point in points])
    return np.array([np.polyval(np.polyfit(place, column, 2), t) for column in table.T])


def _end(piece: Piece, names: tuple[str, ...], which: int) -> str:
    """Why a piece of curve ends, in words."""
    text, point = piece.path.ends[which], piece.path.points[which]
    n = len(piece.branch.active)
    if text.startswith("limit"):
        _, k, _ = text.split()
        return f"end of the range of {names[int(k)]}"
    if text == "zero":
        where = ", ".join(f"{name} = {value:.6g}" for name, value in zip(names, point.y[n:], strict=True))
        return f"zero state near {where}"
    return text


def best_note(points: Sequence[CriticalPoint], pieces: Sequence[CurveInfo]) -> str:
    """Whether the point nearest to isometry lies inside a curve or at an end of one."""
    known = [(point["isometry_variance"], k) for k, point in enumerate(points)
             if np.isfinite(point["isometry_variance"])]  # fmt: skip
    if not known:
        return ""
    best = min(known)[1]
    for piece in pieces:
        if best in (piece.first, piece.last - 1) and not piece.closed:
            end = piece.ends[0] if best == piece.first else piece.ends[1]
            return f"the point nearest to isometry is an end of its curve ({end}): beyond it may be a nearer one"
    return ""
