"""State and tangents in one pass: every matrix meets the state and all directions in a single product.

Along a trajectory values and directions are both needed, once each.  A matrix of some thousand rows is dearer to read
than to multiply, so the operand and its tangents go through it side by side, as rows of one array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from solvers.simulate.elementwise import Array
from solvers.simulate.linearisation import evaluate_instruction, partial_derivative, passed_on
from solvers.simulate.schedule import Schedule


def push(
    schedule: Schedule, leaves: Mapping[str, Array], seeds: Mapping[str, Array], weights: Mapping[str, Any], N: int
) -> tuple[Array, Array]:
    """New states (S, N) and the Jacobian times M directions, (S, M, N).

    leaves : arrays of states, biases, inputs and parameters by name; seeds : (M, N) by state, the directions.
    """
    values: list[Array] = []
    tangents: list[Array | None] = []

    def multiply(name: str, operand: Array) -> Array:
        operand = np.broadcast_to(operand, (N,))
        product: Array = weights[name] @ operand
        return product

    with np.errstate(all="ignore"):  # overflow ends in inf or nan, which the callers test for
        for instruction in schedule.instructions:
            at = [values[place] for place in instruction.arguments]
            own = tangents[instruction.arguments[0]] if instruction.kind == "product" else None
            if own is not None:
                both = np.concatenate([np.broadcast_to(at[0], (1, N)), own]) @ weights[instruction.name].T
                values.append(both[0])
                tangents.append(both[1:])
                continue
            values.append(evaluate_instruction(instruction, at, leaves, multiply))
            total: Array | None = seeds[instruction.name] if instruction.kind == "state" else None
            for which, place in passed_on(instruction):
                if (tangent := tangents[place]) is not None:
                    term = partial_derivative(instruction, which, at) * tangent
                    total = term if total is None else total + term
            tangents.append(total)
    flat = np.zeros((next(iter(seeds.values())).shape[0], N))
    columns = [flat if (tangent := tangents[place]) is None else tangent for place in schedule.updates]
    return np.stack([np.broadcast_to(values[place], (N,)) for place in schedule.updates]), np.stack(columns)
