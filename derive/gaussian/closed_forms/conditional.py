"""A delta function next to functions without closed averages: the others are averaged given that its argument is zero.

E[delta(y) f(x)] = p_y(0) E[f(x - C_xy/v y + ...)]: the law of x given y = 0 is that of x minus its regression on y.
"""

from __future__ import annotations

import sympy as sp

from derive.elementary import Fn
from derive.gaussian.law import Law
from derive.gaussian.safe import ratio, root


def given_zero(integrand: sp.Expr, law: Law) -> tuple[sp.Expr, sp.Expr] | None:
    """p_y(0) and the regressed f, where the integrand is f times one plain delta function; None elsewhere.

    None as well where f jumps itself at y = 0, or holds a Gaussian that does not follow y linearly.
    """
    symbols = law.random(integrand)
    if symbols & (law.unknown | set(law.depends)):
        return None
    split = _delta_factor(integrand, law)
    if split is None:
        return None
    weight, argument, rest = split
    inside = sorted(law.random(argument), key=str)
    slopes = {s: argument.diff(s) for s in inside}
    if any(law.random(slope) for slope in slopes.values()) or law.functions.has_delta(rest):
        return None
    mean = sp.expand(argument.xreplace({s: law.mean_of(s) for s in inside}))
    variance = _covariance(slopes, slopes, law)
    if variance == 0:
        return None
    moved = {s: s - ratio(_covariance({s: sp.S.One}, slopes, law), variance) * argument for s in symbols}
    height = weight * sp.exp(-ratio(mean**2, 2 * variance)) / (sp.sqrt(2 * sp.pi) * root(variance))
    regressed = sp.expand(rest.xreplace(moved)) if rest != 1 else rest
    return height, _flat(regressed)


def _delta_factor(integrand: sp.Expr, law: Law) -> tuple[sp.Expr, sp.Expr, sp.Expr] | None:
    """Weight, argument and the other factors; the integrand must be a product with one delta function."""
    factors = list(sp.Mul.make_args(integrand))
    found = [f for f in factors if isinstance(f, Fn) and f.name in ("sign", "step") and f.order == 1]
    if len(found) != 1:
        return None
    factors.remove(found[0])
    weight = sp.Integer(2 if found[0].name == "sign" else 1)
    return weight, found[0].argument, sp.Mul(*factors)


def _covariance(left: dict[sp.Symbol, sp.Expr], right: dict[sp.Symbol, sp.Expr], law: Law) -> sp.Expr:
    terms = (c * d * law.covariance(s, t) for s, c in left.items() for t, d in right.items())
    return sp.expand(sp.Add(*terms))


def _flat(expression: sp.Expr) -> sp.Expr:
    """Arguments multiplied out, so that what cancels is gone."""
    return expression.replace(
        lambda node: isinstance(node, Fn), lambda node: Fn(node.name, node.order, sp.expand(node.argument))
    )
