"""``gatefield derive``."""

from __future__ import annotations

import argparse
import sys

from derive.pipeline import derive_theory
from derive.write.html import html
from derive.write.latex import document
from derive.write.markdown import markdown
from derive.write.preset import load_notation
from derive.write.text import derivation_text
from solvers.cli.chosen import chosen_cell
from solvers.cli.progress import Progress
from solvers.output import writable_file, write_text

FORMATS = {"tex": ("LaTeX", document), "md": ("Markdown", markdown), "html": ("HTML", html)}
"""Option -> what it writes, and the function that makes it."""


def run(given: argparse.Namespace) -> int:
    """Print the derivation; write it in the formats asked for."""
    cell = chosen_cell(given)
    load_notation(given.notation)
    asked = [(key, getattr(given, key)) for key in FORMATS if getattr(given, key) is not None]
    targets = [(key, writable_file(path)) for key, path in asked]
    with Progress(f"deriving {cell.name} ({given.ansatz})"):
        theory = derive_theory(cell, given.ansatz)
        text = derivation_text(theory, given.notation)
        written = [(key, target, FORMATS[key][1](theory, given.notation)) for key, target in targets]
    for key, target, content in written:
        write_text(target, content)
        print(f"{FORMATS[key][0]}: {target}", file=sys.stderr)
    print(text, end="")
    return 0
