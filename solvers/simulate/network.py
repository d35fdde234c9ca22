"""A finite network that evaluates the parsed equations of a cell: the witness of the theory.

It knows the syntax tree and random numbers, and no site form, field theory or formula for any
cell.  State arrays are (S, N): one row per state in the order of ``cell.states``, one column per
unit.  Several trajectories that share all weights and biases are stacked as (S, N, M).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.cell.parameters import InputSettings, Settings
from derive.cell.spec import Cell
from derive.errors import ParameterError
from solvers.simulate.dual import push
from solvers.simulate.elementwise import Array
from solvers.simulate.linearisation import Linearisation, evaluate_instructions
from solvers.simulate.revealed import RevealedGaussian
from solvers.simulate.schedule import Schedule, schedule

Inputs = Mapping[str, Array]


@dataclass(frozen=True)
class Step:
    """What one evaluation of the equations gives.

    Every array has the shape (N,) or, for stacked trajectories, (N, M); new_state has one more leading axis S.

    Attributes
    ----------
    new_state : the next state (discrete time) or ds/dt, already divided by the time constant (continuous time)
    fields : u = W @ v by field name (``W``, ``W.2``, ...)
    operands : v by field name, of as many units as its matrix has columns
    definitions : by name
    arguments : for each definition ``f(argument)`` with a product inside, its argument
    """

    new_state: Array
    fields: dict[str, Array]
    operands: dict[str, Array]
    definitions: dict[str, Array]
    arguments: dict[str, Array]


class Network:
    """N units with drawn weights, quenched biases and inputs.

    Parameters
    ----------
    cell, settings : the equations, and the numbers from `derive.cell.resolve`
    N : units per state
    rng : source of all randomness of this network
    dtype : precision of weights and of products with them; everything else is in double precision
    revealed : draw Gaussian weights only along the directions they are applied to, see `RevealedGaussian`: the same
        law at a fraction of the cost, where weights are redrawn each step and no Jacobian matrix is asked for

    Attributes
    ----------
    weights : (N, N) by name, or what stands for one; biases : (N,) by name; inputs : (N,) by name, held until redrawn
    states : names of the S states; fields : names of the fields in dependency order

    Raises
    ------
    ParameterError : N < 1, or an input that no Gaussian has (mean^2 > variance)
    """

    def __init__(
        self, cell: Cell, settings: Settings, N: int, rng: np.random.Generator, *, revealed: bool = False,
        dtype: type[np.floating[Any]] = np.float64,
    ) -> None:  # fmt: skip
        if N < 1:
            raise ParameterError(f"a network needs at least one unit; N = {N} was given")
        self.cell, self.settings, self.N, self.rng, self._revealed = cell, settings, N, rng, revealed
        self.dtype = dtype
        self.states: tuple[str, ...] = cell.states
        self.schedule: Schedule = schedule(cell)
        self.fields: tuple[str, ...] = tuple(field.name for field in self.schedule.fields)
        self.weight_of: dict[str, str] = {field.name: field.weight for field in self.schedule.fields}
        self.weights: dict[str, Any] = {}
        self.biases: dict[str, Array] = {}
        self.inputs: dict[str, Array] = {}
        self.redraw()

    def redraw(self) -> None:
        """Draw weights, biases and inputs afresh: one step of the untied ensemble."""
        for name in self.cell.weights:
            self.weights[name] = self._draw_weight(name)
        for name in self.cell.biases:
            mean, std = self.settings.biases[name]
            self.biases[name] = mean + std * self.rng.standard_normal(self.N)
        (self.inputs,) = self.draw_inputs(1)

    def draw_inputs(self, replicas: int) -> list[dict[str, Array]]:
        """Fresh inputs for each replica: E[x_a x_b] = correlation * variance between any two of them.

        Raises
        ------
        ParameterError : more than one replica and a correlation that these cannot have
        """
        drawn: list[dict[str, Array]] = [{} for _ in range(replicas)]
        for name in self.cell.inputs:
            columns = _correlated(name, self.settings.inputs[name], replicas, self.N, self.rng)
            for replica, column in zip(drawn, columns, strict=True):
                replica[name] = column
        return drawn

    def _draw_weight(self, name: str) -> Any:
        gain = self.settings.gains[name]
        if self.settings.ensembles[name] != "haar" and self._revealed:
            return RevealedGaussian(gain, self.N, self.rng)
        return self._full_weight(name, gain).astype(self.dtype, copy=False)

    def _full_weight(self, name: str, gain: float) -> Array:
        if self.settings.ensembles[name] == "haar":
            return gain * orthogonal_matrix(self.rng.standard_normal((self.N, self.N)))
        if gain == 0:  # inputs that are switched off should not cost the drawing of a matrix
            return np.zeros((self.N, self.N))
        return self.rng.standard_normal((self.N, self.N)) * (gain / np.sqrt(self.N))

    def random_state(self, scale: float = 1.0) -> Array:
        """(S, N) iid Gaussian with standard deviation scale, from the network's own generator."""
        return scale * self.rng.standard_normal((len(self.states), self.N))

    def evaluate(self, state: Array, inputs: Inputs | None = None) -> Step:
        """One evaluation of all equations at state, (S, N) or (S, N, M).

        inputs replaces the network's own, by name: (N,), or (N, M) where each trajectory has its own.

        Raises
        ------
        ValueError : the state has another shape
        """
        state = self._checked(state)
        values = self._values(state, inputs)
        shape = state.shape[1:]

        def at(place: int) -> Array:
            return np.broadcast_to(values[place], shape)

        plan = self.schedule
        return Step(
            new_state=np.stack([at(place) for place in plan.updates]),
            fields={field.name: at(field.product) for field in plan.fields},
            operands={field.name: _over_units(values[field.operand], shape) for field in plan.fields},
            definitions={name: at(place) for name, place in plan.definitions.items()},
            arguments={name: at(place) for name, place in plan.arguments.items()},
        )

    def linearise(
        self, state: Array, inputs: Inputs | None = None, fields: Mapping[str, Array] | None = None
    ) -> Linearisation:
        """The step at one state (S, N) together with its derivative there; see `Linearisation`.

        fields : (N,) by field name, in place of the products W v where slopes are taken.
        """
        state = self._checked(state)
        if state.ndim != 2:
            raise ValueError(f"a derivative is taken at one state of shape (S, N); got {state.shape}")
        given = {field.product: np.asarray(fields[field.name]) for field in self.schedule.fields} if fields else None
        values = self._values(state, inputs, given)
        return Linearisation(self.schedule, values, self.weights, self.states, self.N, self._multiply)

    def jacobian(self, state: Array, inputs: Inputs | None = None) -> Array:
        """(S*N, S*N), state-major: block i, j is the derivative of new state (or flow) i by state j."""
        return self.linearise(state, inputs).jacobian()

    def jvp(self, state: Array, direction: Array, inputs: Inputs | None = None) -> Array:
        """Jacobian at state (S, N) times direction, (S, N) or (S, N, M)."""
        return self.linearise(state, inputs).jvp(np.asarray(direction, dtype=float))

    def vjp(self, state: Array, covector: Array, inputs: Inputs | None = None) -> Array:
        """Transpose of the Jacobian at state (S, N) times covector, (S, N) or (S, N, M)."""
        return self.linearise(state, inputs).vjp(np.asarray(covector, dtype=float))

    def push(self, state: Array, directions: Array, inputs: Inputs | None = None) -> tuple[Array, Array]:
        """New state (S, N) and the Jacobian at state (S, N) times directions (S, M, N): one product for each matrix.

        Directions are rows here, which is how matrices meet them fastest.
        """
        state = self._checked(state)
        seeds = dict(zip(self.states, np.asarray(directions, dtype=float), strict=True))
        return push(self.schedule, self._leaves(state, inputs), seeds, self.weights, self.N)

    def operands_given(self, state: Array, fields: Mapping[str, Array]) -> dict[str, Array]:
        """The operands v, (N,) by field name, that units would have at state (S, N) if the fields u were as given."""
        given = {field.product: np.asarray(fields[field.name], dtype=float) for field in self.schedule.fields}
        values = self._values(self._checked(state), None, given)
        return {field.name: np.broadcast_to(values[field.operand], (self.N,)) for field in self.schedule.fields}

    def _checked(self, state: Array) -> Array:
        state = np.asarray(state, dtype=float)
        if state.ndim not in (2, 3) or state.shape[:2] != (len(self.states), self.N):
            raise ValueError(f"a state has shape ({len(self.states)}, {self.N}) or one more axis; got {state.shape}")
        return state

    def _values(
        self, state: Array, inputs: Inputs | None, prescribed: Mapping[int, Array] | None = None
    ) -> list[Array]:
        return evaluate_instructions(self.schedule, self._leaves(state, inputs), self._multiply, prescribed)

    def _leaves(self, state: Array, inputs: Inputs | None) -> dict[str, Array]:
        stacked = state.ndim == 3
        leaves: dict[str, Array] = {name: np.asarray(value) for name, value in self.settings.parameters.items()}
        leaves |= dict(zip(self.states, state, strict=True))
        for name, drawn in (self.biases | self.inputs | dict(inputs or {})).items():
            leaves[name] = drawn[:, None] if stacked and drawn.ndim == 1 else drawn
        return leaves

    def _multiply(self, name: str, operand: Array) -> Array:
        if operand.ndim == 0:  # W @ (something without units) is W times a constant vector
            operand = np.full(self.N, operand)
        if self.dtype is np.float64:
            product: Array = self.weights[name] @ operand
            return product
        return np.asarray(self.weights[name] @ operand.astype(self.dtype), dtype=float)


