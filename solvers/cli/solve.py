"""``gatefield solve``."""

from __future__ import annotations

import argparse

from derive.cell import resolve
from solvers.budget import BudgetSpent
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_json, unfinished
from solvers.cli.progress import Progress
from solvers.solve import solve
from solvers.tables.theory import solved_text


def run(given: argparse.Namespace) -> int:
    """Print all solutions."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"solving {cell.name} ({given.ansatz})"):
        try:
            solved = solve(cell, parameters, ansatz=given.ansatz, tol=given.tol)
            found, converged = solved.as_dict(), solved.converged
        except BudgetSpent as spent:
            found, converged = unfinished(cell, given, spent, closure="not derived", solutions=[]), False
    if given.json:
        print_json(found)
    else:
        print(solved_text(found), end="")
    return 0 if converged else 3
