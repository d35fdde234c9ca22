"""Weights of a cell's parameters, drawn into a torch layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

import numpy as np
import torch

from derive.cell.parameters import Settings, resolve
from derive.errors import ParameterError
from derive.frameworks import parameters_of
from solvers.bridge.layer import Array, BridgeError, Layer, layer_of, write_matrices
from solvers.bridge.scheme import Name, found_parameters
from solvers.simulate.network import orthogonal_matrix


def init_(
    module: torch.nn.Module,
    scheme: Mapping[str, float] | Name,
    *,
    free: str | Sequence[str] = (),
    parameters: Mapping[str, float] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    orthogonal: Iterable[str] = (),
    layer: int | None = None,
    seed: int | None = None,
) -> dict[str, float]:
    """Draw the weights and biases of a recurrent layer in place, and return the parameters they have.

    scheme : parameters of the layer's cell by name; those not named keep what the default initialiser gives them.
        Or "critical", where chi1 = 1 (inputs, weights and biases redrawn at each step), or "isometric", the critical
        point with the least spread of squared singular values
    free, parameters, ranges : for these two, the one or two parameters that are found, the values of others (``R`` is
        the mean square of the inputs), and where to search
    orthogonal : recurrent matrices, by name, that are Haar-orthogonal times their gain; the others have independent
        Gaussian entries, input matrices (H, I) with variance nu^2/I
    layer : one layer of several, all unless given; seed : of the draw, from torch's own generator unless given

    Raises
    ------
    BridgeError : no layer that is known, a matrix that cannot be orthogonal, biases that the layer does not have, a
        scheme that is not known, or no or several critical points.
    ConvergenceError : the search for a critical point did not converge.
    FrameworkError : an option that no cell can follow.
    ParameterError : a parameter that the cell does not have or that is out of range.
    """
    numbers = range(int(getattr(module, "num_layers", 1))) if layer is None else (layer,)
    layers = [layer_of(module, number) for number in numbers]
    rng = np.random.default_rng(int(torch.randint(2**62, ())) if seed is None else seed)
    haar, drawn = tuple(orthogonal), []
    for chosen in layers:
        _check_square(chosen, haar)
        wanted = _wanted(chosen, scheme, free, parameters or {}, haar, ranges)
        settings = settings_of(chosen, wanted)
        drawn.append((chosen, settings, _draw(chosen, settings, haar, rng)))
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


def _wanted(
    layer: Layer, scheme: Mapping[str, float] | Name, free: str | Sequence[str], parameters: Mapping[str, float],
    orthogonal: tuple[str, ...], ranges: Mapping[str, tuple[float, float]] | None,
) -> Mapping[str, float]:  # fmt: skip
    if isinstance(scheme, str):
        if scheme not in get_args(Name):
            raise BridgeError(f"`{scheme[:60]}` is no scheme; there are {' and '.join(get_args(Name))}, or parameters")
        if not free:
            raise BridgeError(f'"{scheme}" needs a parameter to find: init_(module, "{scheme}", free="sigma")')
        return found_parameters(layer, scheme, free, parameters, orthogonal, ranges)
    if free or parameters or ranges:
        raise BridgeError('free, parameters and ranges belong to "critical" and "isometric"; here all is in scheme')
    return scheme


def _shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    return {name: tuple(block.shape) for name, block in layer.blocks()}


def _check_square(layer: Layer, orthogonal: tuple[str, ...]) -> None:
    shapes = _shapes(layer)
    for name in orthogonal:
        if name not in layer.cell.weights or shapes[name][0] != shapes[name][1]:
            square = ", ".join(weight for weight in layer.cell.weights if shapes[weight][0] == shapes[weight][1])
            raise BridgeError(f"`{name}` cannot be orthogonal: it is no square matrix of the layer; those are {square}")


def _draw(layer: Layer, settings: Settings, orthogonal: tuple[str, ...], rng: np.random.Generator) -> dict[str, Array]:
    shapes = _shapes(layer)
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
