"""Why a formula differs: a factor, a term, or a condition under which it would hold.

Candidates are tried in numbers at a few points; what fits at all of them is reported, and nothing is if none does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, islice
from typing import Any

import mpmath as mp
import sympy as sp

from derive.gaussian.average import Average
from derive.verify.meaning import Claim
from derive.verify.proof import expanded, fixed_law
from solvers.budget import check_budget
from solvers.verify.draws import roles
from solvers.verify.evaluate import Numbers
from solvers.verify.names import readable
from solvers.verify.points import Manifold
from solvers.verify.precise import DIGITS

POINTS = 3
EQUAL = mp.mpf("1e-8")
FACTORS = [sp.Rational(n, d) for n, d in ((2, 1), (1, 2), (-1, 1), (4, 1), (1, 4), (3, 1), (1, 3), (-2, 1), (-1, 2))]
MULTIPLES = [sp.Integer(n) for n in (1, -1, 2, -2)] + [sp.Rational(1, 2), sp.Rational(-1, 2)]
MOST_TERMS = 40


class Diagnosis:
    """Looks for what would mend a claim that differs, with the numbers of its judge."""

    def __init__(self, claim: Claim, numbers: Numbers, manifold: Manifold) -> None:
        self.claim, self.numbers, self.manifold = claim, numbers, manifold
        self.points = list(islice(self.manifold.points(seed=1), POINTS))
        self.values = [self.manifold.rough(point) for point in self.points]

    def missing(self) -> str | None:
        """A wrong factor, or a term too many or too few, in the formula's own words."""
        with mp.workdps(DIGITS):
            left, right = self._at(self.claim.left), self._at(self.claim.right)
            if left is None or right is None or not self.points:
                return None
            return self._factor(left, right) or self._term(left, right)

    def _at(self, expression: sp.Expr) -> list[Any] | None:
        try:
            return [self.numbers.rough(expression, v, p.lam)[0] for v, p in zip(self.values, self.points, strict=True)]
        except (KeyError, ValueError, ZeroDivisionError):
            return None

    def _factor(self, left: list[Any], right: list[Any]) -> str | None:
        if any(value == 0 for value in right):
            return None
        ratios = [a / b for a, b in zip(left, right, strict=True)]
        for factor in FACTORS:
            if _close(ratios, [mp.mpf(factor.p) / factor.q] * len(ratios)):
                return f"the right side should be multiplied by {factor}"
        for atom in self._atoms():
            values = self._at(atom)
            if values is None or any(value == 0 for value in values):
                continue
            for power in (1, -1, 2, -2):
                if _close(ratios, [value**power for value in values]):
                    shown = readable(atom**power, self.claim.theory)
                    return f"the right side should be multiplied by {shown}"
        return None

    def _atoms(self) -> list[sp.Expr]:
        both = [self.claim.left, self.claim.right]
        averages = set().union(*(side.atoms(Average) for side in both))
        symbols = set().union(*(side.xreplace({a: sp.Dummy() for a in averages}).free_symbols for side in both))
        symbols |= set(self.claim.theory.site.parameters.values())
        return sorted((a for a in averages | symbols if not isinstance(a, sp.Dummy)), key=sp.default_sort_key)

    def _term(self, left: list[Any], right: list[Any]) -> str | None:
        differences = [a - b for a, b in zip(left, right, strict=True)]
        for term, own in self._terms():
            check_budget()
            values = self._at(term)
            if values is None or any(value == 0 for value in values):
                continue
            for multiple in MULTIPLES:
                if _close(differences, [mp.mpf(multiple.p) / multiple.q * value for value in values]):
                    shown = readable(abs(multiple) * term, self.claim.theory)
                    if own and multiple == -1:
                        return f"the right side has a term too many: {shown}"
                    return f"the right side lacks the term {'' if multiple > 0 else '-'}{shown}"
        return None

    def _terms(self) -> Iterator[tuple[sp.Expr, bool]]:
        """Additive terms of both sides, as written and expanded; whether they are the right side's own."""
        law = fixed_law(self.claim)
        sides = [(self.claim.left, False), (self.claim.right, True)]
        forms = [*sides, *((expanded(side, law), own) for side, own in sides)]
        seen: set[sp.Expr] = set()
        for side, own in forms:
            for term in list(sp.Add.make_args(sp.expand(side)))[:MOST_TERMS]:
                if term not in seen:
                    seen.add(term)
                    yield term, own


def holds_when(claim: Claim, numbers: Numbers) -> str | None:
    """A special value of one or two parameters at which the formula holds."""
    candidates = _special_values(claim)
    for size in (1, 2):
        for chosen in combinations(candidates, size):
            if len({symbol for symbol, _ in chosen}) < size:
                continue
            check_budget()
            if _holds(replace(claim, where=dict(claim.where) | dict(chosen)), numbers):
                return " and ".join(f"{symbol} = {value}" for symbol, value in chosen)
    return None


def _special_values(claim: Claim) -> list[tuple[sp.Symbol, sp.Rational]]:
    found: list[tuple[sp.Symbol, sp.Rational]] = []
    symbols = claim.theory.site.parameters
    for name, role in roles(claim.theory.site.cell).items():
        if symbols[name] in claim.where or role == "gain":
            continue
        if role in ("mean", "std", "variance"):
            found.append((symbols[name], sp.S.Zero))
        elif role == "correlation":
            found += [(symbols[name], sp.S.Zero), (symbols[name], sp.S.One)]
    return found


def _holds(claim: Claim, numbers: Numbers) -> bool:
    """Whether a claim with more parameters fixed holds at a few points; averages are those compiled already."""
    manifold = Manifold(claim, numbers)
    points = list(islice(manifold.points(seed=2), POINTS))
    if len(points) < POINTS:
        return False
    with mp.workdps(DIGITS):
        for point in points:
            try:
                values = manifold.rough(point)
                left = numbers.rough(claim.left, values, point.lam)[0]
                right = numbers.rough(claim.right, values, point.lam)[0]
            except (KeyError, ValueError, ZeroDivisionError):
                return False
            if not _close([left], [right]) or abs(left) < mp.mpf("1e-12"):
                return False
    return True


def _close(left: list[Any], right: list[Any]) -> bool:
    return all(
        mp.isfinite(a) and mp.isfinite(b) and abs(a - b) <= EQUAL * max(abs(a), abs(b))
        for a, b in zip(left, right, strict=True)
    )
