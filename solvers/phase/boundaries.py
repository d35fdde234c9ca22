"""Boundary curves of regimes as curves: loss of stability, folds, non-zero solutions leaving the zero state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from solvers.budget import BudgetSpent, check_budget
from solvers.continuation import Point
from solvers.critical.conditions import CRITICALITY, FOLDING, ONSET, Criticality, Folding, Onset
from solvers.critical.criterion import Edge
from solvers.critical.curves import Box, Piece, Tracer
from solvers.critical.polish import Settled, Valued, settle
from solvers.critical.problem import Array, Space

SHARES = (0.03, 0.25, 0.55, 0.9)
"""Lines across the box on which branches are followed for starts: a curve that crosses none of them is missed."""

RTOL = 1e-8
SETTLED = 4
BETWEEN = 8
SAME = 1e-3

KINDS = {
    (CRITICALITY, True): "zero state loses stability",
    (CRITICALITY, False): "a non-zero solution changes stability",
    (FOLDING, False): "fold of non-zero solutions",
    (ONSET, True): "non-zero solutions leave the zero state",
}


@dataclass(frozen=True)
class Boundary:
    """One curve: x, y (n,) in the units of the parameters, dense enough to be drawn with straight lines; error : how
    far it may be off in x and in y; computed : by continuation, not inferred from probes."""

    kind: str
    x: Array
    y: Array
    error: tuple[float, float]
    computed: bool = True


@dataclass(frozen=True)
class Special:
    """A point at which curves meet or turn: "tricritical" or "cusp"; error : in x and y."""

    kind: str
    x: float
    y: float
    error: tuple[float, float]


@dataclass
class Boundaries:
    """curves and points found in one box; ``complete`` : the search was not cut short."""

    curves: list[Boundary]
    points: list[Special]
    notes: list[str]
    complete: bool = True


def trace_boundaries(space: Space, box: Box, held: tuple[float, float]) -> Boundaries:
    """All curves in the box of the two free parameters of ``space``, settled at a few of their points.

    held : values at which either parameter is held for further starts, where they lie in the box.
    """

    def line(k: int, value: float) -> Space:
        return replace(space, free=(space.free[1 - k],), fixed={**space.fixed, space.free[k]: value})

    conditions = (Criticality(), Folding(), Onset())
    tracer = Tracer(space, Edge(space.theory), box, held, line, conditions=conditions, shares=SHARES)
    pieces = tracer.run()
    found = Boundaries([], [], list(tracer.notes), tracer.complete)
    for piece in pieces:
        try:
            check_budget()
            _add(found, tracer, piece)
        except BudgetSpent as spent:
            x, y = _dense(piece, len(piece.branch.active))
            kind = KINDS[piece.condition.name, piece.branch.zero]
            found.curves.append(Boundary(kind, x, y, (np.inf, np.inf)))
            found.notes.append(f"{spent}: the error of some curves is not known, nor where they meet others")
            found.complete = False
    zero = [curve for curve in found.curves if curve.kind == KINDS[CRITICALITY, True]]
    found.curves = [c for c in found.curves if c.kind != KINDS[ONSET, True] or not _repeats(c, zero, box)]
    return found


def _add(found: Boundaries, tracer: Tracer, piece: Piece) -> None:
    widths = np.array([high - low for low, high in tracer.box])
    x, y = _dense(piece, len(piece.branch.active))
    kind = KINDS[piece.condition.name, piece.branch.zero]
    if piece.condition.name == FOLDING:
        for special, which in _meetings(tracer, piece):
            found.points.append(special)
            x, y = joined(x, special.x, which), joined(y, special.y, which)
        found.points += _cusps(piece, widths)
    error = _error(tracer, piece)
    for which, text in enumerate(piece.path.ends):
        if not (text.startswith("limit") or text in ("zero", "closed")):
            found.notes.append(f"{kind}: the curve ends inside the box at {x[-which]:.4g}, {y[-which]:.4g}: {text}")
    found.curves.append(Boundary(kind, x, y, error))


def joined(values: Array, value: float, which: int) -> Array:
    """With another value before the first (which = 0) or after the last (1)."""
    return np.append(values, value) if which else np.insert(values, 0, value)


def _dense(piece: Piece, n: int) -> tuple[Array, Array]:
    """Cubic interpolation between points of the path, with its tangents."""
    points = piece.path.points
    share = np.linspace(0.0, 1.0, BETWEEN, endpoint=False)
    table = np.concatenate([*(_between(a, b, share) for a, b in pairwise(points)), points[-1].y[None, :]])
    return table[:, n], table[:, n + 1]


def _between(a: Point, b: Point, share: Array) -> Array:
    """Coordinates at shares (m,) of the way from one point to the next, (m, n + 2)."""
    length, t = float(np.linalg.norm(b.u - a.u)), share[:, None]
    step = (
        (2 * t**3 - 3 * t**2 + 1) * a.u + (t**3 - 2 * t**2 + t) * length * a.tangent
        + (3 * t**2 - 2 * t**3) * b.u + (t**3 - t**2) * length * b.tangent
    )  # fmt: skip
    return np.asarray(step * a.scale)


def _equations(tracer: Tracer, piece: Piece, rtol: float) -> Valued:
    """Residual and condition, with errors."""

    def function(y: Array) -> tuple[Array, Array]:
        gap, error = piece.branch.gap(y, piece.branch.complete(y, rtol))
        level = piece.condition.value(tracer.follower, piece.branch, y, rtol)
        return np.append(gap, level.value), np.append(error, level.error)

    return function


def _error(tracer: Tracer, piece: Piece) -> tuple[float, float]:
    """How far a few points half-way between those of the path move when they are settled with finer averages, and the
    errors that are left: the largest, which is that of interpolation as well."""
    n, points = len(piece.branch.active), piece.path.points
    fine, rough = _equations(tracer, piece, RTOL), _equations(tracer, piece, tracer.rtol)
    largest = np.zeros(2)
    pairs = list(pairwise(points))
    for k in np.unique(np.linspace(0, len(pairs) - 1, SETTLED).astype(int)) if pairs else ():
        first, second = pairs[int(k)]
        y = _between(first, second, np.array([0.5]))[0]
        settled = settle(fine, y, _scale(y), rough)
        largest = np.maximum(largest, np.abs(settled.y - y)[n:] + settled.errors[n:])
    return float(largest[0]), float(largest[1])


def _scale(y: Array) -> Array:
    return np.maximum(np.abs(y), 1e-2)


def _meetings(tracer: Tracer, piece: Piece) -> list[tuple[Special, int]]:
    """Where a fold ends in the zero state: its parameters as a function of the variance, extrapolated to zero."""
    n, found = len(piece.branch.active), []
    for which in (0, 1):
        if piece.path.ends[which] != "zero":
            continue
        point = piece.path.points[-which]
        k = int(np.argmin(np.where(piece.branch.signed, np.inf, np.abs(point.y[:n]) / point.scale[:n])))
        settled = [_at_size(tracer, piece, point.y, k, factor) for factor in (8.0, 4.0, 2.0)]
        size = np.array([s.y[k] ** 2 for s in settled])
        table = np.array([s.y[n:] for s in settled])
        second = np.array([np.polyfit(size, column, 2)[-1] for column in table.T])
        first = np.array([np.polyfit(size[1:], column[1:], 1)[-1] for column in table.T])
        error = np.abs(second - first) + 3 * np.max([s.errors[n:] for s in settled], axis=0)
        found.append((Special("tricritical", float(second[0]), float(second[1]), (float(error[0]), float(error[1]))),
                      which))  # fmt: skip
    return found


def _at_size(tracer: Tracer, piece: Piece, y: Array, k: int, factor: float) -> Settled:
    """The point of the curve at which root number k of a variance is ``factor`` times what it is at y."""
    n, wanted = len(piece.branch.active), factor * y[k]
    start = y.copy()
    start[:n] = np.where(piece.branch.signed, y[:n], factor * y[:n])
    whole = _equations(tracer, piece, RTOL)

    def function(at: Array) -> tuple[Array, Array]:
        value, error = whole(at)
        return np.append(value, at[k] / wanted - 1.0), np.append(error, 0.0)

    return settle(function, start, np.where(np.arange(len(y)) < n, np.abs(start), _scale(start)))


def _cusps(piece: Piece, widths: Array) -> list[Special]:
    """Points where both parameters turn at once: two folds meet."""
    n = len(piece.branch.active)
    turns = [[c.point for c in piece.path.crossings if c.event == f"turn {k}"] for k in (0, 1)]
    found = []
    for a in turns[0]:
        for b in turns[1]:
            gap = np.abs(a.y - b.y)[n:]
            if np.linalg.norm(a.u - b.u) < 0.02 and np.all(gap < 1e-4 * widths):
                error = gap + 1e-6 * widths
                found.append(Special("cusp", float(a.y[n]), float(a.y[n + 1]), (float(error[0]), float(error[1]))))
    return found


def _repeats(curve: Boundary, others: Sequence[Boundary], box: Box) -> bool:
    """Whether a curve runs along one of the others."""
    widths = np.array([high - low for low, high in box])
    own = np.stack([curve.x, curve.y], axis=1)[:: BETWEEN] / widths
    for other in others:
        theirs = np.stack([other.x, other.y], axis=1) / widths
        if max(distance_to(point, theirs) for point in own) < SAME:
            return True
    return False


def distance_to(point: Array, line: Array) -> float:
    """Distance of a point (2,) from a polyline (n, 2)."""
    start, step = line[:-1], np.diff(line, axis=0)
    length = np.maximum(np.einsum("ij,ij->i", step, step), 1e-300)
    share = np.clip(np.einsum("ij,ij->i", point - start, step) / length, 0.0, 1.0)
    return float(np.min(np.linalg.norm(start + share[:, None] * step - point, axis=1)))
