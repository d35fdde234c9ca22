"""``gatefield fixed-points``."""

from __future__ import annotations

import argparse

from solvers.branches.static import check_grid, fixed_points
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found
from solvers.cli.progress import Progress
from solvers.cli.spectrum import writable_figure
from solvers.result import CONVERGED
from solvers.tables.fixed_points import fixed_points_text


def run(given: argparse.Namespace) -> int:
    """Print all static solutions over a range of one parameter, and draw them."""
    cell = chosen_cell(given)
    over = check_grid(given.over)
    target = None if given.plot is None else writable_figure(given.plot)
    with Progress(f"static solutions of {cell.name}"):
        found = fixed_points(cell, over, assignments(given.parameters), tol=given.tol)
        if target is not None:
            from solvers.plots.branches import branches_figure  # optional dependency

            branches_figure(target, found)
    print_found(given, found.as_dict(), fixed_points_text)
    return 0 if found.verdict == CONVERGED else 3
