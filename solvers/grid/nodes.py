"""E[g(m + s xi)] at many (m, s) at once: what tables are made of.

The trapezoid rule converges exponentially for analytic integrands under a Gaussian; nodes are doubled until two
interleaved rules agree.  What does not settle (kinks, far tails) goes to the adaptive rule.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from solvers.budget import check_budget
from solvers.codegen.quadrature import gaussian_average_batch

Function = Callable[[np.ndarray], np.ndarray]

SETTLED = 2e-14
"""Relative difference of two interleaved rules below which their mean is taken as exact to rounding."""

REACH, WIDEST, FINEST = 9.0, 0.25, 2.0**-8
"""Range of xi, first and last spacing of the trapezoid rule."""

_BLOCK = 400_000


def averages_at(g: Function, mean: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[g(mean + spread xi)] and relative errors, arrays of the shape of ``mean``; spread > 0."""
    m, s = np.broadcast_arrays(np.asarray(mean, float), np.asarray(spread, float))
    shape, m, s = m.shape, m.ravel(), s.ravel()
    value, error = np.full(m.size, np.nan), np.full(m.size, np.inf)
    waiting = np.arange(m.size)
    step = WIDEST
    with np.errstate(all="ignore"):
        coarse, _ = _trapezoid(g, m, s, step, 0.0)
        while waiting.size and step >= FINEST:
            shifted, edge = _trapezoid(g, m[waiting], s[waiting], step, 0.5 * step)
            fine = 0.5 * (coarse + shifted)
            gap = np.abs(coarse - shifted) / np.abs(fine)
            done = (gap < SETTLED) & (edge < 1e-16 * np.abs(fine))
            value[waiting[done]], error[waiting[done]] = fine[done], gap[done] + 4e-16
            waiting, coarse, step = waiting[~done], fine[~done], 0.5 * step
    if waiting.size:
        value[waiting], error[waiting] = _adaptive(g, m[waiting], s[waiting])
    return value.reshape(shape), error.reshape(shape)


def _trapezoid(
    g: Function, m: np.ndarray, s: np.ndarray, step: float, shift: float
) -> tuple[np.ndarray, np.ndarray]:
    """The rule with nodes shift + k step, and the size of its outermost terms."""
    count = int(np.ceil(REACH / step))
    xi = shift + step * np.arange(-count, count + (shift == 0.0))
    weight = step * np.exp(-0.5 * xi * xi) / np.sqrt(2 * np.pi)
    total, edge = np.empty(m.size), np.empty(m.size)
    block = max(1, _BLOCK // xi.size)
    for k in range(0, m.size, block):
        check_budget()
        part = slice(k, k + block)
        values = np.broadcast_to(g(m[part, None] + s[part, None] * xi), (m[part].size, xi.size))
        total[part] = values @ weight
        edge[part] = np.abs(values[:, 0]) * weight[0] + np.abs(values[:, -1]) * weight[-1]
    return total, edge


def _adaptive(g: Function, m: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def integrand(xi: np.ndarray, index: np.ndarray) -> np.ndarray:
        return np.atleast_2d(g(m[index] + s[index] * xi))

    found = gaussian_average_batch(integrand, m.size, rtol=1e-13, hints=[(-m / s, 1.0 / s)])
    with np.errstate(all="ignore"):
        return found.value[0], found.error[0] / np.abs(found.value[0])
