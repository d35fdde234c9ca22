"""E[f(x) g(y)] for correlated Gaussians and functions of one variable each, kinks and jumps included.

x = m_x + s_x (sqrt|rho| t + sqrt(1-|rho|) xi), y likewise with the sign of rho: given the shared part t the two are
independent, so the average is a smooth outer integral of two inner ones whose kinks lie at known places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from solvers.codegen.quadrature import gaussian_average_batch

FINEST, WIDEST = 0.0625, 1.0
"""Widths of the first panels of the outer integral."""


@dataclass(frozen=True)
class Side:
    """One factor: its function, the mean and standard deviation of its variable, and its kinks in that variable."""

    function: Callable[[np.ndarray], np.ndarray]
    mean: float
    std: float
    kinks: Sequence[float] = ()

    def inner(self, shared: np.ndarray, share: float, rtol: float) -> tuple[np.ndarray, np.ndarray]:
        """E[f | shared part] at shared (n,) standard normal coordinates of the shared part, and its error."""
        centre = self.mean + self.std * np.sqrt(abs(share)) * shared * (1.0 if share >= 0 else -1.0)
        width = self.std * np.sqrt(1.0 - abs(share))
        if width == 0.0:
            value = self.function(centre)
            return value, np.zeros_like(value)
        hints = [((kink - centre) / width, 0.0) for kink in self.kinks]
        size = float(np.mean(np.abs(self.function(self.mean + self.std * np.linspace(-3, 3, 61))))) + 1e-300
        result = gaussian_average_batch(
            lambda xi, index: self.function(centre[index] + width * xi)[None, :],
            shared.size,
            rtol=rtol,
            atol=1e-2 * rtol * size,
            hints=hints,
            start_width=1.0,
        )
        return result.value[0], result.error[0]


def pair_average(left: Side, right: Side, correlation: float, rtol: float) -> tuple[float, float]:
    """Value and absolute error of E[f(x) g(y)]."""
    share = float(np.clip(correlation, -1.0, 1.0))
    inner_error = [0.0]

    def outer(t: np.ndarray, _: np.ndarray) -> np.ndarray:
        f, f_error = left.inner(t, abs(share), 0.1 * rtol)
        g, g_error = right.inner(t, share, 0.1 * rtol)
        worst = np.max((np.abs(f) * g_error + np.abs(g) * f_error) * np.exp(-(t**2) / 2))
        inner_error[0] = max(inner_error[0], float(worst))
        return (f * g)[None, :]

    # The inner averages smear kinks over this distance in t, so that panels of about that width see everything.
    smeared = np.sqrt((1.0 - abs(share)) / max(abs(share), 1e-6))
    result = gaussian_average_batch(
        outer, 1, rtol=rtol, atol=1e-300, start_width=float(np.clip(smeared, FINEST, WIDEST))
    )
    return float(result.value[0, 0]), float(result.error[0, 0]) + inner_error[0]
