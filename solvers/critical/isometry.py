"""How far a solution is from isometry: the spread of the squared singular values of its one-step Jacobian."""

from __future__ import annotations

from derive.errors import GatefieldError
from derive.theory import Theory
from solvers.averages import Estimate, Evaluator, Values
from solvers.spectrum.symbolic_moments import SymbolicMoments

UNKNOWN = Estimate(float("nan"), float("inf"))


class Isometry:
    """m2/m1^2 - 1, the variance of the squared singular values of J relative to their mean (theory, section 4)."""

    def __init__(self, theory: Theory, evaluator: Evaluator) -> None:
        self.reason = ""
        self._moments: SymbolicMoments | None = None
        try:
            self._moments = SymbolicMoments(theory, evaluator)
        except GatefieldError as error:
            self.reason = str(error)

    def variance(self, values: Values, rtol: float) -> Estimate:
        """At the values of parameters and unknowns; not a number, with infinite error, where it is not known."""
        if self._moments is None:
            return UNKNOWN
        first, second = self._moments(values, rtol)
        if not first.value > 0.0:
            return UNKNOWN
        ratio = second.value / first.value**2
        share = 2 * first.error / first.value + second.error / max(abs(second.value), 1e-300)
        return Estimate(ratio - 1.0, (share + 4 * rtol) * ratio)
