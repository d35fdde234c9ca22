"""``gatefield simulate``."""

from __future__ import annotations

import argparse

from derive.cell import resolve
from solvers.budget import time_left
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found
from solvers.cli.progress import Progress
from solvers.compare import simulate
from solvers.tables.comparison import simulate_text


def run(given: argparse.Namespace) -> int:
    """Print what finite networks say."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"simulating {cell.name} ({given.ansatz})") as progress:
        found = simulate(
            cell, parameters, ansatz=given.ansatz, N=given.N, seeds=given.seeds, seed=given.seed, progress=progress
        )
    print_found(given, found, simulate_text)
    return 0 if found["rows"] and time_left() != 0.0 else 3
