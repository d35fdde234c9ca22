"""Scrambled Sobol averages: the last resort in many dimensions, with a standard error over independent scrambles."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from solvers.budget import check_budget

SCRAMBLES = 16
_SEED = 20240229
_SAFETY = 3.0  # about the 99 % point of Student's t with 15 degrees of freedom
_FIRST_LEVEL = 10
_LAST_LEVEL = 20


@lru_cache(maxsize=32)
def normal_points(dimension: int, level: int, scramble: int = 0) -> np.ndarray:
    """``(dimension, 2**level)`` standard normal coordinates of one scrambled net."""
    seed = np.random.default_rng([_SEED, scramble, level])
    points = qmc.Sobol(dimension, scramble=True, rng=seed).random_base2(level)
    return np.asarray(ndtri(np.clip(points, 2.0**-54, 1.0 - 2.0**-53)).T)


def sobol_average(
    f: Callable[[np.ndarray], np.ndarray], dimension: int, rtol: float, atol: float, max_evaluations: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Value, error (three standard errors over scrambles) of shape ``(m,)``, and the number of evaluations.

    The nets double until the tolerance is met, or the next doubling would exceed ``max_evaluations``.  A non-finite
    integrand at any point gives value nan and error inf.
    """
    evaluations, level = 0, _FIRST_LEVEL
    while True:
        check_budget()
        with np.errstate(all="ignore"):
            means = np.array(
                [np.atleast_2d(f(normal_points(dimension, level, k))).mean(axis=1) for k in range(SCRAMBLES)]
            )
        evaluations += SCRAMBLES * 2**level
        value = means.mean(axis=0)
        spread = np.sqrt(np.mean(np.abs(means - value) ** 2, axis=0) / (SCRAMBLES - 1))
        error = _SAFETY * spread + 1e-15 * np.abs(value)
        bad = ~np.isfinite(value)
        value, error = np.where(bad, np.nan, value), np.where(bad, np.inf, error)
        done = bool(np.all(error <= np.maximum(atol, rtol * np.abs(value)))) or bool(bad.all())
        if done or level >= _LAST_LEVEL or evaluations + SCRAMBLES * 2 ** (level + 1) > max_evaluations:
            return value, error, evaluations
        level += 1
