"""Limits: the zero state and saturated gates, against published results and against the averages they come from."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.special import erf, ndtri
from scipy.stats import qmc
from test_write_latex import CASES, theory_of

from derive import mean_field, parse_cell
from derive.elementary import Fn, simplify_zero_arguments
from derive.gaussian.average import Average
from derive.limits import limits_of
from derive.stability.spectrum import LAM, LAM_CONJ
from derive.theory import Step, Theory
from derive.write.text import derivation_text
from solvers import solve

CELL = """
name = "made-up"
equations = '''
{equations}
'''
[weights]
W = "g"
V = "k"
[biases]
b = {{ mean = "mu", std = "rho" }}
[parameters]
g = 1.0
k = 1.0
mu = 0.0
rho = 0.0
"""


def made_up(equations: str, ansatz: str = "static") -> Theory:
    return mean_field(parse_cell(CELL.format(equations=equations)), ansatz)


def found(theory: Theory, start: str) -> Step | None:
    return next((step for step in limits_of(theory) if step.rule.startswith(start)), None)


def rights(step: Step | None) -> list[sp.Basic]:
    assert step is not None
    return [right for left, right in step.equations if left == 1 or str(left) == "chi1[]"]


def names(theory: Theory) -> dict[str, sp.Symbol]:
    return dict(theory.site.parameters)


@pytest.mark.parametrize("case", CASES)
def test_limits_are_finite_and_explained(case: str) -> None:
    for step in limits_of(theory_of(case)):
        assert step.equations
        assert step.why
        for _, right in step.equations:
            assert not right.has(sp.zoo, sp.nan, sp.oo)


def test_rate_network_at_zero() -> None:
    theory = theory_of("rate static")
    g = names(theory)["g"]
    assert sp.simplify(rights(found(theory, "zero state: boundary"))[0] - g**2 / ((1 + LAM) * (1 + LAM_CONJ))) == 0
    assert rights(found(theory, "zero state: onset")) == [g**2]


def test_gated_networks_at_zero() -> None:
    shown = " ".join(derivation_text(theory_of("gated-rnn static")).split())
    assert "1 = g_h² σ²(-β_r)" in shown
    shown = " ".join(derivation_text(theory_of("gru static")).split())
    assert "b_h = u[U_h] = 0" in shown
    assert "1 = σ_h² σ²(μ_r)" in shown
    assert "1 = σ_g² σ²(μ_i) σ²(μ_o)/(1 - σ(μ_f))²" in " ".join(derivation_text(theory_of("lstm static")).split())


def test_growth_at_zero() -> None:
    theory = theory_of("vanilla untied")
    assert rights(found(theory, "zero state")) == [names(theory)["sigma_w"] ** 2]
    assert rights(found(theory_of("minimal-rnn untied"), "zero state"))[0].atoms(sp.Symbol).isdisjoint(
        {names(theory_of("minimal-rnn untied"))["R"]}
    )


def test_a_kink_at_zero_counts_from_both_sides() -> None:
    theory = made_up("h' = relu(W @ h)", "untied")
    assert rights(found(theory, "zero state")) == [names(theory)["g"] ** 2 / 2]
    theory = made_up("h' = leaky_relu(W @ h)", "untied")
    assert rights(found(theory, "zero state"))[0] == names(theory)["g"] ** 2 * (1 + sp.Rational(1, 10000)) / 2


def test_no_zero_state_no_limit() -> None:
    assert found(made_up("h' = sigmoid(W @ h)"), "zero state") is None
    assert found(made_up("h' = sin(W @ h) + 1", "untied"), "zero state") is None
    assert found(made_up("h' = tanh(W @ exp(h))"), "zero state") is None


def test_a_bias_of_the_drive_has_to_vanish_and_one_of_a_gate_need_not() -> None:
    step = found(made_up("h' = tanh(W @ h + b)"), "zero state: boundary")
    assert step is not None
    assert [str(left) for left, right in step.equations if right == 0] == ["b"]
    step = found(made_up("h' = sigmoid(V @ h + b)*h + 0.1*tanh(W @ h)"), "zero state: boundary")
    assert step is not None
    assert step.equations[0][0] == 1


def test_zero_state_agrees_with_the_solver_at_small_gain() -> None:
    theory = theory_of("gated-rnn static")
    gain = 1.3
    solution = solve(theory, {"g_h": gain}).solutions[0]
    edge = sp.Symbol("edge")
    boundary = rights(found(theory, "zero state: boundary"))[0].xreplace({LAM: edge, LAM_CONJ: edge})
    values = {symbol: 0 if name.startswith("beta") else 1 for name, symbol in names(theory).items()}
    values[names(theory)["g_h"]] = sp.Float(gain)
    plain = simplify_zero_arguments(boundary.xreplace(values), theory.site.functions)
    assert max(sp.solve(plain - 1, edge)) == pytest.approx(solution["spectral_abscissa"], abs=1e-9)


def gaussian_mean(function: object, mean: float, variance: float) -> float:
    def density(x: float) -> float:
        return float(np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance))

    return float(quad(lambda x: function(x) * density(x), -60, 60, points=[0.0], limit=400)[0])  # type: ignore[operator]


def test_saturated_gate_against_quadrature() -> None:
    """The density at zero of a wide argument times the weight of sigma'^2, and one half for the gate's square."""
    theory = theory_of("gated-rnn static")
    step = found(theory, "saturated gate `gate_r`")
    assert step is not None
    variance = 400.0

    def gate(x: float) -> float:
        return float(1 / (1 + np.exp(-x)))

    slope = gaussian_mean(lambda x: (gate(x) * (1 - gate(x))) ** 2, 0.5, variance)
    assert slope == pytest.approx(1 / (6 * np.sqrt(2 * np.pi * variance)), rel=0.02)
    moment = dict(step.equations)[theory.variances["J_h"]]
    (square,) = moment.atoms(Average)
    assert moment == names(theory)["g_h"] ** 2 * square / 2
    (root,) = [node for node in step.equations[-1][1].atoms(Fn) if node.name == "sqrt"]
    assert root.argument == 2 * sp.pi * names(theory)["alpha_r"] ** 2 * theory.variances["J_r"]


def test_a_gate_whose_limit_diverges_is_left_out() -> None:
    assert found(theory_of("lstm static"), "saturated gate `f`") is None
    assert found(theory_of("lstm static"), "saturated gate `o`") is not None


CLOSED = ("gated-rnn static", "gru static", "gru untied", "minimal-rnn untied", "rate static", "vanilla static",
          "vanilla untied", "pair static")  # fmt: skip
STAND_INS = {
    "error function": {
        "tanh": (lambda x: erf(np.sqrt(np.pi) * x / 2), lambda x: np.exp(-np.pi * x**2 / 4)),
        "sigmoid": (lambda x: (1 + erf(np.sqrt(np.pi) * x / 4)) / 2, lambda x: np.exp(-np.pi * x**2 / 16) / 4),
    },
    "ReLU": {
        "tanh": (lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0)),
        "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (2 + np.exp(x) + np.exp(-x))),
    },
}


def sampled(expression: sp.Expr, theory: Theory, values: dict, table: dict) -> complex:
    """An expression with averages over scrambled Sobol points, with functions that this test gives."""
    random = sorted(theory.law.blocks, key=str)
    known = [s for s in random if s not in theory.law.unknown]
    mean = [float(sp.sympify(theory.law.mean_of(s)).xreplace(values)) for s in known]
    covariance = [[float(sp.sympify(theory.law.covariance(s, u)).xreplace(values))
                   if theory.law.blocks[s] == theory.law.blocks[u] and "d[" not in f"{s}{u}" else 0.0
                   for u in known] for s in known]  # fmt: skip
    root = np.linalg.cholesky(np.array(covariance) + 1e-13 * np.eye(len(known)))
    xi = ndtri(qmc.Sobol(len(known), seed=7).random_base2(15))
    columns = dict(zip(known, (np.array(mean) + xi @ root.T).T, strict=True))

    def number(plain: sp.Expr, given: dict) -> np.ndarray:
        opened = theory.law.functions.expand(plain)
        calls = {call: sp.Function(f"{call.name}_{call.order}")(call.argument) for call in opened.atoms(Fn)}
        while opened.atoms(Fn):
            opened = opened.xreplace(calls)
        names = {f"{name}_{order}": body for name, bodies in table.items() for order, body in enumerate(bodies)}
        symbols = sorted(opened.free_symbols, key=str)
        dummies = sp.symbols(f"a:{len(symbols)}") if symbols else ()
        function = sp.lambdify(dummies, opened.xreplace(dict(zip(symbols, dummies, strict=True))), [names, "numpy"])
        return np.mean(function(*(given[s] for s in symbols)))

    inner = {node: sp.sympify(complex(number(node.integrand, {**values, **columns})))
             for node in expression.atoms(Average)}  # fmt: skip
    return complex(expression.xreplace(inner).xreplace(values).evalf())


@pytest.mark.parametrize("kind", STAND_INS)
@pytest.mark.parametrize("case", CLOSED)
def test_closed_forms_are_the_averages_of_what_was_put_in(case: str, kind: str) -> None:
    theory = theory_of(case)
    step = found(theory, f"closed forms: {kind}")
    if step is None:
        assert kind == "ReLU"
        assert case in ("gru untied", "pair static") or "tanh" not in str(theory.site.cell)
        return
    zeros = {left: 0.0 for left, right in step.equations if right == 0 and left in set(names(theory).values())}
    rng = np.random.default_rng(3)
    values = {s: float(rng.uniform(0.6, 1.2)) for s in names(theory).values()}
    values |= {s: float(rng.uniform(0.5, 0.9)) for s in theory.system.equations} | zeros
    values |= {LAM: 1.3 + 0.4j, LAM_CONJ: 1.3 - 0.4j}
    original = dict(theory.system.equations)
    if theory.spectrum is not None:
        original |= {sp.S.One: theory.spectrum.boundary[0]}
    if theory.replicas is not None and theory.perturbation is not None:
        original |= {**theory.replicas.system.equations, sp.Symbol("chi1[]"): theory.perturbation[0, 0]}
        values |= {s: 0.6 * values[d] for s, d in theory.replicas.diagonal.items()}
    values |= {left: 0.0 for left, right in step.equations if right == 0 and isinstance(left, sp.Symbol)}
    checked = 0
    for left, right in step.equations:
        if left in zeros:
            continue
        before = sampled(original.get(left, left), theory, values, STAND_INS[kind])
        after = sampled(right, theory, values, STAND_INS[kind])
        assert after == pytest.approx(before, rel=1e-3, abs=1e-3), left
        checked += 1
    assert checked >= 2


def test_relu_is_left_out_where_it_makes_the_theory_larger() -> None:
    assert found(theory_of("pair untied"), "closed forms: error function") is not None
    assert found(theory_of("pair untied"), "closed forms: ReLU") is None  # a mean of a state that vanished with tanh


def test_closed_forms_where_there_are_some() -> None:
    step = found(made_up("h' = arctan(W @ h)"), "closed forms: error function")
    assert step is not None
    assert "arctan" in step.why
    q = sp.Symbol("q[W]", nonnegative=True)
    slope = dict(step.equations)[q].diff(q).subs(q, 0)
    assert sp.simplify(slope - sp.Symbol("g", real=True) ** 2) == 0  # the same slope at zero as arctan
    assert found(made_up("h' = relu(W @ h)"), "closed forms") is None  # it is closed already
    assert found(made_up("h' = tanh(W @ h + exp(h))"), "closed forms") is None  # a state left as a root
    assert found(made_up("h' = tanh(W @ h + tanh(V @ h))"), "closed forms") is None  # nested: no closed average
    assert found(made_up("h' = tanh(W @ h + b)"), "closed forms: ReLU") is not None
