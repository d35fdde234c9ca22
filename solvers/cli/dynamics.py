"""``gatefield dynamics``."""

from __future__ import annotations

import argparse

from derive.cell import resolve
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found
from solvers.cli.progress import Progress
from solvers.dynamics import dynamics
from solvers.tables.dynamics import dynamics_text


def run(given: argparse.Namespace) -> int:
    """Print all stationary states."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"stationary mean field of {cell.name}"):
        found = dynamics(cell, parameters, tol=given.tol, seed=given.seed)
    print_found(given, found.as_dict(), dynamics_text)
    return 0 if found.converged else 3
