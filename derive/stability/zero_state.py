"""The zero state: all states vanish, and with them the fields they feed; averages become values at zero.

A random variable on which the zero state would not survive (a bias of the drive, an input) has to vanish too and is
named; the others, such as biases of gates, keep their law.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sympy as sp

from derive.elementary import Fn, builtin_derivative, simplify_zero_arguments
from derive.elementary import X as ARGUMENT
from derive.errors import GatefieldError
from derive.gaussian.average import Average, Law, average
from derive.theory import Step, Theory

Values = Mapping[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class ZeroState:
    """zeros : fields fed by states, and every other symbol that vanishes; quiet : those of them that have to, though
    no state feeds them; law : of what stays random."""

    zeros: Mapping[sp.Symbol, sp.Expr]
    quiet: tuple[sp.Symbol, ...]
    law: Law


def zero_state(theory: Theory) -> Iterator[Step]:
    """The linearised theory at the zero state, if there is one."""
    try:
        found = find_zero_state(theory)
        if found is None:
            return
        yield from _static(theory, found) if theory.ansatz == "static" else _untied(theory, found)
    except GatefieldError:  # a function without a finite value at zero: there is no such limit
        return


def find_zero_state(theory: Theory) -> ZeroState | None:
    """The zero state with what it needs; None where states or products do not vanish with their fields."""
    site = theory.site
    if theory.implicit or not site.fields:
        return None
    fed = frozenset(item.symbol for k, item in enumerate(site.fields) if k not in site.input_fields)
    zeros: dict[sp.Symbol, sp.Expr] = dict.fromkeys([*fed, *site.states], sp.S.Zero)
    values = theory.states.values() if theory.ansatz == "static" else site.F
    products = [item.v for item in site.fields if item.symbol in fed]
    must_vanish = [_at(value, zeros, theory.law) for value in (*values, *products)]
    quiet = sorted({symbol for value in must_vanish for symbol in theory.law.random(value)}, key=str)

    def vanish(chosen: list[sp.Symbol]) -> bool:
        at = zeros | dict.fromkeys(chosen, sp.S.Zero)
        return all(_at(value, at, theory.law) == 0 for value in must_vanish)

    if not vanish(quiet):
        return None
    for symbol in tuple(quiet):
        if vanish([other for other in quiet if other != symbol]):
            quiet.remove(symbol)
    return ZeroState(_silenced(theory, fed, quiet), tuple(quiet), theory.law)


def _silenced(theory: Theory, fed: frozenset[sp.Symbol], quiet: list[sp.Symbol]) -> dict[sp.Symbol, sp.Expr]:
    """The fields fed by states, the quiet variables, and what these take along: second moments, fields of inputs."""
    zeros: dict[sp.Symbol, sp.Expr] = dict.fromkeys([*fed, *quiet], sp.S.Zero)
    for item in theory.site.quenched:
        if item.symbol in quiet and isinstance(item.second, sp.Symbol):
            zeros[item.second] = sp.S.Zero
    for field in theory.site.fields:
        if _at(field.v, zeros | dict.fromkeys(theory.site.states, sp.S.Zero), theory.law) == 0:
            zeros[field.symbol] = sp.S.Zero
    return zeros


def _at(value: sp.Expr, zeros: Values, law: Law) -> sp.Expr:
    """The value there, calls at zero evaluated from the inside out."""
    found = value.xreplace(dict(zeros))
    while (simpler := simplify_zero_arguments(found, law.functions)) != found:
        found = simpler
    return found


def _static(theory: Theory, zero: ZeroState) -> Iterator[Step]:
    spectrum = theory.spectrum
    if spectrum is None or not spectrum.boundary:
        return
    boundary = tuple(limit(item, theory, zero) for item in spectrum.boundary)
    if any(item is None for item in boundary):
        return
    edges = [item for item in boundary if item is not None and item != 0]
    if not edges:
        return
    why = (
        "every variance goes to zero and an average becomes the value of its integrand at zero, where odd functions "
        "vanish; of the averages only those over biases and inputs of gates are left"
    )
    needs = tuple((symbol, sp.S.Zero) for symbol in zero.quiet)
    yield Step("zero state: boundary of the support", (*needs, *((sp.S.One, item) for item in edges)), why,
               _needs(zero))  # fmt: skip
    yield from _onset(theory, zero, edges)


def _onset(theory: Theory, zero: ZeroState, edges: list[sp.Expr]) -> Iterator[Step]:
    """Where the support reaches the line of stability on the real axis, with all that is random at its mean."""
    spectrum = theory.spectrum
    if spectrum is None:
        return
    means = {symbol: zero.law.mean_of(symbol) for item in edges for node in item.atoms(Average)
             for symbol in zero.law.random(node.integrand)}  # fmt: skip
    critical = sp.S.One if theory.site.discrete else sp.S.Zero
    point = {spectrum.lam: critical, spectrum.lam_conj: critical}
    rows = []
    for item in edges:
        plain = item.replace(lambda node: isinstance(node, Average), lambda node: node.integrand.xreplace(means))
        value = _at(plain, point, zero.law)
        if value.has(sp.zoo, sp.nan, sp.oo):
            return
        rows.append((sp.S.One, value))
    where = f"lam = {critical}"
    yield Step(
        "zero state: onset of instability",
        tuple(rows),
        f"the boundary is taken at {where}, where the support crosses the line of stability on the real axis",
        "biases and inputs that are left sit at their means" if means else "",
    )


def _untied(theory: Theory, zero: ZeroState) -> Iterator[Step]:
    if theory.perturbation is None or theory.perturbation.rows != 1:
        return
    value = limit(theory.perturbation[0, 0], theory, zero)
    if value is None:
        return
    needs = tuple((symbol, sp.S.Zero) for symbol in zero.quiet)
    yield Step(
        "zero state: growth of perturbations",
        (*needs, (sp.Symbol("chi1[]"), value)),
        "every variance goes to zero and an average becomes the value of its integrand at zero",
        _needs(zero),
    )


def _needs(zero: ZeroState) -> str:
    plain = "the states and the fields they feed vanish"
    return f"{plain}, which needs the variables set to zero here" if zero.quiet else plain


def limit(expression: sp.Expr, theory: Theory, zero: ZeroState) -> sp.Expr | None:
    """The expression at the zero state; None where a kink at zero has no limit that is known here."""
    limits: dict[sp.Basic, sp.Expr] = {}
    for node in expression.atoms(Average):
        value = _limit_of_average(node, zero)
        if value is None:
            return None
        limits[node] = value
    unknowns = {symbol: sp.S.Zero for symbol in theory.system.equations if _vanishes(symbol, theory, zero)}
    value = expression.xreplace(limits).xreplace({**unknowns, **dict(zero.zeros)})
    own, others = _moments_of_quiet(theory, zero)
    if value.atoms(sp.Function) and value.free_symbols & own & others:
        return None  # a closed form holds the moments of what vanishes and of what stays under one name
    value = value.xreplace(dict.fromkeys(own - others, sp.S.Zero))
    return None if value.has(sp.nan, sp.zoo, sp.oo) else value


def _moments_of_quiet(theory: Theory, zero: ZeroState) -> tuple[set[sp.Symbol], set[sp.Symbol]]:
    """Parameters in the moments of quiet biases and inputs, and parameters found anywhere else."""
    own: set[sp.Symbol] = set()
    others: set[sp.Symbol] = set()
    for item in theory.site.quenched:
        (own if item.symbol in zero.quiet else others).update(item.mean.free_symbols | item.second.free_symbols)
    for field in theory.site.fields:
        others |= field.gain.free_symbols | field.v.free_symbols
    return own, others.union(*(f.free_symbols for f in theory.site.F))


def _vanishes(unknown: sp.Symbol, theory: Theory, zero: ZeroState) -> bool:
    """Whether an unknown is a moment of something that vanishes, and not the variance of a field of inputs alone."""
    names = {name: symbol for name, symbol in theory.variances.items() if symbol == unknown}
    symbols = {item.symbol for item in theory.site.fields if item.name in names}
    return not symbols or symbols <= set(zero.zeros)


def _limit_of_average(node: Average, zero: ZeroState) -> sp.Expr | None:
    table = zero.law.functions
    integrand = table.expand(node.integrand) if _has_kink(node.integrand, zero) else node.integrand
    kinks = {call for call in integrand.atoms(Fn) if _kinked_at_zero(call, zero)}
    if not kinks:
        return average(_at(integrand, zero.zeros, zero.law), zero.law)
    if len({call.argument for call in kinks}) != 1:
        return None
    sides = []
    for sign in ("+", "-"):
        values = {call: sp.limit(builtin_derivative(call.name, call.order), ARGUMENT, 0, sign) for call in kinks}
        sides.append(average(_at(integrand.xreplace(values), zero.zeros, zero.law), zero.law))
    return (sides[0] + sides[1]) / 2


def _has_kink(integrand: sp.Expr, zero: ZeroState) -> bool:
    return any(_kinked_at_zero(call, zero) for call in zero.law.functions.expand(integrand).atoms(Fn))


def _kinked_at_zero(call: Fn, zero: ZeroState) -> bool:
    """Whether the call sits on a kink or a jump of its function, which then has a value on either side."""
    table = zero.law.functions
    inside = call.argument.xreplace(zero.zeros) == 0 and bool(call.argument.free_symbols & set(zero.zeros))
    return inside and (table.kinked(call.name) or table.jumps(call.name))
