"""``gatefield spectrum``."""

from __future__ import annotations

import argparse

from derive.cell import load, resolve
from solvers.cli.assignments import assignments
from solvers.cli.objects import print_json
from solvers.cli.progress import Progress
from solvers.spectra import spectra
from solvers.tables.theory import spectra_text


def run(given: argparse.Namespace) -> int:
    """Print the spectrum at every static solution."""
    cell = load(given.cell)
    parameters = assignments(given.parameters)
    resolve(cell, parameters)
    with Progress(f"spectrum of {cell.name}"):
        found = spectra(cell, parameters, tol=given.tol)
    if given.json:
        print_json(found.as_dict())
    else:
        print(spectra_text(found.as_dict()), end="")
    return 0 if found.converged else 3
