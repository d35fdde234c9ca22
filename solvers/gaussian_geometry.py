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
