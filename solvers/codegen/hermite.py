"""Orthonormal Hermite polynomials, weighted so that they neither overflow nor underflow at the nodes of a rule."""

from __future__ import annotations

import numpy as np


def weighted_hermite(nodes: np.ndarray, weights: np.ndarray, degree: int) -> np.ndarray:
    """h_n(x_i) sqrt(w_i) for n = 0 ... degree, shape (degree + 1, nodes).

    h_n = He_n / sqrt(n!) are orthonormal in the standard normal law: sqrt(n+1) h_{n+1} = x h_n - sqrt(n) h_{n-1}.  With
    weights that hold the density every entry stays below about sqrt(step), since |h_n(x)| <= exp(x^2 / 4) (Cramer).
    """
    basis = np.empty((degree + 1, nodes.size))
    basis[0] = np.sqrt(weights)
    if degree > 0:
        basis[1] = nodes * basis[0]
    for n in range(1, degree):
        basis[n + 1] = (nodes * basis[n] - np.sqrt(n) * basis[n - 1]) / np.sqrt(n + 1.0)
    return basis
