"""Canonical correlations: coordinates in which two Gaussian vectors are correlated pair by pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.gaussian_geometry import pivoted_cholesky

_NEGLIGIBLE = 1e-14


@dataclass(frozen=True)
class Canonical:
    """x = mean + left @ xi and y = mean + right @ eta with standard normals E[xi_i eta_j] = correlations_i delta_ij.

    left: (forms of x, p); right: (forms of y, q); correlations: (min(p, q),), largest modulus first; symmetric: x and y
    have the same law and the same coordinates, so that left = right.
    """

    left: np.ndarray
    right: np.ndarray
    correlations: np.ndarray
    symmetric: bool

    @property
    def ranks(self) -> tuple[int, int]:
        """Directions of x and of y."""
        return self.left.shape[1], self.right.shape[1]


def canonical_directions(
    left: np.ndarray, right: np.ndarray, cross: np.ndarray, *, mirrored: bool = False
) -> Canonical:
    """Coordinates from the covariances of x (left), of y (right) and between them (cross: rows x, columns y).

    Both are whitened, and the covariance that is left is diagonalised (Hotelling 1936).  ``mirrored`` asks for the same
    coordinates on both sides where the law allows it; correlations may then be negative.
    """
    whole = max(float(np.abs(left).max()), float(np.abs(right).max()))
    near = _NEGLIGIBLE * whole
    symmetric = mirrored and bool(
        np.abs(left - right).max() <= near and np.abs(cross - cross.T).max() <= near
    )
    first = pivoted_cholesky(left)
    second = first if symmetric else pivoted_cholesky(right)
    between = np.linalg.pinv(first) @ cross @ np.linalg.pinv(second).T
    # Rounding must not turn the axes of forms that are equally correlated.
    between[np.abs(between) < _NEGLIGIBLE] = 0.0
    if symmetric:
        values, vectors = np.linalg.eigh(0.5 * (between + between.T))
        order = np.argsort(-np.abs(values), kind="stable")
        rotated = first @ vectors[:, order]
        return Canonical(rotated, rotated, np.clip(values[order], -1.0, 1.0), True)
    u, values, vt = np.linalg.svd(between)
    return Canonical(first @ u, second @ vt.T, np.clip(values, 0.0, 1.0), False)
