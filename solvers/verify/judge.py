"""From a claim to a verdict: proof first, then numbers.

A difference is only reported when it is far beyond every error at a generic point and survives thirty digits where
these can be had; agreement needs all of twenty points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import mpmath as mp
import sympy as sp

from derive.gaussian.average import Average
from derive.stability.spectrum import LAM, LAM_CONJ
from derive.theory import Theory, law_symbols
from derive.verify.meaning import Claim
from derive.verify.proof import Proof, prove
from solvers.verify.boundary import BoundaryTest
from solvers.verify.evaluate import RTOL, Numbers
from solvers.verify.names import readable, shown_name
from solvers.verify.points import GenericPoint, Manifold
from solvers.verify.precise import DIGITS, PrecisionError
from solvers.verify.verdict import AGREES, DIFFERS, PROVED, UNDECIDED, Evidence

POINTS, FIRST_LOOK = 20, 3
SITES, FIRST_SITES = 5, 1  # points of the boundary
FIRST_RTOL = 1e-8  # of averages at the first of them
FAR = mp.mpf("1e-8")
"""Relative difference that no error of a float64 point explains."""

CLEAR = mp.mpf("1e-4")
"""Relative difference that needs no second look, if it is as many times the error as well."""

EQUAL_DIGITS, ROUGH_DIGITS = 30, 12
HELPERS = ("shared[", "constant[")  # unknowns that no reader has named
ERRORS = 20  # how many of the stated errors a difference may be


@dataclass(frozen=True)
class Judgement:
    """verdict, evidence and the lines that explain them."""

    verdict: str
    evidence: Evidence
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Both sides at one point, with the error of their difference."""

    point: GenericPoint
    values: Mapping[sp.Symbol, Any]
    left: Any
    right: Any
    error: Any
    precise: bool
    spectral: Mapping[str, float] = field(default_factory=dict)  # lambda, where the formula has it

    @property
    def size(self) -> Any:
        return max(abs(self.left), abs(self.right))

    @property
    def difference(self) -> Any:
        return abs(self.left - self.right)

    @property
    def far(self) -> bool:
        """Whether the two sides differ beyond doubt."""
        return bool(self.difference > FAR * self.size + ERRORS * self.error)

    @property
    def clear(self) -> bool:
        """Whether no finer arithmetic could bring the two sides together."""
        return bool(self.difference > CLEAR * self.size + self.error / CLEAR)

    @property
    def digits(self) -> float:
        """Decimal digits in which they agree."""
        if self.difference == 0:
            return float(DIGITS)
        return float(min(-mp.log10(self.difference / self.size), DIGITS))


