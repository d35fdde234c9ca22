"""Rewriting rules on random laws and integrands: the number never changes, whatever the rule.

The numbers come from trapezoid sums over standard normals, in code that shares nothing with the package.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import reduce
from itertools import product
from operator import mul
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from derive.elementary import Fn
from derive.errors import GatefieldError, SizeError
from derive.gaussian.average import Average, average
from derive.gaussian.derivatives import diff_average, differentiate
from derive.gaussian.law import Law
from derive.gaussian.normal import NORMAL_RULES, normal_form
from derive.gaussian.rules import RULES, Rewriting, Rule, rewrite

U, V, W = sp.symbols("u v w", real=True)
Q, P, S = sp.symbols("q p s", nonnegative=True)
C, M, K = sp.symbols("c m k", real=True)


def law_of(centred: bool) -> Law:
    """u and v correlated, w independent, means on v and w unless centred."""
    mean = {} if centred else {V: M, W: K}
    m, k = (sp.S.Zero, sp.S.Zero) if centred else (M, K)
    second = {(U, U): Q, (V, V): P + m**2, (U, V): C, (W, W): S + k**2}
    return Law({U: "A", V: "A", W: "B"}, mean, second)


# The independent evaluator.


def tanh(order: int, x: Any) -> Any:
    t = np.tanh(x)
    return [t, 1 - t**2, -2 * t * (1 - t**2), (1 - t**2) * (6 * t**2 - 2)][order]


def bell(x: Any) -> Any:
    return 2 / np.sqrt(np.pi) * np.exp(-(x**2))


def call(name: str, order: int, x: Any) -> Any:
    """Derivatives of the functions that the strategies draw; those of sigmoid from tanh."""
    match name:
        case "tanh":
            return tanh(order, x)
        case "sigmoid":
            return (tanh(order, x / 2) / 2**order + (order == 0)) / 2
        case "erf":
            return [special.erf(x), bell(x), -2 * x * bell(x), (4 * x**2 - 2) * bell(x)][order]
        case "sin" | "cos":
            return np.sin(x + np.pi / 2 * (order + (name == "cos")))
        case "exp":
            return np.exp(x)
        case "softplus":
            return np.logaddexp(0, x) if order == 0 else call("sigmoid", order - 1, x)
    raise KeyError(name)


def value_at(node: sp.Expr, table: dict[sp.Symbol, Any]) -> Any:
    """An expression at arrays of values."""
    if isinstance(node, Fn):
        return call(node.name, node.order, value_at(node.argument, table))
    if isinstance(node, sp.Symbol):
        return table[node]
    if isinstance(node, sp.Add):
        return sum(value_at(part, table) for part in node.args)
    if isinstance(node, sp.Mul):
        return reduce(mul, (value_at(part, table) for part in node.args))
    if isinstance(node, sp.Pow):
        return value_at(node.base, table) ** value_at(node.exp, table)
    if not node.args:
        return float(node)
    return float(sp.N(node.subs({s: table[s] for s in node.free_symbols})))  # a function of parameters alone


H = 0.32
GRID = H * np.arange(-25, 26)
WEIGHT = np.exp(-(GRID**2) / 2) * H / np.sqrt(2 * np.pi)


def expectation(integrand: sp.Expr, law: Law, values: dict[sp.Symbol, Any]) -> float:
    symbols = sorted(integrand.free_symbols & set(law.blocks), key=str)
    covariance = np.array([[float(sp.N(law.covariance(a, b).subs(values))) for a in symbols] for b in symbols])
    mean = [float(sp.N(law.mean_of(a).subs(values))) for a in symbols]
    if not symbols:
        return float(value_at(integrand, values))
    size, vectors = np.linalg.eigh(covariance)
    keep = size > 1e-14
    spread = vectors[:, keep] * np.sqrt(size[keep])
    axes = np.array(list(product(GRID, repeat=int(keep.sum())))).reshape(-1, int(keep.sum()))
    weight = reduce(np.multiply.outer, [WEIGHT] * int(keep.sum()), np.ones(())).ravel()
    table = {a: mean[k] + axes @ spread[k] for k, a in enumerate(symbols)}
    return float(np.sum(weight * value_at(integrand, values | table)))


def number(expression: sp.Expr, law: Law, values: dict[sp.Symbol, Any]) -> float:
    nodes = sorted(expression.atoms(Average), key=str)
    marks = {node: sp.Symbol(f"A{k}") for k, node in enumerate(nodes)}
    inner = {mark: expectation(node.integrand, law, values) for node, mark in marks.items()}
    return float(value_at(expression.xreplace(marks), values | inner))


@st.composite
def laws(draw: st.DrawFn) -> tuple[Law, dict[sp.Symbol, Any]]:
    q, p, s = (draw(st.sampled_from([0.3, 0.8, 1.4])) for _ in range(3))
    r = draw(st.sampled_from([-0.7, 0.0, 0.4]))
    values = {Q: q, P: p, S: s, C: r * (q * p) ** 0.5, M: 0.3, K: -0.5}
    return law_of(draw(st.booleans())), {symbol: float(x) for symbol, x in values.items()}


ARGUMENTS = [U, V, -U, U + V, U + W, 2 * U - 1, W + sp.Rational(1, 2)]
CALLS = st.builds(
    lambda name, order, y: Fn(name, order, y),
    st.sampled_from(["tanh", "sigmoid", "erf", "sin", "cos", "tanh", "sigmoid"]),
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from(ARGUMENTS),
)
FACTORS = st.one_of(CALLS, CALLS, st.sampled_from([U, V, W, M + U, sp.Integer(2)]), CALLS.map(lambda f: 1 - f))
PRODUCTS = st.lists(FACTORS, min_size=1, max_size=3).map(lambda parts: sp.Mul(*parts))
INTEGRANDS = st.lists(PRODUCTS, min_size=1, max_size=2).map(lambda parts: sp.Add(*parts))

EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True)
MANY = settings(max_examples=150, deadline=None)


def unchanged(found: Rewriting, before: sp.Expr, law: Law, values: dict[sp.Symbol, Any]) -> None:
    expected = number(before, law, values)
    assert number(found.expression, found.law, values) == pytest.approx(expected, rel=1e-8, abs=1e-8)


def check_rewriting(case: tuple[Law, dict[sp.Symbol, Any]], integrand: sp.Expr, rules: tuple[Rule, ...]) -> None:
    law, values = case
    found = rewrite(Average(integrand), law, rules)
    unchanged(found, Average(integrand), law, values)
    for step in found.steps:
        after = number(step.after, found.law, values)
        if not any(symbol.name == "E" for symbol in step.before.free_symbols):
            assert number(step.before, found.law, values) == pytest.approx(after, rel=1e-8, abs=1e-8), step.rule


@EXAMPLES
@given(laws(), INTEGRANDS)
def test_rules_keep_the_number(case: tuple[Law, dict[sp.Symbol, Any]], integrand: sp.Expr) -> None:
    check_rewriting(case, integrand, RULES)


@EXAMPLES
@given(laws(), INTEGRANDS)
def test_normal_rules_keep_the_number(case: tuple[Law, dict[sp.Symbol, Any]], integrand: sp.Expr) -> None:
    check_rewriting(case, integrand, NORMAL_RULES)


@pytest.mark.slow
@MANY
@given(laws(), INTEGRANDS)
def test_many_rules_keep_the_number(case: tuple[Law, dict[sp.Symbol, Any]], integrand: sp.Expr) -> None:
    check_rewriting(case, integrand, RULES)
    check_rewriting(case, integrand, NORMAL_RULES)


@EXAMPLES
@given(laws(), PRODUCTS)
def test_the_average_of_a_derivation_keeps_the_number(
    case: tuple[Law, dict[sp.Symbol, Any]], integrand: sp.Expr
) -> None:
    law, values = case
    found = number(average(integrand, law), law, values)
    assert found == pytest.approx(number(Average(integrand), law, values), rel=1e-8, abs=1e-8)


@EXAMPLES
@given(laws(), PRODUCTS, st.sampled_from([Q, P, C, M, K, S]))
def test_price_against_differences(
    case: tuple[Law, dict[sp.Symbol, Any]], integrand: sp.Expr, symbol: sp.Symbol
) -> None:
    law, values = case
    step = 1e-4

    def at(shift: float) -> float:
        return number(Average(integrand), law, values | {symbol: values[symbol] + shift})

    expected = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
    found = number(diff_average(Average(integrand), symbol, law), law, values)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


@EXAMPLES
@given(laws(), PRODUCTS, st.sampled_from([U, V, W]))
def test_integration_by_parts_is_an_identity(
    case: tuple[Law, dict[sp.Symbol, Any]], g: sp.Expr, u: sp.Symbol
) -> None:
    """E[u g] and mu E[g] + sum C_uj E[d_j g] have one normal form."""
    law, _ = case
    parts = law.mean_of(u) * Average(g)
    parts += sp.Add(*(law.covariance(u, x) * Average(g.diff(x)) for x in sorted(law.random(g), key=str)))
    assert normal_form(Average(u * g), law).expression == normal_form(parts, law).expression


@EXAMPLES
@given(laws(), INTEGRANDS)
def test_the_normal_form_stays(case: tuple[Law, dict[sp.Symbol, Any]], integrand: sp.Expr) -> None:
    found = normal_form(Average(integrand), case[0])
    assert normal_form(found.expression, found.law).expression == found.expression


def f(name: str, y: sp.Expr, order: int = 0) -> sp.Expr:
    return Fn(name, order, y)


E = Average
Z, T, D = f("sigmoid", U), f("tanh", U), 1 - f("tanh", U) ** 2
IDENTITIES = {
    "Stein": (E(U * T), Q * E(D)),
    "named derivative": (E(U * T), Q * E(f("tanh", U, 1))),
    "gate derivative": (E(Z * (1 - Z)), E(f("sigmoid", U, 1))),
    "complement": (E((1 - Z) ** 2), E(Z**2)),
    "reflection": (E(f("sigmoid", -U) ** 2), E((1 - Z) ** 2)),
    "mean of a gate": (E(Z), sp.Rational(1, 2)),
    "odd": (E(f("tanh", -U) * T), -E(T**2)),
    "second derivative": (E(f("tanh", U, 2) * T), -2 * E(T**2 * D)),
    "twice by parts": (E(U**2 * T**2), Q * E(T**2) + Q**2 * E(2 * D**2 - 4 * T**2 * D)),
    "two variables": (E(V * T), C / Q * E(U * T)),
    "pair": (E(U * T * f("tanh", V) ** 2), Q * E(D * f("tanh", V) ** 2)
             + 2 * C * E(T * f("tanh", V) * f("tanh", V, 1))),
    "independent": (E(T**2 * f("tanh", W) ** 2), E(T**2) * E(f("tanh", W) ** 2)),
    "one direction": (E(f("tanh", U + W) ** 2), E(f("tanh", W - U) ** 2)),
    "tanh as a gate": (E(f("tanh", U / 2) ** 2), E((2 * Z - 1) ** 2)),
    "logistic unit": (E(f("silu", U)), E(U * Z)),
    "softplus": (E(f("softplus", U, 2)), E(Z * (1 - Z))),
    "quotient": (E(Z / (1 - Z)), E(1 / (1 - Z)) - 1),
    "erf": (E(U * f("erf", U)), 2 * Q / sp.sqrt(sp.pi * (1 + 2 * Q))),
    "relu": (E(f("relu", U) * f("tanh", U)), E(U * f("step", U) * f("tanh", U))),
    "kink by parts": (E(U * f("relu", U) * T), Q * E(f("step", U) * T + f("relu", U) * D)),
    "delta": (E(f("step", U, 1) * f("tanh", U - 1)), E(f("step", U, 1)) * f("tanh", sp.Integer(-1))),
    "outside": (1 / (1 - E(Z * (1 - Z))), 1 / (1 - E(f("sigmoid", U, 1)))),
}  # fmt: skip


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities_have_one_normal_form(name: str) -> None:
    law = law_of(True)
    left, right = IDENTITIES[name]
    first, second = normal_form(left, law), normal_form(right, law)
    assert first.expression == second.expression
    assert first.steps or left == first.expression


DIFFERENT = {
    "a factor": (E(U * T), 2 * Q * E(D)),
    "a power": (E(T**2), E(T**4)),
    "a variance": (E(f("tanh", U) ** 2), E(f("tanh", V) ** 2)),
    "a correlation": (E(f("tanh", U) * f("tanh", V)), E(f("tanh", U) * f("tanh", 2 * V))),
    "a mean": (E(Z), E(f("sigmoid", U + 1))),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_stays_different(name: str) -> None:
    law = law_of(True)
    left, right = DIFFERENT[name]
    assert normal_form(left, law).expression != normal_form(right, law).expression


def test_every_rule_is_used() -> None:
    """Each rule of either list has an average that needs it."""
    samples = [value for pair in IDENTITIES.values() for value in pair]
    samples += [E(f("tanh", U + W) * f("exp", W)), E(2 * T + Z), E(f("erf", U) ** 2), E(U**2), E(f("tanh", 0 * U))]
    samples += [E(f("tanh", U + W) ** 2), E(Fn("tanh", 0, sp.S.Zero) * U), E(f("sign", U, 1) * f("tanh", V) ** 2)]
    law = law_of(True)
    for rules in (RULES, NORMAL_RULES):
        used = {step.rule for sample in samples for step in rewrite(sp.sympify(sample), law, rules).steps}
        assert used >= {rule.name for rule in rules} - {"values at zero"}


def test_derivatives_go_through_the_expression() -> None:
    """d/dq of (E[tanh^2])^2 / q, and with a variance that is itself a function of a parameter."""
    law = law_of(True)
    square = E(T**2)
    found = diff_average(square**2 / Q, Q, law)
    inner = diff_average(square, Q, law)
    assert sp.expand(found - (2 * square * inner / Q - square**2 / Q**2)) == 0
    gain = sp.Symbol("gain", positive=True)
    scaled = Law({U: "A"}, {}, {(U, U): gain**2 * Q})
    assert sp.expand(diff_average(square, gain, scaled) - 2 * gain * Q * diff_average(square, Q, law)) == 0
    assert [step.rule for step in differentiate(square, Q, law).steps] == ["Price"]
    with pytest.raises(GatefieldError):
        diff_average(square, U, law)


def test_an_inner_average_is_a_constant() -> None:
    law = law_of(True)
    assert rewrite(E((U**2 - E(U**2)) ** 2), law).expression.expand() == 2 * Q**2


def test_size_is_limited() -> None:
    law = law_of(True)
    with pytest.raises(SizeError):
        normal_form(E((1 + T + f("tanh", V) + f("tanh", W) + U + V + W) ** 40), law)


_PRINT = """
import sys
sys.path.insert(0, "tests")
from test_rules_property import E, IDENTITIES, law_of, normal_form, rewrite
for left, right in IDENTITIES.values():
    for found in (normal_form(left, law_of(True)), rewrite(left, law_of(False))):
        print(found.expression, [(s.rule, s.before, s.after) for s in found.steps])
"""


def test_same_text_under_another_hash_seed() -> None:
    outputs = {
        subprocess.run([sys.executable, "-c", _PRINT], capture_output=True, check=True, text=True,
                       env=os.environ | {"PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1
