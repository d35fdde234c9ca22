"""Stationary Gaussian paths on a circle of lags, from their spectra and from noise that is drawn once.

The same noise serves every covariance (common random numbers), so that one step of the mean field is a smooth function
of the covariance, and its fixed point is found to any accuracy for this noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft
from scipy.special import ndtri

from solvers.dynamics.grid import Grid


def stratified_normals(random: np.random.Generator, count: int) -> np.ndarray:
    """Standard normal numbers, one in each of ``count`` cells of equal weight, in random order, (count,)."""
    cells = random.permutation(count) + random.random(count)
    return ndtri(np.clip(cells / count, 1e-16, 1.0 - 1e-16))


class PathNoise:
    """Standard noise of ``fields`` fields on ``paths`` paths: xi of shape (n/2 + 1, fields, paths), E[xi xi*] = 1.

    Control: at every frequency xi is turned and scaled so that its second moments over the paths are exactly those
    asked for, and its mean is zero.  Whatever part of the operands is a linear filter of the fields then has no
    sampling error at all.  The zero frequency stands for differences between units that last for ever; as time does
    not average over them, they, and the ``constant`` numbers (biases, constant inputs), are stratified over the paths.
    """

    def __init__(self, random: np.random.Generator, grid: Grid, fields: int, constant: int, paths: int) -> None:
        shape = (grid.n // 2 + 1, fields, paths)
        self.grid = grid
        xi = (random.standard_normal(shape) + 1j * random.standard_normal(shape)) * np.sqrt(0.5)
        xi[-1] = random.standard_normal(shape[1:])
        still = np.array([stratified_normals(random, paths) for _ in range(fields + constant)]).reshape(-1, paths)
        still = _whitened(still[None])[0]
        xi[0] = still[:fields]
        xi[1:] = _whitened(xi[1:])
        self.xi, self.constant = xi, still[fields:].real

    def paths(self, C: np.ndarray, members: list[int], refine: int) -> np.ndarray:
        """Paths of fields that share a matrix, C_kl(tau) = E[u_k(t) u_l(t + tau)] (size, size, n): (size, refine n, M).

        refine : how many points for each lag; between lags the paths are band-limited.
        """
        spectrum = np.moveaxis(self.grid.spectrum(C), -1, 0)
        amplitude = self._root(np.conj(spectrum)) @ self.xi[:, members]
        n = self.grid.n
        if refine > 1:
            amplitude[-1] *= 0.5
        fine = fft.irfft(amplitude, refine * n, axis=0) * (refine * np.sqrt(n))
        return np.ascontiguousarray(np.swapaxes(fine, 0, 1))

    @staticmethod
    def _root(spectrum: np.ndarray) -> np.ndarray:
        """A with A A* = S at every frequency; what is not positive in S is left out."""
        if spectrum.shape[-1] == 1:
            return np.sqrt(np.maximum(spectrum.real, 0.0)).astype(complex)
        values, vectors = np.linalg.eigh(spectrum)
        roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        # The principal root: unlike the eigenvectors it is a smooth function of S.
        return roots @ np.conj(np.swapaxes(vectors, 1, 2))


def _whitened(xi: np.ndarray) -> np.ndarray:
    """Noise (n, size, M) with means zero and second moments one over the last axis; as drawn if M is too small."""
    count = xi.shape[-1]
    if xi.shape[1] == 0 or count < 4 * xi.shape[1]:
        return xi
    centred = xi - xi.mean(axis=-1, keepdims=True)
    second = centred @ np.conj(np.swapaxes(centred, 1, 2)) / count
    return np.linalg.solve(np.linalg.cholesky(second), centred)


def mean_covariance(grid: Grid, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Mean over paths and times of x(t) y(t + tau) on the circle; paths (n, M) each, (n,)."""
    X = fft.rfft(left, axis=0)
    Y = X if right is left else fft.rfft(right, axis=0)
    power = np.einsum("wm,wm->w", np.conj(X), Y) / left.shape[1]
    return fft.irfft(power, grid.n) / grid.n


def groups_of(numbers: Sequence[int]) -> list[list[int]]:
    """Positions of equal entries, in order of first appearance."""
    found: dict[int, list[int]] = {}
    for position, number in enumerate(numbers):
        found.setdefault(number, []).append(position)
    return list(found.values())
