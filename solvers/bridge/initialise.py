"""Weights of a cell's parameters, drawn into a torch layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from derive.cell.parameters import Settings, resolve
from derive.errors import ParameterError
from derive.frameworks import parameters_of
from solvers.bridge.layer import Array, BridgeError, Layer, layer_of, write_matrices
from solvers.simulate.network import orthogonal_matrix


def init_(
    module: torch.nn.Module,
    scheme: Mapping[str, float],
    *,
    orthogonal: Iterable[str] = (),
    layer: int | None = None,
    seed: int | None = None,
) -> dict[str, float]:
    """Draw the weights and biases of a recurrent layer in place, and return the parameters they have.

    scheme : parameters of the layer's cell by name; those not named keep what the default initialiser gives them
    orthogonal : recurrent matrices, by name, that are Haar-orthogonal times their gain; the others have independent
        Gaussian entries, input matrices (H, I) with variance nu^2/I
    layer : one layer of several, all unless given; seed : of the draw, from torch's own generator unless given

    Raises
    ------
    BridgeError : no layer that is known, a matrix that cannot be orthogonal, or biases that the layer does not have.
    FrameworkError : an option that no cell can follow.
    ParameterError : a parameter that the cell does not have or that is out of range.
    """
    numbers = range(int(getattr(module, "num_layers", 1))) if layer is None else (layer,)
    layers = [layer_of(module, number) for number in numbers]
    rng = np.random.default_rng(int(torch.randint(2**62, ())) if seed is None else seed)
    drawn = []
    for chosen in layers:
        settings = settings_of(chosen, scheme)
        drawn.append((chosen, settings, _draw(chosen, settings, tuple(orthogonal), rng)))
    for chosen, _, given in drawn:  # nothing is written before everything is known to fit
        write_matrices(chosen, given)
    return dict(drawn[0][1].parameters)


def settings_of(layer: Layer, scheme: Mapping[str, float]) -> Settings:
    """The numbers of a layer: the default initialiser's, with those of ``scheme`` in their place."""
    known = layer.cell.parameters
    standard = parameters_of(layer.initialiser, layer.hidden, layer.inputs)
    unknown = [name for name in scheme if name not in known]
    if unknown:
        raise ParameterError(
            f"`{unknown[0]}` is not a parameter of {layer.cell.name}, the cell of {layer.initialiser.name}. "
            f"The parameters are: {', '.join(known)}."
        )
    return resolve(layer.cell, standard | dict(scheme))


def _draw(layer: Layer, settings: Settings, orthogonal: tuple[str, ...], rng: np.random.Generator) -> dict[str, Array]:
    shapes = {name: tuple(block.shape) for name, block in layer.blocks()}
    for name in orthogonal:
        if name not in layer.cell.weights or shapes[name][0] != shapes[name][1]:
            square = ", ".join(weight for weight in layer.cell.weights if shapes[weight][0] == shapes[weight][1])
            raise BridgeError(f"`{name}` cannot be orthogonal: it is no square matrix of the layer; those are {square}")
    found: dict[str, Array] = {}
    for name in layer.cell.weights:
        entries = rng.standard_normal(shapes[name])
        gain = settings.gains[name]
        columns = shapes[name][1]
        found[name] = gain * (orthogonal_matrix(entries) if name in orthogonal else entries / np.sqrt(columns))
    for name, (mean, std) in settings.biases.items():
        if name in shapes:
            found[name] = mean + std * rng.standard_normal(shapes[name])
        elif mean or std:
            raise BridgeError(
                f"the layer has no biases, so `{name}` cannot have mean {mean:.6g} and std {std:.6g}; "
                "make it with bias=True, or set these parameters to 0"
            )
    return found
