"""``gatefield gradient``."""

from __future__ import annotations

import argparse

from derive.cell import resolve
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_json
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
    if given.json:
        print_json(found.as_dict())
    else:
        print(gradient_text(found.as_dict()), end="")
    return 0 if found.verdict == CONVERGED else 3
