"""The exponential number of fixed points that share the statistics of one static solution (theory, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derive.errors import AnsatzError
from derive.theory import Theory
from solvers.averages import Values
from solvers.result import CONVERGED
from solvers.spectrum.density import Density, static_density
from solvers.spectrum.density.estimate import STUDENT
from solvers.spectrum.density.of_measure import ACCEPTED, MeasureDensity

LOWER_BOUND = (
    "complexity: (1/N) ln of the number of fixed points with the statistics of the solution, by the mean number (Kac "
    "and Rice) at that site measure; a lower bound of the annealed exponent, which maximises over site measures"
)


MORE_NODES = (14, 15)
"""Powers of two of nodes that are tried where the first ones leave too large an error."""

ENOUGH, NEGLIGIBLE = 5e-3, 1e-5


@dataclass(frozen=True)
class Complexity:
    """(1/N) ln of the number of fixed points; error : absolute, of nodes and equations; verdict as everywhere."""

    value: float
    error: float
    verdict: str = CONVERGED


def complexity(theory: Theory, values: Values) -> Complexity:
    """1/2 (E log det(1 + P T^dagger Q T) - sum_g tr P_g Q_g / sigma_g^2) at lam = 1 (map) or 0 (flow).

    It is zero outside the support.  The eigenvalues of L that the potential adds are taken off again at the same nodes,
    so that neither time constants nor gates that multiply the velocity enter.

    values : unknowns and parameters of a static solution, `Solution.linearised_at`.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function, or a weight is orthogonal.
    """
    if any(weight.ensemble == "haar" for weight in theory.site.cell.weights.values()):
        raise AnsatzError(
            "the number of fixed points is known for Gaussian weights only: the mean number takes products W v that are"
            " independent of the determinant, as a rotation's are not"
        )
    line = 1.0 if theory.site.discrete else 0.0
    own, error, left = _estimate(static_density(theory, values), line)
    for log2_nodes in MORE_NODES:
        if error <= max(ENOUGH * own, NEGLIGIBLE) or not left <= ACCEPTED:
            break
        own, error, left = _estimate(static_density(theory, values, log2_nodes=log2_nodes), line)
    if left <= ACCEPTED:
        return Complexity(max(own, 0.0), error + left)
    return Complexity(own, np.inf, f"not converged: a residual of {left:.1e} is left at the line of stability; "
                      "(a) the edge of the support is there: move a parameter")  # fmt: skip


def _estimate(density: Density, line: float) -> tuple[float, float, float]:
    """The exponent, its error from the scatter of independent node sets, and what is left of the equations."""
    own, left = _exponent(density.whole, line)
    others = np.array([_exponent(part, line)[0] for part in density.parts])
    if len(others) > 1:
        return own, STUDENT * float(others.std(ddof=1)) / np.sqrt(len(others)), left
    return own, float(np.abs(others - own).max(initial=0.0)), left


def _exponent(density: MeasureDensity, line: float) -> tuple[float, float]:
    """The exponent with these nodes, and what is left of the equations."""
    measure, point = density.measure, density(np.array([complex(line)]))
    if not point.inside[0]:
        return 0.0, 0.0
    with np.errstate(divide="ignore"):
        local = np.linalg.slogdet(line * np.eye(measure.states) - measure.L)[1]
    own = 0.5 * float(point.value[0]) * measure.states - float(local @ measure.weights)
    return own, float(point.residual[0])
