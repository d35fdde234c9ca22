"""All static solutions over a range of one parameter: branches followed through folds, looked at on a grid of values.

found = fixed_points(cell, ("g", 0.0, 4.0, 41), {"alpha": 20.0})
found.branches[0].q["W"], found.folds, found.complexity
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.errors import ParameterError
from derive.pipeline import derive_theory
from derive.theory import Theory
from solvers.averages import Estimate, Evaluator, Values
from solvers.branches.complexity import LOWER_BOUND
from solvers.branches.points import BranchPoint, Inspector
from solvers.budget import BudgetSpent
from solvers.continuation import Point
from solvers.critical.branches import FOLD, HIGH, LOW, ZERO, Follower, Traced
from solvers.critical.polish import Settled, settle
from solvers.critical.problem import Array, Branch, Space
from solvers.critical.ranges import check_corners, free_names, search_range
from solvers.result import CONVERGED
from solvers.solution import plain
from solvers.threads import one_thread

STARTS = 9
"""Values of the parameter at which all solutions are searched; a branch that none of them meets is missed."""

FINE, BESIDE = 1e-10, 1e-4
"""Accuracy of averages at a fold, and the distance of its neighbours, in units of what a branch begins with."""

LOST = "lost at {1:.6g}: {0}"
FADING, GROWN = 0.01, 10.0
"""Sizes, in units of what a branch begins with, at which a variance vanishes or grows without bound."""

MOST_VALUES = 2000
DEFAULT_TOL = 1e-8


@dataclass(frozen=True)
class Fold:
    """A point where two branches meet and end; value, error : of the parameter; q : by field; branches : the numbers
    of those that meet."""

    value: float
    error: float
    q: Mapping[str, float]
    branches: tuple[int, int]


@dataclass(frozen=True)
class StaticBranch:
    """Solutions that are one for each value of the parameter, between folds and ends.

    state : "zero" or "active"; points : at the values of the grid, ascending; ends : why it ends at its low and its
    high end.
    """

    state: str
    points: tuple[BranchPoint, ...]
    ends: tuple[str, str]

    @property
    def values(self) -> Array:
        """The parameter at each point."""
        return np.array([point.value for point in self.points])


@dataclass(frozen=True)
class StaticBranches:
    """name : of the parameter; grid : its values; parameters : the others; branches, folds : all found."""

    cell: Cell
    name: str
    grid: Array
    parameters: Mapping[str, float]
    branches: tuple[StaticBranch, ...]
    folds: tuple[Fold, ...]
    notes: tuple[str, ...] = ()
    complete: bool = True

    @property
    def complexity(self) -> tuple[tuple[float, float], ...]:
        """Exponent of the number of fixed points and its error at each value of the grid: the largest over all
        solutions (the zero state is a single fixed point); nan where it is not known."""
        found = []
        for value in self.grid:
            own = [p.complexity for b in self.branches for p in b.points if p.value == value]
            known = [(item.value, item.error) for item in own if item is not None]
            found.append(max(known) if len(known) == len(own) and known else (np.nan, np.nan))
        return tuple(found)

    @property
    def verdict(self) -> str:
        """ "converged", or what the first point says that did not."""
        if not self.complete:
            return "not converged: stopped before all branches were followed"
        lost = [end for branch in self.branches for end in branch.ends if end.startswith(LOST[:4])]
        if lost:
            return f"not converged: a branch is {lost[0]}; (a) averages are too rough there: narrow the range"
        bad = [p for branch in self.branches for p in branch.points if p.verdict != CONVERGED]
        if not bad:
            return CONVERGED
        return f"{bad[0].verdict} ({len(bad)} points, the first at {self.name} = {bad[0].value:.6g})"

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield fixed-points``."""
        levels = self.complexity
        found = {
            "cell": self.cell.name,
            "parameters": dict(self.parameters),
            "over": {"name": self.name, "values": self.grid.tolist()},
            "branches": [_branch_record(self.name, branch) for branch in self.branches],
            "folds": [fold.value for fold in self.folds],
            "fold_error": [fold.error for fold in self.folds],
            "fold_points": [
                {self.name: fold.value, "q": dict(fold.q), "branches": list(fold.branches)} for fold in self.folds
            ],
            "complexity": [value for value, _ in levels],
            "complexity_error": [error for _, error in levels],
            "verdict": self.verdict,
            "notes": [*self.notes, LOWER_BOUND],
        }
        return dict(plain(found))


