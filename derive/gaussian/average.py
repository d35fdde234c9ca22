"""Averages over one site, and the rules that take them apart.

`Average(f)` is E[f].  `Law` says which symbols are random and how they depend on each other;
`average` applies linearity, factorisation over independent groups, parity, Gaussian moments and closed forms,
in that order, and leaves the rest as `Average` nodes for quadrature.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product

import sympy as sp

from derive.elementary import Fn, simplify_zero_arguments
from derive.errors import SizeError
from derive.gaussian.closed_forms import gaussian_moment, given_zero, stable_closed_form
from derive.gaussian.law import Average, Law

__all__ = ["MAX_TERMS", "Average", "Law", "average", "average_of_group", "separate", "vanishes_by_parity"]

MAX_FLIPS = 7
"""Up to so many independent groups, all joint changes of sign are tried; beyond, one group or all of them."""

MAX_TERMS = 20_000
"""How many terms a separated expression may have before `SizeError` is raised."""


class _Components:
    """Which blocks an expression ties together: union-find over blocks, joined by inseparable atoms."""

    def __init__(self, expression: sp.Expr, law: Law) -> None:
        self.law = law
        self.parent: dict[str, str] = {}
        for symbol in law.random(expression):
            self._join({symbol})
        for atom in _inseparable(expression):
            self._join(law.random(atom))

    def _join(self, symbols: Iterable[sp.Symbol]) -> None:
        labels = set()
        for symbol in symbols:
            labels.add(self.law.blocks[symbol])
            labels |= {self.law.blocks[other] for other in self.law.depends.get(symbol, ())}
        roots = sorted({self._root(label) for label in labels})
        for root in roots[1:]:
            self.parent[root] = roots[0]

    def _root(self, label: str) -> str:
        while (above := self.parent.setdefault(label, label)) != label:
            label = above
        return label

    def of(self, expression: sp.Expr) -> frozenset[str]:
        return frozenset(self._root(self.law.blocks[symbol]) for symbol in self.law.random(expression))


def _inseparable(expression: sp.Expr) -> list[sp.Expr]:
    """Sub-expressions whose variables no expansion can part: function calls, non-polynomial powers, averages."""
    found: list[sp.Expr] = []
    pending = [expression]
    while pending:
        node = pending.pop()
        if isinstance(node, Fn):
            found.append(node)
        elif isinstance(node, sp.Pow) and not (node.exp.is_Integer and node.exp > 0):
            if isinstance(node.base, sp.Mul) and node.exp.is_Integer:
                pending.extend(node.base.args)
            else:
                found.append(node)
        elif isinstance(node, (sp.Add, sp.Mul, sp.Pow)):
            pending.extend(node.args)
        elif node.args:
            found.append(node)
    return found


Term = tuple[sp.Expr, dict[str, sp.Expr]]


def separate(expression: sp.Expr, law: Law) -> list[tuple[sp.Expr, tuple[sp.Expr, ...]]]:
    """Write f as a sum of coeff * product of factors over independent groups of variables.

    Returns (coefficient, factors); coefficients hold no random symbol.
    Raises SizeError beyond `MAX_TERMS` terms.
    """
    components = _Components(expression, law)
    collected: dict[tuple[tuple[str, sp.Expr], ...], sp.Expr] = {}
    for coefficient, factors in _terms(expression, components):
        key = tuple(sorted(factors.items(), key=lambda item: item[0]))
        collected[key] = collected.get(key, sp.S.Zero) + coefficient
    return [
        (coefficient, tuple(factor for _, factor in key)) for key, coefficient in collected.items() if coefficient != 0
    ]


def _terms(expression: sp.Expr, components: _Components) -> list[Term]:
    support = components.of(expression)
    if not support:
        return [(expression, {})]
    if len(support) == 1:
        coefficient, rest = expression.as_independent(*components.law.random(expression), as_Add=False)
        return [(coefficient, {next(iter(support)): rest})]
    if isinstance(expression, sp.Add):
        return _terms_of_sum(expression, components)
    if isinstance(expression, sp.Mul):
        return _multiply([_terms(factor, components) for factor in expression.args])
    if isinstance(expression, sp.Pow) and expression.exp.is_Integer:
        if expression.exp < 0:  # an inverse of a product, since anything else was inseparable
            return _multiply([_terms(factor**expression.exp, components) for factor in expression.base.args])
        return _power(_terms(expression.base, components), int(expression.exp))
    raise AssertionError(f"inseparable expression reached with several components: {expression}")


def _terms_of_sum(expression: sp.Add, components: _Components) -> list[Term]:
    """Keep what concerns one group together: 1 - z stays 1 - z."""
    by_support: dict[frozenset[str], list[sp.Expr]] = {}
    for term in expression.args:
        by_support.setdefault(components.of(term), []).append(term)
    terms: list[Term] = []
    for support, members in by_support.items():
        if len(support) <= 1:
            terms += _terms(sp.Add(*members), components)
        else:
            for member in members:
                terms += _terms(member, components)
    return terms


def _multiply(parts: list[list[Term]]) -> list[Term]:
    size = 1
    for part in parts:
        size *= len(part)
    if size > MAX_TERMS:
        raise SizeError(f"an average would expand into {size} terms (limit {MAX_TERMS})")
    return [_merge(choice) for choice in product(*parts)]


def _merge(choice: Iterable[Term]) -> Term:
    coefficient: sp.Expr = sp.S.One
    factors: dict[str, sp.Expr] = {}
    for part, others in choice:
        coefficient = coefficient * part
        for label, factor in others.items():
            factors[label] = factors.get(label, sp.S.One) * factor
    return coefficient, factors


def _power(terms: list[Term], exponent: int) -> list[Term]:
    result: list[Term] = [(sp.S.One, {})]
    for _ in range(exponent):
        collected: dict[tuple[tuple[str, sp.Expr], ...], sp.Expr] = {}
        for coefficient, factors in _multiply([result, terms]):
            key = tuple(sorted(factors.items(), key=lambda item: item[0]))
            collected[key] = collected.get(key, sp.S.Zero) + coefficient
        result = [(coefficient, dict(key)) for key, coefficient in collected.items()]
    return result


def average(expression: sp.Expr, law: Law) -> sp.Expr:
    """E[expression] as a polynomial in `Average` nodes of one independent group each.

    Raises SizeError where the expansion passes `MAX_TERMS`.
    """
    total: list[sp.Expr] = []
    for coefficient, factors in separate(expression, law):
        value = coefficient
        for factor in factors:
            value = value * average_of_group(factor, law)
            if value == 0:
                break
        total.append(value)
    return sp.Add(*total)


def average_of_group(factor: sp.Expr, law: Law) -> sp.Expr:
    """E of one inseparable group: constants out, parity, moments, closed forms; else an `Average` node."""
    factor = simplify_zero_arguments(factor, law.functions)
    symbols = law.random(factor)
    if not symbols:
        return factor
    constant, rest = factor.as_independent(*symbols, as_Add=False)
    if vanishes_by_parity(rest, law):
        return sp.S.Zero
    closed = gaussian_moment(rest, law)
    if closed is None:
        closed = stable_closed_form(rest, law)
    if closed is None and law.functions.has_delta(rest):
        conditioned = given_zero(rest, law)
        closed = None if conditioned is None else conditioned[0] * average(conditioned[1], law)
    return constant * (Average(rest) if closed is None else closed)


def vanishes_by_parity(expression: sp.Expr, law: Law) -> bool:
    """Whether a joint change of sign of zero-mean Gaussians changes the sign of the expression."""
    symbols = law.random(expression)
    if symbols & (law.unknown | set(law.depends)):
        return False
    centred = {symbol for symbol in symbols if law.mean_of(symbol) == 0}
    by_block: dict[str, set[sp.Symbol]] = {}
    for symbol in centred:
        by_block.setdefault(law.blocks[symbol], set()).add(symbol)
    whole = {symbol: law.blocks[symbol] for symbol in symbols - centred}
    flips = [frozenset(block) for label, block in by_block.items() if label not in whole.values()]
    sizes = range(1, len(flips) + 1) if len(flips) <= MAX_FLIPS else (1, len(flips))
    joint = (frozenset().union(*chosen) for size in sizes for chosen in combinations(flips, size))
    return any(law.functions.parity_of(expression, flip) == -1 for flip in joint)
