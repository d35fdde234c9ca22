"""What is zero at criticality: chi1 - 1 of untied theories, the support's distance from the line of stability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import sympy as sp
from scipy.optimize import minimize_scalar

from derive.theory import Theory
from solvers.averages import COARSE_RTOL, CompiledAverage, Estimate, Evaluator, Values
from solvers.codegen.sampling import normal_points
from solvers.critical.coarse_gain import CoarseGain
from solvers.critical.problem import Array, Branch
from solvers.equations import Completed
from solvers.fixed_point import SCAN_RTOL
from solvers.replicas import spectral_radius_of
from solvers.result import FixedPoint
from solvers.solve import off_the_kink
from solvers.spectrum.gain import GainMatrix
from solvers.spectrum.support import Resolved, needed_resolution

ANGLES, LOG2_SITES = 13, 8
CLEAR = 1e-3
"""Above this excess of the gain on the line of stability (and ten errors) a support crosses it without doubt."""


class Criterion(Protocol):
    """A number that is zero where a solution is critical."""

    @property
    def name(self) -> str:
        """The name of the number that is printed."""

    def excess(self, theory: Theory, values: Values, evaluator: Evaluator, rtol: float) -> Estimate:
        """Negative on the ordered or stable side; the values are those at which derivatives are averaged."""


@dataclass(frozen=True)
class Growth:
    """chi1 - 1: growth of squared perturbations under untied weights (theory, section 2)."""

    name: str = "chi1"

    def excess(self, theory: Theory, values: Values, evaluator: Evaluator, rtol: float) -> Estimate:
        """chi1 - 1 at the values of parameters and moments."""
        assert theory.perturbation is not None
        chi1 = spectral_radius_of(theory.perturbation, evaluator, values, rtol)
        return Estimate(chi1.value - 1.0, chi1.error)


class Edge:
    """ln of the largest gain on the line of stability: the unit circle, or the imaginary axis for a flow.

    The gain K is log-subharmonic outside the spectrum of L and vanishes at infinity, so the support lies inside the
    line where the gain is below one all along it, and touches it where the largest gain is one (theory, section 3).
    """

    def __init__(self, theory: Theory) -> None:
        assert theory.spectrum is not None
        self.name = "spectral_radius" if theory.site.discrete else "spectral_abscissa"
        self._L = CompiledAverage([*theory.spectrum.L], theory.law, theory.implicit)
        self._size = theory.spectrum.L.rows
        self._coarse = CoarseGain(theory)

    def excess(self, theory: Theory, values: Values, evaluator: Evaluator, rtol: float) -> Estimate:
        """Zero where the spectral radius is 1 (discrete) or the abscissa 0 (continuous), at resolution ETA."""
        rates = self._site_eigenvalues(values)
        eta = needed_resolution(rates)
        gain: GainMatrix | CoarseGain
        if rtol >= COARSE_RTOL and self._coarse.dimension(values) > 1:
            gain = self._coarse.at(values, evaluator)
        else:
            gain = GainMatrix(theory, values, evaluator, min(rtol, 1e-8))
        resolved = Resolved(gain, eta)
        line: Line = _circle if theory.site.discrete else _axis(float(np.median(np.abs(rates))) or 1.0)
        place = np.linspace(0.0, 1.0, ANGLES)
        found = resolved(line(place), rtol)
        k = int(np.argmax(found))
        best, where = float(found[k]), float(place[k])
        if 0 < k < ANGLES - 1:  # an end is a turning point of the gain, which is symmetric about the real axis
            turn = minimize_scalar(
                lambda t: -float(resolved(line(np.array([t])), rtol)[0]),
                bounds=(place[k - 1], place[k + 1]), method="bounded", options={"xatol": 1e-5},
            )  # fmt: skip
            if -turn.fun > best:
                best, where = -float(turn.fun), float(turn.x)
        lam = complex(line(np.array([where]))[0])
        shifted = np.array([complex(lam.real, max(abs(lam.imag), eta))])
        return Estimate(best, float(gain.log_radius(shifted, rtol)[1][0]))

    def clearly_crossed(self, theory: Theory, values: Values, evaluator: Evaluator) -> bool:
        """Whether the support crosses the line of stability beyond doubt, so that no finer number is needed."""
        excess = self.excess(theory, values, evaluator, SCAN_RTOL)
        return excess.value > CLEAR + 10 * excess.error

    def _site_eigenvalues(self, values: Values) -> Array:
        """A sample of the eigenvalues of L, (n, S)."""
        dimension = self._L.geometry(values)[0].dimension
        points = normal_points(dimension, LOG2_SITES) if dimension else np.zeros((0, 1))
        rows = self._L.sites(values, points)
        return np.linalg.eigvals(rows.T.reshape(-1, self._size, self._size))


Line = Callable[[Array], npt.NDArray[np.complex128]]
"""The upper half of the line of stability, from [0, 1]."""


def _circle(place: Array) -> npt.NDArray[np.complex128]:
    return np.asarray(np.exp(1j * np.pi * place))


def _axis(reach: float) -> Line:
    """The imaginary axis from 0 to infinity on [0, 1]."""
    return lambda place: 1j * reach * place / np.maximum(1.0 - place, 1e-6)


def linearised_at(branch: Branch, y: Array, done: Completed) -> Mapping[sp.Symbol, float]:
    """Values at which derivatives are averaged: those of the solution, off a kink where the zero state sits on one."""
    if not branch.zero:
        return done.values
    point = FixedPoint(done.values, done.errors, 0.0, np.nan)
    equations = branch.space.equations.at(branch.space.parameters(branch.split(y)[1]))
    return off_the_kink(branch.space.theory, equations, point).values