def _branch_record(name: str, branch: StaticBranch) -> dict[str, Any]:
    points = branch.points
    keys = {kind: list(getattr(points[0], kind)) if points else [] for kind in ("q", "Q")}
    record: dict[str, Any] = {name: [point.value for point in points]}
    for kind in ("q", "Q"):
        record[kind] = {key: [getattr(point, kind)[key] for point in points] for key in keys[kind]}
    levels = [point.complexity for point in points]
    return record | {
        "stable": [point.stable for point in points],
        "complexity": [None if level is None else level.value for level in levels],
        "state": branch.state,
        "ends": list(branch.ends),
        "error": {
            "q": {key: [point.errors[key] for point in points] for key in keys["q"]},
            "complexity": [None if level is None else level.error for level in levels],
        },
    }


@one_thread
def fixed_points(
    cell: Cell | Theory,
    over: tuple[str, float, float, int],
    parameters: Mapping[str, object] | None = None,
    *,
    tol: float = DEFAULT_TOL,
    stability: bool = True,
    complexity: bool = True,
) -> StaticBranches:
    """Every static solution for ``over`` = (parameter, low, high, number of values), the others as given or default.

    stability : also say at each point whether support, outliers and atoms are all stable; complexity : also the
    exponent of the number of fixed points.

    Raises
    ------
    ParameterError : a parameter is unknown or given twice, or the range is empty or not allowed.
    AnsatzError : the static ansatz does not apply to this cell.
    """
    name, low, high, count = over
    plain_cell = cell.site.cell if isinstance(cell, Theory) else cell
    given = dict(parameters or {})
    (name,) = free_names(plain_cell, (name,), given)
    if not 2 <= count <= MOST_VALUES:
        raise ParameterError(f"{name}: a grid has from 2 to {MOST_VALUES} values; {count} were asked for")
    ends = search_range(plain_cell, name, (low, high))
    middle = check_corners(plain_cell, given, {name: ends})
    theory = cell if isinstance(cell, Theory) else derive_theory(plain_cell, "static")
    space = Space.of(theory, resolve(plain_cell, middle), (name,))
    follower = Follower(space, _Unasked(), ends)
    traced = follower.branches(STARTS)
    inspector = Inspector(space, tol, stability=stability, complexity=complexity)
    grid = np.linspace(*ends, count)
    branches: list[StaticBranch] = []
    folds: list[Fold] = []
    notes, complete = [*theory.notes, *follower.notes], not follower.notes
    try:
        for item in traced:
            for piece in _pieces(item):
                if piece.fold is not None:
                    folds.append(_fold(piece.fold, item.branch, len(branches)))
                points: list[BranchPoint] = []
                try:
                    for point in inspector.points(item.branch, piece.y, grid):
                        points.append(point)
                finally:  # what there is when the time is over
                    branches.append(StaticBranch("zero" if item.branch.zero else "active", tuple(points), piece.ends))
    except BudgetSpent as spent:
        notes.append(f"{spent}: {max(len(branches) - 1, 0)} branches finished")
        complete = False
    others = {key: value for key, value in resolve(plain_cell, middle).parameters.items() if key != name}
    notes += inspector.notes
    return StaticBranches(plain_cell, name, grid, others, tuple(branches), tuple(folds),
                          tuple(dict.fromkeys(notes)), complete)  # fmt: skip


