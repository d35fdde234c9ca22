"""Integrands in one way of writing: functions opened into a few, arguments with one sign, products expanded.

    sigmoid(y) = (1 + tanh(y/2)) / 2        tanh' = 1 - tanh^2         softplus' = sigmoid
    silu(y) = y sigmoid(y)                  tanh(-y) = -tanh(y)        sign(y)^2 = 1

so that whatever is an identity between polynomials in these functions becomes one between expanded polynomials.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive.elementary import Fn, FunctionTable, X
from derive.errors import SizeError
from derive.gaussian.primitives import opened
from derive.gaussian.rational import opaque

MAX_EXPANDED = 20_000
"""How many terms an expanded integrand may have before `SizeError` is raised."""

_T = sp.Symbol("t[]", real=True)


@cache
def _tanh_polynomial(order: int) -> sp.Expr:
    """The order-th derivative of tanh as a polynomial in t = tanh: t' = 1 - t^2."""
    if order == 0:
        return _T
    return sp.expand(_tanh_polynomial(order - 1).diff(_T) * (1 - _T**2))


def _tanh(order: int, y: sp.Expr) -> sp.Expr:
    sign, argument = _signed(y)
    return sign ** (order + 1) * _tanh_polynomial(order).xreplace({_T: Fn("tanh", 0, argument)})


def _sigmoid(order: int, y: sp.Expr) -> sp.Expr:
    return (sp.Integer(order == 0) + _tanh(order, y / 2) / 2**order) / 2


def _silu(order: int, y: sp.Expr) -> sp.Expr:
    return y * _sigmoid(order, y) + (order * _sigmoid(order - 1, y) if order else 0)


def _signed(y: sp.Expr) -> tuple[int, sp.Expr]:
    """y = sign * argument with one choice of sign for every pair y, -y."""
    y = sp.expand(y)
    return (-1, sp.expand(-y)) if y.could_extract_minus_sign() else (1, y)


def open_functions(expression: sp.Expr, functions: FunctionTable) -> sp.Expr:
    """Every call in the few functions of this module and of `derive.gaussian.primitives`."""
    expression = functions.expand(expression)
    while True:
        calls = sorted(expression.atoms(Fn), key=sp.default_sort_key)
        values = {call: _open(call) for call in calls}
        following = expression.xreplace({call: value for call, value in values.items() if value != call})
        if following == expression:
            return expression
        expression = following


def _open(call: Fn) -> sp.Expr:
    order, y = call.order, call.argument
    match call.name:
        case "tanh":
            return _tanh(order, y)
        case "sigmoid":
            return _sigmoid(order, y)
        case "silu":
            return _silu(order, y)
        case "softplus" if order:
            return _sigmoid(order - 1, y)
        case "arctan" if order:
            return (1 / (1 + X**2)).diff(X, order - 1).xreplace({X: y})
        case "log" if order:
            return (-1) ** (order - 1) * sp.factorial(order - 1) / y**order
    if call.name in ("sign", "erf", "sin", "cos", "abs", "arctan", "softsign"):
        reflected = _reflected(call)
        if reflected != call:
            return reflected
    value = opened(call)
    return call if value is None else value


def _reflected(call: Fn) -> sp.Expr:
    """Odd functions change sign with their argument, even ones do not; derivatives alternate."""
    sign, argument = _signed(call.argument)
    parity = 1 if call.name in ("cos", "abs") else -1
    return Fn(call.name, call.order, argument) * (parity * (-1) ** call.order) ** (sign == -1)


def expanded(expression: sp.Expr) -> sp.Expr:
    """Products multiplied out over opaque calls; quotients cancelled and written as proper fractions.

    Raises SizeError where the numerator has more than `MAX_EXPANDED` terms.
    """
    plain, back = opaque(expression)
    if not _is_quotient(plain):
        return _polynomial(plain, back)
    top, bottom = sp.fraction(sp.cancel(sp.together(plain)))
    whole, rest = _divided(top, bottom)
    lead = sp.LC(bottom) if bottom.is_number else sp.S.One
    bottom = bottom / lead
    fraction = sp.Add(*(term / bottom for term in sp.Add.make_args(sp.expand(rest / lead))))
    return _polynomial(whole, back) + fraction.xreplace(back)


def _is_quotient(plain: sp.Expr) -> bool:
    return any(power.exp.is_negative for power in plain.atoms(sp.Pow) if power.free_symbols)


def _divided(top: sp.Expr, bottom: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Quotient and remainder where the denominator holds one symbol; otherwise nothing is split off."""
    symbols = sorted(bottom.free_symbols, key=str)
    if len(symbols) != 1:
        return sp.S.Zero, top
    whole, rest = sp.div(top, bottom, symbols[0])
    return sp.expand(whole), sp.expand(rest)


def _polynomial(plain: sp.Expr, back: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    if expanded_size(plain) > MAX_EXPANDED:
        raise SizeError(f"an integrand would expand into more than {MAX_EXPANDED} terms")
    result = sp.expand(plain)
    signs = {symbol for symbol, call in back.items() if call.name == "sign" and call.order == 0}
    if signs:
        result = result.replace(
            lambda node: isinstance(node, sp.Pow) and node.base in signs and node.exp.is_Integer,
            lambda node: node.base ** (node.exp % 2),
        )
    return result.xreplace(back)


def expanded_size(node: sp.Expr) -> int:
    """An upper bound on the number of terms of the expanded expression."""
    if isinstance(node, sp.Add):
        return sum(expanded_size(part) for part in node.args)
    if isinstance(node, sp.Mul):
        size = 1
        for part in node.args:
            size *= expanded_size(part)
        return size
    if isinstance(node, sp.Pow) and node.exp.is_Integer and node.exp > 0 and isinstance(node.base, sp.Add):
        inner = len(node.base.args) if all(expanded_size(a) == 1 for a in node.base.args) else expanded_size(node.base)
        return int(sp.binomial(inner + int(node.exp) - 1, int(node.exp)))
    return 1
