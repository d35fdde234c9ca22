"""Elementwise functions as symbols with a name and an order of differentiation.

``Fn("tanh", 1, y)`` is tanh'(y).  Derivatives stay named, so that a derivation prints
phi'(y)^2 and not a quotient of exponentials; what a name means is looked up in a
`FunctionTable` only when numbers, parities or values at zero are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sympy as sp
from sympy.core.symbol import Str

from derive.errors import GatefieldError

X = sp.Symbol("x[]", real=True)
"""The argument in the bodies of a `FunctionTable`; no cell can use this name."""


class Fn(sp.Expr):
    """The ``order``-th derivative of the elementwise function ``name`` at an argument.

    args: (Str name, Integer order, Expr argument).  Real for real arguments.
    """

    is_commutative = True
    is_real = True
    is_extended_real = True

    def __new__(cls, name: Any, order: Any, argument: Any) -> Any:
        label = name if isinstance(name, Str) else Str(str(name))
        return sp.Expr.__new__(cls, label, sp.Integer(order), sp.sympify(argument))

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.args[0].name)

    @property
    def order(self) -> int:
        """How often the function is differentiated."""
        return int(self.args[1])

    @property
    def argument(self) -> sp.Expr:
        """Where it is evaluated."""
        return self.args[2]

    def _eval_derivative(self, symbol: sp.Symbol) -> sp.Expr:
        inner = self.argument.diff(symbol)
        return sp.S.Zero if inner == 0 else Fn(self.args[0], self.order + 1, self.argument) * inner

    def _sympystr(self, printer: Any) -> str:
        return f"{self.name}{chr(39) * self.order}({printer._print(self.argument)})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        head = BUILTINS[self.name].latex if self.name in BUILTINS else ""
        power = f"^{{{exp}}}" if exp is not None else ""
        shown = (head or rf"\operatorname{{{self.name}}}") + chr(39) * self.order + power
        return rf"{shown}\left({printer._print(self.argument)}\right)"

    _sympyrepr = _sympystr


@dataclass(frozen=True)
class Builtin:
    """What a built-in name means.

    body : expression in `X` (SymPy functions, Piecewise for kinks)
    parity : -1 odd, +1 even, 0 neither
    kinks : points where a derivative jumps
    jumps : points where the function itself jumps, so that its derivative holds a delta function
    """

    body: sp.Expr
    parity: int = 0
    kinks: tuple[sp.Rational, ...] = ()
    jumps: tuple[sp.Rational, ...] = ()
    latex: str = ""


def _logistic(argument: sp.Expr) -> sp.Expr:
    return 1 / (1 + sp.exp(-argument))


def _where(*pieces: tuple[sp.Expr, Any]) -> sp.Expr:
    return sp.Piecewise(*pieces, evaluate=False)


_Q = sp.Rational
_NORMAL_CDF = (1 + sp.erf(X / sp.sqrt(2))) / 2

BUILTINS: Mapping[str, Builtin] = {
    "identity": Builtin(X, -1),
    "tanh": Builtin(sp.tanh(X), -1, latex=r"\tanh"),
    "sigmoid": Builtin(_logistic(X), latex=r"\sigma"),
    "erf": Builtin(sp.erf(X), -1, latex=r"\operatorname{erf}"),
    "relu": Builtin(_where((X, X > 0), (0, True)), 0, (_Q(0),)),
    "leaky_relu": Builtin(_where((X, X > 0), (X / 100, True)), 0, (_Q(0),)),
    "softplus": Builtin(sp.log(1 + sp.exp(X))),
    "elu": Builtin(_where((X, X > 0), (sp.exp(X) - 1, True)), 0, (_Q(0),)),
    "gelu": Builtin(X * _NORMAL_CDF),
    "silu": Builtin(X * _logistic(X)),
    "hard_sigmoid": Builtin(_where((0, X < -3), (1, X > 3), (X / 6 + _Q(1, 2), True)), 0, (_Q(-3), _Q(3))),
    "hard_tanh": Builtin(_where((-1, X < -1), (1, X > 1), (X, True)), -1, (_Q(-1), _Q(1))),
    "sign": Builtin(sp.sign(X), -1, jumps=(_Q(0),)),
    "step": Builtin(sp.Heaviside(X), 0, jumps=(_Q(0),), latex=r"\Theta"),
    "softsign": Builtin(X / (1 + sp.Abs(X)), -1, (_Q(0),)),
    "exp": Builtin(sp.exp(X), latex=r"\exp"),
    "log": Builtin(sp.log(X), latex=r"\log"),
    "sqrt": Builtin(sp.sqrt(X)),
    "sin": Builtin(sp.sin(X), -1, latex=r"\sin"),
    "cos": Builtin(sp.cos(X), 1, latex=r"\cos"),
    "abs": Builtin(sp.Abs(X), 1, (_Q(0),)),
    "arctan": Builtin(sp.atan(X), -1, latex=r"\arctan"),
}

_SMOOTH_DERIVATIVES: Mapping[str, sp.Expr] = {
    "abs": sp.sign(X),
    "softsign": 1 / (1 + sp.Abs(X)) ** 2,
    "relu": sp.Heaviside(X),
    "sign": sp.S.Zero,
    "step": sp.S.Zero,
}


@cache
def builtin_derivative(name: str, order: int) -> sp.Expr:
    """Body of a built-in's derivative in `X`, away from its kinks and jumps (deltas are left out)."""
    if order == 0:
        return BUILTINS[name].body
    if order == 1 and name in _SMOOTH_DERIVATIVES:
        return _SMOOTH_DERIVATIVES[name]
    return sp.diff(builtin_derivative(name, order - 1), X)


