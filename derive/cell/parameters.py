"""From parameter values to the numbers of a cell: gains, biases and inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Literal

from derive.cell.arithmetic import evaluate, text_of
from derive.cell.names import did_you_mean, normal
from derive.cell.spec import Cell, Input
from derive.errors import ParameterError

__all__ = ["InputSettings", "Settings", "evaluate", "input_settings", "resolve"]

#: Relative slack for inequalities between computed numbers, such as variance >= mean**2.
_SLACK = 1e-12


@dataclass(frozen=True)
class InputSettings:
    """An input in numbers: E[x^2] = variance, and E[x_a x_b] = correlation * variance between replicas."""

    variance: float
    mean: float
    correlation: float
    time: Literal["iid", "constant"]

    @property
    def moves(self) -> bool:
        """Whether it changes in time: drawn anew at each step, and not the same number for all."""
        return self.time == "iid" and self.variance > self.mean**2


@dataclass(frozen=True)
class Settings:
    """A cell's distributions in numbers.

    parameters : every parameter by name
    gains, ensembles : by weight
    biases : (mean, std) by name
    inputs : by name
    """

    parameters: dict[str, float]
    gains: dict[str, float]
    ensembles: dict[str, str]
    biases: dict[str, tuple[float, float]]
    inputs: dict[str, InputSettings]


def resolve(cell: Cell, given: Mapping[str, object] | None = None) -> Settings:
    """The numbers of ``cell`` with the parameters in ``given`` and defaults for the others.

    Raises ParameterError, by name, for a parameter that is unknown, missing or not a finite
    number, and for gains, deviations, variances and correlations that no distribution has.
    """
    values = _parameters(cell, given or {})
    gains = {}
    for weight in cell.weights.values():
        gains[weight.name] = _nonnegative(
            evaluate(weight.gain, values),
            f"the gain of `{weight.name}`, {text_of(weight.gain)}",
            "The sign of a random matrix is immaterial; use the absolute value.",
        )
    biases = {}
    for bias in cell.biases.values():
        std = _nonnegative(
            evaluate(bias.std, values),
            f"the std of `{bias.name}`, {text_of(bias.std)}",
            "A standard deviation is not negative; use the absolute value.",
        )
        biases[bias.name] = (evaluate(bias.mean, values), std)
    inputs = {drive.name: input_settings(drive, values) for drive in cell.inputs.values()}
    ensembles = {weight.name: str(weight.ensemble) for weight in cell.weights.values()}
    return Settings(values, gains, ensembles, biases, inputs)


def _parameters(cell: Cell, given: Mapping[str, object]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for key, value in given.items():
        if not isinstance(key, str):
            raise ParameterError(f"Parameters are given by name, not by {key!r}.")
        name = normal(key)
        if name not in cell.parameters:
            known = ", ".join(cell.parameters) or "none"
            guess = did_you_mean(name, cell.parameters)
            raise ParameterError(f"`{key}` is not a parameter of {cell.name}. {guess} The parameters are: {known}.")
        if name in numbers:
            raise ParameterError(f"`{name}` is given twice, in two spellings.")
        numbers[name] = _number(name, value)
    missing = [name for name, default in cell.parameters.items() if default is None and name not in numbers]
    if missing:
        example = ", ".join(f"{name}=1.0" for name in missing)
        listed = ", ".join(f"`{name}`" for name in missing)
        raise ParameterError(f"{listed} of {cell.name} must be given, having no default. For example {example}.")
    # In the order of the file, so that everything built from it is deterministic.
    return {name: numbers.get(name, default or 0.0) for name, default in cell.parameters.items()}


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ParameterError(f"`{name}` is {value!r:.60}, not a real number. Give a number, such as {name}=1.0.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ParameterError(f"`{name}` is {number}. Give a finite number, such as {name}=1.0.")
    return number


def _nonnegative(value: float, what: str, advice: str) -> float:
    if value < 0:
        raise ParameterError(f"{what[0].upper()}{what[1:]} = {value:.6g}, is negative. {advice}")
    return value


def input_settings(drive: Input, values: Mapping[str, float]) -> InputSettings:
    """One input in numbers.  Raises ParameterError for moments that no distribution has."""
    name = f"`{drive.name}`"
    variance = _nonnegative(
        evaluate(drive.variance, values),
        f"the variance of {name}, {text_of(drive.variance)}",
        "It is the second moment E[x^2], which is not negative.",
    )
    mean = evaluate(drive.mean, values)
    correlation = evaluate(drive.correlation, values)
    spread = variance - mean * mean
    slack = _SLACK * max(variance, mean * mean)
    if spread < -slack:
        raise ParameterError(
            f"The variance of {name}, {text_of(drive.variance)} = {variance:.6g}, is less than its mean squared, "
            f"{mean * mean:.6g}. The variance is the second moment E[x^2]; give at least mean**2."
        )
    if abs(correlation * variance - mean * mean) > max(spread, 0.0) + slack:
        lowest = (mean * mean - spread) / variance if variance else 0.0
        raise ParameterError(
            f"The correlation of {name}, {text_of(drive.correlation)} = {correlation:.6g}, is not one of two replicas. "
            f"Between replicas E[x_a x_b] = correlation * variance; "
            f"with this mean and variance it lies between {lowest:.6g} and 1."
        )
    return InputSettings(variance, mean, correlation, drive.time)
