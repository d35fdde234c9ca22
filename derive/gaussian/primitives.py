"""Built-in functions in a few primitives: erf, sign and its derivatives (delta functions), exp, sin, cos, polynomials.

    relu(y) = y (1 + sign(y)) / 2      abs(y) = y sign(y)      gelu(y) = y (1 + erf(y/sqrt 2)) / 2
    erf'(y) = 2/sqrt(pi) exp(-y^2)     sign'(y) = 2 delta(y)

A function that is not in the table (tanh and the logistic function among them) has no closed average.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from derive.elementary import Fn

Place = Callable[[sp.Expr], sp.Expr]
"""Gives the variable that stands for an affine argument; the identity where arguments stay as they are."""


def as_is(argument: sp.Expr) -> sp.Expr:
    """The argument itself."""
    return argument


def _sign(order: int, y: sp.Expr) -> sp.Expr:
    return Fn("sign", order, y)


def _identity(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return y if order == 0 else sp.Integer(order == 1)


def _sign_itself(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return _sign(order, y)


def _step(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return (sp.Integer(order == 0) + _sign(order, y)) / 2


def _ramp(order: int, y: sp.Expr) -> sp.Expr:
    """The positive part of y, differentiated: y delta(y) = 0."""
    if order == 0:
        return y * (1 + _sign(0, y)) / 2
    return (sp.Integer(order == 1) + _sign(order - 1, y)) / 2


def _relu(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return _ramp(order, y)


def _leaky(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return _identity(order, y, place) / 100 + sp.Rational(99, 100) * _ramp(order, y)


def _abs(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return y * _sign(0, y) if order == 0 else _sign(order - 1, y)


def _clipped(order: int, y: sp.Expr, place: Place, half: int) -> sp.Expr:
    """The piece of slope one between -half and half, constant beyond."""
    rise = _ramp(order, place(y + half)) - _ramp(order, place(y - half))
    return rise - half * sp.Integer(order == 0)


def _hard_tanh(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return _clipped(order, y, place, 1)


def _hard_sigmoid(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return sp.Rational(order == 0, 2) + _clipped(order, y, place, 3) / 6


def _elu(order: int, y: sp.Expr, place: Place) -> sp.Expr | None:
    below = Fn("exp", 0, y) * (1 - _sign(0, y)) / 2
    if order == 0:
        return _ramp(0, y) + below - (1 - _sign(0, y)) / 2
    if order == 1:
        return _ramp(1, y) + below
    return below if order == 2 else None


def _erf(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    if order == 0:
        return Fn("erf", 0, y)
    slope = (-1) ** (order - 1) * sp.hermite(order - 1, y) * Fn("exp", 0, -(y**2))
    return 2 / sp.sqrt(sp.pi) * slope


def _gelu(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    """Leibniz' rule for y (1 + erf(y / sqrt 2)) / 2."""
    inner = place(y / sp.sqrt(2))

    def normal_cdf(k: int) -> sp.Expr:
        return (sp.Integer(k == 0) + _erf(k, inner, place) * sp.sqrt(2) ** (-k)) / 2

    return y * normal_cdf(order) + (order * normal_cdf(order - 1) if order else 0)


def _exp(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return Fn("exp", 0, y)


def _sin(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return (-1) ** (order // 2) * Fn("cos" if order % 2 else "sin", 0, y)


def _cos(order: int, y: sp.Expr, place: Place) -> sp.Expr:
    return _sin(order + 1, y, place)


BODIES: Mapping[str, Callable[[int, sp.Expr, Place], sp.Expr | None]] = {
    "identity": _identity,
    "sign": _sign_itself,
    "step": _step,
    "relu": _relu,
    "leaky_relu": _leaky,
    "abs": _abs,
    "hard_tanh": _hard_tanh,
    "hard_sigmoid": _hard_sigmoid,
    "elu": _elu,
    "erf": _erf,
    "gelu": _gelu,
    "exp": _exp,
    "sin": _sin,
    "cos": _cos,
}


def opened(node: Fn, place: Place = as_is) -> sp.Expr | None:
    """The call in primitives, its argument replaced by ``place(argument)``; None where there is no such form."""
    body: Any = BODIES.get(node.name)
    if body is None:
        return None
    argument = node.argument if node.name == "exp" else place(sp.expand(node.argument))
    return body(node.order, argument, place)
