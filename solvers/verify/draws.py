"""Random parameters in the ranges of what they set."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from derive.cell.arithmetic import names_in
from derive.cell.spec import Cell

GRAIN = 64  # everything is drawn in multiples of 1/64: exact in every arithmetic

RANGES = {
    "gain": (0.6, 1.5),
    "std": (0.15, 0.5),
    "mean": (-0.8, 0.8),
    "variance": (0.3, 0.9),
    "correlation": (0.1, 0.9),
}


def roles(cell: Cell) -> dict[str, str]:
    """What each parameter sets: "gain", "std", "mean", "variance", "correlation" or "other"."""
    found = dict.fromkeys(cell.parameters, "other")
    for item in cell.inputs.values():
        found |= dict.fromkeys(names_in(item.mean), "mean")
        found |= dict.fromkeys(names_in(item.correlation), "correlation")
        found |= dict.fromkeys(names_in(item.variance), "variance")
    for bias in cell.biases.values():
        found |= dict.fromkeys(names_in(bias.mean), "mean") | dict.fromkeys(names_in(bias.std), "std")
    for weight in cell.weights.values():
        found |= dict.fromkeys(names_in(weight.gain), "gain")
    return {name: role for name, role in found.items() if name in cell.parameters}


def draw(low: float, high: float, rng: np.random.Generator) -> Fraction:
    """A multiple of 1/64 between two numbers, never zero."""
    return Fraction(round(float(rng.uniform(low, high)) * GRAIN) or 1, GRAIN)


def draw_parameters(
    cell: Cell, fixed: Mapping[str, Fraction], rng: np.random.Generator, scale: float
) -> dict[str, Fraction]:
    """Random parameters, those in ``fixed`` as given; gains are multiplied by ``scale``."""
    drawn: dict[str, Fraction] = {}
    for name, role in roles(cell).items():
        if name in fixed:
            drawn[name] = fixed[name]
            continue
        default = cell.parameters[name]
        around = abs(default) if default else 1.0
        low, high = RANGES.get(role, (0.6 * around, 1.5 * around))
        factor = scale if role == "gain" else 1.0
        value = draw(factor * low, factor * high, rng)
        drawn[name] = -value if role == "other" and default and default < 0 else value
    return drawn
