"""Saturated gates: the argument of a logistic gate has a large variance, and the gate is open or shut.

For a Gaussian argument x of mean m and variance v -> infinity that is independent of everything else in an average,

    E[f(sigma(x)) g] -> (f(0) + f(1))/2 E[g],     E[sigma'(x)^n g] ~ B(n, n) E[g] / sqrt(2 pi v),

with the Beta function B(n, n) = integral of sigma'^n, so that the gate becomes a step function and its derivative
keeps the weight of a neighbourhood of x = 0.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from derive.elementary import Fn
from derive.errors import SizeError
from derive.gaussian.average import Average, average
from derive.gaussian.rational import tidy
from derive.site import Definition
from derive.theory import Step, Theory

_GATE = sp.Symbol("gate[]", real=True)


def saturated_gates(theory: Theory) -> Iterator[Step]:
    """For each logistic gate of a static theory: the equations that change as it saturates."""
    if theory.ansatz != "static" or theory.spectrum is None or theory.implicit:
        return
    for definition in theory.site.definitions:
        try:
            step = _saturated(theory, definition)
        except SizeError:  # an average that would fill pages
            continue
        if step is not None:
            yield step


def _saturated(theory: Theory, definition: Definition) -> Step | None:
    if definition.function != "sigmoid" or definition.argument is None or theory.spectrum is None:
        return None
    argument = tidy(definition.argument.xreplace(dict(theory.states)))
    if not _is_gaussian(argument, theory):
        return None
    rows: list[tuple[sp.Basic, sp.Basic]] = []
    equations = [*theory.system.equations.items(), *((sp.S.One, item) for item in theory.spectrum.boundary)]
    for left, right in equations:
        value = _limit(right, argument, theory)
        if value is None:
            return None
        if value != right:
            rows.append((left, value))
    if not rows:
        return None
    return Step(
        f"saturated gate `{definition.name}`",
        tuple(rows),
        "the gate is a step function: 0 or 1 with equal weight, and a power n of its derivative keeps the weight "
        "B(n, n) of a neighbourhood of zero times the density of the argument there; equations that change are shown",
        "the variance of the gate's argument goes to infinity at a fixed mean; leading order",
    )


def _is_gaussian(argument: sp.Expr, theory: Theory) -> bool:
    """Whether the argument is an affine function of fields, biases and inputs, with a field among them."""
    random = theory.law.random(argument)
    fields = {item.symbol for item in theory.site.fields}
    if not random & fields or random & (theory.law.unknown | set(theory.law.depends)):
        return False
    return argument.is_polynomial(*random) and sp.Poly(argument, *sorted(random, key=str)).total_degree() == 1


def _limit(expression: sp.Expr, argument: sp.Expr, theory: Theory) -> sp.Expr | None:
    """Every average with the gate in it replaced by its limit; None where one has none that is known here."""
    limits: dict[sp.Basic, sp.Expr] = {}
    for node in expression.atoms(Average):
        if any(call.name == "sigmoid" and call.argument == argument for call in node.atoms(Fn)):
            value = _limit_of_average(node.integrand, argument, theory)
            if value is None:
                return None
            limits[node] = value
    return expression.xreplace(limits) if limits else expression


def _limit_of_average(integrand: sp.Expr, argument: sp.Expr, theory: Theory) -> sp.Expr | None:
    slope, gate = Fn("sigmoid", 1, argument), Fn("sigmoid", 0, argument)
    plain = integrand.xreplace({gate: _GATE})
    power, rest = sp.S.Zero, plain
    for factor in sp.Mul.make_args(plain):
        base, exponent = factor.as_base_exp()
        if base == slope:
            power, rest = exponent, rest / factor
    if rest.free_symbols & argument.free_symbols & set(theory.law.blocks):
        return None
    value = _half_and_half(rest, theory) if power == 0 else _weight(power, rest, argument, theory)
    return None if value is None or value.has(sp.zoo, sp.nan, sp.oo) else value


def _half_and_half(rest: sp.Expr, theory: Theory) -> sp.Expr | None:
    sides = [tidy(rest.xreplace({_GATE: side})) for side in (sp.S.Zero, sp.S.One)]
    if any(side.has(sp.zoo, sp.nan, sp.oo) for side in sides):
        return None
    return sp.Add(*(average(side, theory.law) / 2 for side in sides))


def _weight(power: sp.Expr, rest: sp.Expr, argument: sp.Expr, theory: Theory) -> sp.Expr | None:
    """E[sigma'^n sigma^m g]: the integral over the gate's value of s^m (s (1 - s))^(n - 1), times the density at 0."""
    if not (power.is_Integer and power > 0 and rest.is_polynomial(_GATE)):
        return None
    variance = average(argument**2, theory.law) - average(argument, theory.law) ** 2
    total = sp.S.Zero
    for (degree,), coefficient in sp.Poly(rest, _GATE).terms():
        n = int(power)
        beta = sp.factorial(degree + n - 1) * sp.factorial(n - 1) / sp.factorial(degree + 2 * n - 1)
        total += beta * average(coefficient, theory.law)
    return total / Fn("sqrt", 0, 2 * sp.pi * sp.expand(variance))
