"""Change of variables: affine sums of independent Gaussians become standard normals of their own law.

E[tanh(u + U)] with independent u ~ N(0, q), U ~ N(0, s) is E[tanh(sqrt(q + s) xi)]: a function of one Gaussian.  The
new symbols are named by their law, so that averages over equal laws become equal expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product

import sympy as sp

from derive.gaussian.forms import Form, affine_forms
from derive.gaussian.law import Law
from derive.gaussian.safe import Correlation, root

MOST_ORDERED = 3
"""Averages over more directions than this keep the order and the signs in which their directions were found."""

_BLOCK = "standard normals "


@dataclass(frozen=True)
class Standardised:
    """The integrand in standard normals, and the law that knows them."""

    integrand: sp.Expr
    law: Law
    removed: int
    """How many Gaussian symbols fewer there are."""


def is_standard(symbol: sp.Symbol, law: Law) -> bool:
    """Whether a symbol was made here."""
    return law.blocks[symbol].startswith(_BLOCK)


def variance_of(form: Form, law: Law) -> sp.Expr:
    """Variance of an affine form."""
    return covariance_of(form, form, law)


def covariance_of(left: Form, right: Form, law: Law) -> sp.Expr:
    """Covariance of two affine forms."""
    return sp.expand(
        sp.Add(*(c * d * law.covariance(s, t) for s, c in left.coefficients.items()
                 for t, d in right.coefficients.items()))
    )  # fmt: skip


def mean_of(form: Form, law: Law) -> sp.Expr:
    """Mean of an affine form."""
    return sp.expand(sp.Add(*(c * law.mean_of(s) for s, c in form.coefficients.items())))


def standardised(integrand: sp.Expr, law: Law, tidy: Callable[[sp.Expr], sp.Expr]) -> Standardised | None:
    """E[integrand] over standard normals; ``tidy`` brings signs of arguments in order.

    None where a state without a Gaussian law occurs, or nothing is left to change.
    """
    symbols = law.random(integrand)
    if symbols & (law.unknown | set(law.depends)) or not symbols or all(is_standard(s, law) for s in symbols):
        return None
    rewritten, forms = affine_forms(integrand, law)
    best: tuple[tuple[str, ...], sp.Expr, Law] | None = None
    for order, signs in _choices(len(forms)):
        candidate, own = _in_normals(rewritten, [forms[k] for k in order], signs, law)
        candidate = tidy(candidate)
        key = (str(candidate), *sorted(str(s) for s in own.random(candidate)))
        if best is None or key < best[0]:
            best = key, candidate, own
    assert best is not None
    return Standardised(best[1], best[2], len(symbols) - len(forms))


def _choices(count: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    if count > MOST_ORDERED:
        yield tuple(range(count)), (1,) * count
        return
    yield from product(permutations(range(count)), product((1, -1), repeat=count))


def _in_normals(
    rewritten: sp.Expr, forms: Sequence[Form], signs: Sequence[int], law: Law
) -> tuple[sp.Expr, Law]:
    """Each form is its mean plus its standard deviation times a standard normal."""
    variances = [variance_of(form, law) for form in forms]
    table = [
        [sign * other * Correlation(covariance_of(left, right, law), v, w)
         for right, other, w in zip(forms, signs, variances, strict=True)]
        for left, sign, v in zip(forms, signs, variances, strict=True)
    ]  # fmt: skip
    symbols = _symbols(table)
    values = {
        form.symbol: mean_of(form, law) + sign * root(v) * symbol
        for form, sign, v, symbol in zip(forms, signs, variances, symbols, strict=True)
    }
    return rewritten.xreplace(values), _extended(law, symbols, table)


def _symbols(table: Sequence[Sequence[sp.Expr]]) -> list[sp.Symbol]:
    """xi for a standard normal alone; xi[1 | C12, ...] for those with correlations."""
    size = len(table)
    linked = [str(table[i][j]) for i in range(size) for j in range(i)]
    label = "" if not linked or set(linked) == {"0"} else f" | {', '.join(linked)}"
    return [sp.Symbol(f"xi[{k + 1}{label}]" if size > 1 else "xi", real=True) for k in range(size)]


def _extended(law: Law, symbols: Sequence[sp.Symbol], table: Sequence[Sequence[sp.Expr]]) -> Law:
    independent = all(table[i][j] == 0 for i in range(len(table)) for j in range(i))
    blocks = {s: _BLOCK + (str(s) if independent else str(symbols[0])) for s in symbols}
    second = {
        (symbols[i], symbols[j]): sp.S.One if i == j else table[i][j]
        for i in range(len(symbols)) for j in range(i + 1)
    }  # fmt: skip
    return replace(law, blocks=dict(law.blocks) | blocks, second=dict(law.second) | second)
