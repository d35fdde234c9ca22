"""Eigenvalues of the Jacobian at every static solution: what ``gatefield spectrum`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from derive.cell.spec import Cell
from derive.errors import AnsatzError
from derive.theory import Theory
from solvers.budget import BudgetSpent
from solvers.densities import SolutionDensity, solution_density
from solvers.result import CONVERGED
from solvers.solution import Solution, Solved, plain
from solvers.solve import DEFAULT_TOL, solve, spectrum_numbers
from solvers.spectrum import SpectrumResult, spectrum_of
from solvers.spectrum.density import parse_region
from solvers.stability import MARGINAL, is_marginal, is_stable


@dataclass(frozen=True)
class Spectra:
    """One spectrum, with its boundary curves, for each solution; in the order of ``solved.solutions``.

    densities : density and counts of each solution, empty unless asked for.
    """

    solved: Solved
    spectra: tuple[SpectrumResult, ...]
    notes: tuple[str, ...] = ()
    densities: tuple[SolutionDensity, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether every solution and its spectrum converged."""
        return (
            self.solved.converged
            and len(self.spectra) == len(self.solved.solutions)
            and all(spectrum.verdict == CONVERGED for spectrum in self.spectra)
            and all(density.verdict == CONVERGED for density in self.densities)
        )

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield spectrum``."""
        theory = self.solved.theory
        pairs = zip(self.solved.solutions, self.spectra, strict=False)
        found: dict[str, Any] = {
            "cell": theory.site.cell.name,
            "parameters": dict(self.solved.parameters),
            "solutions": [_record(theory, solution, spectrum) for solution, spectrum in pairs],
        }
        notes = tuple(dict.fromkeys((*self.solved.notes, *self.notes)))
        if notes:
            found["notes"] = list(notes)
        for record, density in zip(found["solutions"], self.densities, strict=False):
            _add_density(record, density)
        return found


def spectra(
    cell: Cell | Theory,
    parameters: Mapping[str, object] | None = None,
    *,
    tol: float = DEFAULT_TOL,
    density: bool = False,
    regions: Sequence[str] = (),
) -> Spectra:
    """Support boundary, radius, abscissa, filament, outliers and atoms at every static solution.

    density : also rho on a grid about the support; regions : also the fraction of eigenvalues in each of these, such
    as "disk:0.3,0.5", "annulus:0,0.2,0.4" or "re>0.9".

    Raises
    ------
    ParameterError : a parameter is unknown, missing or out of range.
    AnsatzError : the static ansatz does not apply to this cell.
    """
    for region in regions:
        parse_region(region)
    return spectra_of(solve(cell, parameters, ansatz="static", tol=tol), tol, density=density, regions=regions)


def spectra_of(
    solved: Solved, tol: float = DEFAULT_TOL, *, density: bool = False, regions: Sequence[str] = ()
) -> Spectra:
    """The spectra at solutions that are known already; see `spectra`."""
    theory = solved.theory
    if theory.spectrum is None:
        raise AnsatzError(f"the {theory.ansatz} ansatz has no spectrum of a fixed Jacobian; use the static one")
    evaluator = solved.same_evaluator()
    found: list[SpectrumResult] = []
    densities: list[SolutionDensity] = []
    notes: tuple[str, ...] = ()
    try:
        for solution in solved.solutions:
            at, isolated = solution.linearised_at, not solution.off_kink
            found.append(spectrum_of(theory, at, evaluator, tol, curves=True, isolated=isolated))
            if density or regions:
                densities.append(solution_density(theory, solution, found[-1], density=density, regions=regions))
    except BudgetSpent as spent:
        notes = (f"{spent}: {len(found)} spectra finished",)
        solved = replace(solved, complete=False)
    return Spectra(solved, tuple(found), notes, tuple(densities))


def _add_density(record: dict[str, Any], density: SolutionDensity) -> None:
    """Keys of density and counts, and what they say of the whole."""
    record |= density.as_dict()
    if record["verdict"] == CONVERGED:
        record["verdict"] = density.verdict
    if density.notes:
        record["notes"] = [*record.get("notes", ()), *density.notes]


def _record(theory: Theory, solution: Solution, spectrum: SpectrumResult) -> dict[str, Any]:
    numbers, errors = spectrum_numbers(spectrum)
    verdict = solution.verdict if solution.verdict != CONVERGED else spectrum.verdict
    record: dict[str, Any] = {"Q": plain(solution.numbers["Q"])}
    record["boundary"] = [[[float(z.real), float(z.imag)] for z in curve] for curve in spectrum.boundary]
    record |= plain(numbers)
    if (stable := is_stable(theory, spectrum)) is not None:
        record["stable"] = stable
    notes = list(spectrum.notes)
    if is_marginal(theory, spectrum):
        record["marginal"] = True
        notes.append(MARGINAL)
    record |= {"error": plain(errors), "verdict": verdict}
    if notes:
        record["notes"] = notes
    return record
