"""The singular values of the product of several untied Jacobians where these are free of each other."""

from __future__ import annotations

from collections.abc import Sequence

from derive.cell.parameters import resolve
from derive.stability.free import require_free_factors
from solvers.singular.one_step import site_measures
from solvers.singular.quantiles import LEVELS, LawNumbers, law_numbers
from solvers.solution import Solution, Solved
from solvers.spectrum.singular_free import FreeProductLaw, Memory
from solvers.threads import one_thread


@one_thread
def free_product_of(
    solved: Solved, solution: Solution, steps: int, *, levels: Sequence[float] = LEVELS, seed: int = 0
) -> LawNumbers:
    """Quantiles, ends and condition numbers of the product of ``steps`` Jacobians at an untied solution; its ``law``
    has the density.

    Raises
    ------
    AnsatzError : the factors are not free, or the Jacobian holds a delta function.
    BudgetSpent : the time is over.
    """
    require_free_factors(solved.theory)
    measures, _ = site_measures(solved, solution, resolve(solved.theory.site.cell, solved.parameters), seed)
    memory = Memory()
    return law_numbers(measures, lambda measure: FreeProductLaw(measure, steps, memory), levels)
