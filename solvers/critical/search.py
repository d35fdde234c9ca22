"""From a cell, one or two free parameters and the values of the others to all that is critical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.errors import AnsatzError
from derive.pipeline import derive_theory
from derive.theory import Theory
from solvers.critical.branches import Follower
from solvers.critical.closed_form import closed_forms
from solvers.critical.criterion import Criterion, Edge, Growth
from solvers.critical.curves import Tracer, finish_curves
from solvers.critical.isometry import Isometry
from solvers.critical.points import search_points
from solvers.critical.polish import Finisher
from solvers.critical.problem import Space
from solvers.critical.ranges import Range, check_corners, free_names, search_range
from solvers.critical.result import Critical
from solvers.solve import DEFAULT_TOL, refuse_haar


def critical(
    cell: Cell | Theory,
    free: str | Sequence[str],
    parameters: Mapping[str, object] | None = None,
    *,
    ansatz: str | None = None,
    radius: bool = False,
    ranges: Mapping[str, Range] | None = None,
    tol: float = DEFAULT_TOL,
    seed: int = 0,
) -> Critical:
    """Critical points of one free parameter, or critical curves of two, with isometry on them.

    free : name or names of free parameters; parameters : values of others (defaults for the rest); ansatz : "untied"
    (chi1 = 1; the default), or "static", the same as ``radius``: the support of the Jacobian's eigenvalues at a static
    solution touches the unit circle, or the imaginary axis in continuous time; ranges : (low, high) by free parameter,
    by default as its kind says (gains above 0, and so on); seed : of sampled closures.

    Raises
    ------
    ParameterError : a free parameter is unknown, free twice or given, or its range is empty or not allowed.
    AnsatzError : untied in continuous time, or no spectrum (orthogonal weights).
    """
    given = dict(parameters or {})
    plain = cell.site.cell if isinstance(cell, Theory) else cell
    names = free_names(plain, (free,) if isinstance(free, str) else tuple(free), given)
    ends = {name: search_range(plain, name, (ranges or {}).get(name)) for name in names}
    middle = check_corners(plain, given, ends)
    theory = cell if isinstance(cell, Theory) else derive_theory(plain, _ansatz(ansatz, radius))
    refuse_haar(theory)
    space = Space.of(theory, resolve(plain, middle), names)
    found = _one(space, names, ends, tol) if len(names) == 1 else _two(space, names, ends, tol)
    zero = "zero" in {*(branch.state for branch in found.branches), *(curve.state for curve in found.curves)}
    return replace(found, closed_form=closed_forms(space, names, zero=zero))


def _ansatz(ansatz: str | None, radius: bool) -> str:
    if radius and ansatz not in (None, "static"):
        raise AnsatzError(
            f"the spectral radius belongs to static solutions, not to the {ansatz} ansatz; leave out --radius for "
            "chi1 = 1, or --ansatz for the radius"
        )
    return "static" if radius else ansatz or "untied"


def _criterion(theory: Theory) -> Criterion:
    return Growth() if theory.ansatz == "untied" else Edge(theory)


def _one(space: Space, names: tuple[str, ...], ends: Mapping[str, Range], tol: float) -> Critical:
    criterion = _criterion(space.theory)
    finisher = Finisher(criterion, Isometry(space.theory, space.evaluator), names, tol)
    found = search_points(Follower(space, criterion, ends[names[0]]), finisher)
    return Critical(
        space.theory, _parameters(space), dict(ends), criterion.name, found.points, found.branches, found.turns,
        notes=(*space.theory.notes, *found.notes), complete=found.complete,
    )  # fmt: skip


def _two(space: Space, names: tuple[str, ...], ends: Mapping[str, Range], tol: float) -> Critical:
    theory, criterion = space.theory, _criterion(space.theory)
    finisher = Finisher(criterion, Isometry(theory, space.evaluator), names, tol)
    box = (ends[names[0]], ends[names[1]])
    defaults = [theory.site.cell.parameters[name] for name in names]
    held = tuple(low if value is None else value for value, (low, _) in zip(defaults, box, strict=True))

    def make_space(k: int, value: float) -> Space:
        return replace(space, free=(space.free[1 - k],), fixed={**space.fixed, space.free[k]: value})

    tracer = Tracer(space, criterion, box, (held[0], held[1]), make_space)
    found = finish_curves(tracer, finisher, names)
    return Critical(
        theory, _parameters(space), dict(ends), criterion.name, found.points, curves=found.pieces,
        notes=(*theory.notes, *found.notes), complete=found.complete, best_note=found.best_note,
    )  # fmt: skip


def _parameters(space: Space) -> dict[str, float]:
    return {name: space.fixed[symbol] for name, symbol in space.theory.site.parameters.items()}
