"""The normal form of an expression in averages: what is equal by the rules comes out as the same expression.

Two expressions are proved equal by ``normal_form(a, law).expression == normal_form(b, law).expression``; the steps are
the proof.  The reverse does not hold: no set of rules here decides every identity.
"""

from __future__ import annotations

import sympy as sp

from derive.elementary import Fn
from derive.gaussian.average import Average, Law, separate
from derive.gaussian.canonical import expanded, open_functions
from derive.gaussian.rules import (
    AT_ZERO,
    CLOSED_FORM,
    CONSTANTS,
    DELTA,
    ISSERLIS,
    LINEARITY,
    PARITY,
    STEIN,
    Outcome,
    Rewriting,
    Rule,
    rewrite,
)
from derive.gaussian.safe import SAFE
from derive.gaussian.standard import standardised


def _opened(integrand: sp.Expr, law: Law) -> Outcome:
    value = open_functions(integrand, law.functions)
    return None if value == integrand else (Average(value), law)


def _expanded(integrand: sp.Expr, law: Law) -> Outcome:
    value = expanded(integrand)
    return None if value == integrand else (Average(value), law)


def _factors(integrand: sp.Expr, law: Law) -> Outcome:
    """Independent factors of one term."""
    parts = separate(integrand, law)
    if len(parts) != 1 or len(parts[0][1]) <= 1:
        return None
    coefficient, factors = parts[0]
    return coefficient * sp.Mul(*(Average(f) for f in factors)), law


def _standard(integrand: sp.Expr, law: Law) -> Outcome:
    found = standardised(integrand, law, lambda expression: open_functions(expression, law.functions))
    return None if found is None else (Average(found.integrand), found.law)


OPEN = Rule(
    "functions opened",
    "sigmoid(y) = (1 + tanh(y/2))/2, tanh' = 1 - tanh^2, f(-y) = +-f(y), relu(y) = y (1 + sign(y))/2 and the like",
    _opened,
)
EXPAND = Rule("expansion", "products are multiplied out, quotients cancelled", _expanded)
FACTORS = Rule("factorisation", "E[f(x) g(y)] = E[f(x)] E[g(y)] for independent x, y", _factors)
STANDARD = Rule("change of variables", "each affine direction is its mean plus its deviation times xi", _standard)

NORMAL_RULES: tuple[Rule, ...] = (
    OPEN, AT_ZERO, EXPAND, LINEARITY, CONSTANTS, FACTORS, PARITY, ISSERLIS, CLOSED_FORM, DELTA, STEIN, STANDARD,
)  # fmt: skip
"""In the order in which they are tried."""


def normal_form(expression: sp.Expr, law: Law) -> Rewriting:
    """Every average rewritten by `NORMAL_RULES`, and the polynomial or quotient of averages in lowest terms.

    Raises SizeError where an expansion or the number of steps passes its limit.
    """
    found = rewrite(expression, law, NORMAL_RULES)
    return Rewriting(in_lowest_terms(found.expression, found.law), found.steps, found.law)


def in_lowest_terms(expression: sp.Expr, law: Law) -> sp.Expr:
    """An expanded polynomial in averages, parameters and roots; a quotient of two where it is not one."""
    expression = open_functions(sp.sympify(expression), law.functions) if expression.atoms(Fn) else expression
    marks = {node: sp.Symbol(f"a[{k:05d}]", real=True) for k, node in enumerate(sorted(_whole(expression), key=str))}
    plain = expression.xreplace(marks)
    plain = sp.expand(plain)
    if any(power.exp.is_negative and not power.base.is_number for power in plain.atoms(sp.Pow)):
        plain = sp.cancel(sp.together(plain))
        top, bottom = sp.fraction(plain)
        plain = sp.expand(top) / sp.expand(bottom)
    return plain.xreplace({mark: node for node, mark in marks.items()})


def _whole(expression: sp.Basic) -> set[sp.Expr]:
    """Averages and functions that algebra must not look into."""
    if isinstance(expression, (Average, Fn, *SAFE, sp.Function)):
        return {expression}
    return set().union(*(_whole(part) for part in expression.args)) if expression.args else set()