class _Unasked:
    """No criterion: branches are followed for themselves."""

    name = "none"

    def excess(self, theory: Theory, values: Values, evaluator: Evaluator, rtol: float) -> Estimate:
        """One everywhere, so that nothing is critical."""
        return Estimate(1.0, 0.0)


@dataclass(frozen=True)
class _Piece:
    """A stretch of a path without a fold inside: y (m, n + 1) with ascending parameter; fold : the one it shares with
    the piece before it."""

    y: Array
    ends: tuple[str, str]
    fold: Point | None


def _pieces(item: Traced) -> list[_Piece]:
    """The path cut at its folds."""
    rows = [point.y for point in item.path.points]
    cuts: list[tuple[int, Point | None]] = [(c.after, c.point) for c in item.crossings(FOLD)]
    first, last = (_why(item, k) for k in (0, 1))
    found: list[_Piece] = []
    begin, start, end = 0, None, first
    for after, cut in [*cuts, (len(rows) - 1, None)]:
        stretch = [*([] if start is None else [start.y]), *rows[begin : after + 1], *([] if cut is None else [cut.y])]
        ends = (end, last if cut is None else "fold")
        own = np.array(stretch)
        if own[-1, -1] < own[0, -1]:
            own, ends = own[::-1], (ends[1], ends[0])
        found.append(_Piece(own, ends, start))
        begin, start, end = after + 1, cut, "fold"
    return found


def _why(item: Traced, which: int) -> str:
    text, point = item.path.ends[which], item.path.points[0 if which == 0 else -1]
    value, n = float(point.y[-1]), len(item.branch.active)
    known = {LOW: "lower end of the range", HIGH: "upper end of the range", ZERO: f"zero state at {value:.4g}"}
    size = np.abs(point.y[:n]) / point.scale[:n]
    if text not in known and np.any(size < FADING):
        return f"a variance vanishes near {value:.4g}"
    if text not in known and np.any(size > GROWN):
        return f"a variance grows without bound near {value:.4g}"
    return known.get(text, LOST.format(text, value))


def _fold(found: Point, branch: Branch, number: int) -> Fold:
    """The fold by a parabola through it and its two neighbours on the curve.

    The parameter is stationary there, so that its extremum is known far better than its place.
    """

    def beside(steps: float) -> Settled:
        y = (found.u + steps * BESIDE * found.tangent) * found.scale
        return settle(lambda at: branch.gap(at, branch.complete(at, FINE)), y, found.scale)

    near = [beside(steps) for steps in (-1.0, 0.0, 1.0)]
    before, here, after = (float(settled.y[-1]) for settled in near)
    bend = before - 2.0 * here + after
    vertex = -((after - before) ** 2) / (8.0 * bend) if bend else 0.0
    error = 3.0 * max(float(settled.errors[-1]) for settled in near) + 0.1 * abs(vertex)
    done = branch.complete(beside((before - after) / (2.0 * bend) if bend else 0.0).y, FINE)
    q = {name: done.values[symbol] for name, symbol in branch.space.theory.variances.items()}
    return Fold(here + vertex, error, q, (number - 1, number))


def check_grid(text: str, option: str = "--over") -> tuple[str, float, float, int]:
    """``NAME=LO:HI:COUNT``, as given with an option.

    Raises
    ------
    ParameterError : it is something else.
    """
    name, sign, rest = text.partition("=")
    parts = rest.split(":")
    try:
        low, high, count = float(parts[0]), float(parts[1]), int(parts[2])
    except (ValueError, IndexError):
        low = high = np.nan
        count = 0
    if not sign or not name.strip() or len(parts) != 3 or not np.isfinite([low, high]).all():
        example = f"{option} {name.strip()[:20] or 'g'}=0:4:41  for 41 values from 0 to 4"
        raise ParameterError(f"{option} {text[:60]}: write NAME=LO:HI:COUNT, for example  {example}")
    return name.strip(), low, high, count
