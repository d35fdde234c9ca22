"""Static solutions at one point of a phase diagram: how many, and how far from the line of stability each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from derive.errors import GatefieldError
from derive.theory import Theory
from solvers.averages import Values
from solvers.branches.complexity import complexity
from solvers.budget import BudgetSpent
from solvers.critical.criterion import Edge
from solvers.critical.problem import Space
from solvers.fixed_point import solve_all
from solvers.result import CONVERGED, FixedPoint
from solvers.site_roots import several_roots
from solvers.solve import moments_at, off_the_kink
from solvers.spectrum import SpectrumResult, spectrum_of

TOL = 1e-8
STABLE, MARGINAL, UNSTABLE, UNKNOWN = "stable", "marginal", "unstable", "unknown"


@dataclass(frozen=True)
class StaticState:
    """One static solution.

    state : "zero" or "active"; Q : by state; stability : one of the four words above; margin : largest modulus minus
    1, or largest real part, of support, outliers and atoms (nan where the gain already settles that it is unstable);
    error : of the margin, with the resolution of the support; complexity : exponent of the number of fixed points of
    an unstable active solution and its error (nan where it is not known); verdict : "converged" or what is wrong.
    """

    state: str
    Q: Mapping[str, float]
    stability: str
    margin: float
    error: float
    complexity: tuple[float, float]
    verdict: str = CONVERGED


@dataclass(frozen=True)
class Statics:
    """All static solutions at one point, and what the search for them said."""

    states: tuple[StaticState, ...]
    notes: tuple[str, ...]
    complete: bool

    def count(self, stability: str) -> int:
        """How many are stable, marginal, unstable or unknown."""
        return sum(state.stability == stability for state in self.states)


class StaticSolver:
    """Solves the static mean field at points of the plane of two free parameters."""

    def __init__(self, space: Space) -> None:
        self.space, self._edge = space, Edge(space.theory)

    def __call__(self, x: float, y: float) -> Statics:
        """All static solutions at these values of the two free parameters."""
        space = self.space
        equations = space.equations.at(space.parameters(np.array([x, y])))
        found = solve_all(equations, TOL)
        states, notes = [], list(found.notes)
        for point in found.solutions:
            near = off_the_kink(space.theory, equations, point)
            states.append(self._state(point, near, near is point))
            notes += several_roots(space.theory, point.values) if space.theory.implicit else ()
        return Statics(tuple(states), tuple(dict.fromkeys(notes)), found.complete)

    def _state(self, point: FixedPoint, near: FixedPoint, isolated: bool) -> StaticState:
        space = self.space
        numbers, _ = moments_at(space.theory, space.evaluator, point, TOL)
        zero = not any(point.values[s] for s in space.equations.feedback) and bool(space.equations.feedback)
        kind = "zero" if zero else "active"
        if self._edge.clearly_crossed(space.theory, near.values, space.evaluator):
            level = (0.0, 0.0) if zero else self._complexity(near.values)
            return StaticState(kind, numbers["Q"], UNSTABLE, np.nan, np.nan, level, point.verdict)
        spectrum = spectrum_of(space.theory, near.values, space.evaluator, TOL, curves=False, isolated=isolated)
        margin, error = margin_of(space.theory, spectrum)
        stability = _stability(margin, error, spectrum)
        level = self._complexity(near.values) if stability == UNSTABLE and not zero else (0.0, 0.0)
        verdict = point.verdict if point.verdict != CONVERGED else spectrum.verdict
        return StaticState(kind, numbers["Q"], stability, margin, error + spectrum.eta, level, verdict)

    def _complexity(self, values: Values) -> tuple[float, float]:
        try:
            level = complexity(self.space.theory, values)
        except BudgetSpent:
            raise
        except GatefieldError:
            return np.nan, np.inf
        return level.value, level.error


def margin_of(theory: Theory, spectrum: SpectrumResult) -> tuple[float, float]:
    """How far support, outliers and atoms reach beyond the line of stability (negative: stable), and the error."""
    points = [*spectrum.outliers, *(end for atom in spectrum.atoms for end in (atom.low, atom.high))]
    discrete = theory.site.discrete
    reach = [(abs(z) - 1.0 if discrete else z.real) for z in points]
    errors = [*spectrum.outlier_errors, *([0.0] * (len(points) - len(spectrum.outliers)))]
    edge = spectrum.radius if discrete else spectrum.abscissa
    if edge is not None:
        reach.append(edge - 1.0 if discrete else edge)
        errors.append(spectrum.radius_error if discrete else spectrum.abscissa_error)
    if not reach:
        return -np.inf, 0.0
    k = int(np.argmax(reach))
    return float(reach[k]), float(errors[k])


def _stability(margin: float, error: float, spectrum: SpectrumResult) -> str:
    """Stable only where the margin exceeds both its error and the resolution at which the support is seen."""
    if spectrum.divergent or not np.isfinite(error) or np.isnan(margin):
        return UNKNOWN
    if margin > error:
        return UNSTABLE
    return STABLE if margin < -(error + spectrum.eta) else MARGINAL
