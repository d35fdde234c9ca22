"""Hermite coefficients of a function of one Gaussian, and covariances of two such functions at many lags.

With x = mean_x + sd_x xi and y = mean_y + sd_y eta, E[xi eta] = rho (Mehler 1866):

    E[f(x) g(y)] = sum_n f_n g_n rho^n,     f_n = E[f(x) h_n(xi)],     h_n orthonormal Hermite polynomials
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from solvers.codegen.hermite import weighted_hermite

REACH = 15.0
"""Nodes run to this many standard deviations; f may grow there as exp(x^2/8) before anything is lost."""

NODES, MOST_NODES = 1201, 9601
DEGREE, HIGHEST_DEGREE = 128, 1024
_RESOLVED = 1e-14
_SAME = 1.0 - 1e-13
_GAIN = 0.1
"""Refinement goes on while it brings at least this factor: for kinks and jumps errors fall slowly, and stay."""


@dataclass(frozen=True)
class Coefficients:
    """f_n for n = 0 ... degree; values of f at the nodes; norm E[f^2]; tail E[f^2] - sum f_n^2; quadrature error."""

    series: np.ndarray
    values: np.ndarray
    norm: float
    tail: float
    quadrature: float


@lru_cache(maxsize=6)
def _table(nodes: int, degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.linspace(-REACH, REACH, nodes)
    w = np.exp(-0.5 * x**2)
    w /= w.sum()
    return x, np.sqrt(w), weighted_hermite(x, w, degree)


def hermite_coefficients(function: Callable[[np.ndarray], np.ndarray], mean: float, sd: float) -> Coefficients:
    """Coefficients of ``function(mean + sd xi)``, with nodes and degree raised while that helps.

    The trapezoidal rule converges exponentially for smooth f; its error is measured against every other node.
    """
    nodes, degree = NODES, DEGREE if sd > 0 else 0
    known = (np.inf, np.inf)
    while True:
        found = _evaluated(function, mean, sd, nodes, degree)
        if not np.isfinite(found.norm) or found.norm == 0:
            return found
        error, tail = found.quadrature / found.norm**0.5, found.tail / found.norm
        if error > _RESOLVED and error < _GAIN * known[0] and nodes < MOST_NODES:
            known = (error, known[1])
            nodes = 2 * (nodes - 1) + 1
        elif tail > _RESOLVED and tail < _GAIN * known[1] and 0 < degree < HIGHEST_DEGREE:
            known = (known[0], tail)
            degree *= 2
        else:
            return found


def _evaluated(
    function: Callable[[np.ndarray], np.ndarray], mean: float, sd: float, nodes: int, degree: int
) -> Coefficients:
    x, root, basis = _table(nodes, degree)
    values = np.broadcast_to(np.asarray(function(mean + sd * x), dtype=float), x.shape) * root
    norm = float(values @ values)
    if not np.isfinite(norm) or norm == 0:
        return Coefficients(np.zeros(degree + 1), values, norm, 0.0, norm)
    series, low = basis @ values, basis[: DEGREE // 2, ::2]
    coarse = 2.0 * (low @ values[::2])
    error = float(np.abs(coarse - series[: len(coarse)]).max())
    error += abs(2.0 * float(values[::2] @ values[::2]) - norm) / norm**0.5
    tail = max(norm - float(series @ series), 0.0)
    return Coefficients(series, values, norm, tail, error)


def covariance_at(f: Coefficients, g: Coefficients, rho: np.ndarray) -> tuple[np.ndarray, float]:
    """E[f(x) g(y)] at correlations rho, shape (n,), and the largest absolute error.

    Where rho is one the average is that of f g at the same point.  The truncated sum misses at most
    |rho|^(degree + 1) sqrt(tail_f tail_g) (Cauchy-Schwarz and Parseval).
    """
    size = min(f.series.size, g.series.size)
    found = np.zeros_like(rho)
    for coefficient in (f.series[:size] * g.series[:size])[::-1]:
        found = found * rho + coefficient
    same = rho >= _SAME
    below = np.abs(rho[~same])
    nearest = float(below.max()) if below.size else 0.0
    left_out = np.sqrt(_tail(f, size) * _tail(g, size)) * nearest**size
    if same.any() and f.values.size == g.values.size:
        found[same] = float(f.values @ g.values)
    elif same.any():
        left_out = max(left_out, np.sqrt(_tail(f, size) * _tail(g, size)))
    rounding = 1e-15 * (f.norm * g.norm) ** 0.5
    return found, float(left_out + f.quadrature * g.norm**0.5 + g.quadrature * f.norm**0.5 + rounding)


def _tail(c: Coefficients, size: int) -> float:
    return max(c.norm - float(c.series[:size] @ c.series[:size]), 0.0)
