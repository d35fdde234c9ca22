"""The finite network with the weights of a torch layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from derive.cell.parameters import InputSettings, Settings, resolve
from derive.cell.spec import Cell
from solvers.bridge.layer import Array, BridgeError, layer_of, matrices
from solvers.bridge.measured import measure
from solvers.simulate.network import Network


class LoadedNetwork(Network):
    """A network whose weights, biases and inputs are given; "redrawing" loads the same ones again.

    Attributes
    ----------
    weights : (H, H), or (H, I) where they multiply inputs; biases : (H,); inputs : (I,), all by name
    """

    def __init__(self, cell: Cell, settings: Settings, N: int, given: Mapping[str, Array], inputs: Array) -> None:
        self._given, self._inputs = given, inputs
        super().__init__(cell, settings, N, np.random.default_rng(0))

    def redraw(self) -> None:
        """Load what was given."""
        self.weights = {name: self._given[name] for name in self.cell.weights}
        self.biases = {name: self._given.get(name, np.zeros(self.N)) for name in self.cell.biases}
        (self.inputs,) = self.draw_inputs(1)

    def draw_inputs(self, replicas: int) -> list[dict[str, Array]]:
        """The given inputs, for each replica."""
        return [dict.fromkeys(self.cell.inputs, self._inputs) for _ in range(replicas)]


def network_of(module: torch.nn.Module, layer: int = 0, *, inputs: Array | None = None) -> LoadedNetwork:
    """The network of a layer: its step is the layer's, with the Jacobian and the fixed points of `solvers.simulate`.

    inputs : (I,), held; zero unless given.  ``settings`` are the measured gains, biases and mean square of inputs.

    Raises
    ------
    BridgeError : no layer that is known, weights that are not finite, or inputs of another shape.
    FrameworkError : an option that no cell can follow.
    """
    chosen = layer_of(module, layer)
    held = np.zeros(chosen.inputs) if inputs is None else np.asarray(inputs, dtype=float)
    if held.shape != (chosen.inputs,) or not np.isfinite(held).all():
        raise BridgeError(f"inputs are {chosen.inputs} finite numbers; got an array of shape {held.shape}")
    return loaded_network(chosen.cell, matrices(chosen), held)


def loaded_network(cell: Cell, found: Mapping[str, Array], held: Array) -> LoadedNetwork:
    """The network of a cell with matrices (H, H), (H, I) and biases (H,) by name, and inputs (I,) that are held."""
    measured = measure(cell, found)
    plain = resolve(cell, {})
    settings = replace(
        plain,
        parameters=plain.parameters | dict(measured.parameters),
        gains={name: item.value for name, item in measured.gains.items()},
        biases={name: (mean.value, std.value) for name, (mean, std) in measured.biases.items()},
        inputs={name: InputSettings(float(np.mean(held**2)), 0.0, 0.0, "constant") for name in cell.inputs},
    )
    units = len(next(iter(found.values())))
    return LoadedNetwork(cell, settings, units, found, held)
