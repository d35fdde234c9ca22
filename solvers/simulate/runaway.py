"""Trajectories that grow without bound."""

from __future__ import annotations

import numpy as np

from solvers.simulate.elementwise import Array

GROWTH = 1e6
"""Growth of the mean square of a state that counts as divergence."""


def mean_square(state: Array) -> float:
    """The largest mean square over units of a state (S, N, ...)."""
    with np.errstate(all="ignore"):
        return float(np.max(np.mean(state**2, axis=1)))


class Runaway:
    """Whether a trajectory from one state has diverged: the mean square of a state has grown by 1e6, or is not finite.
    """

    def __init__(self, start: Array) -> None:
        self._limit = GROWTH * max(1.0, mean_square(start))

    def __call__(self, state: Array) -> bool:
        return not mean_square(state) <= self._limit  # also true for nan
