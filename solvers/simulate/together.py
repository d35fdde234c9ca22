"""Several initial states of one network followed at once: each product is a matrix times a matrix."""

from __future__ import annotations

import numpy as np
from scipy import integrate

from solvers.simulate.elementwise import Array
from solvers.simulate.fixed_point import HANDOVER, RUNAWAY, FixedPoint, relax
from solvers.simulate.network import Network


def relax_together(
    network: Network, initial: Array, *, tolerance: float = 1e-10, max_steps: int = 3000, max_time: float = 2000.0
) -> list[FixedPoint]:
    """`relax` from each of M initial states, (S, N, M), which share weights, biases and inputs.

    They are followed together until all of them have come to rest, or as long as `relax` would follow one; each is
    then settled by itself.
    """
    initial = np.asarray(initial, dtype=float)
    follow = _iterated if network.cell.time == "discrete" else _integrated
    limit = RUNAWAY * max(1.0, float(np.sqrt(np.mean(initial**2))))
    state = follow(network, initial, limit, max_steps, max_time)
    # One that has come to rest is settled in a few steps; one that has not is given up as quickly.
    return [relax(network, state[..., m], tolerance=tolerance, max_steps=_LEFT) for m in range(initial.shape[-1])]


_LEFT = 100
"""Steps that one initial state may still take by itself."""


def _iterated(network: Network, state: Array, limit: float, steps: int, _time: float) -> Array:
    for _ in range(steps):
        following = network.evaluate(state).new_state
        size = np.max(np.abs(following))
        if not size <= limit or np.max(np.abs(following - state)) <= HANDOVER * max(1.0, size):
            return following
        state = following
    return state


def _integrated(network: Network, state: Array, limit: float, steps: int, time: float) -> Array:
    shape = state.shape

    def flow(_t: float, flat: Array) -> Array:
        return network.evaluate(flat.reshape(shape)).new_state.ravel()

    solver = integrate.RK23(flow, 0.0, state.ravel(), time, rtol=1e-5, atol=1e-2 * HANDOVER)
    for _ in range(steps):
        if solver.status != "running":
            break
        solver.step()
        size = np.max(np.abs(solver.y))
        if not size <= limit or np.max(np.abs(solver.f)) <= HANDOVER * max(1.0, size):
            break
    return np.asarray(solver.y.reshape(shape))
