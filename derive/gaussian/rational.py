"""Rational algebra over site functions: cancel, factor and split quotients.

Function calls are opaque generators, so that the polynomial algebra stays small and exact.
"""

from __future__ import annotations

import sympy as sp

from derive.elementary import Fn


def opaque(expression: sp.Expr) -> tuple[sp.Expr, dict[sp.Symbol, sp.Expr]]:
    """Replace outermost function calls by symbols; returns the expression and the way back."""
    calls = sorted(_outermost(expression), key=sp.default_sort_key)
    names = {call: sp.Symbol(f"f[{number}]", real=True) for number, call in enumerate(calls)}
    return expression.xreplace(names), {symbol: call for call, symbol in names.items()}


def _outermost(expression: sp.Expr) -> set[Fn]:
    if isinstance(expression, Fn):
        return {expression}
    return set().union(*(_outermost(part) for part in expression.args)) if expression.args else set()


def tidy(expression: sp.Expr) -> sp.Expr:
    """Cancel quotients, also inside function arguments; 1 - z rather than z - 1 below the line."""
    expression = expression.replace(
        lambda node: isinstance(node, Fn) and _has_quotient(node.argument),
        lambda node: Fn(node.name, node.order, tidy(node.argument)),
    )
    if not _has_quotient(expression):
        return expression
    plain, back = opaque(expression)
    numerator, denominator = sp.fraction(sp.factor(sp.cancel(sp.together(plain))))
    if _negative_constant(denominator):
        numerator, denominator = -numerator, -denominator
    numerator, denominator = _distribute_sign(numerator), _distribute_sign(denominator)
    return (numerator / denominator).xreplace(back)


def _has_quotient(expression: sp.Expr) -> bool:
    return any(power.exp.could_extract_minus_sign() for power in expression.atoms(sp.Pow))


def _negative_constant(expression: sp.Expr) -> bool:
    """Whether the sign of an expression reads better the other way round (f - 1)."""
    sign = 1
    for factor in sp.Mul.make_args(expression):
        base = factor.base if isinstance(factor, sp.Pow) else factor
        odd = not isinstance(factor, sp.Pow) or factor.exp.is_odd
        constant = base.as_coeff_Add()[0] if base.is_Add else (base if base.is_Number else sp.S.Zero)
        if odd and constant.is_negative:
            sign = -sign
    return sign < 0


def _distribute_sign(expression: sp.Expr) -> sp.Expr:
    """Write -(f - 1) as 1 - f, factor by factor, and keep the overall sign in front."""
    sign: sp.Expr = sp.S.One
    factors = []
    for factor in sp.Mul.make_args(expression):
        base, exponent = factor.as_base_exp()
        if base.is_Add and exponent.is_Integer and base.as_coeff_Add()[0].is_negative:
            sign *= (-1) ** exponent
            base = -base
        factors.append(base**exponent)
    return sign * sp.Mul(*factors)


def quotient(expression: sp.Expr, variable: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """Numerator and denominator in lowest terms; the denominator holds every power of ``variable`` below the line."""
    plain, back = opaque(expression)
    numerator, denominator = sp.fraction(sp.factor(sp.cancel(sp.together(plain))))
    inside: list[sp.Expr] = []
    outside: list[sp.Expr] = []
    for factor in sp.Mul.make_args(denominator):
        (inside if variable in factor.free_symbols else outside).append(factor)
    denominator = sp.Mul(*inside)
    numerator = numerator / sp.Mul(*outside)
    if sp.LC(denominator, variable).could_extract_minus_sign():
        numerator, denominator = -numerator, _negate_one(denominator, variable)
    return _distribute_sign(numerator).xreplace(back), denominator.xreplace(back)


def _negate_one(denominator: sp.Expr, variable: sp.Symbol) -> sp.Expr:
    factors = list(sp.Mul.make_args(denominator))
    for number, factor in enumerate(factors):
        if factor.is_Add:
            factors[number] = sp.Add(*[-term for term in factor.args])
            return sp.Mul(*factors)
    return -denominator
