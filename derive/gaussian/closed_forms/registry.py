"""The methods in the order in which they are tried, and the average of a whole integrand."""

from __future__ import annotations

import sympy as sp

from derive.elementary import Fn
from derive.gaussian.closed_forms import arccosine, arcsine, delta, exponential, polynomial, trigonometric
from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.closed_forms.method import Method
from derive.gaussian.closed_forms.term import Term, read_terms
from derive.gaussian.law import Law

METHODS: tuple[Method, ...] = (
    Method("exponential tilt", exponential.applies, exponential.value),
    Method("delta function", delta.applies, delta.value),
    Method("arc-cosine kernel", arccosine.applies, arccosine.value),
    Method("waves", trigonometric.applies, trigonometric.value),
    Method("Stein", polynomial.applies, polynomial.value),
    Method("arcsine law", arcsine.applies, arcsine.value),
)

MAX_WORK = 2_000
"""How many terms one integrand may lead to before it is left to quadrature."""


def closed_form(integrand: sp.Expr, law: Law) -> sp.Expr | None:
    """E[integrand] without an average, exact, with its limits where variances vanish; None where none is known."""
    read = read_terms(integrand, law)
    if read is None:
        return None
    terms, (joint, moments) = read[0], read[1].abstract()
    expectation = _Expectation()
    total: list[sp.Expr] = []
    for coefficient, term in terms:
        value = expectation(term, joint)
        if value is None:
            return None
        total.append(coefficient * value)
    return sp.Add(*total).xreplace(moments)


_SMOOTH = frozenset(("identity", "erf", "gelu", "exp"))
_ROUGH = frozenset(("relu", "leaky_relu", "abs", "step", "sign", "erf", "gelu"))
_WAVES = frozenset(("sin", "cos"))


def stable_closed_form(integrand: sp.Expr, law: Law) -> sp.Expr | None:
    """`closed_form` where its numbers are as good as quadrature's; None elsewhere.

    Left to quadrature are pieces that cancel at small variances (hard_tanh, polynomials times waves) or large ones
    (exp next to a kink).
    """
    calls = [call for call in law.functions.expand(integrand).atoms(Fn) if law.random(call)]
    names = {call.name for call in calls}
    if any(isinstance(power.base, Fn) and power.base.name == "sign" for power in integrand.atoms(sp.Pow)):
        return None  # sign(0)^2 = 0 is a fixed point's business; the closed form knows the limit 1 alone
    if names <= _SMOOTH or names <= _ROUGH:
        return closed_form(integrand, law)
    if names <= _WAVES and _few_waves(law.functions.expand(integrand), law):
        return closed_form(integrand, law)
    return None


def _few_waves(integrand: sp.Expr, law: Law) -> bool:
    """At most two waves multiplied, and nothing else."""
    degree = 0
    for factor in sp.Mul.make_args(integrand):
        base, exponent = factor.as_base_exp()
        if not law.random(factor):
            continue
        if not isinstance(base, Fn) or not (exponent.is_Integer and exponent > 0):
            return False
        degree += int(exponent)
    return degree <= 2


class _Expectation:
    """E[term] by the first method that applies, counting the work."""

    def __init__(self) -> None:
        self.work = 0
        self._known: dict[tuple[Term, int], sp.Expr | None] = {}
        self._laws: list[Joint] = []

    def __call__(self, term: Term, joint: Joint) -> sp.Expr | None:
        key = (term, self._number(joint))
        if key not in self._known:
            self.work += 1
            method = next(method for method in METHODS if method.applies(term, joint))
            self._known[key] = None if self.work > MAX_WORK else method.value(term, joint, self)
        return self._known[key]

    def _number(self, joint: Joint) -> int:
        """Laws by identity: each tilt or condition makes one."""
        for number, known in enumerate(self._laws):
            if known is joint or known == joint:
                return number
        self._laws.append(joint)
        return len(self._laws) - 1


def gaussian_moment(expression: sp.Expr, law: Law) -> sp.Expr | None:
    """E of a polynomial in Gaussian symbols, by Isserlis' theorem (Isserlis 1918); None for anything else."""
    symbols = law.random(expression)
    if symbols & (law.unknown | set(law.depends)) or not expression.is_polynomial(*symbols):
        return None
    polynomial_form = sp.Poly(expression, *sorted(symbols, key=str))
    moments = _Moments(law)
    total = sp.S.Zero
    for powers, coefficient in polynomial_form.terms():
        factors = [s for s, n in zip(polynomial_form.gens, powers, strict=True) for _ in range(n)]
        total += coefficient * moments(tuple(factors))
    return total


class _Moments:
    """E[x_1 ... x_n] = m_1 E[x_2 ...] + sum_j C_1j E[... without x_1, x_j]; second moments as the law states them."""

    def __init__(self, law: Law) -> None:
        self.law = law
        self._known: dict[tuple[sp.Symbol, ...], sp.Expr] = {}

    def __call__(self, factors: tuple[sp.Symbol, ...]) -> sp.Expr:
        if len(factors) <= 2:
            return self._low(factors)
        if factors not in self._known:
            first, *rest = factors
            total = self.law.mean_of(first) * self(tuple(rest)) if self.law.mean_of(first) != 0 else sp.S.Zero
            for other in dict.fromkeys(rest):
                covariance = self.law.covariance(first, other)
                if covariance != 0:
                    left = list(rest)
                    left.remove(other)
                    total += rest.count(other) * covariance * self(tuple(left))
            self._known[factors] = total
        return self._known[factors]

    def _low(self, factors: tuple[sp.Symbol, ...]) -> sp.Expr:
        if not factors:
            return sp.S.One
        if len(factors) == 1:
            return self.law.mean_of(factors[0])
        return self.law.second_of(factors[0], factors[1])
