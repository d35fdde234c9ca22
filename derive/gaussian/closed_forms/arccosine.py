"""E[x^n y^m sign(x) sign(y)] at zero means: arc-cosine kernels of any order (Cho & Saul 2009).

With unit variances and correlation r, g_nm = E[x^n y^m sign(x) sign(y)] obeys, by Stein's formula,

    g_nm = (n-1) g_{n-2,m} + m r g_{n-1,m-1}  (+ the jumps where no other power hides them),
    g_00 = 2/pi asin r,     g_11 = 2/pi (sqrt(1 - r^2) + r asin r)

and the average is sqrt(v_1^n v_2^m) g_nm(r), which has its limit where a variance vanishes.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.closed_forms.method import Expect
from derive.gaussian.closed_forms.term import Term
from derive.gaussian.safe import Correlation, root

_R = sp.Symbol("r[]", real=True)
_ROOT = sp.Symbol("sqrt(1-r^2)[]", positive=True)
_ASIN = sp.Symbol("asin(r)[]", real=True)


def applies(term: Term, joint: Joint) -> bool:
    """Two signs at zero mean, powers of these two variables alone."""
    if len(term.signs) != 2 or term.erfs or term.waves or not term.powers:
        return False
    return {s for s, _ in term.powers} <= set(term.signs) and all(joint.mean[s] == 0 for s in term.signs)


def value(term: Term, joint: Joint, expect: Expect) -> sp.Expr:
    """sqrt(v_1^n v_2^m) g_nm(C / sqrt(v_1 v_2))."""
    x, y = term.signs
    n, m = term.power(x), term.power(y)
    v, w, covariance = joint.variance(x), joint.variance(y), joint.of(x, y)
    correlation = Correlation(covariance, v, w)
    total = sp.S.Zero
    for part in sp.Add.make_args(sp.expand(_unit(n, m))):
        power = sp.degree(part, _R) if part.has(_R) else 0
        drawn = min(power, n, m)  # r^k sqrt(v w)^k = C^k
        size = covariance**drawn * root(v) ** (n - drawn) * root(w) ** (m - drawn)
        total += size * (part / _R**drawn)
    return total.xreplace({_ROOT: sp.sqrt(1 - correlation**2), _ASIN: sp.asin(correlation), _R: correlation})


@cache
def _unit(n: int, m: int) -> sp.Expr:
    """g_nm in r, sqrt(1 - r^2) and asin r."""
    if (n + m) % 2 or n < 0 or m < 0:
        return sp.S.Zero
    if n < m:
        return _unit(m, n)
    if n == 0:
        return 2 / sp.pi * _ASIN
    total = (n - 1) * _unit(n - 2, m) if n > 1 else sp.S.Zero
    if m:
        total += m * _R * _unit(n - 1, m - 1)
    else:  # the jump of sign(y): 2 r E[delta(y) x^(n-1) sign(x)]
        total += 2 * _R * _jump(n - 1)
    if n == 1:  # the jump of sign(x): 2 E[delta(x) y^m sign(y)]
        total += 2 * _jump(m)
    return sp.expand(total)


def _jump(k: int) -> sp.Expr:
    """E[delta(y) x^k sign(x)] = sqrt(1 - r^2)^k E|z|^k / sqrt(2 pi) for odd k, zero for even k."""
    if k % 2 == 0:
        return sp.S.Zero
    moment = sp.sqrt(2) ** k * sp.gamma(sp.Rational(k + 1, 2)) / sp.sqrt(sp.pi)
    return _ROOT**k * moment / sp.sqrt(2 * sp.pi)
