"""Change of variables: an integrand in as few independent Gaussian directions as it really has.

tanh(u + U + beta) depends on three Gaussians but on one direction.  Affine combinations become one *form*
each; a sum r*B + A, with A and B found nowhere else, is one Gaussian given r.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from derive.gaussian.law import Law


@dataclass(frozen=True)
class Form:
    """An affine direction: sum of coefficients times Gaussian symbols (its mean is not removed)."""

    symbol: sp.Symbol
    coefficients: Mapping[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class ConditionalForm:
    """A sum of forms with coefficients that depend on other forms; Gaussian given those."""

    symbol: sp.Symbol
    parts: tuple[tuple[sp.Expr, Form], ...]


@dataclass(frozen=True)
class Reduced:
    """Integrands rewritten in forms: ``free`` ones are jointly Gaussian, ``conditional`` ones jointly Gaussian given
    them."""

    expressions: tuple[sp.Expr, ...]
    free: tuple[Form, ...]
    conditional: tuple[ConditionalForm, ...]


def reduce_forms(expressions: tuple[sp.Expr, ...], law: Law) -> Reduced:
    """Rewrite expressions in the fewest Gaussian directions this module's two rules find."""
    collector = _Collector(law)
    rewritten = tuple(collector.rewrite(expression) for expression in expressions)
    forms = {form.symbol: form for form in collector.forms.values()}
    return _merge_conditional(rewritten, forms, law)


def affine_forms(expression: sp.Expr, law: Law) -> tuple[sp.Expr, tuple[Form, ...]]:
    """An expression rewritten in affine directions alone, and the directions it holds; sums of products stay apart."""
    collector = _Collector(law)
    rewritten = collector.rewrite(expression)
    held = rewritten.free_symbols
    return rewritten, tuple(form for form in collector.forms.values() if form.symbol in held)


class _Collector:
    """Replaces maximal affine sub-expressions by form symbols, one symbol for each direction."""

    def __init__(self, law: Law) -> None:
        self.law = law
        self.forms: dict[tuple[tuple[sp.Symbol, sp.Expr], ...], Form] = {}

    def gaussian(self, expression: sp.Expr) -> frozenset[sp.Symbol]:
        return frozenset(s for s in self.law.random(expression) if s not in self.law.depends)

    def rewrite(self, node: sp.Expr) -> sp.Expr:
        if not self.gaussian(node):
            return node
        affine = self._affine(node)
        if affine is not None:
            return self._form(affine)
        if isinstance(node, sp.Add):
            straight = [term for term in node.args if self._affine(term) is not None and self.gaussian(term)]
            if len(straight) > 1:
                others = [self.rewrite(term) for term in node.args if term not in straight]
                return sp.Add(self.rewrite(sp.Add(*straight)), *others)
        return node.func(*(self.rewrite(part) if isinstance(part, sp.Expr) else part for part in node.args))

    def _affine(self, node: sp.Expr) -> tuple[dict[sp.Symbol, sp.Expr], sp.Expr] | None:
        symbols = sorted(self.gaussian(node), key=str)
        if any(symbol in self.law.depends for symbol in self.law.random(node)):
            return None
        coefficients: dict[sp.Symbol, sp.Expr] = {}
        rest: list[sp.Expr] = []
        for term in sp.Add.make_args(node):
            inside = [s for s in symbols if term.has(s)]
            if not inside:
                rest.append(term)
                continue
            factor, symbol = term.as_independent(*symbols, as_Add=False)
            if not symbol.is_Symbol:
                return None
            coefficients[symbol] = coefficients.get(symbol, sp.S.Zero) + factor
        return coefficients, sp.Add(*rest)

    def _form(self, affine: tuple[dict[sp.Symbol, sp.Expr], sp.Expr]) -> sp.Expr:
        coefficients, constant = affine
        lead = next((c for c in coefficients.values() if c.is_Number), sp.S.One)
        scaled = {symbol: factor / lead for symbol, factor in coefficients.items()}
        key = tuple(sorted(scaled.items(), key=lambda item: str(item[0])))
        if key not in self.forms:
            self.forms[key] = Form(sp.Symbol(f"y[{len(self.forms)}]", real=True), dict(key))
        return lead * self.forms[key].symbol + constant


