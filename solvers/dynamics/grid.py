"""A periodic window of lags: functions of the lag as arrays, their spectra, and refinements of either."""

from __future__ import annotations

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
