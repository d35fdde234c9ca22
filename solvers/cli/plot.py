"""``gatefield plot``."""

from __future__ import annotations

import argparse
from pathlib import Path

from solvers.cli.assignments import assignments
from solvers.cli.spectrum import writable_figure
from solvers.sweep.select import open_sweep, select


def run(given: argparse.Namespace) -> int:
    """Draw a quantity of a sweep."""
    path = writable_figure(given.output, "-o")
    shown = select(open_sweep(Path(given.store)), given.quantity, given.x, given.y, assignments(given.at))
    from solvers.plots.sweep import sweep_figure  # optional dependency

    sweep_figure(path, shown)
    print(f"figure: {path}")
    return 0
