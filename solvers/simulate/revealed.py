"""A Gaussian matrix that is drawn only as far as it is looked at.

W with independent entries N(0, 1/N) maps orthonormal directions to independent N(0, 1/N) vectors.  A matrix that is
asked for W v only, a few times, can therefore be drawn along those v alone: the part of v in directions seen before
has its image already, the rest gets a fresh one.  Nothing is approximated: all products together have exactly the
law they would have with all N^2 entries drawn, at the cost of N numbers per new direction.
"""

from __future__ import annotations

import numpy as np

from solvers.simulate.elementwise import Array

ROUNDING = 1e-14
ORTHOGONAL = 1e-12
PASSES = 4


class RevealedGaussian:
    """gain times an (N, N) matrix of independent N(0, 1/N) entries; ``matrix @ v`` for v of shape (N,) or (N, M)."""

    def __init__(self, gain: float, N: int, rng: np.random.Generator) -> None:
        self._scale, self._N, self._rng = gain / np.sqrt(N), N, rng
        self._directions: Array = np.empty((N, 0))  # orthonormal
        self._images: Array = np.empty((N, 0))  # sqrt(N) times what a matrix of gain 1 makes of them

    def __matmul__(self, operand: Array) -> Array:
        if self._scale == 0:
            return np.zeros_like(operand)
        columns = operand.reshape(self._N, -1)
        rest = columns - self._directions @ (self._directions.T @ columns)
        if not np.linalg.norm(rest) <= ROUNDING * np.linalg.norm(columns):  # nan goes on to be seen in the result
            self._reveal(rest)
        result: Array = self._scale * (self._images @ (self._directions.T @ columns))
        return result.reshape(operand.shape)

    def _reveal(self, rest: Array) -> None:
        """Add the directions of these columns.  A column that is zero up to rounding adds an arbitrary one: harmless,
        for the matrix is isotropic in what has not been seen."""
        room = self._N - self._directions.shape[1]
        if rest.shape[1] > room:  # more columns than directions are left: any basis of what is left will do
            rest = self._rng.standard_normal((self._N, room))
        for _ in range(PASSES):
            rest = np.linalg.qr(rest - self._directions @ (self._directions.T @ rest))[0]
            if not np.any(np.abs(self._directions.T @ rest) > ORTHOGONAL):
                break
        self._directions = np.hstack([self._directions, rest])
        self._images = np.hstack([self._images, self._rng.standard_normal(rest.shape)])
