"""Averages over one Gaussian direction in standard form: a function of one variable and a normal law of it.

E[sigmoid(alpha u - beta)^2] is a table of E[sigmoid(X)^2] in the mean -beta and the variance alpha^2 q of X.  Averages
of different gates, and of one gate at different parameters, so become values of one function of two numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.elementary import Fn, X
from derive.gaussian.forms import Form, reduce_forms
from derive.gaussian.law import Law
from derive.gaussian.moebius import one_pole


@dataclass(frozen=True)
class StandardAverage:
    """factor * E[integrand(X)] with X normal.

    integrand : in `X` and in what could not be moved into the law of X; mean, variance : of X, in unknowns and
    parameters; constant : the average where the variance vanishes; positive : expressions that have to be positive
    for this form to hold (it is the average itself only there).
    """

    factor: sp.Expr
    integrand: sp.Expr
    mean: sp.Expr
    variance: sp.Expr
    constant: sp.Expr
    positive: tuple[sp.Expr, ...] = ()

    @property
    def parameters(self) -> frozenset[sp.Symbol]:
        """Symbols left in the integrand."""
        return frozenset(self.integrand.free_symbols - {X})


def standard_average(integrand: sp.Expr, law: Law, *, poles: bool = False) -> StandardAverage | None:
    """The standard form of E[integrand]; None where it has several directions or the root of an equation in it.

    poles : leave quotients as they are.
    """
    if law.random(integrand) & (law.unknown | frozenset(law.depends)):
        return None
    reduced = reduce_forms((integrand,), law)
    if len(reduced.free) != 1 or reduced.conditional:
        return None
    form = reduced.free[0]
    opened = law.functions.expand(reduced.expressions[0])
    slope, shift = _common_argument(opened, form.symbol)
    mean, variance = _moments(form, law)
    inner = opened.xreplace({form.symbol: (X - shift) / slope})
    inner = inner.replace(lambda n: isinstance(n, Fn), lambda n: Fn(n.name, n.order, sp.expand(n.argument)))
    constant = opened.xreplace({form.symbol: mean})
    found = StandardAverage(sp.S.One, inner, slope * mean + shift, slope**2 * variance, constant)
    return found if poles else _turned(_factored(_without_pole(found)))


def _moments(form: Form, law: Law) -> tuple[sp.Expr, sp.Expr]:
    mean = sp.Add(*[c * law.mean_of(s) for s, c in form.coefficients.items()])
    variance = sp.Add(
        *[c * d * law.covariance(s, t) for s, c in form.coefficients.items() for t, d in form.coefficients.items()]
    )
    return mean, variance


def _common_argument(expression: sp.Expr, symbol: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """(slope, shift) such that every function's argument is a number times slope * symbol + shift; else (1, 0)."""
    lines = []
    for node in sorted(expression.atoms(Fn), key=sp.default_sort_key):
        if node.has(symbol):
            slope = node.argument.diff(symbol)
            if slope.has(symbol) or slope.has(Fn):
                return sp.S.One, sp.S.Zero
            lines.append((slope, sp.expand(node.argument - slope * symbol)))
    bare = expression.replace(lambda node: isinstance(node, Fn), lambda node: sp.Dummy())
    if not lines or bare.has(symbol):
        return sp.S.One, sp.S.Zero
    slope, shift = lines[0]
    for other, offset in lines[1:]:
        share = sp.cancel(other / slope)
        if not share.is_number or sp.expand(offset - share * shift) != 0:
            return sp.S.One, sp.S.Zero
    return slope, shift


def _without_pole(found: StandardAverage) -> StandardAverage:
    """Quotients with one pole in a logistic function become polynomials in a shifted one."""
    rewritten = one_pole(found.integrand)
    if rewritten is None:
        return found
    scaled = rewritten.scale  # the new variable is scale * X + shift
    return StandardAverage(
        found.factor, rewritten.polynomial, scaled * found.mean + rewritten.shift, scaled**2 * found.variance,
        found.constant, (*found.positive, rewritten.positive),
    )  # fmt: skip


def _factored(found: StandardAverage) -> StandardAverage:
    outside, inside = found.integrand.as_independent(X, as_Add=False)
    return StandardAverage(
        found.factor * outside, inside, found.mean, found.variance, found.constant, found.positive
    )


def _turned(found: StandardAverage) -> StandardAverage:
    """The simpler of g(X) and g(-X), so that mirror images share one table."""
    turned = found.integrand.xreplace({X: -X})
    sign, turned = turned.as_independent(X, as_Add=False)
    if _complexity(turned) >= _complexity(found.integrand):
        return found
    return StandardAverage(
        found.factor * sign, turned, -found.mean, found.variance, found.constant, found.positive
    )


def _complexity(expression: sp.Expr) -> tuple[int, str]:
    return int(sp.count_ops(expression)), str(expression)