class Judge:
    """Judges one claim."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.numbers = Numbers(claim)
        self.manifold = Manifold(claim, self.numbers)

    def judge(self) -> Judgement:
        """The verdict on left = right."""
        with mp.workdps(DIGITS):
            sampled = self.claim.theory.closure == "sampled"
            proof = prove(self.claim, thorough=sampled)
            if not proof.proved and not sampled:
                # A proof by normal forms can take long, and is sought only for what numbers do not contradict.
                rejected = self._boundary(first=True) if self.claim.boundary else self._first_look()
                if rejected is not None and rejected.verdict == DIFFERS:
                    return rejected
                proof = prove(self.claim)
            if proof.proved:
                return Judgement(PROVED, Evidence(), proof_lines(proof, self.claim.theory))
            if sampled:
                return self.undecided("the moments do not close: there are only sampled numbers to compare with")
            if self.claim.boundary:
                return self._boundary(first=False)
            return rejected or self._agreement()

    @cached_property
    def symbols(self) -> frozenset[sp.Symbol]:
        """Parameters and unknowns that the two sides depend on."""
        sides = [self.claim.left, self.claim.right, *(e for matrix in self.claim.radii.values() for e in matrix)]
        plain = {s for side in sides for s in side.free_symbols}
        averages = {node for side in sides for node in side.atoms(Average)}
        return frozenset(plain.union(*(law_symbols(node.integrand, self.claim.law) for node in averages)))

    def undecided(self, *why: str) -> Judgement:
        return Judgement(UNDECIDED, Evidence(), why)

    def _first_look(self) -> Judgement | None:
        """Judgement at a few points, if these are enough for one."""
        point = None
        for point in islice(self.manifold.points(), FIRST_LOOK):
            silent = sorted(map(str, point.dead & self.symbols))
            if silent:
                return self.undecided(f"{shown_name(silent[0])} vanishes at every solution found: nothing is tested")
            rough = self.at(point, precise=False) or self.at(point, precise=True)
            if rough is None:
                return self.undecided("a side has no finite value at a generic point")
            if rough.far:
                best = rough if rough.clear else self.at(point, precise=True) or rough
                if best.far:
                    return Judgement(DIFFERS, evidence_of(best), ("the sides differ at a generic point",))
        if point is None:
            return self.undecided("no non-trivial solution was found to compare the sides at")
        return None

    def _boundary(self, *, first: bool) -> Judgement:
        """X must vanish on the boundary and nowhere near it: a first look in float64, or as precisely as can be had."""
        if first:
            return self._on_and_off(FIRST_SITES, precise=False, doubt=CLEAR, rtol=FIRST_RTOL)
        try:
            return self._on_and_off(SITES, precise=True, doubt=FAR)
        except PrecisionError:
            return self._on_and_off(SITES, precise=False, doubt=FAR)

    def _on_and_off(self, most: int, *, precise: bool, doubt: Any, rtol: float = RTOL) -> Judgement:
        test, worst, count = BoundaryTest(self.claim, self.numbers, self.manifold), float(DIGITS), 0
        for point, values, lam, centre in islice(test.sites(precise=precise, rtol=rtol), most):
            count += 1
            value, error = test.size(values, lam, precise=precise, rtol=rtol)
            beside = test.off(values, lam, centre, rtol)
            sizes = [abs(x) for x, _ in beside]
            comparison = Comparison(point, values, value, mp.mpf(0), error, precise, self._spectral(complex(lam)))
            if abs(value) > doubt * max(sizes) + ERRORS * error:
                return Judgement(DIFFERS, evidence_of(comparison), ("X does not vanish on the boundary",))
            if _vanishes(beside) and (rtol == RTOL or _vanishes(test.off(values, lam, centre, RTOL))):
                return Judgement(DIFFERS, evidence_of(comparison), ("X vanishes off the boundary, too",))
            worst = min(worst, float(-mp.log10(abs(value) / min(sizes))) if value else worst)
        if not count:
            return self.undecided("no boundary was met on any ray at any point")
        evidence = evidence_of(comparison, digits=worst, points=count)
        text = f"not proved: X vanishes to {worst:.0f} digits at {count} points of the boundary, and not beside it"
        enough = worst >= (EQUAL_DIGITS - 2 if precise else 9)
        return Judgement(AGREES if enough else UNDECIDED, evidence, (text,))

    def _agreement(self) -> Judgement:
        """All of twenty points, as precisely as the averages allow."""
        found: list[Comparison] = []
        for point in islice(self.manifold.points(), POINTS):
            comparison = self.at(point, precise=True) or self.at(point, precise=False)
            if comparison is None:
                return self.undecided("a side has no finite value at a generic point")
            if comparison.far:
                return Judgement(DIFFERS, evidence_of(comparison), ("the sides differ at a generic point",))
            found.append(comparison)
        worst = min(found, key=lambda c: c.digits)
        return self._weigh(found, worst)

    def _weigh(self, found: list[Comparison], worst: Comparison) -> Judgement:
        precise = all(c.precise for c in found)
        evidence = evidence_of(worst, digits=worst.digits, points=len(found))
        where = f"at {len(found)} random points of the solution manifold"
        if precise and worst.digits >= EQUAL_DIGITS:
            return Judgement(AGREES, evidence, (f"not proved: equal to {EQUAL_DIGITS} digits {where} (mpmath)",))
        within = all(c.difference <= ERRORS * c.error + mp.mpf(10) ** -ROUGH_DIGITS * c.size for c in found)
        error = max(c.error / c.size if c.size else mp.mpf(0) for c in found)
        if not precise and within and error < mp.mpf(10) ** (2 - ROUGH_DIGITS):
            text = f"not proved: equal to {worst.digits:.0f} digits {where}, averages in float64"
            return Judgement(AGREES, evidence, (f"{text} (stated error {float(error):.1e})",))
        return Judgement(UNDECIDED, evidence, (f"the sides agree to {worst.digits:.0f} digits only {where}",))

    def at(self, point: GenericPoint, *, precise: bool) -> Comparison | None:
        """Both sides at a point; None where they are not finite, or not to be had precisely."""
        try:
            values = self.manifold.precise(point) if precise else self.manifold.rough(point)
            evaluate = self.numbers.precise if precise else self.numbers.rough
            left, left_error = evaluate(self.claim.left, values, point.lam)
            right, right_error = evaluate(self.claim.right, values, point.lam)
        except (PrecisionError, KeyError, ZeroDivisionError, ValueError):
            return None
        if not (mp.isfinite(left) and mp.isfinite(right)):
            return None
        carried = 0 if precise else self.manifold.relative_error(point) * max(abs(left), abs(right))
        error = left_error + right_error + carried
        return Comparison(point, values, left, right, error, precise, self._spectral(point.lam))

    def _spectral(self, lam: complex) -> dict[str, float]:
        """lambda by name, if the formula has it."""
        if not (self.claim.boundary or self.claim.left.has(LAM, LAM_CONJ) or self.claim.right.has(LAM, LAM_CONJ)):
            return {}
        return {"re(lam)": lam.real, "im(lam)": lam.imag}


def _vanishes(found: list[tuple[Any, Any]]) -> bool:
    """Whether one of some values may be zero, (value, error) each."""
    largest = max(abs(value) for value, _ in found)
    return any(abs(value) <= ERRORS * error + mp.mpf(10) ** -ROUGH_DIGITS * largest for value, error in found)


def proof_lines(proof: Proof, theory: Theory) -> tuple[str, ...]:
    """One line for each step, in the names of formulas."""
    return tuple(f"{step.rule}: {readable(step.after, theory)} ({step.why})" for step in proof.steps)


def evidence_of(comparison: Comparison, digits: float | None = None, points: int = 0) -> Evidence:
    """The point and the values of a comparison, as JSON numbers."""
    values = {str(s): float(mp.re(v)) for s, v in comparison.values.items() if not str(s).startswith(HELPERS)}
    point = {shown_name(name): value for name, value in sorted(values.items())}
    ratio = comparison.left / comparison.right if comparison.right != 0 else None
    return Evidence(
        point=point | dict(comparison.spectral),
        left=_plain(comparison.left, comparison.error),
        right=_plain(comparison.right, comparison.error),
        ratio=None if ratio is None else _plain(ratio, comparison.error / abs(comparison.right)),
        digits=digits,
        points=points,
    )


def _plain(value: Any, error: Any) -> Any:
    """A real number, or [re, im] where the imaginary part is more than rounding."""
    number = complex(value)
    if abs(number.imag) <= max(1e-15 * abs(number), float(error)):
        return number.real
    return [number.real, number.imag]
