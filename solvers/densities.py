"""Density and counts at every static solution: what ``gatefield spectrum`` adds on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.errors import AnsatzError
from derive.theory import Theory
from solvers.result import CONVERGED
from solvers.solution import Solution, plain
from solvers.spectrum import SpectrumResult
from solvers.spectrum.density import Count, Density, Grid, parse_region, static_density

COLUMNS, ROWS = 81, 61
MARGIN = 0.03


@dataclass(frozen=True)
class SolutionDensity:
    """grid : rho on a grid about the support, None unless asked for; counts : fractions of all eigenvalues in regions;
    notes : what the reader must know; verdict : "converged" or the first thing that is wrong."""

    grid: Grid | None
    counts: tuple[Count, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """Of grid and counts together."""
        verdicts = [count.verdict for count in self.counts] + ([self.grid.verdict] if self.grid else [])
        return next((verdict for verdict in verdicts if verdict != CONVERGED), CONVERGED)

    def as_dict(self) -> dict[str, Any]:
        """Keys for the JSON object of a solution."""
        found: dict[str, Any] = {}
        if self.grid is not None:
            found["density"] = _grid_record(self.grid)
        if self.counts:
            found["counts"] = [_count_record(count) for count in self.counts]
        return found


def _grid_record(grid: Grid) -> dict[str, Any]:
    return {
        "re": grid.re.tolist(),
        "im": grid.im.tolist(),
        "rho": grid.rho.tolist(),
        "error": plain(grid.error),
        "eta": grid.eta,
    }


def _count_record(count: Count) -> dict[str, Any]:
    found = {"region": count.region, "theory": plain(count.theory), "error": plain(count.error)}
    return found | ({"notes": list(count.notes)} if count.notes else {})


def solution_density(
    theory: Theory, solution: Solution, spectrum: SpectrumResult, *, density: bool, regions: Sequence[str]
) -> SolutionDensity:
    """Density on a grid about the support, and counts in regions, at one solution.

    Raises
    ------
    ParameterError : a region is none.
    """
    asked = [(text, parse_region(text)) for text in regions]
    try:
        found = static_density(theory, solution.linearised_at)
    except AnsatzError as error:
        return SolutionDensity(None, (), (str(error),))
    counts = tuple(found.count(region, text) for text, region in asked)
    grid = density_grid(found, spectrum) if density else None
    return SolutionDensity(grid, counts, _notes(spectrum, density))


def _notes(spectrum: SpectrumResult, density: bool) -> tuple[str, ...]:
    notes = []
    if density and not spectrum.boundary:
        notes.append("there is no support: the density is zero everywhere and all eigenvalues are atoms")
    elif density and spectrum.atoms:
        notes.append("the density leaves out atoms")
    if spectrum.outliers:
        notes.append("outliers are single eigenvalues, a fraction O(1/N): they are in no count")
    return tuple(notes)


def density_grid(found: Density, spectrum: SpectrumResult, columns: int = COLUMNS, rows: int = ROWS) -> Grid:
    """rho on a grid that holds the support (a unit square about zero where there is none)."""
    points = np.concatenate(spectrum.boundary) if spectrum.boundary else np.array([-0.5 - 0.5j, 0.5 + 0.5j])
    left, right = float(points.real.min()), float(points.real.max())
    top = float(np.abs(points.imag).max())
    margin = MARGIN * max(right - left, 2.0 * top)
    return found.grid(
        np.linspace(left - margin, right + margin, columns), np.linspace(-top - margin, top + margin, rows)
    )
