"""Anderson acceleration (1965) of a fixed-point iteration x -> F(x)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from solvers.budget import check_budget

MEMORY = 8
_REGULAR = 1e-10
_GROWN = 1e12
_RESTART = 1e3


@dataclass(frozen=True)
class Mixed:
    """Where the iteration stopped: the point, its residual max|F(x) - x|, steps, and whether it blew up."""

    x: np.ndarray
    residual: float
    steps: int
    diverged: bool


def anderson(
    step: Callable[[np.ndarray], np.ndarray], start: np.ndarray, *, tolerance: float, most: int = 400, plain: int = 3,
) -> Mixed:  # fmt: skip
    """Iterate until max|F(x) - x| <= tolerance * max|x|; ``plain`` steps without acceleration come first.

    diverged : the iterate grew by more than 1e12, or stopped being finite.
    """
    x, best = start, (np.inf, start)
    points: list[np.ndarray] = []
    residuals: list[np.ndarray] = []
    scale = max(float(np.abs(start).max()), 1e-300)
    for number in range(most):
        check_budget()
        r = step(x) - x
        size = float(np.abs(r).max()) if np.isfinite(r).all() else np.inf
        if not np.isfinite(size) or np.abs(x).max() > _GROWN * max(scale, 1.0):
            return Mixed(x, size, number, True)
        if size < best[0]:
            best = (size, x)
        if size <= tolerance * max(float(np.abs(x).max()), 1e-300):
            return Mixed(x, size, number, False)
        if size > _RESTART * best[0] and number > plain:
            x, points, residuals = best[1], [], []
            r = step(x) - x
        points, residuals = [*points, x][-MEMORY:], [*residuals, r][-MEMORY:]
        x = x + r
        if number >= plain and len(points) > 1:
            dR = np.diff(np.array(residuals), axis=0).T
            dX = np.diff(np.array(points), axis=0).T
            x = x - (dX + dR) @ np.linalg.lstsq(dR, r, rcond=_REGULAR)[0]
    return Mixed(best[1], best[0], most, False)
