"""Where searches for fixed points begin: along a trajectory, and at Gaussian states of its size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from solvers.simulate.elementwise import Array
from solvers.simulate.network import Network
from solvers.simulate.runaway import Runaway
from solvers.simulate.stepper import chosen_step

TRANSIENT, SPACING = 50.0, 3.0
"""Time before the first start on a trajectory, and between two of them."""

SIZES = 0.2, 1.6
"""Range of the sizes of Gaussian starts, in units of that of the trajectory."""

TOLERANCE = 1e-2
"""Error of an integration step for each unit of time: starts need not lie on an exact trajectory."""


def starts(network: Network, rng: np.random.Generator) -> Iterator[Array]:
    """States (S, N), without end: every second one on a trajectory, unless that rests, repeats or diverges."""
    trajectory = _Trajectory(network, network.random_state())
    sizes = trajectory.settle()
    while True:
        own = trajectory.next()
        if own is not None:
            yield own
        low, high = SIZES
        yield rng.uniform(low, high) * sizes[:, None] * rng.standard_normal((len(sizes), network.N))


class _Trajectory:
    def __init__(self, network: Network, state: Array) -> None:
        self._stepper = chosen_step(network, state, state[:, None], TOLERANCE)
        self._runaway, self.state, self._over = Runaway(state), state, False

    def settle(self) -> Array:
        """Follow the transient; the root mean square of each state in the end, one where the trajectory is no help."""
        squares = []
        for _ in range(round(TRANSIENT / SPACING)):
            self._follow(SPACING)
            squares.append(np.mean(self.state**2, axis=1))
        half = np.sqrt(np.mean(squares[len(squares) // 2 :], axis=0))
        known = np.isfinite(half) & (half > 1e-3) & (not self._runaway(self.state))
        return np.asarray(np.where(known, half, 1.0))

    def next(self) -> Array | None:
        """The next start, None once there is nothing new to see."""
        if self._over:
            return None
        self._follow(SPACING)
        self._over = self._runaway(self.state) or self._stepper.rests(self.state)
        return None if self._runaway(self.state) else self.state

    def _follow(self, time: float) -> None:
        for _ in range(max(1, round(time / self._stepper.dt))):
            if self._runaway(self.state):
                return
            self.state = self._stepper.advance(self.state)
