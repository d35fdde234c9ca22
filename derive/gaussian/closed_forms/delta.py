"""E[delta(y) f] = p_y(0) E[f | y = 0], and derivatives of delta functions by parts.

    v E[delta'(y) f] = E[(y - m) delta(y) f] - sum_j C_yj E[delta(y) d_j f]

What jumps at y = 0 itself is taken half way: sign(y) delta(y) = 0.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.closed_forms.method import Expect
from derive.gaussian.closed_forms.stein import derivatives
from derive.gaussian.closed_forms.term import Term
from derive.gaussian.safe import per_root, ratio, root


def applies(term: Term, joint: Joint) -> bool:
    """Whether a delta function is there."""
    return bool(term.deltas)


def value(term: Term, joint: Joint, expect: Expect) -> sp.Expr | None:
    """E[term]; None where two delta functions sit on one variable."""
    (y, order), *others = term.deltas
    power, rest = term.power(y), replace(term, deltas=tuple(others))
    if power > order:
        return sp.S.Zero
    if power:
        while rest.power(y):
            rest = rest.lowered(y)
        factor = (-1) ** power * sp.ff(order, power)
        inner = value(replace(rest, deltas=((y, order - power), *others)), joint, expect)
        return None if inner is None else factor * inner
    if order:
        return _by_parts(y, order, rest, joint, expect)
    return at_zero(sp.S.One, y, rest, joint, expect)


def at_zero(covariance: sp.Expr, y: sp.Symbol, rest: Term, joint: Joint, expect: Expect) -> sp.Expr | None:
    """C E[delta(y) rest] with |C| at most a multiple of the deviation of y."""
    if rest.power(y) or y in rest.signs or y in rest.erfs:
        return sp.S.Zero
    if any(name == "sin" for name, other in rest.waves if other == y):
        return sp.S.Zero
    variance = joint.variance(y)
    if variance == 0:
        return None
    needed = {*rest.variables, *(rest.exponent.free_symbols & set(joint.mean)), y}
    inner = expect(rest, joint.of_these(needed).given_zero(y))
    if inner is None or inner == 0:
        return inner
    height = 1 / root(variance) if covariance == 1 else per_root(covariance, variance)
    exponent = -ratio(joint.mean[y] ** 2, 2 * variance)
    return height * sp.exp(exponent) / sp.sqrt(2 * sp.pi) * inner


def _by_parts(y: sp.Symbol, order: int, rest: Term, joint: Joint, expect: Expect) -> sp.Expr | None:
    """E[delta^(order)(y) rest], ``rest`` without powers of y."""
    lower = replace(rest, deltas=((y, order - 1), *rest.deltas))
    total = sp.S.Zero
    parts = [(sp.Integer(1), replace(lower, powers=_with(lower, y))), (-joint.mean[y], lower)]
    parts += [(-c, replace(t, deltas=((y, order - 1), *t.deltas))) for c, t, _ in derivatives(y, rest, joint)]
    for coefficient, part in parts:
        if coefficient == 0:
            continue
        inner = value(part, joint, expect)
        if inner is None:
            return None
        total += coefficient * inner
    return total / joint.variance(y)


def _with(term: Term, y: sp.Symbol) -> tuple[tuple[sp.Symbol, int], ...]:
    """Powers with one more of y."""
    return (*((s, n) for s, n in term.powers if s != y), (y, term.power(y) + 1))
