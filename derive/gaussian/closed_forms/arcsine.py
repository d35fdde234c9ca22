"""Products of erf and sign: the arcsine law.

    E[erf(x)] = erf(m / sqrt(1 + 2 v))
    E[erf(x) erf(y)] = 2/pi asin(2 C / sqrt((1 + 2 v_1)(1 + 2 v_2)))    at zero means (Williams 1997)
    E[sign(x) sign(y)] = 2/pi asin(C / sqrt(v_1 v_2))                   at zero means (Sheppard 1899)

All are one law: erf(x) is the mean of sign(x + n) over a normal n of variance 1/2, so an erf is a sign whose variance
is larger by 1/2.  Odd numbers of them average to zero at zero means, so that three steps have a closed form as well.
Two with means need Owen's T, four need more; these are left alone.
"""

from __future__ import annotations

import sympy as sp

from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.closed_forms.method import Expect
from derive.gaussian.closed_forms.term import Term
from derive.gaussian.safe import Correlation, ratio, root


def applies(term: Term, joint: Joint) -> bool:
    """Everything else has been dealt with."""
    return True


def value(term: Term, joint: Joint, expect: Expect) -> sp.Expr | None:
    """E of a product of signs, some of them blurred."""
    half = sp.Rational(1, 2)
    factors = [(s, sp.S.Zero) for s in term.signs] + [(s, half) for s in term.erfs]
    groups = _independent(factors, joint)
    result = sp.S.One
    for group in groups:
        inner = _group(group, joint)
        if inner is None:
            return None
        result *= inner
    return result


Factor = tuple[sp.Symbol, sp.Expr]


def _independent(factors: list[Factor], joint: Joint) -> list[list[Factor]]:
    """Factors parted into groups without covariances between them."""
    groups: list[list[Factor]] = []
    for factor in factors:
        linked = [group for group in groups if any(joint.of(factor[0], other) != 0 for other, _ in group)]
        merged = [item for group in linked for item in group] + [factor]
        groups = [group for group in groups if group not in linked] + [merged]
    return groups


def _group(group: list[Factor], joint: Joint) -> sp.Expr | None:
    if len(group) == 1:
        return _single(*group[0], joint)
    if any(joint.mean[symbol] != 0 for symbol, _ in group):
        return None
    if len(group) % 2:
        return sp.S.Zero
    return _pair(group[0], group[1], joint) if len(group) == 2 else None


def _single(symbol: sp.Symbol, blur: sp.Expr, joint: Joint) -> sp.Expr:
    mean, variance = joint.mean[symbol], joint.variance(symbol)
    if mean == 0:
        return sp.S.Zero
    if blur:
        return sp.erf(mean / sp.sqrt(1 + 2 * variance))
    return sp.erf(ratio(mean, root(2 * variance)))


def _pair(left: Factor, right: Factor, joint: Joint) -> sp.Expr:
    (x, blur), (y, other) = left, right
    covariance = joint.of(x, y)
    v, w = joint.variance(x), joint.variance(y)
    if blur and other:  # no variance below the line can vanish
        argument = 2 * covariance / (sp.sqrt(1 + 2 * v) * sp.sqrt(1 + 2 * w))
    else:
        argument = Correlation(covariance, v + blur, w + other)
    return 2 / sp.pi * sp.asin(argument)
