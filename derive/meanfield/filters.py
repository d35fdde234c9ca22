"""Sites that are linear filters with memoryless nonlinearities: their stationary mean field needs no sampling.

Every state is of one of three kinds (theory, section 2, stationary):

    Gaussian    s' = A s + B (u, beta, x) with constant coefficients: a linear filter of Gaussian fields
    memoryless  s' = f(Gaussian variables), discrete time only: a function of what was there one step before
    filtered    s' = A s + d(t), where d is memoryless: a linear filter of a memoryless signal

and every v is a memoryless function of Gaussian variables plus a linear combination of filtered states.  A memoryless
*signal* is a sum of products of functions of one affine direction (a *form*) each; covariances of two signals at any
lag then follow from one-dimensional Hermite coefficients (Mehler).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from derive.gaussian.forms import affine_forms
from derive.gaussian.law import Law
from derive.site import SiteForm

MAX_TERMS = 40
"""Products in one signal."""


class NotLinear(Exception):  # noqa: N818 - a finding about a cell, not an error of its author
    """Why a site is no linear filter with memoryless nonlinearities."""


@dataclass(frozen=True)
class Direction:
    """An affine direction: coefficients of Gaussian variables, each at a delay in steps (0 in continuous time)."""

    symbol: sp.Symbol
    coefficients: Mapping[tuple[sp.Symbol, int], sp.Expr]
    groups: frozenset[str]


@dataclass(frozen=True)
class Factor:
    """A function of one direction."""

    function: sp.Expr
    direction: Direction


@dataclass(frozen=True)
class Term:
    """A constant times a product of functions of independent directions."""

    constant: sp.Expr
    factors: tuple[Factor, ...]


Signal = tuple[Term, ...]


@dataclass(frozen=True)
class FilterSite:
    """A site all of whose nonlinearities are memoryless.

    gaussian, A, B, constant : states s' = A s + B r + constant, r the ``base`` (fields, biases, inputs);
    filtered, A_filtered : states p' = A_filtered p + drives; signals : one for each field (its memoryless part), then
    one for each filtered state (its drive), then one for each memoryless state; combine : (K, P) coefficients of
    filtered states in each v.
    """

    base: tuple[sp.Symbol, ...]
    gaussian: tuple[sp.Symbol, ...]
    A: sp.Matrix
    B: sp.Matrix
    constant: sp.Matrix
    filtered: tuple[sp.Symbol, ...]
    A_filtered: sp.Matrix
    memoryless: tuple[sp.Symbol, ...]
    signals: tuple[Signal, ...]
    combine: sp.Matrix

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Every direction that a signal holds, once."""
        found: dict[sp.Symbol, Direction] = {}
        for signal in self.signals:
            for term in signal:
                found.update({factor.direction.symbol: factor.direction for factor in term.factors})
        return tuple(found.values())


def filter_site(site: SiteForm) -> FilterSite:
    """Sort the states of a site into the three kinds.

    Raises
    ------
    NotLinear : a state or a v is of none of them; the message names it.
    """
    return _Sorter(site).build()


def slope(signal: Signal, direction: Direction) -> Signal:
    """Derivative of a signal along one direction."""
    found = []
    for term in signal:
        for number, factor in enumerate(term.factors):
            derivative = factor.function.diff(direction.symbol)
            if factor.direction.symbol == direction.symbol and derivative != 0:
                factors = [*term.factors]
                factors[number] = Factor(derivative, direction)
                found.append(Term(term.constant, tuple(factors)))
    return tuple(found)


