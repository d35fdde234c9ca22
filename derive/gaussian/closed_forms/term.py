"""An integrand as a sum of terms: monomial times primitives of one Gaussian variable each.

Every affine argument becomes a variable of its own, so that erf(a u + b) is erf of one variable with a mean and a
variance; what the methods of this package need of the variables is their joint law alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import sympy as sp

from derive.elementary import Fn
from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.law import Law
from derive.gaussian.primitives import BODIES, opened

MAX_TERMS = 400
"""An integrand with more terms is left to quadrature: its closed form would fill pages."""

PRIMITIVES = ("erf", "sign", "exp", "sin", "cos")

Symbols = tuple[sp.Symbol, ...]


@dataclass(frozen=True)
class Term:
    """prod x^n * prod erf(x) * prod sign(x) * prod delta^(k)(x) * prod sin or cos(x) * exp(exponent).

    powers : (variable, n >= 1); erfs, signs : variables, erfs with repetitions; deltas : (variable, k);
    waves : ("sin" or "cos", variable), with repetitions; exponent : a polynomial of degree two or less.
    """

    powers: tuple[tuple[sp.Symbol, int], ...] = ()
    erfs: Symbols = ()
    signs: Symbols = ()
    deltas: tuple[tuple[sp.Symbol, int], ...] = ()
    waves: tuple[tuple[str, sp.Symbol], ...] = ()
    exponent: sp.Expr = sp.S.Zero

    def lowered(self, symbol: sp.Symbol) -> Term:
        """Divided by one power of a variable."""
        kept = ((s, n - (s == symbol)) for s, n in self.powers)
        return replace(self, powers=tuple((s, n) for s, n in kept if n))

    def power(self, symbol: sp.Symbol) -> int:
        """The power of a variable."""
        return dict(self.powers).get(symbol, 0)

    @property
    def variables(self) -> tuple[sp.Symbol, ...]:
        """Every variable outside the exponent, sorted."""
        found = {s for s, _ in (*self.powers, *self.deltas)} | {s for _, s in self.waves}
        return tuple(sorted(found | {*self.erfs, *self.signs}, key=str))


@dataclass
class _Variables:
    """Names for affine directions of Gaussian symbols."""

    law: Law
    symbols: frozenset[sp.Symbol]
    directions: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    by_value: dict[sp.Expr, sp.Symbol] = field(default_factory=dict)

    def place(self, argument: sp.Expr) -> sp.Expr:
        """The variable that equals an argument; raises _NotAffine where there is none."""
        argument = sp.expand(argument.xreplace(self.directions))
        random = argument.free_symbols & self.symbols
        if not random:
            return argument
        if argument in self.symbols:
            return argument
        if any(argument.diff(s).free_symbols & self.symbols for s in random):
            raise _NotAffine
        if argument not in self.by_value:
            name = sp.Symbol(f"y[{len(self.by_value)}]", real=True)
            self.by_value[argument], self.directions[name] = name, argument
        return self.by_value[argument]

    def joint(self) -> Joint:
        """Means and covariances of symbols and named directions."""
        rows = {s: {s: sp.S.One} for s in sorted(self.symbols, key=str)}
        mean = {s: self.law.mean_of(s) for s in rows}
        for name, value in self.directions.items():
            inside = sorted(value.free_symbols & self.symbols, key=str)
            rows[name] = {s: value.diff(s) for s in inside}
            constant = value.xreplace(dict.fromkeys(inside, sp.S.Zero))
            mean[name] = sp.expand(constant + sp.Add(*(c * mean[s] for s, c in rows[name].items())))
        covariance = {
            (x, y): sp.expand(
                sp.Add(*(c * d * self.law.covariance(s, t) for s, c in a.items() for t, d in b.items()))
            )
            for x, a in rows.items()
            for y, b in rows.items()
        }
        return Joint(mean, covariance)


class _NotAffine(Exception):  # noqa: N818 - a signal inside this file, not an error
    """An argument is not affine in the Gaussian symbols."""


def read_terms(integrand: sp.Expr, law: Law) -> tuple[list[tuple[sp.Expr, Term]], Joint] | None:
    """Coefficients, terms, and the joint law of their variables; None where the integrand is not of this kind."""
    symbols = law.random(integrand)
    if not symbols or symbols & (law.unknown | set(law.depends)):
        return None
    integrand = law.functions.expand(integrand)
    if any(call.name not in BODIES for call in integrand.atoms(Fn) if law.random(call)):
        return None
    variables = _Variables(law, symbols)
    try:
        primitive = _primitive(integrand, variables)
        found = None if primitive is None else _terms(primitive, variables)
    except _NotAffine:
        return None
    if found is None:
        return None
    used = set().union(*(term.exponent.free_symbols | set(term.variables) for _, term in found))
    joint = variables.joint()
    return found, joint.of_these(used & set(joint.mean))


def _primitive(integrand: sp.Expr, variables: _Variables) -> sp.Expr | None:
    """The integrand with every random call opened."""
    values: dict[sp.Expr, sp.Expr] = {}
    for call in sorted(integrand.atoms(Fn), key=sp.default_sort_key):
        if not call.free_symbols & variables.symbols:
            continue
        if any(inner.free_symbols & variables.symbols for inner in call.argument.atoms(Fn)):
            return None
        value = opened(call, variables.place)
        if value is None:
            return None
        values[call] = value
    return integrand.xreplace(values)


def _terms(primitive: sp.Expr, variables: _Variables) -> list[tuple[sp.Expr, Term]] | None:
    names = variables.symbols | set(variables.directions)
    calls = sorted((c for c in primitive.atoms(Fn) if c.free_symbols & names), key=sp.default_sort_key)
    marks = {call: sp.Symbol(f"f[{k}]", real=True) for k, call in enumerate(calls)}
    back: dict[sp.Symbol, Fn] = {mark: call for call, mark in marks.items()}
    plain = primitive.xreplace(marks)
    generators = sorted(plain.free_symbols & (names | set(back)), key=str)
    if not plain.is_polynomial(*generators):
        return None
    polynomial = sp.Poly(plain, *generators).terms() if generators else [((), plain)]
    if len(polynomial) > MAX_TERMS:
        return None
    collected: dict[Term, sp.Expr] = {}
    for powers, coefficient in polynomial:
        read = _term(dict(zip(generators, powers, strict=True)), back)
        if read is None:
            return None
        factor, term = read
        if factor != 0:
            collected[term] = collected.get(term, sp.S.Zero) + factor * coefficient
    return [(coefficient, term) for term, coefficient in collected.items() if coefficient != 0]


def _term(powers: Mapping[sp.Symbol, int], back: Mapping[sp.Symbol, Fn]) -> tuple[sp.Expr, Term] | None:
    """One monomial in variables and calls; None for the square of a delta function."""
    monomial: list[tuple[sp.Symbol, int]] = []
    erfs: list[sp.Symbol] = []
    signs: list[sp.Symbol] = []
    deltas: dict[sp.Symbol, int] = {}
    waves: list[tuple[str, sp.Symbol]] = []
    exponent = factor = sp.S.Zero
    factor = sp.S.One
    for symbol, n in powers.items():
        if n == 0:
            continue
        call = back.get(symbol)
        if call is None:
            monomial.append((symbol, n))
        elif call.name == "exp":
            exponent += n * call.argument
        elif call.name == "erf":
            erfs += [call.argument] * n
        elif call.name in ("sin", "cos"):
            waves += [(call.name, call.argument)] * n
        elif call.order == 0:
            signs += [call.argument] * (n % 2)
        elif n == 1 and call.argument not in deltas:
            deltas[call.argument] = call.order - 1
            factor *= 2
        else:
            return None
    term = Term(tuple(monomial), tuple(erfs), tuple(signs), tuple(deltas.items()), tuple(waves), sp.expand(exponent))
    return factor, term
