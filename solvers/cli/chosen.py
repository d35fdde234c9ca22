"""The cell that a command is about: CELL, with --set and --limit applied."""

from __future__ import annotations

import argparse

from derive.cell import load
from derive.cell.limit import limit
from derive.cell.orthogonal import orthogonal, weight_names
from derive.cell.spec import Cell
from derive.cell.substitute import substitute


def chosen_cell(given: argparse.Namespace) -> Cell:
    """Read the cell, replace what --set names, send the parameters of --limit to infinity, make weights orthogonal."""
    cell = limit(substitute(load(given.cell), given.set), given.limit)
    return orthogonal(cell, weight_names(given.orthogonal))
