"""Coordinates for jointly Gaussian variables: independent standard normals, only as many as there are directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RANK_TOLERANCE = 1e-14
"""Directions with less than this share of the largest variance carry no weight in float64."""


@dataclass(frozen=True)
class Geometry:
    """How standard normals become forms: y = mean + spread @ xi; then one extra xi for each conditional form
    (none where all of them are constant)."""

    mean: np.ndarray
    spread: np.ndarray
    conditional: int

    @property
    def dimension(self) -> int:
        """Standard normals needed."""
        return self.spread.shape[1] + self.conditional


def pivoted_cholesky(covariance: np.ndarray) -> np.ndarray:
    """B with B B^T = covariance, one column for each direction that has weight; (n, rank).

    Pivoting takes the largest remaining variance first, so that a direction shared by all forms comes first.
    """
    size = covariance.shape[0]
    rest = covariance.astype(float).copy()
    scale = float(np.max(np.diag(rest), initial=0.0))
    columns: list[np.ndarray] = []
    for _ in range(size):
        pivot = int(np.argmax(np.diag(rest)))
        if not rest[pivot, pivot] > RANK_TOLERANCE * scale:
            break
        column = rest[:, pivot] / np.sqrt(rest[pivot, pivot])
        columns.append(column)
        rest = rest - np.outer(column, column)
    return np.array(columns).T.reshape(size, len(columns))


def regressed_spread(covariance: np.ndarray, factor: int | None) -> np.ndarray:
    """B for forms of which one, number ``factor``, enters only as a plain factor.

    E[x g(y)] = E[E[x | y] g(y)]: such a form may be replaced by its regression on the others, and needs no direction of
    its own.
    """
    size = covariance.shape[0]
    if factor is None or size < 2:
        return pivoted_cholesky(covariance)
    others = [k for k in range(size) if k != factor]
    inner = covariance[np.ix_(others, others)]
    slopes = covariance[factor, others] @ np.linalg.pinv(inner, rcond=RANK_TOLERANCE, hermitian=True)
    columns = pivoted_cholesky(inner)
    spread = np.zeros((size, columns.shape[1]))
    spread[others] = columns
    spread[factor] = slopes @ columns
    return spread
