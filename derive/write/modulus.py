"""Squares of moduli, recognised exactly: f(lam) f(conj lam) is written |f|^2.

Nothing is ever approximated or assumed: a rewriting is kept only where expanding it gives back the input.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.gaussian.average import Average
from derive.write.nodes import Modulus2


@dataclass(frozen=True)
class Conjugation:
    """The spectral parameter and the symbol that stands for its conjugate."""

    lam: sp.Symbol
    lam_conj: sp.Symbol

    def conjugate(self, expression: sp.Expr) -> sp.Expr:
        """Exchange the two."""
        return expression.xreplace({self.lam: self.lam_conj, self.lam_conj: self.lam})

    def open(self, expression: sp.Expr) -> sp.Expr:
        """Multiply every |f|^2 out again, without expanding."""
        return expression.replace(
            lambda node: isinstance(node, Modulus2), lambda node: node.inner * self.conjugate(node.inner)
        )

    def concerns(self, expression: sp.Expr) -> bool:
        """Whether both symbols occur."""
        return {self.lam, self.lam_conj} <= expression.free_symbols

    def fold(self, expression: sp.Expr) -> sp.Expr:
        """Write moduli wherever they are found, innermost first."""
        if not self.concerns(expression):
            return expression
        if expression.args:
            parts = [self.fold(part) for part in expression.args]
            if isinstance(expression, sp.Add):
                return self._fold_sum(expression, parts)
            expression = expression.func(*parts)
        if isinstance(expression, sp.Mul):
            return self._cancel(self._pair(expression))
        if isinstance(expression, Average):
            return Average(self._gather(expression.integrand))
        return expression

    def _pair(self, product: sp.Expr) -> sp.Expr:
        """Replace factors that are each other's conjugates by moduli."""
        powers = product.as_powers_dict()
        result: list[sp.Expr] = []
        pending = dict(powers)
        for base in powers:
            partner = self.conjugate(base)
            if base not in pending or not self._first(base) or not pending[base].is_Integer:
                continue
            other = pending.get(partner)
            if other is None or not other.is_Integer or other * pending[base] <= 0:
                continue
            shared = min(abs(pending[base]), abs(other)) * sp.sign(other)
            result.append(Modulus2(self._upright(base)) ** shared)
            for item in (base, partner):
                pending[item] = pending[item] - shared
                if pending[item] == 0:
                    del pending[item]
        return sp.Mul(*result, *(base**exponent for base, exponent in pending.items()))

    def _first(self, base: sp.Expr) -> bool:
        """Of a conjugate pair, the member in lam itself."""
        return self.lam in base.free_symbols and self.lam_conj not in base.free_symbols

    def _upright(self, base: sp.Expr) -> sp.Expr:
        """Of f and -f, which have the same modulus, the one in which lam is counted positively."""
        terms = [term for term in sp.Add.make_args(base) if term.has(self.lam)]
        backward = isinstance(base, sp.Add) and all(term.could_extract_minus_sign() for term in terms)
        return sp.Add(*(-term for term in base.args)) if backward else base

    def _fold_sum(self, original: sp.Expr, parts: list[sp.Expr]) -> sp.Expr:
        """Terms that differ only in powers of lam and parameters are factored together."""
        plain = sp.Add(*parts)
        by_rest: dict[sp.Expr, sp.Expr] = {}
        for term in original.args:
            polynomial, rest = self._split(term)
            by_rest[rest] = by_rest.get(rest, sp.S.Zero) + polynomial
        folded = []
        for rest, polynomial in by_rest.items():
            factored = self._pair(sp.factor(polynomial)) if self.concerns(polynomial) else polynomial
            if self.lam_conj in _outside_moduli(factored):
                return plain
            folded.append(factored * self.fold(rest))
        candidate = sp.Add(*folded)
        return candidate if sp.expand(self.open(candidate) - self.open(plain)) == 0 else plain

    def _split(self, term: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """Polynomial in the spectral parameter, and averages and quotients."""
        polynomial: list[sp.Expr] = []
        rest: list[sp.Expr] = []
        for factor in sp.Mul.make_args(term):
            plain = not factor.atoms(Average) and factor.is_polynomial(self.lam, self.lam_conj)
            (polynomial if plain else rest).append(factor)
        return sp.Mul(*polynomial), sp.Mul(*rest)

    def _cancel(self, product: sp.Expr) -> sp.Expr:
        """Divide each term of a sum by the moduli below the line where that cancels one."""
        below = [item for item in sp.Mul.make_args(product) if _is_inverse_modulus(item)]
        sums = [item for item in sp.Mul.make_args(product) if isinstance(item, sp.Add)]
        if len(sums) != 1 or not below:
            return product
        moduli = {item.base for item in below}
        useful = [m for m in moduli if any(m in sp.Mul.make_args(term) for term in sums[0].args)]
        if not useful:
            return product
        divisor = sp.Mul(*(item for item in below if item.base in useful))
        taken = {sums[0], *(item for item in below if item.base in useful)}
        rest = sp.Mul(*(item for item in sp.Mul.make_args(product) if item not in taken))
        return sp.Mul(rest, sp.Add(*(term * divisor for term in sums[0].args)))

    def _gather(self, integrand: sp.Expr) -> sp.Expr:
        """A product of squares over moduli is one modulus: a^2/|f|^2 = |a/f|^2 for real a."""
        factors = integrand.as_powers_dict()
        if not any(isinstance(base, Modulus2) and exponent < 0 for base, exponent in factors.items()):
            return integrand
        if all(isinstance(base, Modulus2) and exponent < 0 for base, exponent in factors.items()):
            return integrand
        root: list[sp.Expr] = []
        for base, exponent in factors.items():
            if isinstance(base, Modulus2) and exponent.is_Integer:
                root.append(base.inner**exponent)
            elif base.is_real and exponent.is_Integer and exponent.is_even:
                root.append(base ** (exponent / 2))
            else:
                return integrand
        return Modulus2(sp.Mul(*root))


def _outside_moduli(expression: sp.Expr) -> set[sp.Basic]:
    """Symbols that are left when every modulus is taken away."""
    return set(expression.xreplace(dict.fromkeys(expression.atoms(Modulus2), sp.S.One)).free_symbols)


def _is_inverse_modulus(factor: sp.Expr) -> bool:
    return isinstance(factor, sp.Pow) and isinstance(factor.base, Modulus2) and factor.exp.is_negative is True
