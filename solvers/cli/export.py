"""``gatefield export``."""

from __future__ import annotations

import argparse
import sys

from solvers.cli.chosen import chosen_cell
from solvers.cli.progress import Progress
from solvers.export import export


def run(given: argparse.Namespace) -> int:
    """Write the standalone file."""
    cell = chosen_cell(given)
    with Progress(f"deriving {cell.name} ({given.ansatz})"):
        export(cell, given.output, ansatz=given.ansatz)
    print(f"wrote {given.output}; run it with  python {given.output}", file=sys.stderr)
    return 0
