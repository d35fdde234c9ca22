"""``gatefield critical``."""

from __future__ import annotations

import argparse
import math
import sys

from derive.errors import ParameterError
from solvers.budget import BudgetSpent
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found
from solvers.cli.progress import Progress
from solvers.cli.spectrum import writable_figure
from solvers.critical import critical
from solvers.tables.critical import critical_text


def run(given: argparse.Namespace) -> int:
    """Print critical points or curves, and draw them."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    free = [given.free, *given.more]
    ranges = dict(zip(free, map(_range, given.range), strict=False))
    if len(given.range) > len(free):
        raise ParameterError(f"--range is given {len(given.range)} times for {len(free)} free parameters")
    target = None if given.plot is None else writable_figure(given.plot)
    with Progress(f"criticality of {cell.name}"):
        try:
            found = critical(
                cell, free, parameters, ansatz=given.ansatz, radius=given.radius, ranges=ranges, tol=given.tol,
                seed=given.seed,
            )  # fmt: skip
        except BudgetSpent as spent:
            print(f"gatefield: {spent} before anything was found", file=sys.stderr)
            return 3
        if target is not None:
            from solvers.plots.critical import critical_figure  # optional dependency

            critical_figure(target, found)
    print_found(given, found.as_dict(), critical_text)
    return 0 if found.converged else 3


def _range(text: str) -> tuple[float, float]:
    """LO:HI in numbers.  Raises ParameterError."""
    low, sign, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = math.nan, math.nan
    if not sign or not all(map(math.isfinite, ends)):
        raise ParameterError(f"--range {text[:60]}: write LO:HI with two finite numbers, for example --range 0.1:5")
    return ends
