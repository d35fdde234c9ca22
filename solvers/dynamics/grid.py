"""A periodic window of lags: functions of the lag as arrays, their spectra, and refinements of either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """n lags at spacing dt, on a circle: lag j dt for j < n/2, (j - n) dt beyond."""

    n: int
    dt: float

    @property
    def window(self) -> float:
        """Length of the circle."""
        return self.n * self.dt

    @property
    def lags(self) -> np.ndarray:
        """Distance to lag zero around the circle, (n,)."""
        steps = np.arange(self.n)
        return self.dt * np.minimum(steps, self.n - steps)

    @property
    def frequencies(self) -> np.ndarray:
        """Angular frequencies of the real transform, per unit of time, (n/2 + 1,)."""
        return 2.0 * np.pi * np.fft.rfftfreq(self.n, self.dt)

    def spectrum(self, covariance: np.ndarray) -> np.ndarray:
        """Transform along the last axis."""
        return np.fft.rfft(covariance, axis=-1)

    def covariance(self, spectrum: np.ndarray) -> np.ndarray:
        """Inverse of `spectrum`."""
        return np.fft.irfft(spectrum, self.n, axis=-1)

    def reflected(self, covariance: np.ndarray) -> np.ndarray:
        """C(-tau) of a covariance C(tau), (n,)."""
        return np.roll(covariance[::-1], 1)

    def bell(self, variances: np.ndarray, width: float) -> np.ndarray:
        """A first guess of K covariances: Gaussians of the lag with these variances (K,), (K, K, n)."""
        found = np.zeros((len(variances), len(variances), self.n))
        for k, variance in enumerate(variances):
            found[k, k] = variance * np.exp(-0.5 * (self.lags / width) ** 2)
        return found

    def field_covariances(
        self, groups: Sequence[Sequence[int]], count: int, pair: Callable[[int, int], np.ndarray]
    ) -> np.ndarray:
        """(K, K, n) of K fields from that of ``pair`` (k, m), for k before m of one matrix; zero between matrices."""
        found = np.zeros((count, count, self.n))
        for members in groups:
            for position, k in enumerate(members):
                for m in members[position:]:
                    found[k, m] = pair(k, m)
                    if k != m:
                        found[m, k] = self.reflected(found[k, m])
        return found

    def longer(self) -> Grid:
        """Twice the window."""
        return Grid(2 * self.n, self.dt)

    def finer(self) -> Grid:
        """Half the spacing."""
        return Grid(2 * self.n, 0.5 * self.dt)

    def onto(self, covariance: np.ndarray, other: Grid) -> np.ndarray:
        """A covariance on this grid carried to one that is longer or finer."""
        if other == self:
            return covariance
        if other.dt == self.dt:
            half = self.n // 2
            between = np.repeat(covariance[..., half : half + 1], other.n - self.n, axis=-1)
            return np.concatenate([covariance[..., :half], between, covariance[..., half:]], axis=-1)
        spectrum = self.spectrum(covariance)
        spectrum[..., -1] *= 0.5
        padded = np.zeros((*spectrum.shape[:-1], other.n // 2 + 1), dtype=complex)
        padded[..., : spectrum.shape[-1]] = spectrum
        return np.fft.irfft(padded, other.n, axis=-1) * (other.n / self.n)
