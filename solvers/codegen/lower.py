"""Symbolic to numeric: named functions become kernels that neither overflow nor cancel.

The only rewriting beyond replacing names is  1 - sigmoid(x) -> sigmoid(-x), without which a saturated gate
loses all its digits.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive.elementary import Fn, FunctionTable, X, builtin_derivative

sigmoid = sp.Function("sigmoid")
softplus = sp.Function("softplus")
normal_cdf = sp.Function("normal_cdf")
step = sp.Function("step")
expm1_negative = sp.Function("expm1_negative")
exp_negative = sp.Function("exp_negative")

_S = sigmoid(X)
_C = sigmoid(-X)
_PHI = sp.exp(-(X**2) / 2) / sp.sqrt(2 * sp.pi)

_KERNELS: dict[tuple[str, int], sp.Expr] = {
    ("sigmoid", 0): _S,
    ("sigmoid", 1): _S * _C,
    ("sigmoid", 2): _S * _C * (_C - _S),
    ("tanh", 1): 1 - sp.tanh(X) ** 2,
    ("tanh", 2): -2 * sp.tanh(X) * (1 - sp.tanh(X) ** 2),
    ("softplus", 0): softplus(X),
    ("softplus", 1): _S,
    ("softplus", 2): _S * _C,
    ("gelu", 0): X * normal_cdf(X),
    ("gelu", 1): normal_cdf(X) + X * _PHI,
    ("gelu", 2): (2 - X**2) * _PHI,
    ("silu", 0): X * _S,
    ("silu", 1): _S + X * _S * _C,
    ("silu", 2): _S * _C * (2 + X * (_C - _S)),
    ("elu", 0): X * step(X) + expm1_negative(X),
    ("elu", 1): step(X) + exp_negative(X) * (1 - step(X)),
    ("relu", 0): X * step(X),
    ("relu", 1): step(X),
    ("relu", 2): sp.S.Zero,
    ("step", 0): step(X),
}


@cache
def kernel(name: str, order: int) -> sp.Expr:
    """Body in `X` of the ``order``-th derivative of a built-in, in kernels."""
    if (name, order) in _KERNELS:
        return _KERNELS[name, order]
    return builtin_derivative(name, order).replace(sp.Heaviside, lambda argument, *_: step(argument))


def lower(expression: sp.Expr, functions: FunctionTable) -> sp.Expr:
    """Replace every named function by its kernel body."""
    opened = functions.expand(expression)
    opened = opened.replace(lambda node: isinstance(node, sp.Add), _complement)
    return opened.replace(
        lambda node: isinstance(node, Fn),
        lambda node: kernel(node.name, node.order).xreplace({X: node.argument}),
    )


def _complement(node: sp.Add) -> sp.Expr:
    """c - c sigmoid(x) -> c sigmoid(-x)."""
    constant, rest = node.as_coeff_Add()
    if constant == 0:
        return node
    for term in sp.Add.make_args(rest):
        factor, call = term.as_coeff_Mul()
        if isinstance(call, Fn) and call.name == "sigmoid" and call.order == 0 and factor == -constant:
            return constant * Fn("sigmoid", 0, -call.argument) + (rest - term)
    return node