def _merge_conditional(expressions: tuple[sp.Expr, ...], forms: dict[sp.Symbol, Form], law: Law) -> Reduced:
    used = set().union(*(expression.free_symbols for expression in expressions)) if expressions else set()
    free = {symbol: form for symbol, form in forms.items() if symbol in used}
    conditional: list[ConditionalForm] = []
    for node, members in _mergeable(expressions, free, law).items():
        symbol = sp.Symbol(f"w[{len(conditional)}]", real=True)
        parts = tuple((_coefficient(node, member), free.pop(member)) for member in members)
        rest = sp.Add(*[term for term in node.args if not any(term.has(member) for member in members)])
        expressions = tuple(expression.xreplace({node: rest + symbol}) for expression in expressions)
        conditional.append(ConditionalForm(symbol, parts))
    return Reduced(expressions, tuple(free.values()), tuple(conditional))


def _coefficient(node: sp.Expr, member: sp.Symbol) -> sp.Expr:
    return sp.Add(*[term / member for term in node.args if term.has(member)])


def _mergeable(
    expressions: tuple[sp.Expr, ...], free: dict[sp.Symbol, Form], law: Law
) -> dict[sp.Expr, tuple[sp.Symbol, ...]]:
    """Sums in which at least two forms appear linearly and nowhere else.

    Members of different sums may be correlated with each other, but not with the forms that stay.
    """
    sums = sorted(set().union(*(expression.atoms(sp.Add) for expression in expressions)), key=sp.default_sort_key)
    found: dict[sp.Expr, tuple[sp.Symbol, ...]] = {}
    for node in sums:
        taken = {symbol for members in found.values() for symbol in members}
        left = [symbol for symbol in free if symbol not in taken]
        members = _members(node, expressions, left, frozenset(law.depends))
        if len(members) > 1 and not any(other.has(node) or node.has(other) for other in found):
            found[node] = members
    while True:
        merged = {symbol for members in found.values() for symbol in members}
        staying = [form for symbol, form in free.items() if symbol not in merged]
        clash = [n for n, members in found.items() if not all(_independent(free[s], staying, law) for s in members)]
        inside = [n for n, ms in found.items() if any(_coefficient(n, m).free_symbols & merged for m in ms)]
        if not clash and not inside:
            return found
        for node in dict.fromkeys(clash or inside):
            del found[node]


def _members(
    node: sp.Expr, expressions: tuple[sp.Expr, ...], symbols: list[sp.Symbol], implicit: frozenset[sp.Symbol]
) -> tuple[sp.Symbol, ...]:
    """Forms that are linear in this sum, with coefficients free of each other and of implicit states, and appear
    nowhere else."""
    members = [symbol for symbol in symbols if _linear_here(node, symbol)]
    outside = [expression.xreplace({node: sp.Dummy()}) for expression in expressions]
    while True:
        kept = [
            symbol
            for symbol in members
            if not any(expression.has(symbol) for expression in outside)
            and not any(_coefficient(node, other).has(symbol) for other in members)
            and not _coefficient(node, symbol).free_symbols & implicit
        ]
        if kept == members:
            return tuple(members)
        members = kept


def _linear_here(node: sp.Expr, symbol: sp.Symbol) -> bool:
    terms = [term for term in node.args if term.has(symbol)]
    return bool(terms) and all(
        symbol in sp.Mul.make_args(term) and not (term / symbol).has(symbol) for term in terms
    )


def _independent(form: Form, others: list[Form], law: Law) -> bool:
    blocks = {law.blocks[symbol] for symbol in form.coefficients}
    return not any(blocks & {law.blocks[symbol] for symbol in other.coefficients} for other in others)
