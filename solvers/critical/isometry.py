"""How far a solution is from isometry: the spread of the squared singular values of its one-step Jacobian."""

from __future__ import annotations

import sympy as sp

from derive.errors import GatefieldError
from derive.stability.singular import SingularTheory, singular_theory
from derive.theory import Theory
from solvers.averages import Estimate, Evaluator, Values
from solvers.equations import Equations
from solvers.fixed_point import solve_all

UNKNOWN = Estimate(float("nan"), float("inf"))


class Isometry:
    """m2/m1^2 - 1, the variance of the squared singular values of J relative to their mean (theory, section 4)."""

    def __init__(self, theory: Theory, evaluator: Evaluator) -> None:
        self.theory, self.evaluator = theory, evaluator
        self.reason = ""
        self._singular: SingularTheory | None = None
        self._moments: Equations | None = None
        try:
            self._singular = singular_theory(theory)
        except GatefieldError as error:
            self.reason = str(error)

    def variance(self, values: Values, rtol: float) -> Estimate:
        """At the values of parameters and unknowns; not a number, with infinite error, where it is not known."""
        singular = self._singular
        if singular is None:
            return UNKNOWN
        known = dict(values) | self._more_moments(singular, values, rtol)
        for symbol, expression in singular.gains.items():
            known[symbol] = self.evaluator(expression, known, rtol).value
        first = self.evaluator(singular.m1, known, rtol)
        second = self.evaluator(singular.m2, known, rtol)
        if not first.value > 0.0:
            return UNKNOWN
        ratio = second.value / first.value**2
        share = 2 * first.error / first.value + second.error / max(abs(second.value), 1e-300)
        return Estimate(ratio - 1.0, (share + 4 * rtol) * ratio)

    def _more_moments(self, singular: SingularTheory, values: Values, rtol: float) -> dict[sp.Symbol, float]:
        """Moments of the states that m2 needs and the theory does not."""
        if not singular.moments.equations:
            return {}
        if self._moments is None:
            self._moments = Equations(singular.moments, self.theory.law, self.evaluator, values)
        found = solve_all(self._moments.at(values), max(rtol, 1e-10)).solutions
        if len(found) != 1:
            return dict.fromkeys(singular.moments.equations, float("nan"))
        return {symbol: found[0].values[symbol] for symbol in singular.moments.equations}
