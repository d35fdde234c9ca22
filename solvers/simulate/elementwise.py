"""NumPy value and first derivative of every built-in function of the cell grammar.

Each entry of `ELEMENTWISE` maps float arrays of any shape to float arrays of that shape and never
overflows where the function itself is finite.  At a kink the derivative is the mean of the two
one-sided ones, which is what a central difference sees; the delta functions in the derivatives of
sign and step are left out, because no finite network ever sits on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special

Array = np.ndarray[Any, np.dtype[Any]]

LEAKY_SLOPE = 0.01


class Elementwise(NamedTuple):
    """A scalar function and its first derivative, both applied entry by entry."""

    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


def _step(x: Array) -> Array:
    return np.heaviside(x, 0.5)


def _zero(x: Array) -> Array:
    return np.zeros_like(x)


def _sech_squared(x: Array) -> Array:
    # 1 - tanh^2 cancels for |x| > 18; this form keeps its relative accuracy.
    decayed = np.exp(-2.0 * np.abs(x))
    return 4.0 * decayed / (1.0 + decayed) ** 2


def _logistic_slope(x: Array) -> Array:
    return special.expit(x) * special.expit(-x)


def _gauss(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)


def _elu_slope(x: Array) -> Array:
    return np.exp(np.minimum(x, 0.0))


def _within(x: Array, bound: float) -> Array:
    """1 inside (-bound, bound), 1/2 on the two ends, 0 outside."""
    return _step(bound - np.abs(x))


ELEMENTWISE: dict[str, Elementwise] = {
    "sigmoid": Elementwise(special.expit, _logistic_slope),
    "tanh": Elementwise(np.tanh, _sech_squared),
    "erf": Elementwise(special.erf, lambda x: 2.0 / np.sqrt(np.pi) * np.exp(-x * x)),
    "relu": Elementwise(lambda x: np.maximum(x, 0.0), _step),
    "leaky_relu": Elementwise(
        lambda x: np.where(x > 0, x, LEAKY_SLOPE * x),
        lambda x: LEAKY_SLOPE + (1.0 - LEAKY_SLOPE) * _step(x),
    ),
    "softplus": Elementwise(lambda x: np.logaddexp(0.0, x), special.expit),
    "elu": Elementwise(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), _elu_slope),
    "gelu": Elementwise(lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * _gauss(x)),
    "silu": Elementwise(lambda x: x * special.expit(x), lambda x: special.expit(x) + x * _logistic_slope(x)),
    "hard_sigmoid": Elementwise(lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0), lambda x: _within(x, 3.0) / 6.0),
    "hard_tanh": Elementwise(lambda x: np.clip(x, -1.0, 1.0), lambda x: _within(x, 1.0)),
    "sign": Elementwise(np.sign, _zero),
    "step": Elementwise(_step, _zero),
    "softsign": Elementwise(lambda x: x / (1.0 + np.abs(x)), lambda x: (1.0 + np.abs(x)) ** -2.0),
    "exp": Elementwise(np.exp, np.exp),
    "log": Elementwise(np.log, lambda x: 1.0 / x),
    "sqrt": Elementwise(np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "sin": Elementwise(np.sin, np.cos),
    "cos": Elementwise(np.cos, lambda x: -np.sin(x)),
    "abs": Elementwise(np.abs, np.sign),
    "arctan": Elementwise(np.arctan, lambda x: 1.0 / (1.0 + x * x)),
    "identity": Elementwise(lambda x: x, np.ones_like),
}


class Pair(NamedTuple):
    """Value of a binary operator and its two partial derivatives."""

    value: Callable[[Array, Array], Array]
    by_left: Callable[[Array, Array], Array]
    by_right: Callable[[Array, Array], Array]


def _power_by_base(base: Array, exponent: Array) -> Array:
    # 0 * 0**(-1) is nan although base**0 is flat everywhere, so an exponent 0 is taken out first.
    lowered = np.where(exponent == 0, 0.0, np.asarray(exponent) - 1.0)
    return exponent * np.power(base, lowered)


def _power_by_exponent(base: Array, exponent: Array) -> Array:
    # base**p log(base) -> 0 as base -> 0 for p > 0
    return special.xlogy(np.power(base, exponent), base)


BINARY: dict[str, Pair] = {
    "+": Pair(np.add, lambda a, b: np.ones(()), lambda a, b: np.ones(())),
    "-": Pair(np.subtract, lambda a, b: np.ones(()), lambda a, b: -np.ones(())),
    "*": Pair(np.multiply, lambda a, b: b, lambda a, b: a),
    "/": Pair(np.true_divide, lambda a, b: 1.0 / b, lambda a, b: -a / (b * b)),
    "**": Pair(np.power, _power_by_base, _power_by_exponent),
}
