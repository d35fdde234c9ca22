"""``gatefield spectrum``."""

from __future__ import annotations

import argparse

from derive.cell import resolve
from solvers.budget import BudgetSpent
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_json, unfinished
from solvers.cli.progress import Progress
from solvers.spectra import spectra
from solvers.tables.theory import spectra_text


def run(given: argparse.Namespace) -> int:
    """Print the spectrum at every static solution."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"spectrum of {cell.name}"):
        try:
            result = spectra(cell, parameters, tol=given.tol)
            found, converged = result.as_dict(), result.converged
        except BudgetSpent as spent:
            found, converged = unfinished(cell, given, spent, solutions=[]), False
    if given.json:
        print_json(found)
    else:
        print(spectra_text(found), end="")
    return 0 if converged else 3
