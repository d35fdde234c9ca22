"""Tables of averages and what is solved from them, against quadrature and against solving point by point."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive import load, mean_field, parse_cell
from derive.cell.parameters import resolve
from derive.elementary import Fn, X
from derive.gaussian.average import Average
from derive.gaussian.moebius import one_pole
from derive.gaussian.one_direction import standard_average
from derive.theory import Theory
from solvers.averages import Evaluator
from solvers.codegen.quadrature import gaussian_average
from solvers.grid import lookup
from solvers.grid.along import Along
from solvers.grid.engine import Plan
from solvers.grid.follow import Pieces, find_roots, march
from solvers.grid.nodes import averages_at
from solvers.grid.program import Unsupported
from solvers.grid.scalar import compiler_version
from solvers.grid.table import ACCURACY, FAILED, Table
from solvers.solve import solve
from solvers.spectrum.gain import GainMatrix
from solvers.sweep.tabulated import settled

BIASED = """
name = "biased"
equations = '''
u  = sigmoid(W_u @ h + c_u)
h' = (1 - u)*h + u*tanh(W_h @ h + c_h)
'''
[weights]
W_u = "s_u"
W_h = "s_h"
[biases]
c_u = { mean = "m_u", std = "0.3" }
c_h = { mean = "m_h", std = "d_h" }
[parameters]
s_u = 1.0
s_h = 2.0
m_u = 0.0
m_h = 0.0
d_h = 0.0
"""

SWITCH = """
name = "switch"
equations = '''
g     = (1 + tanh(a*(G @ s) - b))/2
ds/dt = -s + J @ (g*arctan(s))
'''
[weights]
G = "1"
J = "k"
[parameters]
k = 2.0
a = 3.0
b = 0.5
"""


def tanh2(x: np.ndarray) -> np.ndarray:
    return np.tanh(x) ** 2


def logistic2(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x)) ** 2


# Averages of one direction -----------------------------------------------------------------------------------------


def test_quotients_with_one_pole_become_shifted_polynomials() -> None:
    lam = sp.Symbol("lam", real=True)
    s = Fn("sigmoid", 0, X)
    for quotient in (((1 - s) / (lam - s)) ** 2, s**2 / (lam + s) ** 2, s * (1 - s) / (lam - s) ** 2,
                     (1 - Fn("tanh", 0, X / 2)) / (2 * lam - 1 - Fn("tanh", 0, X / 2))):  # fmt: skip
        found = one_pole(quotient)
        assert found is not None
        functions = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}

        def value(expression: sp.Expr, x: float, functions=functions) -> float:  # type: ignore[no-untyped-def]
            numbers = expression.xreplace({X: sp.Float(x), lam: sp.Float(1.3)})
            return float(numbers.replace(lambda n: isinstance(n, Fn), lambda n: functions[n.name](float(n.argument))))

        assert value(found.positive, 0.0) > 0
        for x in (-2.0, 0.3, 4.0):
            there = value(found.scale, 0.0) * x + value(found.shift, 0.0)
            assert value(found.polynomial, there) == pytest.approx(value(quotient, x), rel=1e-13)


def test_two_poles_and_functions_of_their_own_are_left_alone() -> None:
    lam, s = sp.Symbol("lam", real=True), Fn("sigmoid", 0, X)
    assert one_pole(s / ((lam - s) * (lam + s))) is None
    assert one_pole(X * s / (lam - s)) is None
    assert one_pole(Fn("arctan", 0, X) / (lam - s)) is None


@pytest.mark.parametrize("name", ["gru", "gated-rnn", "vanilla"])
def test_standard_forms_are_the_averages_they_stand_for(name: str) -> None:
    theory = mean_field(load(name), "static")
    rng = np.random.default_rng(3)
    for node in sorted(set().union(*(e.atoms(Average) for e in theory.system.equations.values())), key=str):
        standard = standard_average(node.integrand, theory.law)
        assert standard is not None
        symbols = sorted((standard.mean + standard.variance).free_symbols, key=str)
        values = {s: sp.Float(rng.uniform(0.2, 1.5)) for s in symbols}
        numbers = {s: float(v) for s, v in values.items()} | {
            s: 0.4 for s in theory.site.parameters.values() if s not in values
        }
        whole = Evaluator(theory.law).average(node, {**dict.fromkeys(theory.system.equations, 0.4), **numbers}, 1e-12)
        mean, variance = (float(e.xreplace({s: sp.Float(numbers.get(s, 0.4)) for s in e.free_symbols}))
                          for e in (standard.mean, standard.variance))  # fmt: skip
        integrand = sp.lambdify(X, theory.law.functions.expand(standard.integrand).replace(
            lambda n: isinstance(n, Fn), lambda n: _plain(n)))  # fmt: skip
        found = gaussian_average(lambda xi, f=integrand, m=mean, v=variance: f(m + v**0.5 * xi[0])[None], 1)
        assert float(found.value[0]) == pytest.approx(whole.value, rel=1e-10)


def _plain(node: Fn) -> sp.Expr:
    body = {"tanh": sp.tanh(X), "sigmoid": 1 / (1 + sp.exp(-X))}[node.name]
    return body.diff(X, node.order).subs(X, node.argument)


# Tables ------------------------------------------------------------------------------------------------------------


def test_averages_at_many_places_agree_with_adaptive_quadrature() -> None:
    mean, spread = np.array([0.3, -7.0, 0.0, -60.0]), np.array([0.7, 6.0, 1e-6, 8.0])
    value, error = averages_at(logistic2, mean, spread)
    for k in range(4):
        exact = gaussian_average(lambda xi, k=k: logistic2(mean[k] + spread[k] * xi), 1, rtol=1e-14)
        assert abs(value[k] / exact.value[0] - 1) < 1e-12
    assert np.all(error < 1e-12)


@pytest.mark.parametrize("fixed", [0.0, 0.7, None])
def test_tables_are_as_accurate_as_they_say(fixed: float | None) -> None:
    rng = np.random.default_rng(0)
    spread = np.exp(rng.uniform(np.log(1e-7), np.log(20), 300))
    mean = np.full(300, fixed) if fixed is not None else rng.choice([-1, 1], 300) * np.exp(rng.uniform(-13, 2.7, 300))
    table = Table(tanh2, fixed)
    assert table.fill(mean, spread)
    assert not table.fill(mean, spread)
    if fixed is not None:
        found = lookup.lines(spread, table.place, table.coefficients)
        alone = [lookup.line(s, table.place, table.coefficients) for s in spread]
    else:
        found = lookup.planes(mean, spread, table.place, table.widths, table.coefficients)
        stored = table.place, table.widths, table.coefficients
        alone = [lookup.plane(m, s, *stored) for m, s in zip(mean, spread, strict=True)]
    exact, _ = averages_at(tanh2, mean, spread)
    assert np.isfinite(found).mean() > 0.99
    good = np.isfinite(found)
    assert np.max(np.abs(found[good] / exact[good] - 1)) < ACCURACY
    np.testing.assert_allclose(alone, found, rtol=1e-14)


def test_a_tile_that_cannot_be_accurate_is_empty() -> None:
    table = Table(lambda x: np.abs(x - 0.31), None)
    table.fill(np.array([0.3]), np.array([1e-3]))
    assert (table.place == FAILED).any()
    value = lookup.planes(np.array([0.3]), np.array([1e-3]), table.place, table.widths, table.coefficients)
    assert np.isnan(value).all()


# Roots -------------------------------------------------------------------------------------------------------------


def test_pairs_of_roots_between_places_of_the_search_are_found() -> None:
    centre = np.linspace(0.2, 0.8, 200)

    def excess(log: np.ndarray, points: np.ndarray) -> np.ndarray:
        return (log - centre[points]) ** 2 - 0.05**2

    roots = find_roots(excess, np.zeros(200, int), np.arange(-5.0, 5.0, 0.46), 1e-14, 1e-12)
    np.testing.assert_allclose(roots.logs[:, 0], centre - 0.05, atol=1e-11)
    np.testing.assert_allclose(roots.logs[:, 1], centre + 0.05, atol=1e-11)
    assert roots.known.all()


def test_roots_that_appear_between_anchors_are_found() -> None:
    strength = np.linspace(-1.0, 1.0, 301)  # two roots from point 150 on

    def excess(log: np.ndarray, points: np.ndarray) -> np.ndarray:
        return strength[points] - (log - 0.3) ** 2

    roots = find_roots(excess, np.zeros(301, int), np.arange(-5.0, 5.0, 0.46), 1e-14, 1e-12)
    clear = np.abs(strength) > 1e-3
    assert np.array_equal(np.isfinite(roots.logs).sum(axis=1)[clear], 2 * (strength > 0)[clear])


def test_a_root_that_comes_and_goes_between_anchors_is_found() -> None:
    height = np.sin(np.linspace(0.0, np.pi, 60)) - 0.5

    def excess(log: np.ndarray, points: np.ndarray) -> np.ndarray:
        return height[points] - np.exp(log)

    roots = find_roots(excess, np.zeros(60, int), np.arange(-20.0, 5.0, 1.0), 1e-14, 1e-12, monotone=True)
    np.testing.assert_allclose(roots.logs[height > 1e-6, 0], np.log(height[height > 1e-6]), atol=1e-10)


def test_a_gap_in_the_excess_is_told() -> None:
    def excess(log: np.ndarray, points: np.ndarray) -> np.ndarray:
        return np.where((points == 0) & (log > 1), np.nan, 0.3 - log)

    roots = find_roots(excess, np.zeros(20, int), np.arange(-5.0, 5.0, 0.46), 1e-14, 1e-12)
    assert np.array_equal(np.nonzero(~roots.known)[0], [0])


# Solutions ---------------------------------------------------------------------------------------------------------

CASES = {
    "gru": ("gru", {"sigma_h": (0.3, 6.0), "sigma_r": (0.0, 4.0)}, {}),
    "gru, update gate": ("gru", {"sigma_h": (2.2, 6.0), "mu_z": (-3.0, 3.0)}, {"sigma_z": 2.0}),
    "gated-rnn": ("gated-rnn", {"g_h": (0.1, 4.0), "alpha_r": (0.0, 20.0)}, {}),
    "vanilla": ("vanilla", {"sigma_w": (0.1, 4.0), "sigma_b": (0.0, 2.0)}, {}),
    "biased": (BIASED, {"s_h": (0.5, 4.0), "m_h": (-1.0, 1.0)}, {}),
    "switch": (SWITCH, {"k": (0.5, 6.0), "a": (0.0, 6.0)}, {}),
}


def theory_of(cell: str) -> Theory:
    return mean_field(parse_cell(cell) if "=" in cell else load(cell), "static")


@pytest.mark.parametrize("case", CASES)
def test_solutions_of_a_grid_are_those_of_single_points(case: str) -> None:
    cell, axes, given = CASES[case]
    theory = theory_of(cell)
    names = list(axes)
    plan = Plan(theory, {**resolve(theory.site.cell, given).parameters}, names, ["q", "Q", "spectral_abscissa"])
    grid = np.meshgrid(*(np.linspace(*axes[n], 40) for n in names), indexing="ij")
    columns = [g.ravel() for g in grid]
    found = plan.evaluate(columns, 40, 1e-11)
    assert settled(found).mean() > 0.95
    for k in np.random.default_rng(5).choice(np.nonzero(settled(found))[0], 3, replace=False):
        alone = solve(theory, {**given, **{n: c[k] for n, c in zip(names, columns, strict=True)}})
        assert int(found.exists[k].sum()) == len(alone.solutions)
        for j, solution in enumerate(alone.solutions):
            for name, values in found.values.items():
                theirs = solution[name]
                if theirs is None:
                    assert found.empty[k, j]
                    continue
                room = found.errors[name][k, j] + solution.error(name) + 1e-11 * abs(theirs)
                assert abs(values[k, j] - theirs) <= room, (name, values[k, j], theirs)


def test_numpy_and_compiled_loops_give_the_same() -> None:
    if compiler_version() is None:
        pytest.skip("Numba is not installed")
    theory = theory_of(BIASED)
    fixed = resolve(theory.site.cell, {}).parameters
    columns = [np.linspace(0.5, 4.0, 300), np.linspace(-1.0, 1.0, 300)]
    both = [Plan(theory, fixed, ["s_h", "m_h"], ["q", "spectral_radius"], compiler=own).evaluate(columns, 300, 1e-11)
            for own in (True, False)]  # fmt: skip
    for name in both[0].values:
        np.testing.assert_allclose(both[0].values[name], both[1].values[name], rtol=1e-10)


def test_the_compiled_march_takes_the_steps_of_the_plain_one() -> None:
    if compiler_version() is None:
        pytest.skip("Numba is not installed")
    theory = theory_of("vanilla")
    plan = Plan(theory, resolve(theory.site.cell, {}).parameters, ["sigma_w"], ["q"])
    assert plan._image is not None
    along = Along(plan._image, [np.linspace(1.5, 4.0, 50)])
    starts = np.zeros((2, 6))
    starts[:, 0], starts[:, 1] = [0.0, 1.6], [1.6, 0.9]
    pieces = Pieces(np.array([0, 25]), np.array([25, 49]), starts, np.full((2, 2), -0.8), np.array([[-9.0, 9.0]] * 2))
    quick, plain = along.march(pieces, 1e-10, 50), march(along, pieces, 1e-10, 50)
    assert quick is not None
    assert plain[3].all()
    np.testing.assert_allclose(quick[[0, 3]], plain[[0, 3]], rtol=1e-12)


def test_edges_in_the_range_of_the_gate_are_those_of_single_points() -> None:
    theory = theory_of(BIASED)
    fixed = resolve(theory.site.cell, {}).parameters
    columns = [np.array([0.5, 1.2, 0.3]), np.array([0.2, -0.5, 1.5])]
    found = Plan(theory, fixed, ["s_h", "m_h"], ["spectral_radius", "spectral_abscissa"]).evaluate(columns, 1, 1e-10)
    assert settled(found).all()
    for k in range(3):
        alone = solve(theory, {"s_h": columns[0][k], "m_h": columns[1][k]}).solutions[-1]
        assert alone.numbers["eta"] > 0
        for name, values in found.values.items():
            if name.startswith("spectral"):
                assert abs(values[k, 0] - alone[name]) <= found.errors[name][k, 0] + alone.error(name)


@pytest.mark.parametrize(
    ("cell", "quantities", "reason"),
    [("lstm", ["q"], "more than one direction"), ("gru", ["xi"], "xi"), ("gru-reset-after", ["q"], "one direction")],
)
def test_what_tables_cannot_give_is_refused_with_the_reason(cell: str, quantities: list[str], reason: str) -> None:
    theory = theory_of(cell)
    with pytest.raises(Unsupported, match=reason):
        Plan(theory, resolve(theory.site.cell, {}).parameters, [], quantities)


def test_sampled_closures_are_refused() -> None:
    with pytest.raises(Unsupported, match="sampled"):
        Plan(mean_field(load("lstm"), "untied"), {}, [], ["q"])


@pytest.mark.parametrize(("name", "axes"), [("minimal-rnn", {"sigma_w": (0.5, 8.0), "R": (0.1, 2.0)}),
                                            ("gru", {"sigma_h": (1.0, 8.0), "mu_z": (-1.0, 1.0)})])  # fmt: skip
def test_growth_of_perturbations_under_untied_weights(name: str, axes: dict[str, tuple[float, float]]) -> None:
    theory = mean_field(load(name), "untied")
    plan = Plan(theory, resolve(theory.site.cell, {}).parameters, list(axes), ["chi1", "q"])
    columns = [g.ravel() for g in np.meshgrid(*(np.linspace(*ends, 12) for ends in axes.values()), indexing="ij")]
    found = plan.evaluate(columns, 12, 1e-11, largest=True)
    assert settled(found).all()
    for k in (5, 77, 140):
        top = solve(theory, {n: c[k] for n, c in zip(axes, columns, strict=True)}).solutions[-1]
        assert found.values["chi1"][k, 0] == pytest.approx(top["chi1"], rel=1e-9)


# The edge without resolution ---------------------------------------------------------------------------------------


def test_an_edge_beyond_the_gate_is_where_the_gain_is_one_on_the_real_axis() -> None:
    theory = theory_of("gru")
    solved = solve(theory, {"sigma_h": 4.0, "sigma_r": 2.0})
    top = solved.solutions[-1]
    gain = GainMatrix(theory, top.values, solved.same_evaluator(), 1e-11)
    assert top.numbers["eta"] == 0.0
    assert abs(gain.log_radius(np.array([complex(top["spectral_radius"])]), 1e-11)[0][0]) < 1e-9
