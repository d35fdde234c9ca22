"""``gatefield gradient``."""

from __future__ import annotations

import argparse

from derive.cell import resolve
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found
from solvers.cli.progress import Progress
from solvers.compare.gradient import gradient
from solvers.result import CONVERGED
from solvers.tables.gradient import gradient_text


def run(given: argparse.Namespace) -> int:
    """Print growth and norms of gradients."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"gradients of {cell.name}") as progress:
        found = gradient(
            cell, parameters, ansatz=given.ansatz, lags=given.lags, N=given.N, seeds=given.seeds, seed=given.seed,
            progress=progress,
        )  # fmt: skip
    print_found(given, found.as_dict(), gradient_text)
    return 0 if found.verdict == CONVERGED else 3
