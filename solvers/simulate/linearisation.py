"""Values of all instructions at one state, and the chain rule through them.

A tangent of an instruction with respect to the states is either a set of columns (N, M), for a
Jacobian-vector product, or a `Block`: diag(d) + D, the derivative of one N-vector by one state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from solvers.simulate.elementwise import BINARY, ELEMENTWISE, Array
from solvers.simulate.schedule import Instruction, Schedule

Multiply = Callable[[str, Array], Array]


def evaluate_instructions(
    schedule: Schedule,
    leaves: Mapping[str, Array],
    multiply: Multiply,
    prescribed: Mapping[int, Array] | None = None,
) -> list[Array]:
    """Result of every instruction, in order.

    leaves holds the arrays of states, biases, inputs and parameters by name; multiply(weight, v) is W @ v;
    prescribed replaces the results of some instructions, by place.
    """
    values: list[Array] = []
    given = prescribed or {}
    with np.errstate(all="ignore"):  # overflow ends in inf or nan, which the callers test for
        for place, instruction in enumerate(schedule.instructions):
            at = [values[argument] for argument in instruction.arguments]
            values.append(given[place] if place in given else evaluate_instruction(instruction, at, leaves, multiply))
    return values


def evaluate_instruction(
    instruction: Instruction, at: list[Array], leaves: Mapping[str, Array], multiply: Multiply
) -> Array:
    """Result of one instruction at the values of its arguments; see `evaluate_instructions`."""
    match instruction.kind:
        case "number":
            return np.asarray(instruction.number)
        case "negate":
            return -at[0]
        case "binary":
            return np.asarray(BINARY[instruction.name].value(at[0], at[1]))
        case "call":
            return np.asarray(ELEMENTWISE[instruction.name].value(at[0]))
        case "alias":
            return at[-1]
        case "product":
            return multiply(instruction.name, at[0])
    return leaves[instruction.name]


def partial_derivative(instruction: Instruction, which: int, at: list[Array]) -> Array:
    """Derivative of an elementwise instruction by its argument number `which`, at argument values `at`."""
    with np.errstate(all="ignore"):
        match instruction.kind:
            case "negate":
                return -np.ones(())
            case "alias":
                return np.ones(())
            case "call":
                return np.asarray(ELEMENTWISE[instruction.name].derivative(at[0]))
            case "binary":
                pair = BINARY[instruction.name]
                return np.asarray((pair.by_left, pair.by_right)[which](at[0], at[1]))
    raise TypeError(f"{instruction.kind} has no elementwise derivative")


def passed_on(instruction: Instruction) -> list[tuple[int, int]]:
    """Number and place of each argument that a tangent goes through; an alias only has its body."""
    arguments = list(enumerate(instruction.arguments))
    return arguments[-1:] if instruction.kind == "alias" else arguments


class Block(NamedTuple):
    """diag(diagonal) + dense, an N x N matrix; either part may be absent."""

    diagonal: Array | None
    dense: Array | None

    def scaled(self, factor: Array) -> Block:
        """diag(factor) times the block; factor is (N,) or a scalar."""
        return Block(
            None if self.diagonal is None else factor * self.diagonal,
            None if self.dense is None else factor[..., None] * self.dense,
        )

    def plus(self, other: Block) -> Block:
        return Block(_sum(self.diagonal, other.diagonal), _sum(self.dense, other.dense))

    def times_weight(self, weight: Array) -> Block:
        """W times the block: always dense."""
        by_diagonal = None if self.diagonal is None else weight * self.diagonal
        return Block(None, _sum(by_diagonal, None if self.dense is None else weight @ self.dense))

    def write(self, out: Array) -> None:
        """Into an N x N array of zeros."""
        if self.dense is not None:
            out += self.dense
        if self.diagonal is not None:
            out[np.diag_indices_from(out)] += self.diagonal


def _sum(left: Array | None, right: Array | None) -> Array | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right


def last_use(schedule: Schedule) -> list[list[int]]:
    """Per instruction, the places whose tangent nobody needs after it (dense blocks are large)."""
    last = list(range(len(schedule.instructions)))
    for place, instruction in enumerate(schedule.instructions):
        for argument in instruction.arguments:
            last[argument] = place
    freed: list[list[int]] = [[] for _ in schedule.instructions]
    for place, at in enumerate(last):
        if place not in schedule.updates:
            freed[at].append(place)
    return freed


class Linearisation:
    """One step of a network from one state, with its derivative.

    Attributes
    ----------
    new_state : (S, N), the next state, or ds/dt in continuous time
    """

    def __init__(
        self,
        schedule: Schedule,
        values: list[Array],
        weights: Mapping[str, Array],
        states: tuple[str, ...],
        N: int,
        multiply: Multiply,
    ) -> None:
        self._schedule, self._values, self._weights = schedule, values, weights
        self._states, self._N, self._multiply = states, N, multiply
        self.new_state: Array = np.stack([np.broadcast_to(values[place], (N,)) for place in schedule.updates])

    def _at(self, instruction: Instruction) -> list[Array]:
        return [self._values[place] for place in instruction.arguments]

    def jvp(self, direction: Array) -> Array:
        """Jacobian times direction, (S, N) or, for M directions at once, (S, N, M)."""
        single = direction.ndim == 2
        seeds = dict(zip(self._states, direction[..., None] if single else direction, strict=True))
        tangents: list[Array | None] = []
        for instruction in self._schedule.instructions:
            tangents.append(self._column(instruction, tangents, seeds))
        flat = np.zeros((self._N, 1 if single else direction.shape[2]))
        out = np.stack([flat if (tangent := tangents[place]) is None else tangent for place in self._schedule.updates])
        return out[..., 0] if single else out

    def _column(
        self, instruction: Instruction, tangents: list[Array | None], seeds: Mapping[str, Array]
    ) -> Array | None:
        if instruction.kind == "state":
            return seeds[instruction.name]
        total: Array | None = None
        for which, place in passed_on(instruction):
            tangent = tangents[place]
            if tangent is None:
                continue
            if instruction.kind == "product":
                return self._multiply(instruction.name, tangent)
            slope = partial_derivative(instruction, which, self._at(instruction))
            total = _sum(total, slope[..., None] * tangent)
        return total

    def vjp(self, covector: Array) -> Array:
        """Transpose of the Jacobian times covector, (S, N) or, for M covectors at once, (S, N, M).

        Weights are needed as matrices, not as a `RevealedGaussian`.
        """
        single = covector.ndim == 2
        given = covector[..., None] if single else covector
        out = np.zeros((len(self._states), self._N, given.shape[2]))
        pending: dict[int, Array] = {}
        for place, own in zip(self._schedule.updates, given, strict=True):
            pending[place] = pending[place] + own if place in pending else own
        reached = self._from_states()
        for place in reversed(range(len(self._schedule.instructions))):
            if place not in pending or place not in reached:
                continue
            instruction, arrived = self._schedule.instructions[place], pending.pop(place)
            if instruction.kind == "state":
                out[self._states.index(instruction.name)] += arrived
            for which, argument in passed_on(instruction):
                if argument in reached:
                    back = self._backward(instruction, which, arrived)
                    pending[argument] = pending[argument] + back if argument in pending else back
        return out[..., 0] if single else out

    def _backward(self, instruction: Instruction, which: int, arrived: Array) -> Array:
        if instruction.kind == "product":
            return np.asarray(self._weights[instruction.name].T @ arrived)
        return partial_derivative(instruction, which, self._at(instruction))[..., None] * arrived

    def _from_states(self) -> set[int]:
        """Places whose value depends on a state: no others pass anything back."""
        reached: set[int] = set()
        for place, instruction in enumerate(self._schedule.instructions):
            if instruction.kind == "state" or any(argument in reached for _, argument in passed_on(instruction)):
                reached.add(place)
        return reached

    def jacobian(self) -> Array:
        """Dense (S*N, S*N), state-major: block i, j is the derivative of the new state i by state j."""
        S, N = len(self._states), self._N
        jacobian = np.zeros((S * N, S * N))
        freed = last_use(self._schedule)
        for j, state in enumerate(self._states):
            blocks = self._blocks(state, freed)
            for i, place in enumerate(self._schedule.updates):
                if place in blocks:
                    blocks[place].write(jacobian[i * N : (i + 1) * N, j * N : (j + 1) * N])
        return jacobian

    def _blocks(self, state: str, freed: list[list[int]]) -> dict[int, Block]:
        """Derivatives of the updates by one state; a place that is absent does not depend on it."""
        blocks: dict[int, Block] = {}
        for place, instruction in enumerate(self._schedule.instructions):
            if instruction.kind == "state" and instruction.name == state:
                blocks[place] = Block(np.ones(self._N), None)
            for which, argument in passed_on(instruction):
                if argument in blocks:
                    term = self._term(instruction, which, blocks[argument])
                    blocks[place] = blocks[place].plus(term) if place in blocks else term
            for done in freed[place]:
                blocks.pop(done, None)
        return blocks

    def _term(self, instruction: Instruction, which: int, block: Block) -> Block:
        if instruction.kind == "product":
            return block.times_weight(self._weights[instruction.name])
        return block.scaled(partial_derivative(instruction, which, self._at(instruction)))
