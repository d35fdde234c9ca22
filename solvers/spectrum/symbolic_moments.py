"""m1 and m2 from their symbolic expressions, in numbers."""

from __future__ import annotations

import sympy as sp

from derive.stability.singular import singular_theory
from derive.theory import System, Theory
from solvers.averages import Estimate, Evaluator, Values
from solvers.budget import check_budget
from solvers.equations import Equations
from solvers.fixed_point import solve_all


class SymbolicMoments:
    """m1 and m2 of the squared singular values of one theory's Jacobian, compiled once for any values.

    Raises as `derive.stability.singular.singular_theory`.
    """

    def __init__(self, theory: Theory, evaluator: Evaluator) -> None:
        found = singular_theory(theory)
        self._evaluator = evaluator
        self._expressions = tuple(found.in_averages(expression) for expression in (found.m1, found.m2))
        self._more = MoreMoments(theory, found.moments, evaluator)

    def __call__(self, values: Values, rtol: float) -> tuple[Estimate, Estimate]:
        """m1 and m2 with their errors at the values of parameters and unknowns; nan where a moment has no value."""
        known = dict(values) | self._more(values, rtol)
        first, second = (self._evaluator(expression, known, rtol) for expression in self._expressions)
        return first, second


class MoreMoments:
    """Moments of the states that an expression needs beyond those that a theory solves for."""

    def __init__(self, theory: Theory, system: System, evaluator: Evaluator) -> None:
        self._theory, self._system, self._evaluator = theory, system, evaluator
        self._equations: Equations | None = None

    def __call__(self, values: Values, rtol: float) -> dict[sp.Symbol, float]:
        """By symbol; nan where the equations have no solution, or several."""
        if not self._system.equations:
            return {}
        check_budget()
        if self._equations is None:
            self._equations = Equations(self._system, self._theory.law, self._evaluator, values)
        found = solve_all(self._equations.at(values), max(rtol, 1e-10)).solutions
        if len(found) != 1:
            return dict.fromkeys(self._system.equations, float("nan"))
        return {symbol: found[0].values[symbol] for symbol in self._system.equations}
