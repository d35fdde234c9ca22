"""What the ensemble of a matrix adds to Phi: C(x) = x for Gaussian, log(1 + x) for Haar weights, x = P Q / sigma^2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from solvers.spectrum.density.potential import Array

INFINITE = 23.0
"""ln(P Q / sigma^2) that stands for infinity: what is left out is e^-23 = 1e-10 of the mass."""


class Coupling:
    """C summed over fields that have a matrix each, P = e^s, Q = e^t, theta = (s, t) of shape (m, 2K)."""

    def __init__(self, gains: Array, ensembles: Sequence[str]) -> None:
        self.variances = np.asarray(gains, float) ** 2
        self._haar = np.array([ensemble == "haar" for ensemble in ensembles])

    def logarithmic(self, theta: Array) -> tuple[Array, Array, Array]:
        """C (m,), its gradient (m, 2K) and Hessian (m, 2K, 2K) in theta."""
        K = self.variances.size
        x = np.exp(theta[:, :K] + theta[:, K:]) / self.variances
        occupied = x / (1.0 + x)
        value = np.where(self._haar, np.log1p(x), x).sum(axis=1)
        first = np.where(self._haar, occupied, x)
        second = np.where(self._haar, occupied / (1.0 + x), x)
        index = np.arange(K)
        hessian = np.zeros((theta.shape[0], 2 * K, 2 * K))
        for row in (index, index + K):
            for column in (index, index + K):
                hessian[:, row, column] = second
        return value, np.concatenate([first, first], axis=1), hessian

    def equations(self, taken: Array, slope: Array, theta: Array) -> tuple[Array, Array]:
        """What vanishes at the solution (m, 2K), and its Jacobian (m, 2K, 2K).

        taken : (m, 2K) the derivative of E log F, n = qY for s and pR for t; slope : (m, 2K, 2K) its derivative.
        Gaussian n = x, Haar n / (1 - n) = x, both as logarithms: neither P Q -> 0 nor, for Haar weights, P Q -> oo
        then passes for a solution.  In a hole P Q -> oo is what happens: from `INFINITE` on it counts as reached.
        """
        K = self.variances.size
        haar = np.concatenate([self._haar, self._haar])
        log_x = theta[:, :K] + theta[:, K:] - np.log(self.variances)
        log_x = np.concatenate([log_x, log_x], axis=1)
        with np.errstate(all="ignore"):
            left = np.where(haar, np.maximum(1.0 - taken, 1e-15), 1.0)
            equations = np.log(taken / left) - log_x
            jacobian = slope / (taken * left)[:, :, None]
        index = np.arange(2 * K)
        jacobian[:, index, index] -= 1.0
        jacobian[:, index, (index + K) % (2 * K)] -= 1.0
        return np.where(haar & (log_x >= INFINITE) & (equations > 0), 0.0, equations), jacobian

    def iterated(self, share: Array, theta: Array) -> Array:
        """New (s, t) from E[T M P T^dagger]_kk Q_k and E[T^dagger Q T M]_kk P_k, the ``share`` (m, 2K) of each field.

        Gaussian p = sigma^2 Y, Haar p = sigma^2 Y / (1 - qY), where share = qY; the same for q and R.
        """
        K = self.variances.size
        on_p, on_q = share[:, :K], share[:, K:]
        with np.errstate(all="ignore"):
            new_s = np.log(self.variances) + np.log(self._opened(on_q)) - theta[:, K:]
            new_t = np.log(self.variances) + np.log(self._opened(on_p)) - theta[:, :K]
        return np.concatenate([new_s, new_t], axis=1)

    def _opened(self, share: Array) -> Array:
        return np.where(self._haar, share / np.maximum(1.0 - share, 1e-15), share)
