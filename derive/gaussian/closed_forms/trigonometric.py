"""Products of sines and cosines, also in front of polynomials.

    E[cos y] = exp(-v/2) cos m,     E[sin y] = exp(-v/2) sin m

    E[sin x sin y] = exp(-(v_1 + v_2)/2) (cosh C sin m_1 sin m_2 + sinh C cos m_1 cos m_2), and so on

longer products become sums by the addition theorems; powers of variables are taken out by Stein's formula before.
"""

from __future__ import annotations

from itertools import product

import sympy as sp

from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.closed_forms.method import Expect
from derive.gaussian.closed_forms.term import Term
from derive.gaussian.safe import DampedSinh

MOST_FACTORS = 8


def applies(term: Term, joint: Joint) -> bool:
    """Waves, and no powers left."""
    return bool(term.waves) and not term.powers


def value(term: Term, joint: Joint, expect: Expect) -> sp.Expr | None:
    """E of a product of waves; None next to erf or sign, where the error function of a complex number is needed."""
    if term.erfs or term.signs or len(term.waves) > MOST_FACTORS:
        return None
    # prod_k cos(y_k + p_k) = 2^(1-n) sum over signs of cos(sum_k s_k (y_k + p_k)), s_1 = 1; sin y = cos(y - pi/2)
    if len(term.waves) == 2:
        return _pair(term, joint)
    lead, *others = term.waves
    total = sp.S.Zero
    for signs in product((1, -1), repeat=len(others)):
        signed = [(1, lead), *zip(signs, others, strict=True)]
        phase = sp.Add(*(-sign * sp.pi / 2 for sign, (name, _) in signed if name == "sin"))
        mean = sp.Add(*(sign * joint.mean[s] for sign, (_, s) in signed))
        variance = sp.expand(sp.Add(*(a * b * joint.of(s, t) for a, (_, s) in signed for b, (_, t) in signed)))
        total += sp.exp(-variance / 2) * sp.cos(mean + phase)
    return total / 2 ** len(others)


def _pair(term: Term, joint: Joint) -> sp.Expr:
    """Two waves, without the cancellation that sums of exponentials have at small covariance."""
    (first, x), (second, y) = term.waves
    damping = sp.expand(joint.variance(x) + joint.variance(y)) / 2
    covariance = joint.of(x, y)

    def at_mean(name: str, s: sp.Symbol, turned: bool) -> sp.Expr:
        return (sp.sin if (name == "sin") is not turned else sp.cos)(joint.mean[s])

    same = at_mean(first, x, False) * at_mean(second, y, False)
    crossed = at_mean(first, x, True) * at_mean(second, y, True) * (1 if first == second else -1)
    even = (sp.exp(sp.expand(covariance - damping)) + sp.exp(sp.expand(-covariance - damping))) / 2
    return even * same + crossed * DampedSinh(covariance, damping)
