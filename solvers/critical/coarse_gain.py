"""The gain matrix from one fixed set of sites: smooth in all parameters and good to a per cent, for searches."""

from __future__ import annotations

from typing import Self

import numpy as np

from derive.theory import Theory
from solvers.averages import CompiledAverage, Evaluator, Values
from solvers.codegen.sampling import normal_points
from solvers.spectrum.gain import spectral_radii

LOG2_SITES = 11
COARSE_ERROR = 0.01


class CoarseGain:
    """``log_radius`` as of `solvers.spectrum.gain.GainMatrix`, at the same sites for all parameter values."""

    def __init__(self, theory: Theory) -> None:
        spectrum = theory.spectrum
        assert spectrum is not None
        self.theory, self.spectrum = theory, spectrum
        self._T = CompiledAverage([*spectrum.T], theory.law, theory.implicit, extra=(spectrum.lam, spectrum.lam_conj))
        self._values: Values = {}
        self._gains = np.zeros(0)
        self._sites = np.zeros((0, 1))

    def dimension(self, values: Values) -> int:
        """Independent Gaussian directions of a site."""
        return self._T.geometry(values)[0].dimension

    def at(self, values: Values, evaluator: Evaluator) -> Self:
        """The gain at one solution; squared gains of the live fields come from their expressions."""
        fields = [self.theory.site.fields[k] for k in self.spectrum.fields]
        self._gains = np.array([evaluator(field.gain**2, values).value for field in fields])
        points = normal_points(self.dimension(values), LOG2_SITES)
        self._values, self._sites = values, np.concatenate([points, -points], axis=1)
        return self

    def log_radius(self, lam: np.ndarray, rtol: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """ln of the spectral radius of K (n,), and its absolute error."""
        found = np.array([self._radius(complex(value)) for value in np.atleast_1d(lam)])
        with np.errstate(divide="ignore"):
            return np.log(found), np.full(found.size, COARSE_ERROR)

    def _radius(self, lam: complex) -> float:
        live, pairs = len(self.spectrum.fields), self.spectrum.pairs
        T = self._T.sites(self._values, self._sites, (lam, lam.conjugate())).reshape(live, live, -1)
        moments = np.einsum("kjs,mns->kmjn", T, T.conj()) / T.shape[-1]
        K = np.array([[self._gains[k] * moments[k, m, j, n] for j, n in pairs] for k, m in pairs])
        own = [spectral_radii(K[np.ix_(block, block)][None]) for block in self.spectrum.blocks]
        return float(max((radius[0] for radius in own), default=0.0))
