"""Minors of the site pencil: polynomials in lam that carry all a site says about the spectrum.

With fields I that drive and fields J that are driven, of equal number,

    m_JI(lam) = det [[lam - L, a_I], [-b_J, e_JI]] = det(lam - L) det T_JI(lam),      T = b (lam - L)^-1 a + e

and by the Cauchy-Binet formula, for diagonal P and Q,

    |det(lam - L)|^2 det(1 + P T^dagger Q T) = sum_{I, J} prod_I P prod_J Q |m_JI(lam)|^2

which has no poles: where lam meets an eigenvalue of L, only the term of empty I and J vanishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import sympy as sp
from sympy.polys.rings import PolyElement, ring

MOST_FIELDS = 5
"""Beyond it (more than 252 minors) determinants of numbers are cheaper than sums of minors."""


@dataclass(frozen=True)
class Minor:
    """driving : fields I; driven : fields J; coefficients : of m_JI, by ascending powers of lam, in the entries."""

    driving: tuple[int, ...]
    driven: tuple[int, ...]
    coefficients: tuple[sp.Expr, ...]


def pencil_minors(L: sp.Matrix, a: sp.Matrix, b: sp.Matrix, e: sp.Matrix) -> tuple[Minor, ...]:
    """All minors that do not vanish identically, the one of no fields first.

    L (S, S), a (S, K), b (K, S), e (K, K) hold numbers and commuting symbols; entries that are the same symbol are the
    same number, so that minors of repeated rows drop out.
    """
    S, K = a.shape
    pencil = _Pencil(L, a, b, e)
    found: list[Minor] = []
    for size in range(K + 1):
        for driven in combinations(range(K), size):
            for driving in combinations(range(K), size):
                rows = (*range(S), *(S + k for k in driven))
                columns = (*range(S), *(S + k for k in driving))
                polynomial = pencil.minor(rows, columns)
                if polynomial != 0:
                    found.append(Minor(driving, driven, pencil.coefficients(polynomial)))
    return tuple(found)


class _Pencil:
    """Determinants of sub-matrices by expansion along the last row, each computed once."""

    def __init__(self, L: sp.Matrix, a: sp.Matrix, b: sp.Matrix, e: sp.Matrix) -> None:
        symbols = sorted(set().union(*(matrix.free_symbols for matrix in (L, a, b, e))), key=str)
        lam = sp.Symbol("lam[]")
        self._ring, self._lam, *generators = ring([lam, *symbols], sp.QQ)
        names = dict(zip(symbols, generators, strict=True))
        size = L.rows + b.rows
        whole = sp.Matrix(sp.BlockMatrix([[-L, a], [-b, e]])) if b.rows else -L
        self._entries = {
            (i, j): self._element(whole[i, j], names) for i in range(size) for j in range(size) if whole[i, j] != 0
        }
        for i in range(L.rows):
            self._entries[i, i] = self._entries.get((i, i), self._ring.zero) + self._lam
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], PolyElement] = {}

    def _element(self, entry: sp.Expr, names: Mapping[sp.Symbol, PolyElement]) -> PolyElement:
        number, symbol = entry.as_coeff_Mul()
        element = self._ring.one * sp.QQ.from_sympy(number)
        return element if symbol == 1 else element * names[symbol]

    def minor(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> PolyElement:
        """Determinant of the pencil on ``rows`` and ``columns``."""
        if not rows:
            return self._ring.one
        key = rows, columns
        if key not in self._known:
            total = self._ring.zero
            last = rows[-1]
            for place, column in enumerate(columns):
                if (last, column) in self._entries:
                    sign = -1 if (len(rows) - 1 + place) % 2 else 1
                    inner = self.minor(rows[:-1], columns[:place] + columns[place + 1 :])
                    total += self._entries[last, column] * inner * sign
            self._known[key] = total
        return self._known[key]

    def coefficients(self, polynomial: PolyElement) -> tuple[sp.Expr, ...]:
        """Coefficients of ascending powers of lam."""
        degree = polynomial.degree(self._lam)
        parts = [self._ring.zero] * (degree + 1)
        for exponents, coefficient in polynomial.terms():
            rest = (0, *exponents[1:])
            parts[exponents[0]] += self._ring.term_new(rest, coefficient)
        return tuple(part.as_expr() for part in parts)
