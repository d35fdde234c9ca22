"""The part of an exported file that is the same for every cell; its source is copied into the file."""

from collections.abc import Callable, Sequence

import numpy as np

ACCURACY = 1e-10
MOST_NODES = 10_000_000
RADIUS = 8.5


def nodes(step: float, steepness: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of E[f(xi)] over one standard normal: the trapezoid rule in t for xi = sinh(t) / steepness.

    Spacing grows with the distance from zero, so that a switch of width 1 / steepness at zero is resolved as well.
    """
    count = int(np.arcsinh(RADIUS * steepness) / step)
    t = step * np.arange(-count, count + 1)
    xi = np.sinh(t) / steepness
    return xi, step * np.cosh(t) / steepness * np.exp(-0.5 * xi * xi) / np.sqrt(2 * np.pi)


def grid(steps: Sequence[float], steepness: float) -> tuple[np.ndarray, np.ndarray]:
    """A product rule with one step for each direction: points (d, n) and weights (n,)."""
    rules = [nodes(step, steepness) for step in steps]
    points = np.array(np.meshgrid(*[xi for xi, _ in rules], indexing="ij")).reshape(len(rules), -1)
    weights = np.ones(1)
    for _, weight in rules:
        weights = np.multiply.outer(weights, weight).ravel()
    return points, weights


def factor(covariance: np.ndarray) -> np.ndarray:
    """B with B B^T = covariance, one column for each direction that has variance, the largest first."""
    rest = np.array(covariance, dtype=float)
    columns: list[np.ndarray] = []
    scale = max(rest.diagonal(), default=0.0)
    for _ in range(len(rest)):
        k = int(np.argmax(rest.diagonal()))
        if not rest[k, k] > 1e-14 * scale:
            break
        columns.append(rest[:, k] / np.sqrt(rest[k, k]))
        rest = rest - np.outer(columns[-1], columns[-1])
    return np.array(columns).reshape(-1, len(rest)).T


def split(moments: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n,) and covariance (n, n) from one list of n + n^2 numbers."""
    n = int(np.sqrt(len(moments)))
    flat = np.array(moments, dtype=float)
    return flat[:n], flat[n:].reshape(n, n)


def expectation(
    integrand: Callable[[np.ndarray, np.ndarray], np.ndarray],
    mean: np.ndarray,
    covariance: np.ndarray,
    extra: int = 0,
) -> complex:
    """E[f(y, xi)] over y ~ N(mean, covariance) and ``extra`` standard normals xi.

    The step of each direction is halved until the result stands still; a warning says so if it does not.
    """
    spread = factor(covariance)
    rank = spread.shape[1]
    dimension = rank + extra
    if dimension == 0:
        return complex(np.mean(integrand(mean[:, None], np.zeros((0, 1)))))
    first, steepness = {1: (0.02, 50.0), 2: (0.2, 20.0)}.get(dimension, (0.25, 8.0))

    steps = [first] * dimension
    while True:
        points, weights = grid(steps, steepness)
        with np.errstate(all="ignore"):
            values = integrand(mean[:, None] + spread @ points[:rank], points[rank:])
        terms = (np.broadcast_to(values, weights.shape) * weights).reshape([len(nodes(h, steepness)[0]) for h in steps])
        value, size = np.sum(terms), np.sum(np.abs(terms))
        # Every second node of a direction makes the rule with twice the step.
        moved = [abs(value - 2 * np.sum(terms.take(range(n // 2 % 2, n, 2), k))) for k, n in enumerate(terms.shape)]
        rough = [change > max(ACCURACY * size, 1e-3 * max(moved)) for change in moved]
        steps = [step / 2 if more else step for step, more in zip(steps, rough, strict=True)]
        if not max(moved) > ACCURACY * size:
            return complex(value)
        if np.prod([2 * np.arcsinh(RADIUS * steepness) / step for step in steps]) > MOST_NODES:
            print(f"warning: an average is known to {max(moved) / size:.0e} at worst, not to {ACCURACY:.0e}")
            return complex(value)


def mixed(
    parts: Sequence[Sequence[int]],
    weights: Sequence[np.ndarray],
    mean: np.ndarray,
    covariance: np.ndarray,
    xi: np.ndarray,
) -> list[np.ndarray]:
    """Sums of Gaussians with site-dependent weights: given the weights they are jointly Gaussian.

    parts : which of the Gaussians (mean, covariance) belong to each sum; weights : (Gaussians, n).
    """
    w = np.array([np.broadcast_to(one, xi.shape[1:]) for one in weights], dtype=float)
    sums: list[np.ndarray] = []
    rows: list[list[np.ndarray]] = []
    for k, own in enumerate(map(list, parts)):
        row: list[np.ndarray] = []
        for m, other in enumerate(map(list, parts[: k + 1])):
            shared = np.einsum("in,ij,jn->n", w[own], covariance[np.ix_(own, other)], w[other])
            shared = shared - sum(row[j] * (rows[m] if m < k else row)[j] for j in range(m))
            if m < k:
                scale = rows[m][m]
                row.append(np.divide(shared, scale, out=np.zeros_like(shared), where=scale > 0))
            else:
                row.append(np.sqrt(np.maximum(shared, 0.0)))
        rows.append(row)
        sums.append(mean[own] @ w[own] + sum(row[j] * xi[j] for j in range(k + 1)))
    return sums
