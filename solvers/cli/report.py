"""``gatefield report``."""

from __future__ import annotations

import argparse

from derive.cell import resolve
from derive.errors import ParameterError
from solvers.branches.static import check_grid
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.progress import Progress
from solvers.phase.search import Range
from solvers.report import report


def run(given: argparse.Namespace) -> int:
    """Write the page or the folder and say what is in it."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    x, y = _axes(given)
    with Progress(f"report on {cell.name}") as progress:
        found = report(
            cell, given.output, parameters, ansatz=given.ansatz, N=given.N, seeds=given.seeds, seed=given.seed,
            tol=given.tol, x=x, y=y, map_seconds=0.0 if given.map == "none" else given.map_seconds,
            moving=given.map == "full", changes=_changes(given), progress=progress,
        )  # fmt: skip
    print(f"{found.folder}: {', '.join(found.files)}")
    for note in found.notes:
        print(f"note: {note}")
    print(f"verdict: {found.verdict}")
    if found.verdict == "disagrees":
        return 1
    return 0 if found.converged else 3


def _axes(given: argparse.Namespace) -> tuple[Range | None, Range | None]:
    """The axes of the map that were asked for.  Raises ParameterError."""
    if given.y is not None and given.x is None:
        raise ParameterError("--y is the second axis of the map: give the first as well, with --x NAME=LO:HI:COUNT")
    x, y = (None if axis is None else check_grid(axis, option) for axis, option in ((given.x, "--x"), (given.y, "--y")))
    return x, y


def _changes(given: argparse.Namespace) -> list[str]:
    """The options that changed the cell, as they were typed."""
    pairs = (("--set", given.set), ("--limit", given.limit), ("--orthogonal", given.orthogonal))
    return [word for option, values in pairs for value in values for word in (option, value)]
