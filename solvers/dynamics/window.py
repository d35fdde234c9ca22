"""How a sampled covariance ends: a taper that keeps far lags, which hold noise alone, out of the next iteration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.dynamics.grid import Grid

SHARE = 0.25
"""Reach of the taper as a share of the circle: four times as much time is sampled as is kept."""


@dataclass(frozen=True)
class Window:
    """A taper: one up to lag reach/2, falling as a squared cosine to zero at ``reach``.

    Beyond ``reach`` a covariance is its plateau, which differences between units that last for ever leave.
    """

    grid: Grid
    reach: float

    @property
    def weights(self) -> np.ndarray:
        """The taper at every lag, (n,)."""
        beyond = np.clip(2.0 * self.grid.lags / self.reach - 1.0, 0.0, 1.0)
        return 0.5 * (1.0 + np.cos(np.pi * beyond))

    def plateau(self, C: np.ndarray) -> np.ndarray:
        """Mean beyond the reach, (K, K)."""
        return np.asarray(C[..., self.grid.lags > self.reach].mean(axis=-1))

    def tapered(self, C: np.ndarray, still: np.ndarray) -> np.ndarray:
        """C with noise removed from far lags; plateaus only where ``still`` (K, K) lets them be."""
        plateau = (self.plateau(C) * still)[..., None]
        return plateau + (C - plateau) * self.weights

    def tails(self, raw: np.ndarray) -> tuple[float, float]:
        """Root mean square of the connected covariance, over that at lag zero: where the taper begins, and beyond it.

        raw : before tapering.  What is beyond is noise, unless correlations never decay.
        """
        lags = self.grid.lags
        edge, far = (lags >= 0.375 * self.reach) & (lags <= 0.5 * self.reach), lags > self.reach
        connected = raw - self.plateau(raw)[..., None]
        shares = [(0.0, 0.0)]
        for k in range(raw.shape[0]):
            if connected[k, k, 0] > 1e-9 * abs(raw[k, k, 0]):
                sizes = [float(np.sqrt(np.mean(connected[k, k, part] ** 2))) for part in (edge, far)]
                shares.append((sizes[0] / connected[k, k, 0], sizes[1] / connected[k, k, 0]))
        return max(share for share, _ in shares), max(share for _, share in shares)

    def left(self, raw: np.ndarray) -> float:
        """What is left of correlations where the taper begins, the part that is noise subtracted."""
        edge, far = self.tails(raw)
        return float(np.sqrt(max(edge**2 - far**2, 0.0)))


def whole(grid: Grid) -> Window:
    """The window of a circle."""
    return Window(grid, SHARE * grid.window)
