"""Limits of every shipped derivation in numbers: the equation far out against its limit."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from test_steps import derived, numbers, theories  # noqa: F401

from derive.gaussian.average import Average
from derive.limits import limits_of
from derive.stability.spectrum import LAM, LAM_CONJ
from solvers.averages import CompiledAverage

STATIC = [name for name, ansatz in theories() if ansatz == "static"]
TINY, WIDE = 1e-10, 1e8
"""Variances so near their limits that what is left of order sqrt(TINY) and 1/sqrt(WIDE) is far below 1e-3."""
CLOSE = 1e-3


def value(theory, expression, values, lam=1.3 + 0.7j):
    """An expression at a point, averages by quadrature."""
    inner = {}
    for node in expression.atoms(Average):
        compiled = CompiledAverage((node.integrand,), theory.law, extra=(LAM, LAM_CONJ))
        found, error = compiled.evaluate(values, 1e-7, (lam, np.conj(lam)))
        assert error[0] < 0.1 * CLOSE * abs(found[0]) + 1e-12, node
        inner[node] = sp.Float(complex(found[0]).real, 17) + sp.I * sp.Float(complex(found[0]).imag, 17)
    point = {LAM: sp.sympify(lam), LAM_CONJ: sp.sympify(np.conj(lam))}
    point |= {symbol: sp.Float(v, 17) for symbol, v in values.items()}
    return complex(theory.law.functions.expand(expression.xreplace(inner).xreplace(point)).replace(
        lambda node: node.__class__.__name__ == "Fn", _number).evalf())  # fmt: skip


def _number(call):
    bodies = {"sigmoid": lambda x: 1 / (1 + sp.exp(-x)), "tanh": sp.tanh, "sqrt": sp.sqrt}
    x = sp.Symbol("x")
    return bodies[call.name](x).diff(x, call.order).subs(x, call.argument)


def steps(theory, start):
    return [step for step in limits_of(theory) if step.rule.startswith(start)]


def without_activity(theory, step, values):
    """The point with all that vanishes at the zero state made small."""
    gone = {left for left, right in step.equations if right == 0}
    fed = {f.symbol for k, f in enumerate(theory.site.fields) if k not in theory.site.input_fields}
    small = dict(values)
    for field in theory.site.fields:
        if field.symbol in gone | fed or field.v in gone:
            small[theory.variances[field.name]] = TINY
    for symbol in theory.system.equations:
        if symbol.name.startswith("E["):
            small[symbol] = TINY if "**2" in symbol.name else 0.0
    for item in theory.site.quenched:
        if item.symbol in gone:
            for parameter in (item.mean.free_symbols | item.second.free_symbols) & set(values):
                small[parameter] = np.sqrt(TINY)
    return small


@pytest.mark.parametrize(("name", "ansatz"), list(theories()))
def test_zero_state_is_the_limit_of_small_activity(derived, name, ansatz):  # noqa: F811
    theory = derived[name, ansatz]
    rule = "zero state: boundary" if ansatz == "static" else "zero state: growth"
    found = steps(theory, rule)
    originals = theory.spectrum.boundary if ansatz == "static" and theory.spectrum else theory.perturbation or ()
    assert bool(found) == bool(len(originals)), "every shipped cell whose fields feed back has a zero state"
    for step in found:
        values = numbers(theory, seed=8)
        small = without_activity(theory, step, values)
        after = [right for left, right in step.equations if right != 0]
        assert len(after) == len(originals)
        for left, right in zip(originals, after, strict=True):
            before = value(theory, left, small)
            assert value(theory, right, small) == pytest.approx(before, rel=CLOSE)
            assert value(theory, 1.01 * right, small) != pytest.approx(before, rel=CLOSE)


@pytest.mark.parametrize("name", STATIC)
def test_onset_is_the_boundary_at_the_line_of_stability(derived, name):  # noqa: F811
    theory = derived[name, "static"]
    for boundary, onset in zip(steps(theory, "zero state: boundary"), steps(theory, "zero state: onset"), strict=True):
        values = numbers(theory, seed=9)
        for item in theory.site.quenched:  # what is left sits at its mean: standard deviations and inputs vanish
            for parameter in (item.second - item.mean**2).free_symbols & set(values):
                values[parameter] = np.sqrt(TINY)
        for field in theory.site.fields:
            values[theory.variances[field.name]] = TINY
        critical = 1.0 if theory.site.discrete else 0.0
        before = [right for _, right in boundary.equations if right != 0]
        for left, (_, right) in zip(before, onset.equations, strict=True):
            wanted = value(theory, left, values, complex(critical))
            assert value(theory, right, values) == pytest.approx(wanted, rel=CLOSE)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "lstm" else []) for name in STATIC]
)  # three gates in one average with a wide one among them: a minute of quadrature
def test_saturated_gates_are_the_limit_of_a_wide_argument(derived, name):  # noqa: F811
    theory = derived[name, "static"]
    by_name = {item.name: item for item in theory.site.definitions}
    for step in steps(theory, "saturated gate"):
        values = numbers(theory, seed=10)
        argument = by_name[step.rule.split("`")[1]].argument.xreplace(dict(theory.states))
        for field in theory.site.fields:
            if field.symbol in argument.free_symbols:
                values[theory.variances[field.name]] = WIDE
        originals = dict(theory.system.equations) | {sp.S.One: theory.spectrum.boundary[0]}
        for left, right in step.equations:
            before = value(theory, originals[left], values)
            assert value(theory, right, values) == pytest.approx(before, rel=5 * CLOSE), left
            assert value(theory, 1.02 * right, values) != pytest.approx(before, rel=5 * CLOSE)
