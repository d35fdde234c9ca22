"""Functions of Arb balls from SymPy: numbers of any precision that carry a bound of their own rounding.

Tens of thousands of nodes are needed for thirty digits of an average in two directions.  FLINT evaluates tanh or exp
at one of them in less than a microsecond, about as long as Python takes for a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import sympy as sp
from flint import acb, arb
from sympy.printing.pycode import AbstractPythonCodePrinter

from derive.elementary import Fn, X, builtin_derivative
from derive.gaussian.average import Law


def ball_function(arguments: Sequence[sp.Symbol], expression: Any, law: Law) -> Callable[..., Any]:
    """A function of balls (or exact integers); ``expression`` may be a list."""
    function: Callable[..., Any] = sp.lambdify(
        list(arguments), opened(expression, law), modules=[_NAMES], printer=_BallPrinter(_SETTINGS), cse=True
    )
    return function


def opened(expression: Any, law: Law) -> Any:
    """Named functions and their derivatives written out; ``expression`` may be a list."""
    if isinstance(expression, list):
        return [opened(item, law) for item in expression]
    return law.functions.expand(expression).replace(
        lambda node: isinstance(node, Fn),
        lambda node: builtin_derivative(node.name, node.order).subs(X, node.argument),
    )


def ball(number: Any) -> Any:
    """An mpmath or Python number as a ball of radius zero, in the precision of the FLINT context."""
    if isinstance(number, mp.mpc | complex):
        return acb(arb(number.real), arb(number.imag))
    return arb(number)


def number_of(value: Any) -> Any:
    """The middle of a ball as an mpmath number."""
    if isinstance(value, acb):
        return mp.mpc(number_of(value.real), number_of(value.imag))
    mantissa, exponent = value.mid().man_exp()
    return mp.ldexp(mp.mpf(int(mantissa)), int(exponent))


def radius_of(value: Any) -> Any:
    """How far the true number may be from the middle of a ball, as an mpmath number."""
    if isinstance(value, acb):
        return radius_of(value.real) + radius_of(value.imag)
    return number_of(value.rad())


_SETTINGS = {"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True}


class _BallPrinter(AbstractPythonCodePrinter):
    """Python source in which every rational number and every function is exact or a ball."""

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"fmpq({expr.p}, {expr.q})"

    def _print_Half(self, expr: sp.Rational) -> str:
        return self._print_Rational(expr)

    def _print_Pi(self, expr: sp.Expr) -> str:
        return "pi()"

    def _print_Exp1(self, expr: sp.Expr) -> str:
        return "arb(1).exp()"

    def _print_ImaginaryUnit(self, expr: sp.Expr) -> str:
        return "acb(0, 1)"

    def _print_Function(self, expr: sp.Function) -> str:
        return self._method(expr.func.__name__, expr.args[0])

    def _print_sign(self, expr: sp.Function) -> str:
        return self._print_Function(expr)

    def _print_Heaviside(self, expr: sp.Function) -> str:
        return self._print_Function(expr)

    def _method(self, name: str, argument: sp.Expr) -> str:
        """A method of the argument, or a function of this module where balls have none."""
        shown = f"arb({self._print(argument)})" if argument.is_number else f"({self._print(argument)})"
        return f"{name}{shown}" if name in _NAMES else f"{shown}.{name}()"

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        base, exponent = expr.as_base_exp() if expr.exp.is_negative is not True else expr.args
        shown = self._print(base)
        if exponent.is_Integer:
            return f"({shown})**{int(exponent)}" if exponent > 0 else f"(1/({shown})**{-int(exponent)})"
        if abs(exponent) == sp.S.Half:
            root = self._method("sqrt", base)
            return root if exponent > 0 else f"(1/{root})"
        return f"power({shown}, {self._print(exponent)})"


def _power(base: Any, exponent: Any) -> Any:
    own = base if isinstance(base, arb | acb) else arb(base)
    return own**exponent


def _step(x: Any) -> Any:
    return 1 if x > 0 else 0


def _sign(x: Any) -> Any:
    return 1 if x > 0 else -1


def _rational(p: int, q: int) -> Any:
    return arb(p) / q


_NAMES: dict[str, Any] = {
    "arb": arb, "acb": acb, "fmpq": _rational, "pi": arb.pi, "power": _power, "Heaviside": _step, "sign": _sign,
    "Abs": abs,
}  # fmt: skip
