"""Singular values of the one-step Jacobian at the solutions of a theory: moments, quantiles, condition numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.cell.parameters import Settings, resolve
from derive.errors import AnsatzError, SizeError
from solvers.averages import Estimate
from solvers.equations import relative_errors
from solvers.measure import SiteMeasure, StaticSites
from solvers.singular.quantiles import LEVELS, LawNumbers, law_numbers
from solvers.solution import Solution, Solved, plain
from solvers.spectrum.singular_law import Ends, SingularLaw
from solvers.spectrum.singular_memory import PencilMemory
from solvers.spectrum.singular_moments import moments_of
from solvers.spectrum.symbolic_moments import SymbolicMoments
from solvers.threads import one_thread
from solvers.untied_sites import UntiedSites

REPLICATES = 4
LOG2_NODES = 10
UNITS = 2048


@dataclass(frozen=True)
class SingularResult:
    """What is known of the singular values at one solution: m1, m2 of their squares, and their law.

    verdict, notes : as everywhere.
    """

    m1: Estimate
    m2: Estimate
    numbers_of_law: LawNumbers
    notes: tuple[str, ...] = ()

    @property
    def quantiles(self) -> dict[float, Estimate]:
        """By level."""
        return self.numbers_of_law.quantiles

    @property
    def ends(self) -> Ends:
        """Of the support, and the share of exact zeros."""
        return self.numbers_of_law.ends

    @property
    def condition(self) -> dict[float, Estimate]:
        """See `LawNumbers`."""
        return self.numbers_of_law.condition

    @property
    def law(self) -> SingularLaw:
        """On one of the site measures, for densities."""
        assert isinstance(self.numbers_of_law.law, SingularLaw)
        return self.numbers_of_law.law

    @property
    def verdict(self) -> str:
        """ "converged", or what is wrong."""
        return self.numbers_of_law.verdict

    def numbers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The JSON object ``singular``, and the errors of its numbers."""
        found, errors = self.numbers_of_law.numbers()
        first, own = {"m1": self.m1.value, "m2": self.m2.value}, {"m1": self.m1.error, "m2": self.m2.error}
        return plain({**first, **found}), plain({**own, **errors})


@one_thread
def singular_of(
    solved: Solved, solution: Solution, *, levels: Sequence[float] = LEVELS, tol: float = 1e-10, seed: int = 0
) -> SingularResult:
    """Singular values at one solution, static or untied.

    Raises
    ------
    AnsatzError : the Jacobian holds a delta function (the derivative of a jump).
    BudgetSpent : the time is over.
    """
    settings = resolve(solved.theory.site.cell, solved.parameters)
    measures, notes = site_measures(solved, solution, settings, seed)
    m1, m2, more = moments(solved, solution, measures, tol)
    memory = PencilMemory()
    law = law_numbers(measures, lambda measure: SingularLaw(measure, memory), levels)
    return SingularResult(m1, m2, law, (*notes, *more))


def site_measures(
    solved: Solved, solution: Solution, settings: Settings, seed: int = 0
) -> tuple[list[SiteMeasure], tuple[str, ...]]:
    """Independent site measures of one solution: scrambled nets (static), or populations of units (untied)."""
    if solved.theory.ansatz == "static":
        sites = StaticSites(solved.theory, solution.linearised_at)
        count = REPLICATES if sites.dimension else 1
        rules = (sites.rule(log2_nodes=LOG2_NODES, scramble=k, fitted=False) for k in range(count))
        return [sites.measure(rule) for rule in rules], ()
    population = UntiedSites(solved, solution, settings)
    measures = [population.measure(UNITS, replicate, seed) for replicate in range(REPLICATES)]
    if population.settled:
        return measures, ()
    return measures, ("the law of single units still drifts: singular values are those of a transient",)


def moments(
    solved: Solved, solution: Solution, measures: Sequence[SiteMeasure], tol: float
) -> tuple[Estimate, Estimate, tuple[str, ...]]:
    """m1, m2 and notes: from symbolic expressions, or means over the site measures where there are none."""
    try:
        return *symbolic_moments(solved, solution, tol), ()
    except (AnsatzError, SizeError) as reason:
        table = np.array([moments_of(measure) for measure in measures])
        value, error = table.mean(axis=0), 2.0 * table.std(axis=0, ddof=1) / np.sqrt(len(table))
        note = f"m1 and m2 are means over {sum(m.nodes for m in measures)} sampled units: {reason}"
        return Estimate(*map(float, (value[0], error[0]))), Estimate(*map(float, (value[1], error[1]))), (note,)


def symbolic_moments(solved: Solved, solution: Solution, tol: float = 1e-10) -> tuple[Estimate, Estimate]:
    """m1 and m2 at one solution, with the errors of quadrature and of the solution.

    Raises as `derive.stability.singular.singular_theory`.
    """
    values = dict(solution.linearised_at)
    values |= {symbol: solved.parameters[name] for name, symbol in solved.theory.site.parameters.items()}
    moments = SymbolicMoments(solved.theory, solved.same_evaluator())(values, tol)
    share = solution_share(solved, solution)
    first, second = (Estimate(item.value, item.error + 4 * share * abs(item.value)) for item in moments)
    return first, second


def solution_share(solved: Solved, solution: Solution) -> float:
    """Largest relative error of the unknowns of a solution."""
    errors = solution.errors.get("q", {})
    known = {s: float(errors[name] or 0.0) for name, s in solved.theory.variances.items() if name in errors}
    return max(relative_errors(dict(solution.values), known), default=0.0)
