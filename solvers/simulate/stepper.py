"""One step along a trajectory with tied weights: the map itself, or a Runge-Kutta step of the flow.

The classical method of fourth order (RK4) moves flows.  Tangents are moved by the same method applied to the linearised
flow, which is exactly the derivative of the step, so that growth rates belong to the trajectory that is followed.
"""

from __future__ import annotations

import numpy as np

from derive.errors import AnsatzError, ParameterError
from solvers.simulate.elementwise import Array
from solvers.simulate.fixed_point import velocity
from solvers.simulate.network import Inputs, Network

RICHARDSON = 16.0 / 15.0
"""A step minus two half ones, times this, is the error of the step for a method of fourth order."""

LONGEST, SHORTEST = 1.0, 2.0**-13
"""Steps, in the time unit of the cell, between which one is chosen."""

AT_REST = 1e-7
"""Root mean square velocity, relative to the state, below which it has come to rest."""


class Stepper:
    """Moves states (S, N) and directions (S, M, N) of one network.

    Attributes
    ----------
    network : it holds the inputs, which are drawn afresh before each step where they are iid in time
    dt : time of one step, in units of the cell; 1 for a map

    Raises
    ------
    AnsatzError : a flow is driven by inputs that are independent at all times
    """

    def __init__(self, network: Network, dt: float = 1.0) -> None:
        self.network = network
        self.discrete = network.cell.time == "discrete"
        self.dt = 1.0 if self.discrete else dt
        given = network.settings.inputs
        self.driven = tuple(name for name, own in given.items() if own.moves)
        if self.driven and not self.discrete:
            raise AnsatzError(
                f"input {self.driven[0]} is independent at all times, which has no meaning for a flow; "
                'write  time = "constant"  under [inputs], or the map of a time step with name\' = ...'
            )

    def inputs(self) -> Inputs:
        """Inputs of the next step."""
        network = self.network
        if not self.driven:
            return network.inputs
        (drawn,) = network.draw_inputs(1)
        return {name: drawn[name] if name in self.driven else held for name, held in network.inputs.items()}

    def advance(self, state: Array, inputs: Inputs | None = None) -> Array:
        """The state one step later, with fresh inputs unless some are given."""
        if self.discrete:
            return self.network.evaluate(state, self.inputs() if inputs is None else inputs).new_state
        return self._runge_kutta(state, self.dt)

    def pull(self, state: Array, covectors: Array, inputs: Inputs) -> Array:
        """Transpose of the derivative of the step that starts at state (S, N), times covectors (S, N, M)."""
        if self.discrete:
            return self.network.vjp(state, covectors, inputs)
        return self._runge_kutta_pull(state, covectors, self.dt)

    def push(self, state: Array, directions: Array) -> tuple[Array, Array]:
        """State and directions one step later."""
        if self.discrete:
            return self.network.push(state, directions, self.inputs())
        return self._runge_kutta_push(state, directions, self.dt)

    def error(self, state: Array, directions: Array) -> float:
        """Relative error of one step for each unit of time, the larger one of state and directions; 0 for a map."""
        if self.discrete:
            return 0.0
        whole = self._runge_kutta_push(state, directions, self.dt)
        half = self._runge_kutta_push(state, directions, 0.5 * self.dt)
        half = self._runge_kutta_push(*half, 0.5 * self.dt)
        with np.errstate(all="ignore"):
            gaps = [_rms(a - b) / max(_rms(b), 1e-12) for a, b in zip(whole, half, strict=True)]
        return float(RICHARDSON * max(gaps) / self.dt)

    def rests(self, state: Array) -> bool:
        """Whether nothing moves at a state (S, N)."""
        return not self.driven and _rms(velocity(self.network, state)) <= AT_REST * max(1.0, _rms(state))

    def _flow(self, state: Array) -> Array:
        return self.network.evaluate(state).new_state

    def _runge_kutta(self, state: Array, dt: float) -> Array:
        with np.errstate(all="ignore"):
            first = self._flow(state)
            second = self._flow(state + 0.5 * dt * first)
            third = self._flow(state + 0.5 * dt * second)
            fourth = self._flow(state + dt * third)
            moved: Array = state + dt / 6.0 * (first + 2.0 * (second + third) + fourth)
        return moved

    def _runge_kutta_push(self, x: Array, d: Array, dt: float) -> tuple[Array, Array]:
        push = self.network.push
        with np.errstate(all="ignore"):
            x1, d1 = push(x, d)
            x2, d2 = push(x + 0.5 * dt * x1, d + 0.5 * dt * d1)
            x3, d3 = push(x + 0.5 * dt * x2, d + 0.5 * dt * d2)
            x4, d4 = push(x + dt * x3, d + dt * d3)
            return x + dt / 6.0 * (x1 + 2.0 * (x2 + x3) + x4), d + dt / 6.0 * (d1 + 2.0 * (d2 + d3) + d4)

    def _runge_kutta_pull(self, x: Array, w: Array, dt: float) -> Array:
        linearise = self.network.linearise
        with np.errstate(all="ignore"):
            first = linearise(x)
            second = linearise(x + 0.5 * dt * first.new_state)
            third = linearise(x + 0.5 * dt * second.new_state)
            fourth = linearise(x + dt * third.new_state)
            w4 = fourth.vjp(dt / 6.0 * w)
            w3 = third.vjp(dt / 3.0 * w + dt * w4)
            w2 = second.vjp(dt / 3.0 * w + 0.5 * dt * w3)
            w1 = first.vjp(dt / 6.0 * w + 0.5 * dt * w2)
            return np.asarray(w + w1 + w2 + w3 + w4)


def chosen_step(network: Network, state: Array, directions: Array, tolerance: float) -> Stepper:
    """The longest step, halved from `LONGEST`, whose error here is within ``tolerance`` for each unit of time.

    A map needs none.  Where no step is short enough, as at a jump of the flow, the shortest one is taken; its error
    says so.

    Raises
    ------
    ParameterError : tolerance is not above 0
    """
    if not tolerance > 0:
        raise ParameterError(f"the error of a step has to be above 0; {tolerance} was given")
    stepper = Stepper(network, LONGEST)
    while not stepper.error(state, directions) <= tolerance and stepper.dt > SHORTEST:
        stepper = Stepper(network, 0.5 * stepper.dt)
    return stepper


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(array * array)))
