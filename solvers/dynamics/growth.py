"""Maximal Lyapunov exponent where every nonlinearity is memoryless (theory, section 5).

Perturbation fields have the covariance exp(L(t + t')) D(t - t').  In the tilted dynamics (i w -> i w + L, one step of
delay costs a factor exp(-L)) they map D linearly onto sigma^2 E[y y'], and L is the exponent where this map has the
leading eigenvalue 1.  For a single leaky state this is the ground state of a Schroedinger operator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

from derive.meanfield.filters import slope
from solvers.budget import check_budget
from solvers.dynamics.filter_map import FilterMap, SignalCovariances, filtered
from solvers.dynamics.filter_model import FilterModel
from solvers.dynamics.grid import Grid

_SMALL_STEP, _LARGEST = 1e-6, 50.0
_DENSE = 96


@dataclass(frozen=True)
class _Entry:
    """E[dy_i/dg_m (t) dy_j/dg_n (t + tau)] of signals i, j and directions m, n."""

    i: int
    j: int
    m: int
    n: int
    values: np.ndarray


class PerturbationMap:
    """D -> sigma^2 E[y y'] on one solution; ``local_rate`` is that of the linear filters alone."""

    def __init__(self, model: FilterModel, grid: Grid, C: np.ndarray) -> None:
        self.model, self.grid = model, grid
        self.local_rate = model.slowest
        found = SignalCovariances(model, grid, FilterMap(model, grid).direction_covariance(C))
        slopes = {
            (i, m): numeric
            for i, signal in enumerate(model.form.signals)
            for m, direction in enumerate(model.directions)
            if (numeric := model.numeric(slope(signal, direction)))
        }
        self._entries = [
            _Entry(i, j, m, n, found.product(left, right))
            for (i, m), left in slopes.items()
            for (j, n), right in slopes.items()
        ]
        self.error = found.error

    def eigenvalue(self, rate: float) -> float:
        """Leading eigenvalue at growth rate ``rate``, per unit of time or step."""
        check_budget()
        K, n = len(self.model.gains), self.grid.n
        z = self.model.z(self.grid.frequencies * (self.grid.dt if self.model.discrete else 1.0), rate)
        directions = self.model.directions_of_base(z)[:, :, :K]
        operands, _ = self.model.outputs_of_signals(z)

        def apply(flat: np.ndarray) -> np.ndarray:
            return self._image(flat.reshape(K, K, n), directions, operands).ravel()

        return _leading(apply, self.grid.bell(np.ones(K), 2.0 * self.model.memory).ravel())

    def _image(self, D: np.ndarray, directions: np.ndarray, operands: np.ndarray) -> np.ndarray:
        spectrum = np.moveaxis(self.grid.spectrum(D), -1, 0)
        X = self.grid.covariance(filtered(directions, spectrum))
        J = operands.shape[2]
        signals = np.zeros((J, J, self.grid.n))
        for entry in self._entries:
            signals[entry.i, entry.j] += entry.values * X[entry.m, entry.n]
        S = np.moveaxis(self.grid.spectrum(signals), -1, 0)
        image = self.grid.covariance(filtered(operands, S))
        kept = np.zeros_like(D)
        for members in self.model.groups:
            for k in members:
                for m in members:
                    kept[k, m] = self.model.gains[k] ** 2 * image[k, m]
        return kept


def _leading(apply, start: np.ndarray) -> float:  # type: ignore[no-untyped-def]
    """Largest eigenvalue of a map that takes covariances to covariances: real and positive (Krein and Rutman)."""
    first = apply(start)
    if not first.any():
        return 0.0
    if start.size <= _DENSE:
        matrix = np.array([apply(row) for row in np.eye(start.size)]).T
        return float(np.abs(np.linalg.eigvals(matrix)).max())
    operator = LinearOperator((start.size, start.size), matvec=apply, dtype=float)
    try:
        values = eigs(operator, k=1, which="LM", v0=start, tol=1e-10, ncv=40, maxiter=200, return_eigenvectors=False)
    except ArpackNoConvergence as stopped:
        values = stopped.eigenvalues if len(stopped.eigenvalues) else np.array([np.nan])
    return float(np.abs(values).max())


def maximal_exponent(perturbations: PerturbationMap, *, tolerance: float = 1e-11) -> float:
    """The rate at which the leading eigenvalue is 1; the local rate if it is below 1 everywhere above that.

    nan where no eigenvalue could be found.
    """
    unit = 1.0 / perturbations.model.memory
    local = perturbations.local_rate if np.isfinite(perturbations.local_rate) else -_LARGEST * unit

    def excess(rate: float) -> float:
        value = perturbations.eigenvalue(rate)
        return float(np.log(value)) if value > 0 else -700.0

    low, step = max(0.0, local + _SMALL_STEP * unit), 0.05 * unit
    at = excess(low)
    if np.isnan(at):
        return float("nan")
    if at == 0.0:
        return low
    sign = 1.0 if at > 0 else -1.0
    edge = local + _SMALL_STEP * unit
    if sign < 0 and low <= edge:
        return local
    other = low
    while True:
        last, other = other, max(other + sign * step, edge)
        value = excess(other)
        if np.isnan(value) or other > _LARGEST * unit:
            return float("nan")
        if value * sign <= 0:
            break
        if other == edge:
            return local
        step *= 2.0
    return float(brentq(excess, min(last, other), max(last, other), xtol=tolerance, rtol=1e-12))
