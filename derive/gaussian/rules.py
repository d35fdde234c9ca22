"""Averages rewritten by named rules, one at a time, every application on record.

A rule looks at E[f] and either leaves it or returns an equal expression in other averages.  `rewrite` applies the
first rule of an ordered list that fits, to every average, until none does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy as sp

from derive.elementary import Fn, simplify_zero_arguments
from derive.errors import SizeError
from derive.gaussian.average import Average, Law, separate, vanishes_by_parity
from derive.gaussian.closed_forms import closed_form, gaussian_moment, given_zero
from derive.gaussian.standard import standardised

MAX_STEPS = 5_000
"""How many applications one rewriting may take before `SizeError` is raised."""


@dataclass(frozen=True)
class RuleStep:
    """One application of a rule: the average ``before`` equals ``after``.

    A `derive.theory.Step` establishes equations of a theory under an assumption; this is one algebraic rewriting
    inside a right-hand side and assumes nothing beyond the law.
    """

    rule: str
    before: sp.Expr
    after: sp.Expr
    why: str


@dataclass(frozen=True)
class Rewriting:
    """An expression after rewriting, every step on the way, and the law under which the result is read.

    law : the given law, and the standard normals that a change of variables brought in.
    """

    expression: sp.Expr
    steps: tuple[RuleStep, ...]
    law: Law


Outcome = tuple[sp.Expr, Law] | None
"""What a rule made of E[f], and the law of what it made; None where it does not apply."""


@dataclass(frozen=True)
class Rule:
    """name; why : the reason in one line; apply : integrand and law to E[integrand] in other averages."""

    name: str
    why: str
    apply: Callable[[sp.Expr, Law], Outcome]


def _constants(integrand: sp.Expr, law: Law) -> Outcome:
    symbols = law.random(integrand)
    if not symbols:
        return integrand, law
    constant, rest = integrand.as_independent(*symbols, as_Add=False)
    return None if constant == 1 else (constant * Average(rest), law)


def _linearity(integrand: sp.Expr, law: Law) -> Outcome:
    if not isinstance(integrand, sp.Add):
        return None
    return sp.Add(*(Average(term) for term in integrand.args)), law


def _factorisation(integrand: sp.Expr, law: Law) -> Outcome:
    parts = separate(integrand, law)
    if len(parts) == 1 and len(parts[0][1]) <= 1:
        return None
    products = (coefficient * sp.Mul(*(Average(f) for f in factors)) for coefficient, factors in parts)
    return sp.Add(*products), law


def _parity(integrand: sp.Expr, law: Law) -> Outcome:
    return (sp.S.Zero, law) if vanishes_by_parity(integrand, law) else None


def _odd_part(integrand: sp.Expr, law: Law) -> Outcome:
    """E[g sigmoid(y)] = E[g]/2 where the odd part of the sigmoid averages to zero.

    Applied only where every term that keeps an odd part vanishes, so that nothing gets longer.
    """
    gates = sorted(
        (f for f in integrand.atoms(Fn) if f.name == "sigmoid" and f.order == 0 and law.random(f)),
        key=sp.default_sort_key,
    )
    if not gates or not _is_plain_product(integrand, gates):
        return None
    odd = {gate: sp.Rational(1, 2) + Fn("tanh", 0, gate.argument / 2) / 2 for gate in gates}
    kept: list[sp.Expr] = []
    for term in sp.Add.make_args(sp.expand(integrand.xreplace(odd), deep=False)):
        if not term.atoms(Fn) - integrand.atoms(Fn):
            kept.append(term)
        elif not vanishes_by_parity(term, law):
            return None
    return sp.Add(*(Average(term) for term in kept)), law


def _is_plain_product(integrand: sp.Expr, gates: Sequence[Fn]) -> bool:
    """Whether each gate is a factor of the integrand, once."""
    return all(gate in sp.Mul.make_args(integrand) for gate in gates)


def _isserlis(integrand: sp.Expr, law: Law) -> Outcome:
    value = gaussian_moment(integrand, law)
    return None if value is None else (value, law)


def _closed(integrand: sp.Expr, law: Law) -> Outcome:
    value = closed_form(integrand, law)
    return None if value is None else (value, law)


def _delta(integrand: sp.Expr, law: Law) -> Outcome:
    found = given_zero(integrand, law)
    return None if found is None else (found[0] * Average(found[1]), law)


def _at_zero(integrand: sp.Expr, law: Law) -> Outcome:
    value = simplify_zero_arguments(integrand, law.functions)
    return None if value == integrand else (Average(value), law)


def _stein(integrand: sp.Expr, law: Law) -> Outcome:
    """E[u f] = mu E[f] + sum_j C_uj E[d_j f] for a Gaussian factor u of an integrand that is no polynomial."""
    symbols = law.random(integrand)
    if symbols & (law.unknown | set(law.depends)) or integrand.is_polynomial(*symbols):
        return None
    factors = sorted((s for s in symbols if _power_of(s, integrand)), key=str)
    if not factors or not isinstance(integrand, sp.Mul):
        return None
    u = factors[0]
    rest = integrand / u
    total = law.mean_of(u) * Average(rest)
    for other in sorted(symbols, key=str):
        covariance = law.covariance(u, other)
        if covariance != 0:
            total += covariance * Average(rest.diff(other))
    return total, law


def _power_of(symbol: sp.Symbol, integrand: sp.Expr) -> int:
    """The positive integer power of a symbol among the factors, zero if there is none."""
    for factor in sp.Mul.make_args(integrand):
        base, exponent = factor.as_base_exp()
        if base == symbol and exponent.is_Integer and exponent > 0:
            return int(exponent)
    return 0


def _merge(integrand: sp.Expr, law: Law) -> Outcome:
    found = standardised(integrand, law, lambda expression: expression)
    if found is None or found.removed <= 0:
        return None
    return Average(found.integrand), found.law


LINEARITY = Rule("linearity", "E[f + g] = E[f] + E[g]", _linearity)
CONSTANTS = Rule("constants out", "E[c f] = c E[f] for c without random symbols", _constants)
FACTORISATION = Rule(
    "factorisation", "expanded over independent groups, E[f(x) g(y)] = E[f(x)] E[g(y)]", _factorisation
)
PARITY = Rule("parity", "a change of sign of zero-mean Gaussians changes the sign of the integrand", _parity)
ODD_PART = Rule("odd part", "sigmoid(y) = 1/2 + an odd function, which averages to zero here", _odd_part)
ISSERLIS = Rule("Isserlis", "moments of jointly Gaussian variables are sums over pairings (Isserlis 1918)", _isserlis)
CLOSED_FORM = Rule("closed form", "the integrand is made of functions whose Gaussian averages are known", _closed)
DELTA = Rule("delta", "E[delta(y) f] = p_y(0) E[f | y = 0]", _delta)
AT_ZERO = Rule("values at zero", "f(0) is a number", _at_zero)
STEIN = Rule("Stein", "E[u f] = mu E[f] + sum_j C_uj E[d_j f] (Stein 1981)", _stein)
MERGE = Rule(
    "change of variables", "an affine sum of Gaussians is one Gaussian: y = mean + sqrt(variance) xi", _merge
)

RULES: tuple[Rule, ...] = (
    AT_ZERO, CONSTANTS, PARITY, ISSERLIS, FACTORISATION, CLOSED_FORM, LINEARITY, ODD_PART, DELTA, STEIN, MERGE,
)  # fmt: skip
"""In the order in which they are tried."""


def rewrite(expression: sp.Expr, law: Law, rules: Sequence[Rule] = RULES) -> Rewriting:
    """Rewrite every average of an expression until no rule applies.

    Raises SizeError beyond `MAX_STEPS` applications, or where an expansion passes the limit of `average`.
    """
    engine = _Engine(rules, law)
    return Rewriting(engine.outer(sp.sympify(expression)), tuple(engine.steps), engine.law)


class _Engine:
    """Applies rules to averages, inner ones first, each distinct average once."""

    def __init__(self, rules: Sequence[Rule], law: Law) -> None:
        self.rules, self.law = rules, law
        self.steps: list[RuleStep] = []
        self._done: dict[sp.Expr, sp.Expr] = {}

    def outer(self, expression: sp.Expr) -> sp.Expr:
        """An expression with all its averages rewritten."""
        nodes = sorted(outermost(expression), key=sp.default_sort_key)
        return expression.xreplace({node: self._average(node) for node in nodes})

    def _average(self, node: Average) -> sp.Expr:
        if node not in self._done:
            held = {inner: sp.Dummy("E", real=True) for inner in sorted(outermost(node.integrand), key=str)}
            values = {mark: self._average(inner) for inner, mark in held.items()}
            self._done[node] = self._steps(node.integrand.xreplace(held)).xreplace(values)
        return self._done[node]

    def _steps(self, integrand: sp.Expr) -> sp.Expr:
        for rule in self.rules:
            outcome = rule.apply(integrand, self.law)
            if outcome is None or outcome[0] == Average(integrand):
                continue
            if len(self.steps) >= MAX_STEPS:
                raise SizeError(f"an average needs more than {MAX_STEPS} rewriting steps")
            after, self.law = outcome
            self.steps.append(RuleStep(rule.name, Average(integrand), after, rule.why))
            return self.outer(after)
        return Average(integrand)


def outermost(expression: sp.Basic) -> set[Average]:
    """Averages that no other average contains."""
    if isinstance(expression, Average):
        return {expression}
    return set().union(*(outermost(part) for part in expression.args)) if expression.args else set()
