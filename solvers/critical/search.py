"""From a cell, one or two free parameters and the values of the others to all that is critical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.errors import AnsatzError
from derive.pipeline import derive_theory
from derive.theory import Theory
from solvers.critical.closed_form import closed_forms
from solvers.critical.criterion import Criterion, Edge, Growth
from solvers.critical.isometry import Isometry
from solvers.critical.problem import Space
from solvers.critical.ranges import Range, check_corners, free_names, search_range
from solvers.critical.result import Critical
from solvers.critical.sampled_search import sampled_search
from solvers.critical.work import Work, one_parameter, two_parameters
from solvers.solve import DEFAULT_TOL
from solvers.threads import one_thread


@one_thread
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
    AnsatzError : untied in continuous time.
    """
    given = dict(parameters or {})
    plain = cell.site.cell if isinstance(cell, Theory) else cell
    names = free_names(plain, (free,) if isinstance(free, str) else tuple(free), given)
    ends = {name: search_range(plain, name, (ranges or {}).get(name)) for name in names}
    middle = check_corners(plain, given, ends)
    theory = cell if isinstance(cell, Theory) else derive_theory(plain, _ansatz(ansatz, radius))
    space = Space.of(theory, resolve(plain, middle), names)
    if theory.closure == "sampled" and theory.ansatz == "untied":
        found = sampled_search(space, names, ends, tol, seed)
    else:
        work = Work(space, names, ends, tol, _criterion(theory), Isometry(theory, space.evaluator))
        found = one_parameter(work) if len(names) == 1 else two_parameters(work)
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
