"""``gatefield derive``."""

from __future__ import annotations

import argparse
import sys

from derive.cell import load
from derive.pipeline import derive_theory
from derive.write.latex import document
from derive.write.text import derivation_text
from solvers.cli.progress import Progress
from solvers.output import writable_file, write_text


def run(given: argparse.Namespace) -> int:
    """Print the derivation; write it as LaTeX if asked."""
    cell = load(given.cell)
    target = writable_file(given.tex) if given.tex is not None else None
    with Progress(f"deriving {cell.name} ({given.ansatz})"):
        theory = derive_theory(cell, given.ansatz)
        text = derivation_text(theory)
        tex = document(theory) if target is not None else ""
    if target is not None:
        write_text(target, tex)
        print(f"LaTeX: {target}", file=sys.stderr)
    print(text, end="")
    return 0
