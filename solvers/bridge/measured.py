"""Gains and biases of a layer's weights, with standard errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from derive.cell.expression import Name, Node
from derive.cell.spec import Cell
from solvers.bridge.layer import Array, layer_of, matrices

ORTHOGONAL = 1e-4
"""Largest entry of W W^T/g^2 - 1 at which a matrix counts as orthogonal; float32 leaves about 1e-6."""


@dataclass(frozen=True)
class Estimated:
    """A number and its standard error, that of independent entries."""

    value: float
    standard_error: float


@dataclass(frozen=True)
class Measured:
    """What a layer's weights amount to.

    cell : the equations of the layer
    gains : by weight, sqrt(columns * mean of the entries squared): the gain of the cell format for a recurrent
        matrix, and for a matrix of I inputs the nu of nu^2 R, the variance of its product with inputs of mean square R
    means : by weight, mean entry in units of what independent entries of mean zero would have, so that a number far
        above 3 says that the theory, which knows no mean, does not apply
    biases : (mean, std) by name; orthogonal : weights that are orthogonal matrices times their gain
    parameters : what a parameter of the cell is where a gain, mean or std is this parameter alone
    """

    cell: Cell
    gains: Mapping[str, Estimated]
    means: Mapping[str, float]
    biases: Mapping[str, tuple[Estimated, Estimated]]
    orthogonal: tuple[str, ...]
    parameters: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers: ``[value, standard error]`` each."""
        return {
            "cell": self.cell.name,
            "gains": {name: [item.value, item.standard_error] for name, item in self.gains.items()},
            "biases": {
                name: {"mean": [m.value, m.standard_error], "std": [s.value, s.standard_error]}
                for name, (m, s) in self.biases.items()
            },
            "orthogonal": list(self.orthogonal),
            "parameters": dict(self.parameters),
        }


def measured_gains(module: torch.nn.Module, layer: int = 0) -> Measured:
    """Read the weights of one layer back into gains and biases.

    Raises
    ------
    BridgeError : no layer that is known, or weights that are not finite.
    FrameworkError : an option that no cell can follow.
    """
    chosen = layer_of(module, layer)
    return measure(chosen.cell, matrices(chosen))


def measure(cell: Cell, found: Mapping[str, Array]) -> Measured:
    """As `measured_gains`, of matrices (H, H), (H, I) and biases (H,) that are known; absent biases are zero."""
    gains = {name: _gain(found[name]) for name in cell.weights}
    orthogonal = tuple(name for name in cell.weights if _is_orthogonal(found[name], gains[name].value))
    for name in orthogonal:  # the entries are not independent: their sum of squares is exact
        gains[name] = Estimated(gains[name].value, 0.0)
    zero = np.zeros(len(next(iter(found.values()))))
    biases = {name: _bias(found.get(name, zero)) for name in cell.biases}
    means = {name: _mean(found[name]) for name in cell.weights}
    return Measured(cell, gains, means, biases, orthogonal, _parameters(cell, gains, biases))


def _gain(matrix: Array) -> Estimated:
    squares = matrix**2
    mean = float(squares.mean())
    if mean == 0.0:
        return Estimated(0.0, 0.0)
    value = float(np.sqrt(matrix.shape[1] * mean))
    return Estimated(value, value * float(squares.std()) / (2.0 * mean * matrix.size**0.5))


def _mean(matrix: Array) -> float:
    spread = float(matrix.std())
    return float(matrix.mean()) / (spread / matrix.size**0.5) if spread else 0.0


def _is_orthogonal(matrix: Array, gain: float) -> bool:
    if gain == 0.0 or matrix.shape[0] != matrix.shape[1]:
        return False
    return bool(np.max(np.abs(matrix @ matrix.T / gain**2 - np.eye(len(matrix)))) < ORTHOGONAL)


def _bias(values: Array) -> tuple[Estimated, Estimated]:
    count = len(values)
    spread = float(values.std(ddof=1)) if count > 1 else 0.0
    mean = Estimated(float(values.mean()), spread / count**0.5)
    if spread == 0.0:
        return mean, Estimated(0.0, 0.0)
    squares = (values - values.mean()) ** 2
    return mean, Estimated(spread, float(squares.std()) / (2.0 * spread * count**0.5))


def _parameters(
    cell: Cell, gains: Mapping[str, Estimated], biases: Mapping[str, tuple[Estimated, Estimated]]
) -> dict[str, float]:
    found: dict[str, float] = {}

    def note(node: Node, value: float) -> None:
        if isinstance(node, Name):
            found[node.name] = value

    for name, weight in cell.weights.items():
        note(weight.gain, gains[name].value)
    for name, bias in cell.biases.items():
        note(bias.mean, biases[name][0].value)
        note(bias.std, biases[name][1].value)
    return found
