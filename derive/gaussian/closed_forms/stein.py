"""Polynomial factors by Stein's formula: E[x f] = m E[f] + sum_j C_xj E[d_j f]  (Stein 1981).

For polynomials alone this is Isserlis' theorem (Isserlis 1918), one pairing at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.closed_forms.term import Term


def derivatives(x: sp.Symbol, term: Term, joint: Joint) -> Iterator[tuple[sp.Expr, Term, sp.Symbol | None]]:
    """The terms of sum_j C_xj d_j f with their coefficients, f without exponential.

    Where a sign was differentiated, the third entry is its variable y, and the term stands for delta(y) times it.
    """
    for symbol, n in term.powers:
        if joint.of(x, symbol) != 0:
            yield n * joint.of(x, symbol), term.lowered(symbol), None
    for symbol in dict.fromkeys(term.erfs):
        left = list(term.erfs)
        left.remove(symbol)
        slope = 2 / sp.sqrt(sp.pi) * term.erfs.count(symbol) * joint.of(x, symbol)
        if slope != 0:
            yield slope, replace(term, erfs=tuple(left), exponent=term.exponent - symbol**2), None
    for symbol in term.signs:
        if joint.of(x, symbol) != 0:
            left = [s for s in term.signs if s != symbol]
            yield 2 * joint.of(x, symbol), replace(term, signs=tuple(left)), symbol
    for place, (name, symbol) in enumerate(term.waves):
        if joint.of(x, symbol) != 0:
            waves = list(term.waves)
            waves[place] = ("sin" if name == "cos" else "cos", symbol)
            sign = -1 if name == "cos" else 1
            yield sign * joint.of(x, symbol), replace(term, waves=tuple(waves)), None
