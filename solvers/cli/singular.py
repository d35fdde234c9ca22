"""Singular values for ``gatefield spectrum``: added to the object of static spectra, or alone (untied)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from derive.cell.spec import Cell
from derive.errors import AnsatzError, ParameterError
from solvers.budget import BudgetSpent
from solvers.result import CONVERGED
from solvers.singular.free import free_product_of
from solvers.singular.one_step import SingularResult, singular_of
from solvers.singular.products import product_of
from solvers.solution import Solution, Solved, plain
from solvers.solve import solve
from solvers.spectrum.singular_law import SingularLaw


def check_options(given: argparse.Namespace) -> None:
    """Raise ParameterError where options of ``spectrum`` do not go together."""
    if given.ansatz == "untied" and not given.singular:
        raise ParameterError(
            "spectrum --ansatz untied: weights are redrawn at every step, so that no Jacobian has eigenvalues that "
            "matter; its singular values do: add --singular"
        )
    if given.ansatz == "untied" and (given.density or given.count or given.plot):
        raise ParameterError("--density, --count and --plot speak of eigenvalues: leave out --ansatz untied")
    if given.steps is not None and not (given.singular and given.ansatz == "untied"):
        raise ParameterError("--steps needs --singular --ansatz untied: only then are the steps' Jacobians independent")


def untied_singular(
    cell: Cell, parameters: Mapping[str, object], given: argparse.Namespace
) -> tuple[dict[str, Any], bool]:
    """The object of ``spectrum --singular --ansatz untied``, and whether all of it converged."""
    solved = solve(cell, parameters, ansatz="untied", tol=given.tol)
    found = {
        "cell": cell.name, "ansatz": "untied", "parameters": dict(solved.parameters),
        "solutions": [{"Q": plain(s.numbers["Q"]), "error": {}, "verdict": s.verdict} for s in solved.solutions],
    }  # fmt: skip
    if solved.notes:
        found["notes"] = list(solved.notes)
    converged, _ = add_singular(found, solved, given.tol, given.steps)
    return found, converged and solved.converged


def add_singular(
    found: dict[str, Any], solved: Solved, tol: float, steps: int | None = None
) -> tuple[bool, tuple[SingularLaw | None, ...]]:
    """Put ``singular`` into each of ``found["solutions"]``.

    Returns whether all converged, and the law at each solution, None where there is none.
    """
    converged = True
    laws: list[SingularLaw | None] = []
    for record, solution in zip(found["solutions"], solved.solutions, strict=False):
        laws.append(None)
        try:
            result = singular_of(solved, solution, tol=tol)
            laws[-1] = result.law
            record["singular"], errors = result.numbers()
            record["error"] = {**record["error"], "singular": errors}
            verdict, notes = result.verdict, result.notes
            if steps is not None:
                product, own, more, worst = _product(solved, solution, steps, tol, result)
                record["singular"]["product"], errors["product"] = product, own
                notes, verdict = (*notes, *more), worst if verdict == CONVERGED else verdict
        except AnsatzError as reason:
            verdict, notes = CONVERGED, (f"no singular values: {reason}",)
        except BudgetSpent as spent:
            verdict, notes = f"not converged: {spent}", ()
        if verdict != CONVERGED:
            converged = False
            record["verdict"] = verdict if record["verdict"] == CONVERGED else record["verdict"]
        if notes:
            record["notes"] = [*record.get("notes", ()), *notes]
    return converged, tuple(laws)


def _product(
    solved: Solved, solution: Solution, steps: int, tol: float, one: SingularResult
) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...], str]:
    """The object ``product``, its errors, notes and verdict: moments, and the law where the factors are free."""
    moments = product_of(solved, solution, steps, tol=tol)
    found, errors = moments.numbers()
    try:
        law = one.numbers_of_law if steps == 1 else free_product_of(solved, solution, steps)
    except AnsatzError as reason:
        return found, errors, (*moments.notes, f"product of steps: no quantiles, for {reason}"), moments.verdict
    more, own = law.numbers()
    verdict = moments.verdict if moments.verdict != CONVERGED else law.verdict
    return plain({**found, **more}), plain({**errors, **own}), moments.notes, verdict
