"""``gatefield check``."""

from __future__ import annotations

import argparse
from typing import Any

from derive.cell import resolve
from solvers.budget import BudgetSpent, time_left
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found, unfinished
from solvers.cli.progress import Progress
from solvers.compare import check
from solvers.compare.stationary import check_stationary
from solvers.solve import DEFAULT_TOL, solve
from solvers.tables.comparison import check_text


def run(given: argparse.Namespace) -> int:
    """Print theory and networks side by side, and the verdict."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"checking {cell.name} ({given.ansatz})") as progress:
        try:
            if given.ansatz == "stationary":
                tol = None if given.tol == DEFAULT_TOL else given.tol
                compared = check_stationary(
                    cell, parameters, N=given.N, seeds=given.seeds, seed=given.seed, tol=tol, progress=progress
                )
                return _shown(given, compared.as_dict(), time_left() != 0.0)
            solved = solve(cell, parameters, ansatz=given.ansatz, tol=given.tol, seed=given.seed)
            found = check(solved, N=given.N, seeds=given.seeds, seed=given.seed, progress=progress).as_dict()
            converged = solved.converged and time_left() != 0.0
        except BudgetSpent as spent:
            sizes = {"N": given.N, "seeds": given.seeds}
            found, converged = unfinished(cell, given, spent, **sizes, verdict="inconclusive", rows=[]), False
    return _shown(given, found, converged)


def _shown(given: argparse.Namespace, found: dict[str, Any], converged: bool) -> int:
    print_found(given, found, check_text)
    if found["verdict"] == "disagrees":
        return 1
    return 0 if converged else 3