def _over_units(value: Array, shape: tuple[int, ...]) -> Array:
    """A value for each unit and trajectory; inputs may be of another number than the units of ``shape``."""
    return np.broadcast_to(value, (len(value), *shape[1:]) if value.ndim else shape)


def orthogonal_matrix(gaussian: Array) -> Array:
    """Haar orthogonal from a Gaussian matrix; the signs make the QR decomposition unique."""
    q, r = np.linalg.qr(gaussian)
    return q * np.where(np.diag(r) < 0, -1.0, 1.0).astype(q.dtype)


def _correlated(name: str, given: InputSettings, replicas: int, N: int, rng: np.random.Generator) -> list[Array]:
    """One (N,) column per replica, with mean m, second moment R and, between two of them, E[x_a x_b] = Sigma R."""
    slack = 1e-12 * given.variance
    spread = given.variance - given.mean**2
    if spread < -slack:
        raise ParameterError(f"input {name}: variance is E[x^2] = {given.variance} and cannot be below mean^2")
    spread = max(spread, 0.0)
    if replicas == 1:
        return [given.mean + np.sqrt(spread) * rng.standard_normal(N)]
    shared = given.correlation * given.variance - given.mean**2
    if not -spread / (replicas - 1) - slack <= shared <= spread + slack:
        least = (given.mean**2 - spread / (replicas - 1)) / given.variance
        raise ParameterError(
            f"input {name}: {replicas} replicas with mean {given.mean} and variance {given.variance} cannot have"
            f" correlation {given.correlation}; it must lie between {least:.6g} and 1"
        )
    # own - (mean of own) has covariance -1/replicas between replicas: that makes room for a negative `shared`.
    own = rng.standard_normal((replicas, N))
    common = rng.standard_normal(N)
    if shared >= 0:
        columns = np.sqrt(shared) * common + np.sqrt(max(spread - shared, 0.0)) * own
    else:
        centred = own - own.mean(axis=0)
        average = np.sqrt(max(spread + (replicas - 1) * shared, 0.0) / replicas) * common
        columns = np.sqrt(spread - shared) * centred + average
    return list(given.mean + columns)
