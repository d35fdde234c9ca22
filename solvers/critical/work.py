"""The search itself, for one free parameter or two, once criterion and isometry are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from solvers.critical.branches import Follower
from solvers.critical.criterion import Criterion
from solvers.critical.curves import Tracer, finish_curves
from solvers.critical.points import search_points
from solvers.critical.polish import Finisher, Spread
from solvers.critical.problem import Space
from solvers.critical.ranges import Range
from solvers.critical.result import Critical


@dataclass(frozen=True)
class Work:
    """What is searched: the space, the names and ranges of its free parameters, the criterion, and isometry on it."""

    space: Space
    names: tuple[str, ...]
    ends: Mapping[str, Range]
    tol: float
    criterion: Criterion
    isometry: Spread


def one_parameter(work: Work) -> Critical:
    """Critical points on every branch."""
    space = work.space
    finisher = Finisher(work.criterion, work.isometry, work.names, work.tol)
    found = search_points(Follower(space, work.criterion, work.ends[work.names[0]]), finisher)
    return Critical(
        space.theory, parameters_of(space), dict(work.ends), work.criterion.name, found.points, found.branches,
        found.turns, notes=(*space.theory.notes, *found.notes), complete=found.complete,
    )  # fmt: skip


def two_parameters(work: Work) -> Critical:
    """Critical curves, with the point on them that is nearest to isometry."""
    space, theory = work.space, work.space.theory
    finisher = Finisher(work.criterion, work.isometry, work.names, work.tol)
    box = (work.ends[work.names[0]], work.ends[work.names[1]])
    defaults = [theory.site.cell.parameters[name] for name in work.names]
    held = tuple(low if value is None else value for value, (low, _) in zip(defaults, box, strict=True))

    def make_space(k: int, value: float) -> Space:
        return replace(space, free=(space.free[1 - k],), fixed={**space.fixed, space.free[k]: value})

    tracer = Tracer(space, work.criterion, box, (held[0], held[1]), make_space)
    found = finish_curves(tracer, finisher, work.names)
    return Critical(
        theory, parameters_of(space), dict(work.ends), work.criterion.name, found.points, curves=found.pieces,
        notes=(*theory.notes, *found.notes), complete=found.complete, best_note=found.best_note,
    )  # fmt: skip


def parameters_of(space: Space) -> dict[str, float]:
    """All parameters by name; free ones as they stand."""
    return {name: space.fixed[symbol] for name, symbol in space.theory.site.parameters.items()}
