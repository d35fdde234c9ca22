"""Every step of every shipped derivation in numbers: what it starts from against what it arrives at."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.cell import load, resolve, shipped
from derive.errors import AnsatzError
from derive.gaussian.average import Average
from derive.pipeline import derive_theory
from derive.stability.spectrum import LAM, LAM_CONJ
from solvers.averages import CompiledAverage, Evaluator
from solvers.codegen.emit import compile_function
from solvers.verify.draws import draw_parameters

SITES = 200_000


def theories():
    for name in shipped():
        for ansatz in ("static", "untied"):
            if not (ansatz == "untied" and load(name).time == "continuous"):
                yield name, ansatz


@pytest.fixture(scope="module")
def derived():
    return {key: derive_theory(load(key[0]), key[1]) for key in theories()}


def numbers(theory, seed=0):
    """Generic parameters and unknowns: averages need not be consistent for a step to be an identity."""
    rng = np.random.default_rng(seed)
    drawn = draw_parameters(theory.site.cell, {}, rng, 1.0)
    resolve(theory.site.cell, {k: float(v) for k, v in drawn.items()})
    values = {theory.site.parameters[k]: float(v) for k, v in drawn.items()}
    for symbol in theory.system.equations:
        values[symbol] = rng.uniform(0.3, 0.9) if symbol.is_nonnegative else rng.uniform(0.05, 0.2)
    return values


def site_columns(theory, values, rng, states=None):
    """Sites drawn from the law of the theory; given states or, by name, columns for them."""
    law = theory.law
    columns = {p: np.float64(v) for p, v in values.items()}
    blocks: dict[str, list[sp.Symbol]] = {}
    for symbol, label in law.blocks.items():
        gaussian = symbol in {f.symbol for f in theory.site.fields} | {q.symbol for q in theory.site.quenched}
        if gaussian:
            blocks.setdefault(label, []).append(symbol)
    for members in blocks.values():
        mean = [float(sp.sympify(law.mean_of(s)).xreplace(values)) for s in members]
        table = [[float(sp.sympify(law.covariance(s, t)).xreplace(values)) for t in members] for s in members]
        draws = rng.multivariate_normal(mean, table, SITES).T
        columns |= dict(zip(members, draws, strict=True))
    return columns | (states or {})


def at(theory, expression, columns):
    symbols = sorted(columns, key=str)
    value = compile_function(symbols, [expression], theory.law.functions)(*(columns[s] for s in symbols))[0]
    return np.broadcast_to(np.asarray(value), (SITES,))


def same_mean(samples, expected):
    error = samples.std() / np.sqrt(samples.size)
    assert abs(samples.mean() - expected) < 4.5 * error + 1e-12 * abs(expected), (samples.mean(), expected, error)


@pytest.mark.parametrize(("name", "ansatz"), [key for key in theories() if key[1] == "static"])
def test_eliminated_states_solve_the_fixed_point_equations(derived, name, ansatz):
    theory = derived[name, ansatz]
    columns = site_columns(theory, numbers(theory), np.random.default_rng(1))
    for state, flow in zip(theory.site.states, theory.site.F, strict=True):
        residual = (flow - state if theory.site.discrete else flow).xreplace(dict(theory.states))
        np.testing.assert_allclose(at(theory, residual, columns), 0.0, atol=1e-8)


@pytest.mark.parametrize(("name", "ansatz"), [key for key in theories() if key != ("lstm", "untied")])
def test_field_covariances_are_averages_over_sites(derived, name, ansatz):
    theory = derived[name, ansatz]
    values = numbers(theory)
    rng = np.random.default_rng(2)
    columns = site_columns(theory, values, rng, states_of(theory, values, rng))
    evaluator = Evaluator(theory.law, theory.implicit)
    step = next(s for s in theory.steps if "covariances" in s.rule)
    by_name = {f.name: f for f in theory.site.fields}
    for symbol, right in step.equations:
        inner = str(symbol)[2:-1].split(",")
        left, other = by_name[inner[0]], by_name[inner[-1]]
        v = (left.v * other.v).xreplace(dict(theory.states))
        gain = float(sp.sympify(left.gain**2).xreplace(values))
        same_mean(gain * at(theory, v, columns), evaluator(right, values, 1e-10).value)


def states_of(theory, values, rng):
    """Untied states with the moments assumed: a law of two points, as far from a Gaussian as can be."""
    if theory.ansatz == "static":
        return {}
    found = {}
    for state in theory.site.states:
        second = values.get(sp.Symbol(f"E[{state}**2]", nonnegative=True), 0.5)
        mean = values.get(sp.Symbol(f"E[{state}]", real=True), 0.0)
        spread = np.sqrt(second - mean**2)
        found[state] = mean + spread * rng.choice([-1.0, 1.0], SITES)
    return found


@pytest.mark.parametrize("name", [n for n in shipped() if load(n).time == "discrete" and n != "lstm"])
def test_moments_move_as_those_of_sites(derived, name):
    theory = derived[name, "untied"]
    values = numbers(theory)
    rng = np.random.default_rng(3)
    columns = site_columns(theory, values, rng, states_of(theory, values, rng))
    evaluator = Evaluator(theory.law)
    step = next(s for s in theory.steps if s.rule == "moment recursion")
    new = dict(zip(theory.site.states, theory.site.F, strict=True))
    known = {sp.Symbol(f"E[{s}{p}]", **kind): s**k for s in theory.site.states
             for k, p, kind in ((1, "", {"real": True}), (2, "**2", {"nonnegative": True}))}  # fmt: skip
    for symbol, right in step.equations:
        samples = at(theory, known[symbol].xreplace(new), columns)
        same_mean(samples, evaluator(right, values, 1e-10).value)


@pytest.mark.parametrize("name", [n for n in shipped() if load(n).time == "discrete" and n != "lstm"])
def test_stationary_moments_do_not_move(derived, name):
    theory = derived[name, "untied"]
    evaluator = Evaluator(theory.law)
    values = numbers(theory)
    recursion = dict(next(s for s in theory.steps if s.rule == "moment recursion").equations)
    solved = dict(next(s for s in theory.steps if s.rule == "stationary moments").equations)
    for _ in range(60):  # the equations of several moments are tied to each other
        values |= {s: evaluator(right, values, 1e-12).value for s, right in solved.items()}
    for symbol, right in recursion.items():
        assert evaluator(right, values, 1e-12).value == pytest.approx(values[symbol], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", shipped())
def test_the_transfer_matrix_is_b_times_the_resolvent_times_a(derived, name):
    theory = derived[name, "static"]
    spectrum, site = theory.spectrum, theory.site
    columns = {s: v[0] if np.ndim(v) else v for s, v in site_columns(theory, numbers(theory),
               np.random.default_rng(4)).items()}  # fmt: skip
    states = {s: sp.Float(float(at(theory, e, columns)[0]), 17) for s, e in theory.states.items()}
    point = {s: sp.Float(float(v), 17) for s, v in columns.items()} | states

    def matrix(m):
        symbols = sorted(m.free_symbols, key=str)
        given = [point[s] if s == LAM else float(point[s]) for s in symbols]
        entries = compile_function(symbols, list(m), theory.law.functions)(*given)
        return np.array([complex(e) for e in entries]).reshape(m.shape)

    lam = 1.3 + 0.7j
    point[LAM] = lam
    L, a, b, e = (matrix(m) for m in (site.L, site.a, site.b, site.e))
    T = b @ np.linalg.solve(lam * np.eye(len(L)) - L, a) + e
    live = list(spectrum.fields)
    np.testing.assert_allclose(matrix(spectrum.T), T[np.ix_(live, live)], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", shipped())
def test_the_boundary_is_the_determinant_of_one_minus_k(derived, name):
    theory = derived[name, "static"]
    spectrum, values, lam = theory.spectrum, numbers(theory), 1.4 + 0.6j

    def number(expression):
        inner = {}
        for node in expression.atoms(Average):
            extra = (LAM, LAM_CONJ)
            value, _ = CompiledAverage((node.integrand,), theory.law, extra=extra).evaluate(
                values, 1e-5, (lam, lam.conjugate())
            )  # the identity holds whatever numbers the averages have
            inner[node] = sp.Float(value[0].real, 17) + sp.I * sp.Float(complex(value[0]).imag, 17)
        plain = expression.xreplace(inner).xreplace({LAM: lam, LAM_CONJ: lam.conjugate()})
        return complex(plain.xreplace({s: sp.Float(v, 17) for s, v in values.items()}).evalf())

    for block, X in zip(spectrum.blocks, spectrum.boundary, strict=True):
        K = np.array([[number(spectrum.K[i, j]) for j in block] for i in block])
        assert 1 - number(X) == pytest.approx(np.linalg.det(np.eye(len(block)) - K), rel=1e-8)


def test_there_are_steps_for_every_cell(derived):
    assert all(theory.steps for theory in derived.values())
    with pytest.raises(AnsatzError):
        derive_theory(load("rate"), "untied")