@dataclass(frozen=True)
class FunctionTable:
    """The functions of one cell: the built-ins and its own, whose bodies are `Fn` expressions in `X`."""

    own: Mapping[str, sp.Expr] = field(default_factory=dict)

    def expand(self, expression: sp.Expr) -> sp.Expr:
        """Replace the cell's own functions (and their derivatives) by built-ins."""
        pending = sp.sympify(expression)
        while any(node.name in self.own for node in pending.atoms(Fn)):
            pending = pending.replace(lambda node: isinstance(node, Fn) and node.name in self.own, self._open)
        return pending

    def _open(self, node: Fn) -> sp.Expr:
        body = self.own[node.name]
        for _ in range(node.order):
            body = body.diff(X)
        return body.subs(X, node.argument)

    def parity(self, name: str) -> int:
        """-1 odd, +1 even, 0 neither."""
        if name in self.own:
            return self.parity_of(self.own[name], frozenset({X})) or 0
        return BUILTINS[name].parity

    def parity_of(self, expression: sp.Expr, flipped: frozenset[sp.Symbol]) -> int | None:
        """Sign of an expression under a joint change of sign of ``flipped``; None if it has no parity."""
        if not expression.free_symbols & flipped:
            return 1
        if isinstance(expression, sp.Symbol):
            return -1
        if isinstance(expression, sp.Add):
            signs = {self.parity_of(term, flipped) for term in expression.args}
            return signs.pop() if len(signs) == 1 else None
        if isinstance(expression, sp.Mul):
            return self._parity_of_product(expression, flipped)
        if isinstance(expression, sp.Pow) and expression.exp.is_Integer:
            base = self.parity_of(expression.base, flipped)
            return None if base is None else base ** int(expression.exp % 2)
        if isinstance(expression, Fn):
            return self._parity_of_function(expression, flipped)
        return None

    def _parity_of_product(self, expression: sp.Expr, flipped: frozenset[sp.Symbol]) -> int | None:
        sign = 1
        for factor in expression.args:
            inner = self.parity_of(factor, flipped)
            if inner is None:
                return None
            sign *= inner
        return sign

    def _parity_of_function(self, node: Fn, flipped: frozenset[sp.Symbol]) -> int | None:
        inner = self.parity_of(node.argument, flipped)
        if inner in (None, 1):
            return inner
        own = self.parity(node.name)
        return own * (-1) ** node.order if own else None

    def jumps(self, name: str) -> bool:
        """Whether the function jumps, so that its first derivative holds a delta function."""
        if name in self.own:
            return any(self.jumps(node.name) and node.order == 0 for node in self.own[name].atoms(Fn))
        return bool(BUILTINS[name].jumps)

    def has_delta(self, expression: sp.Expr) -> bool:
        """Whether a delta function hides in the expression (the derivative of a jump)."""
        return any(
            (node.order >= 1 and self.jumps(node.name)) or (node.order >= 2 and self.kinked(node.name))
            for node in self.expand(expression).atoms(Fn)
        )

    def kinked(self, name: str) -> bool:
        """Whether a derivative of the function jumps."""
        return name in BUILTINS and bool(BUILTINS[name].kinks)

    def at_zero(self, name: str, order: int) -> sp.Expr:
        """Value at argument zero, exact.  Raises GatefieldError where it is not finite."""
        opened = self.expand(Fn(name, order, sp.S.Zero))
        value = opened.replace(
            lambda node: isinstance(node, Fn),
            lambda node: builtin_derivative(node.name, node.order).subs(X, node.argument),
        )
        if not value.is_finite:
            raise GatefieldError(f"{name} has no finite value at zero")
        return value


def simplify_zero_arguments(expression: sp.Expr, table: FunctionTable) -> sp.Expr:
    """Replace f(0), f'(0), ... by their exact values."""
    rule: Callable[[Fn], sp.Expr] = lambda node: table.at_zero(node.name, node.order)  # noqa: E731
    return expression.replace(lambda node: isinstance(node, Fn) and node.argument == 0, rule)