class _Sorter:
    """Finds the kinds one after the other and rewrites everything else in Gaussian variables."""

    def __init__(self, site: SiteForm) -> None:
        self.site = site
        expand = site.functions.expand
        self.F = {s: expand(f) for s, f in zip(site.states, site.F, strict=True)}
        self.v = [expand(item.v) for item in site.fields]
        self.base = (*(item.symbol for item in site.fields), *(item.symbol for item in site.quenched))
        self.delayed: dict[sp.Symbol, tuple[sp.Symbol, int]] = {}
        self.forms: dict[tuple[tuple[tuple[sp.Symbol, int], sp.Expr], ...], Direction] = {}
        self.gaussian = self._gaussian()
        self.memoryless = self._memoryless()
        rest = [s for s in site.states if s not in self.gaussian and s not in self.memoryless]
        self.filtered = tuple(rest)
        self.groups = self._groups()

    def build(self) -> FilterSite:
        rows, drives = [], []
        for state in self.filtered:
            row, drive = self._split(self.F[state], f"state `{state}`")
            rows.append(row)
            drives.append(drive)
        parts = [self._split(v, f"what `{k.name}` multiplies") for v, k in zip(self.v, self.site.fields, strict=True)]
        expressions = [*(part[1] for part in parts), *drives, *self.memoryless]
        signals = tuple(self._signal(self._at(expression, 0)) for expression in expressions)
        for left in signals:
            for right in signals:
                _check_pair(left, right)
        return FilterSite(
            base=self.base,
            gaussian=self.gaussian,
            A=_jacobian([self.F[s] for s in self.gaussian], self.gaussian),
            B=_jacobian([self.F[s] for s in self.gaussian], self.base),
            constant=sp.Matrix(len(self.gaussian), 1, [self._constant(s) for s in self.gaussian]),
            filtered=self.filtered,
            A_filtered=sp.Matrix(len(rows), len(rows), [entry for row in rows for entry in row]),
            memoryless=tuple(self.memoryless),
            signals=signals,
            combine=sp.Matrix(len(parts), len(rows), [entry for row, _ in parts for entry in row]),
        )

    def _constant(self, state: sp.Symbol) -> sp.Expr:
        return self.F[state].xreplace(dict.fromkeys((*self.gaussian, *self.base), sp.S.Zero))

    def _gaussian(self) -> tuple[sp.Symbol, ...]:
        """The largest set of states with constant coefficients in each other, the fields, biases and inputs."""
        found = list(self.site.states)
        while True:
            variables = (*found, *self.base)
            others = set(self.site.states) - set(found)
            kept = [s for s in found if not self.F[s].free_symbols & others and self._affine(self.F[s], variables)]
            if kept == found:
                return tuple(found)
            found = kept

    def _memoryless(self) -> tuple[sp.Symbol, ...]:
        """States of a map that are functions of Gaussian variables one step before, or of such states."""
        found: list[sp.Symbol] = []
        while self.site.discrete:
            known = set(self.gaussian) | set(found)
            states = set(self.site.states)
            more = [s for s in self.site.states if s not in known and self.F[s].free_symbols & states <= known]
            if not more:
                break
            found += more
        return tuple(found)

    def _groups(self) -> dict[sp.Symbol, frozenset[str]]:
        """What each Gaussian variable is correlated through: matrices, biases, inputs."""
        groups = {item.symbol: frozenset((f"weight {item.weight}",)) for item in self.site.fields}
        groups |= {item.symbol: frozenset((f"{item.kind} {item.name}",)) for item in self.site.quenched}
        groups |= {state: frozenset() for state in self.gaussian}
        for _ in self.gaussian:
            for state in self.gaussian:
                held = self.F[state].free_symbols & set(groups)
                groups[state] = groups[state].union(*(groups[symbol] for symbol in held))
        return groups

    def _affine(self, expression: sp.Expr, variables: Sequence[sp.Symbol]) -> bool:
        """Whether an expression is affine in ``variables`` with coefficients that are no random variables."""
        random = {*self.site.states, *self.base}
        return not any(sp.expand(expression.diff(symbol)).free_symbols & random for symbol in variables)

    def _split(self, expression: sp.Expr, what: str) -> tuple[list[sp.Expr], sp.Expr]:
        """Coefficients of the filtered states, and the memoryless rest."""
        if not self.filtered:
            return [], expression
        if not self._affine(expression, self.filtered):
            raise NotLinear(f"{what} is not linear in `{'`, `'.join(map(str, self.filtered))}` with constant factors")
        row = [expression.diff(state) for state in self.filtered]
        return row, sp.expand(expression).xreplace(dict.fromkeys(self.filtered, sp.S.Zero))

    def _at(self, expression: sp.Expr, delay: int) -> sp.Expr:
        """Write an expression in Gaussian variables at their delays."""
        replaced: dict[sp.Basic, sp.Expr] = {}
        for symbol in expression.free_symbols & (set(self.groups) | set(self.memoryless)):
            if symbol in self.groups:
                name = sp.Symbol(f"{symbol.name}(t-{delay})", real=True)
                self.delayed[name] = (symbol, delay)
                replaced[symbol] = name
            else:
                replaced[symbol] = self._at(self.F[symbol], delay + 1)
        return expression.xreplace(replaced)

    def _signal(self, expression: sp.Expr) -> Signal:
        law = Law(blocks={symbol: "|".join(sorted(self.groups[own])) for symbol, (own, _) in self.delayed.items()})
        rewritten, forms = affine_forms(expression, law)
        names = {form.symbol: self._direction(form.coefficients) for form in forms}
        rewritten = rewritten.xreplace({symbol: direction.symbol for symbol, direction in names.items()})
        directions = {direction.symbol: direction for direction in names.values()}
        terms = sp.Add.make_args(sp.expand(rewritten, func=False) if directions else rewritten)
        if len(terms) > MAX_TERMS:
            raise NotLinear(f"a signal expands into {len(terms)} products")
        return tuple(_term(term, directions) for term in terms if term != 0)

    def _direction(self, coefficients: Mapping[sp.Symbol, sp.Expr]) -> Direction:
        found = {self.delayed[symbol]: factor for symbol, factor in coefficients.items()}
        key = tuple(sorted(found.items(), key=str))
        if key not in self.forms:
            groups = frozenset().union(*(self.groups[symbol] for symbol, _ in found))
            self.forms[key] = Direction(sp.Symbol(f"direction[{len(self.forms)}]", real=True), found, groups)
        return self.forms[key]


