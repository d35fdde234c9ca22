"""``gatefield phase``."""

from __future__ import annotations

import argparse

from solvers.branches.static import check_grid
from solvers.cli.alarm import stop_alarm
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found
from solvers.cli.progress import Progress
from solvers.cli.spectrum import writable_figure
from solvers.output import writable_file
from solvers.phase import phase
from solvers.phase.diagram import write_dataset
from solvers.result import CONVERGED
from solvers.tables.phase import phase_text


def run(given: argparse.Namespace) -> int:
    """Compute a phase diagram, write and draw it, and print what is in it."""
    cell = chosen_cell(given)
    x, y = check_grid(given.x, "--x"), check_grid(given.y, "--y")
    data = None if given.output is None else writable_file(given.output)
    figure = None if given.plot is None else writable_figure(given.plot)
    with Progress(f"phase diagram of {cell.name}"):
        found = phase(cell, x, y, assignments(given.parameters), moving=not given.static, seed=given.seed)
        stop_alarm()
        if data is not None:
            write_dataset(found, data)
        if figure is not None:
            from solvers.plots.phase import phase_figure  # optional dependency

            phase_figure(figure, found)
    print_found(given, found.as_dict(), phase_text)
    return 0 if found.verdict == CONVERGED else 3
