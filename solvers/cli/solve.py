"""``gatefield solve``."""

from __future__ import annotations

import argparse

from derive.cell import load, resolve
from solvers.cli.assignments import assignments
from solvers.cli.objects import print_json
from solvers.cli.progress import Progress
from solvers.solve import solve
from solvers.tables.theory import solved_text


def run(given: argparse.Namespace) -> int:
    """Print all solutions."""
    cell = load(given.cell)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"solving {cell.name} ({given.ansatz})"):
        solved = solve(cell, parameters, ansatz=given.ansatz, tol=given.tol)
    if given.json:
        print_json(solved.as_dict())
    else:
        print(solved_text(solved.as_dict()), end="")
    return 0 if solved.converged else 3