def _jacobian(rows: Sequence[sp.Expr], columns: Sequence[sp.Symbol]) -> sp.Matrix:
    return sp.Matrix(len(rows), len(columns), [row.diff(column) for row in rows for column in columns])


def _term(term: sp.Expr, directions: Mapping[sp.Symbol, Direction]) -> Term:
    """A product, its factors collected by direction."""
    constant, rest = term.as_independent(*directions, as_Add=False)
    functions: dict[sp.Symbol, sp.Expr] = {}
    for factor in sp.Mul.make_args(rest):
        held = [symbol for symbol in directions if factor.has(symbol)]
        if len(held) > 1:
            raise NotLinear(f"`{factor}` depends on {len(held)} Gaussian directions jointly")
        for symbol in held:
            functions[symbol] = functions.get(symbol, sp.S.One) * factor
    factors = tuple(Factor(function, directions[symbol]) for symbol, function in functions.items())
    for number, left in enumerate(factors):
        for right in factors[:number]:
            if left.direction.groups & right.direction.groups:
                raise NotLinear(f"`{left.function}` and `{right.function}` are correlated factors of one product")
    return Term(constant, factors)


def _check_pair(left: Signal, right: Signal) -> None:
    """Averages of products of two terms factorise only if no factor meets two of the other term."""
    for first in left:
        for second in right:
            for one, other in ((first, second), (second, first)):
                for factor in one.factors:
                    met = [g for g in other.factors if g.direction.groups & factor.direction.groups]
                    if len(met) > 1:
                        raise NotLinear(f"`{factor.function}` is correlated with several factors of another product")
