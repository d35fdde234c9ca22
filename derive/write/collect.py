"""Common factors in front: a b + a c + d is written a (b + c) + d.

Exact by distributivity, and decided by printed strings, so that the outcome depends on nothing else.
"""

from __future__ import annotations

import sympy as sp

MAX_TERMS = 400
"""Longer sums are left as they are."""


def collect(expression: sp.Expr) -> sp.Expr:
    """Take out, again and again, the factor that most terms of a sum share; also inside products."""
    if isinstance(expression, sp.Add) and len(expression.args) <= MAX_TERMS:
        return _collect_terms([_factors(term) for term in sorted(expression.args, key=str)])
    if isinstance(expression, sp.Mul):
        return sp.Mul(*(collect(factor) for factor in expression.args))
    return expression


Factors = dict[sp.Expr, int]


def _factors(term: sp.Expr) -> Factors:
    """Whole powers of a term's factors; anything else counts as one factor."""
    found: Factors = {}
    for factor in sp.Mul.make_args(term):
        base, exponent = factor.as_base_exp()
        if exponent.is_Integer and exponent > 0:
            found[base] = found.get(base, 0) + int(exponent)
        else:
            found[factor] = found.get(factor, 0) + 1
    return found


def _collect_terms(terms: list[Factors]) -> sp.Expr:
    shared = _most_shared(terms)
    if shared is None:
        return sp.Add(*(_product(term) for term in terms))
    members = [term for term in terms if shared in term]
    others = [term for term in terms if shared not in term]
    power = min(term[shared] for term in members)
    inner = _collect_terms([_without(term, shared, power) for term in members])
    front, inner = _front(inner)
    group = sp.Mul(shared**power, front, inner, evaluate=True)
    return sp.Add(group, _collect_terms(others)) if others else group


def _front(inner: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Factors that the inner sum has already put in front of itself."""
    if not isinstance(inner, sp.Mul):
        return sp.S.One, inner
    sums = [factor for factor in inner.args if isinstance(factor, sp.Add)]
    if len(sums) != 1:
        return sp.S.One, inner
    return inner / sums[0], sums[0]


def _most_shared(terms: list[Factors]) -> sp.Expr | None:
    if len(terms) < 2:
        return None
    count: dict[sp.Expr, int] = {}
    for term in terms:
        for factor in term:
            if not factor.is_Number:
                count[factor] = count.get(factor, 0) + 1
    ranked = sorted((-number, -_weight(factor), str(factor)) for factor, number in count.items() if number > 1)
    if not ranked:
        return None
    return next(factor for factor in count if str(factor) == ranked[0][2])


def _weight(factor: sp.Expr) -> int:
    return int(sp.count_ops(factor))


def _without(term: Factors, factor: sp.Expr, power: int) -> Factors:
    rest = dict(term)
    rest[factor] -= power
    return {base: exponent for base, exponent in rest.items() if exponent}


def _product(term: Factors) -> sp.Expr:
    return sp.Mul(*(base**exponent for base, exponent in term.items()))
