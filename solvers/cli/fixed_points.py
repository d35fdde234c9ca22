"""``gatefield fixed-points``."""

from __future__ import annotations

import argparse

from derive.cell.spec import Cell
from derive.errors import ParameterError
from solvers.branches.static import check_grid, fixed_points
from solvers.cli.alarm import stop_alarm
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found
from solvers.cli.progress import Progress
from solvers.cli.spectrum import writable_figure
from solvers.compare.census import census
from solvers.result import CONVERGED
from solvers.tables.census import census_text
from solvers.tables.fixed_points import fixed_points_text


def run(given: argparse.Namespace) -> int:
    """Print all static solutions over a range of one parameter, and draw them; or count those of finite networks."""
    cell = chosen_cell(given)
    if given.simulate:
        return _count(cell, given)
    over = check_grid(given.over)
    target = None if given.plot is None else writable_figure(given.plot)
    with Progress(f"static solutions of {cell.name}"):
        found = fixed_points(cell, over, assignments(given.parameters), tol=given.tol)
        stop_alarm()
        if target is not None:
            from solvers.plots.branches import branches_figure  # optional dependency

            branches_figure(target, found)
    print_found(given, found.as_dict(), fixed_points_text)
    return 0 if found.verdict == CONVERGED else 3


def _count(cell: Cell, given: argparse.Namespace) -> int:
    if given.plot is not None:
        raise ParameterError("--plot draws branches over a range: give --over, or leave --plot out")
    with Progress(f"fixed points of networks of {cell.name}") as progress:
        found = census(cell, assignments(given.parameters), N=given.N, seeds=given.seeds, seed=given.seed,
                       searches=given.starts, progress=progress)  # fmt: skip
    print_found(given, found.as_dict(), census_text)
    return 0 if found.verdict == CONVERGED else 3
