"""``gatefield spectrum``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from derive.cell import resolve
from derive.cell.parameters import Settings
from derive.errors import GatefieldError
from solvers.budget import BudgetSpent
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_json, unfinished
from solvers.cli.progress import Progress
from solvers.cli.singular import add_singular, check_options, untied_singular
from solvers.clouds import MOST_EIGENVALUES, eigenvalue_clouds, singular_clouds
from solvers.output import writable_file
from solvers.solution import Solved
from solvers.spectra import Spectra, spectra
from solvers.spectrum.density import parse_region
from solvers.spectrum.singular_law import SingularLaw
from solvers.tables.theory import spectra_text

FORMATS = (".png", ".pdf", ".svg")


def run(given: argparse.Namespace) -> int:
    """Print the spectrum at every static solution."""
    cell = chosen_cell(given)
    parameters = assignments(given.parameters)
    settings = resolve(cell, parameters)
    path = writable_figure(given.plot) if given.plot else None
    for region in given.count:
        parse_region(region)
    check_options(given)
    with Progress(f"spectrum of {cell.name}"):
        try:
            if given.ansatz == "untied":
                found, converged = untied_singular(cell, parameters, given)
                return _finish(given, found, converged)
            result = spectra(
                cell, parameters, tol=given.tol, density=given.density or path is not None, regions=given.count
            )
            if path is not None:
                _draw(path, result, settings)
            found, converged = result.as_dict(), result.converged
            if not given.density:
                for record in found["solutions"]:
                    record.pop("density", None)  # computed for the figure alone
            if given.singular:
                whole, laws = add_singular(found, result.solved, given.tol)
                converged = whole and converged
                if path is not None:
                    _draw_singular(path.with_stem(f"{path.stem}-singular"), result.solved, settings, laws)
        except BudgetSpent as spent:
            found, converged = unfinished(cell, given, spent, solutions=[]), False
    return _finish(given, found, converged)


def _finish(given: argparse.Namespace, found: Mapping[str, Any], converged: bool) -> int:
    """Print the object, and say by the exit code whether all of it converged."""
    if given.json:
        print_json(found)
    else:
        print(spectra_text(found), end="")
    return 0 if converged else 3


def writable_figure(path: str, option: str = "--plot") -> Path:
    """The path of a figure, given with an option, if one can be written there.

    Raises GatefieldError where Matplotlib is missing or the path cannot be written.
    """
    if find_spec("matplotlib") is None:
        raise GatefieldError(f"{option} needs Matplotlib, which is not installed: pip install 'gatefield[plots]'")
    if Path(path).suffix.lower() not in FORMATS:
        raise GatefieldError(f"{option} {path}: the name of a figure ends with {', '.join(FORMATS)}")
    return writable_file(path)


def _draw(path: Path, result: Spectra, settings: Settings) -> None:
    from solvers.plots.spectrum import density_figure  # optional dependency

    density_figure(path, result, eigenvalue_clouds(result.solved, settings, MOST_EIGENVALUES, 0))


def _draw_singular(path: Path, solved: Solved, settings: Settings, laws: Sequence[SingularLaw | None]) -> None:
    from solvers.plots.spectrum import singular_figure  # optional dependency

    title = f"{solved.theory.site.cell.name}: singular values of the Jacobian"
    singular_figure(writable_file(path), title, laws, singular_clouds(solved, settings, MOST_EIGENVALUES, 0))
