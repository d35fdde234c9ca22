"""``gatefield lyapunov``."""

from __future__ import annotations

import argparse

from derive.cell import resolve
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found
from solvers.cli.progress import Progress
from solvers.compare.lyapunov import lyapunov
from solvers.tables.lyapunov import lyapunov_text


def run(given: argparse.Namespace) -> int:
    """Print the largest exponents of finite networks, and the theory's."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"Lyapunov exponents of {cell.name}") as progress:
        found = lyapunov(
            cell, parameters, N=given.N, exponents=given.exponents, seeds=given.seeds, seed=given.seed,
            scale=given.scale, most=given.most, progress=progress,
        )  # fmt: skip
    print_found(given, found.as_dict(), lyapunov_text)
    return 0 if found.converged else 3
