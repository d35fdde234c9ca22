"""Symbolic identity of the two sides of a claim, by named steps.

The closed equations are used to eliminate unknowns; what is left is a rational function of parameters and averages
over one site, each taken as a symbol of its own.  Equal functions prove the claim; unequal ones prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from derive.elementary import Fn
from derive.errors import SizeError
from derive.gaussian.average import Average, Law, average
from derive.gaussian.canonical import expanded_size
from derive.gaussian.normal import normal_form
from derive.verify.meaning import Claim

MAX_OPERATIONS = 4000
"""Expressions larger than this are left to numbers: cancelling them could take minutes."""

MAX_TERMS = 1500
"""Products that would have more terms than this are not multiplied out."""


@dataclass(frozen=True)
class ProofStep:
    """One rewriting of ``left - right``: the rule, the expression after it, and why it holds."""

    rule: str
    after: sp.Expr
    why: str


@dataclass(frozen=True)
class Proof:
    """proved : the difference is identically zero; steps : how it became so, or how far it came."""

    proved: bool
    steps: tuple[ProofStep, ...]


def prove(claim: Claim, *, thorough: bool = True) -> Proof:
    """Try to show left = right; for a boundary, that the right side is a constant times 1 - X of the theory.

    thorough : normal forms are tried where linearity and elimination are not enough; this may take long.
    """
    if claim.boundary:
        return _prove_boundary(claim, thorough)
    return _vanishes(claim, claim.left - claim.right, thorough)


def _prove_boundary(claim: Claim, thorough: bool) -> Proof:
    spectrum = claim.theory.spectrum
    if spectrum is None or len(spectrum.blocks) != 1 or len(spectrum.boundary) != 1:
        return Proof(False, ())
    for factor in (sp.S.One, sp.S.NegativeOne):
        found = _vanishes(claim, factor * claim.right - (1 - spectrum.boundary[0]), thorough)
        if found.proved:
            sign = "" if factor == 1 else "minus "
            first = ProofStep("boundary of the support", 1 - spectrum.boundary[0], f"det(1 - K), which is {sign}X")
            return Proof(True, (first, *found.steps))
    return Proof(False, ())


def _vanishes(claim: Claim, difference: sp.Expr, thorough: bool) -> Proof:
    """Linearity and elimination first; if that is not enough, the same between normal forms."""
    law = fixed_law(claim)
    trail = _Trail()
    try:
        trail.reach("difference of the two sides", difference, "to be shown to vanish")
        trail.reach("special values", difference.xreplace(dict(claim.where)), "parameters fixed by the claim")
        start = trail.reach("linearity", expanded(trail.end, law), "averages of sums are sums of averages")
        plain = {s: expanded(right.xreplace(dict(claim.where)), law) for s, right in claim.equations.items()}
        trail.solve(plain)
        if trail.end == 0 or not thorough:
            return Proof(trail.end == 0, tuple(trail.steps))
        found = normal_form(start, law)
        trail = _Trail(trail.steps[: trail.steps.index(next(s for s in trail.steps if s.after == start)) + 1])
        trail.steps += [ProofStep(s.rule, s.after, s.why) for s in found.steps]
        trail.reach("normal form", found.expression, "what is equal by these rules is the same expression")
        if trail.end != 0:
            trail.solve({s: normal_form(right, law).expression for s, right in plain.items()})
    except SizeError:
        return Proof(False, tuple(trail.steps))
    return Proof(trail.end == 0, tuple(trail.steps))


class _Trail:
    """Steps of a proof; each is what it is because of the one before."""

    def __init__(self, steps: list[ProofStep] | None = None) -> None:
        self.steps: list[ProofStep] = list(steps or [])

    @property
    def end(self) -> sp.Expr:
        return self.steps[-1].after

    def reach(self, rule: str, after: sp.Expr, why: str) -> sp.Expr:
        """Note a step, unless it changed nothing."""
        if not self.steps or self.end != after:
            self.steps.append(ProofStep(rule, after, why))
        return after

    def solve(self, equations: Mapping[sp.Symbol, sp.Expr]) -> None:
        """Eliminate unknowns and cancel what is left as a rational function."""
        if self.end != 0:
            self.reach("closed equations", eliminated(self.end, equations), "unknowns are replaced by what they equal")
        if self.end != 0 and sp.count_ops(self.end) <= MAX_OPERATIONS:
            self.reach("rational algebra", cancelled(self.end), "each average is one symbol")


def fixed_law(claim: Claim) -> Law:
    """The law of the site with the parameters that the claim fixes."""
    if not claim.where:
        return claim.law
    values = dict(claim.where)
    mean = {s: sp.sympify(m).xreplace(values) for s, m in claim.law.mean.items()}
    second = {pair: sp.sympify(c).xreplace(values) for pair, c in claim.law.second.items()}
    return replace(claim.law, mean=mean, second=second)


def expanded(expression: sp.Expr, law: Law) -> sp.Expr:
    """Every average as a sum of averages of products, by linearity, factorisation and parity."""

    def opened(node: Average) -> sp.Expr:
        integrand = _multiplied_out(_base_functions(law.functions.expand(node.integrand)))
        return sp.Add(*[average(term, law) for term in sp.Add.make_args(integrand)])

    nodes = {node: opened(node) for node in sorted(expression.atoms(Average), key=sp.default_sort_key)}
    return _multiplied_out(expression.xreplace(nodes))


def _multiplied_out(expression: sp.Expr) -> sp.Expr:
    """The expression without brackets, or as it is where that would be too long."""
    return sp.expand(expression) if expanded_size(expression) <= MAX_TERMS else expression


def _base_functions(expression: sp.Expr) -> sp.Expr:
    """First derivatives of tanh and the logistic function as polynomials in them."""

    def opened(node: Fn) -> sp.Expr:
        base = Fn(node.name, 0, node.argument)
        return 1 - base**2 if node.name == "tanh" else base * (1 - base)

    return expression.replace(
        lambda node: isinstance(node, Fn) and node.order == 1 and node.name in ("tanh", "sigmoid"), opened
    )


def eliminated(difference: sp.Expr, equations: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Replace unknowns outside of averages by the right-hand sides of their equations, jointly where tied."""
    names: dict[Average, sp.Symbol] = {}

    def named(expression: sp.Expr) -> sp.Expr:
        for node in sorted(expression.atoms(Average), key=sp.default_sort_key):
            names.setdefault(node, sp.Symbol(f"a[{len(names)}]"))
        return expression.xreplace(names)

    plain = named(difference)
    table = {s: named(right) for s, right in equations.items()}
    needed = _needed(plain, table)
    if not needed:
        return difference
    tied = [s - table[s] for s in needed]
    if any(not equation.is_polynomial(*needed) or sp.Poly(equation, *needed).total_degree() > 1 for equation in tied):
        return difference
    solutions = list(sp.linsolve(tied, list(needed)))
    if len(solutions) != 1:
        return difference
    found = dict(zip(needed, solutions[0], strict=True))
    back = {symbol: node for node, symbol in names.items()}
    return plain.xreplace(found).xreplace(back)


def _needed(expression: sp.Expr, table: Mapping[sp.Symbol, sp.Expr]) -> tuple[sp.Symbol, ...]:
    found: list[sp.Symbol] = []
    pending = [expression]
    while pending:
        for symbol in sorted(pending.pop().free_symbols & set(table), key=str):
            if symbol not in found:
                found.append(symbol)
                pending.append(table[symbol])
    return tuple(found)


def cancelled(expression: sp.Expr) -> sp.Expr:
    """Cancel as a rational function of parameters and averages."""
    nodes = sorted(expression.atoms(Average, Fn), key=sp.default_sort_key)
    outer = [n for n in nodes if not any(n is not m and m.has(n) for m in nodes)]
    names = {node: sp.Symbol(f"a[{k}]") for k, node in enumerate(outer)}
    back = {symbol: node for node, symbol in names.items()}
    numerator, _ = sp.fraction(sp.together(expression.xreplace(names)))
    numerator = sp.expand(numerator)
    return sp.S.Zero if numerator == 0 else numerator.xreplace(back)
