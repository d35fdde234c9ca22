"""A torch layer as named matrices and biases of a cell, read and written through the tables of `derive.frameworks`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from derive.cell.spec import Cell
from derive.errors import GatefieldError
from derive.frameworks import Framework, Tensor, configured, default_cell, framework, frameworks

Array = np.ndarray

PER_LAYER = ("num_layers", "dropout")
"""Options that concern how layers are joined; here one layer is looked at."""


class BridgeError(GatefieldError):
    """A module that is no layer of a known kind, has an unsupported option, or holds weights that are no numbers."""


@dataclass(frozen=True)
class Layer:
    """One layer of a recurrent torch module.

    module : the module; number : of the layer, from 0; initialiser : with the module's options.
    """

    module: torch.nn.Module
    number: int
    initialiser: Framework

    @cached_property
    def cell(self) -> Cell:
        """The cell whose equations the layer computes."""
        return default_cell(self.initialiser)

    @property
    def hidden(self) -> int:
        """Number of units H."""
        return int(self._attribute("hidden_size"))

    @property
    def inputs(self) -> int:
        """Number I of inputs: the module's, or the units of the layer below."""
        return int(self._attribute("input_size")) if self.number == 0 else self.hidden

    def tensors(self) -> Iterator[tuple[Tensor, torch.nn.Parameter]]:
        """Each table entry with the module's parameter of this layer."""
        for tensor in self.initialiser.tensors:
            yield tensor, self._attribute(tensor.name.format(layer=self.number))

    def blocks(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Each name with a view of its block in the module's memory; a bias may come twice."""
        for tensor, parameter in self.tensors():
            yield from zip(tensor.holds, parameter.detach().chunk(len(tensor.holds), dim=0), strict=True)

    def _attribute(self, name: str) -> Any:
        return getattr(self.module, name)


def layer_of(module: torch.nn.Module, number: int = 0) -> Layer:
    """One layer of a module.

    Raises
    ------
    BridgeError : the module is no recurrent layer that is known, or has no layer of this number.
    FrameworkError : an option that no cell can follow (bidirectional, projections).
    """
    names = {f"torch.nn.{kind.__name__}" for kind in type(module).__mro__ if kind.__module__.startswith("torch.nn.")}
    known = sorted(names & set(frameworks()))
    if not known:
        there_are = ", ".join(name for name in frameworks() if name.startswith("torch."))
        raise BridgeError(f"{type(module).__name__} is not a layer that is known; there are {there_are}")
    plain = framework(known[0])
    asked = [name for name in (*plain.options, *plain.refused) if name not in PER_LAYER and hasattr(module, name)]
    initialiser = configured(plain, {name: str(getattr(module, name)).lower() for name in asked})
    layers = int(getattr(module, "num_layers", 1))
    if not 0 <= number < layers:
        raise BridgeError(f"the module has layers 0 to {layers - 1}; layer {number} was asked for")
    return Layer(module, number, initialiser)


def matrices_of(module: torch.nn.Module, layer: int = 0) -> dict[str, Array]:
    """Matrices (H, H) and (H, I) and biases (H,) of a layer by their names in the cell, float64.

    A bias that the layer holds twice is the sum, one that it lacks is absent.

    Raises
    ------
    BridgeError, FrameworkError : as `layer_of`, and for weights that are not finite.
    """
    return matrices(layer_of(module, layer))


def matrices(layer: Layer) -> dict[str, Array]:
    """As `matrices_of`."""
    for tensor, parameter in layer.tensors():
        if not bool(torch.isfinite(parameter).all()):
            wrong = int((~torch.isfinite(parameter)).sum())
            raise BridgeError(
                f"{tensor.name.format(layer=layer.number)} holds {wrong} entries that are not finite; "
                "a gain is measured of numbers: initialise the layer anew, or take an earlier checkpoint"
            )
    found: dict[str, Array] = {}
    for name, block in layer.blocks():
        values = block.cpu().to(torch.float64).numpy()
        found[name] = found[name] + values if name in found else values.copy()
    return found


def write_matrices(layer: Layer, given: Mapping[str, Array]) -> None:
    """Write matrices and biases by name into the layer, in place; of a bias held twice the second part becomes 0."""
    written: set[str] = set()
    with torch.no_grad():
        for name, block in layer.blocks():
            values = np.zeros(tuple(block.shape)) if name in written else given[name]
            block.copy_(torch.as_tensor(values, dtype=block.dtype, device=block.device))
            written.add(name)
