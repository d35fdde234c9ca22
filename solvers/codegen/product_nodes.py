"""Nodes and weights of a product rule that is accurate for given integrands, to be used for others like them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from solvers.codegen.sampling import normal_points
from solvers.codegen.tensor import tensor_average

MAX_TENSOR_DIMENSION = 3
LOG2_POINTS = 14
POOR = 1e-4
"""Relative error of a product rule beyond which Sobol points may do better (kinks across the axes)."""


def product_nodes(
    f: Callable[[np.ndarray], np.ndarray],
    dimension: int,
    rtol: float,
    max_evaluations: float = 3e6,
    max_nodes: float = 1e5,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Nodes (d, n), weights (n,) and the relative error of the rule on f.

    f maps coordinates (d, n) to (m, n).  Beyond `MAX_TENSOR_DIMENSION`, and where product rules of at most
    ``max_nodes`` do poorly, the nodes are Sobol points of equal weight.
    """
    if dimension == 0:
        return np.zeros((0, 1)), np.ones(1), 0.0
    if dimension > MAX_TENSOR_DIMENSION:
        return _sobol(f, dimension)
    with np.errstate(all="ignore"):
        size = np.nan_to_num(np.abs(np.atleast_2d(f(normal_points(dimension, 8)))).mean(axis=1), posinf=0.0)
    floor = np.maximum(0.1 * rtol * np.maximum(size, 1e-3 * size.max()), 1e-300)
    fitted = tensor_average(f, dimension, rtol, floor, [None] * dimension, max_evaluations, max_nodes)
    with np.errstate(all="ignore"):
        error = float(np.nanmax(fitted.error / np.maximum(np.abs(fitted.value), 0.1 * size), initial=0.0))
    if error > POOR:
        sampled = _sobol(f, dimension)
        if sampled[2] < error:
            return sampled
    axes = np.meshgrid(*(rule.nodes for rule in fitted.rules), indexing="ij")
    factors = np.meshgrid(*(rule.weights for rule in fitted.rules), indexing="ij")
    nodes = np.array([axis.ravel() for axis in axes])
    weights = np.prod([factor.ravel() for factor in factors], axis=0)
    inside = (np.sum(nodes**2, axis=0) <= fitted.radius**2) & (np.abs(weights) > 1e-18 * np.abs(weights).max())
    return nodes[:, inside], weights[inside], error


def _sobol(f: Callable[[np.ndarray], np.ndarray], dimension: int) -> tuple[np.ndarray, np.ndarray, float]:
    points = [normal_points(dimension, LOG2_POINTS, k) for k in range(2)]
    first, second = (np.atleast_2d(f(x)).mean(axis=1) for x in points)
    scale = np.abs(first).max() + 1e-300
    nodes = np.concatenate(points, axis=1)
    return nodes, np.full(nodes.shape[1], 1.0 / nodes.shape[1]), float(np.abs(first - second).max() / scale)
