"""``gatefield show``."""

from __future__ import annotations

import argparse

from derive.cell import load
from derive.write.cell_text import cell_text


def run(given: argparse.Namespace) -> int:
    """Print a cell, or the text of its file."""
    cell = load(given.cell)
    text = cell.text if given.source else cell_text(cell)
    print(text, end="" if text.endswith("\n") else "\n")
    return 0
