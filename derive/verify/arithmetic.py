"""Numbers, operators and functions of hand formulas, inside and outside of averages alike."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from derive.elementary import BUILTINS, Fn, FunctionTable
from derive.site import apply_function, apply_operator
from derive.stability.spectrum import LAM, LAM_CONJ
from derive.verify.formula import Binary, Call, FormulaError, Negate, Node, Number, SlopeAt, Span


class Arithmetic:
    """Arithmetic over what names mean; ``recur`` gives the value of a part.

    functions : names that can be called, the cell's own first.
    """

    def __init__(self, text: str, table: FunctionTable) -> None:
        self.text = text
        self.functions: list[str] = [*table.own, *BUILTINS]

    def value(self, node: Node, recur: Callable[[Node], sp.Expr]) -> sp.Expr:
        """The value of a number, an operation or a call.

        Raises FormulaError for unknown functions and for results that are not finite.
        """
        match node:
            case Number(value=value):
                return sp.Rational(value.numerator, value.denominator)
            case Negate(operand=inner):
                return -recur(inner)
            case Binary(op="**", left=Call(function="abs", operand=inner), right=Number(value=power)) if power % 2 == 0:
                value = recur(inner)
                return (value * conjugate(value)) ** sp.Rational(power.numerator // 2)
            case Binary(op=op, left=left, right=right, span=span):
                return self._binary(op, recur(left), recur(right), span)
            case SlopeAt(function=function, order=order, operand=inner, span=span):
                self._require(function, span)
                return Fn(function, order, recur(inner))
            case Call(function=function, operand=inner, span=span):
                return self._call(function, recur(inner), span)
        raise TypeError(f"not a node: {node!r}")

    def _binary(self, op: str, left: sp.Expr, right: sp.Expr, span: Span) -> sp.Expr:
        if op == "/" and right == 0:
            raise FormulaError("a division by zero", self.text, span)
        value = apply_operator(op, left, right)
        if op == "**" and value.has(sp.zoo, sp.nan):
            raise FormulaError("a power that is not finite", self.text, span)
        return value

    def _call(self, function: str, value: sp.Expr, span: Span) -> sp.Expr:
        match function:
            case "conj":
                return conjugate(value)
            case "re":
                return (value + conjugate(value)) / 2
            case "im":
                return (value - conjugate(value)) / (2 * sp.I)
            case "sqrt":
                return sp.sqrt(value)
            case "abs" if value.has(LAM, LAM_CONJ):
                return sp.sqrt(value * conjugate(value))
        self._require(function, span)
        return apply_function(function, value)

    def _require(self, function: str, span: Span) -> None:
        if function not in self.functions:
            known = ", ".join([*self.functions, "conj", "re", "im"])
            raise FormulaError(f"`{function}` is no function", self.text, span, f"There are {known}.")


def conjugate(expression: sp.Expr) -> sp.Expr:
    """Complex conjugate: everything but lambda is real."""
    swapped = expression.xreplace({LAM: LAM_CONJ, LAM_CONJ: LAM})
    return swapped.xreplace({sp.I: -sp.I}) if swapped.has(sp.I) else swapped
