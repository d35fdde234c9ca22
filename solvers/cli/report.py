"""``gatefield report``."""

from __future__ import annotations

import argparse

from derive.cell import resolve
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.progress import Progress
from solvers.report import report


def run(given: argparse.Namespace) -> int:
    """Write the folder and say what is in it."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"report on {cell.name}") as progress:
        found = report(
            cell, given.output, parameters, ansatz=given.ansatz, N=given.N, seeds=given.seeds, seed=given.seed,
            tol=given.tol, progress=progress,
        )  # fmt: skip
    print(f"{found.folder}: {', '.join(found.files)}")
    for note in found.notes:
        print(f"note: {note}")
    print(f"verdict: {found.verdict}")
    if found.verdict == "disagrees":
        return 1
    return 0 if found.converged else 3
