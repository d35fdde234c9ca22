"""Products of untied Jacobians: the closed recursion against one step, sampled units and real matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_cells import any_units, cell_of

from derive import load
from derive.cell import parse_cell, resolve
from derive.cell.orthogonal import orthogonal
from derive.cell.spec import Cell
from derive.errors import AnsatzError
from derive.pipeline import derive_theory
from derive.site import site_form
from derive.stability.products import product_theory
from derive.write.latex import document
from solvers.measure import SiteMeasure, network_measure
from solvers.simulate import Network, singular_values, sites_of
from solvers.singular.one_step import symbolic_moments
from solvers.singular.products import product_moments, product_of, sampled_product
from solvers.singular.recursion import ProductRecursion
from solvers.solve import solve
from solvers.spectrum.singular_moments import moments_of

LEAKY = """
name = "leaky"
equations = \"\"\"
h' = sigmoid(c)*h + tanh(W @ h)/2
\"\"\"
[weights]
W = 2.0
[biases]
c = { mean = -0.5, std = 0.8 }
"""

CLOSED = [
    ("vanilla", {"sigma_w": 1.5, "sigma_b": 0.3}, ()),
    ("vanilla", {"sigma_w": 1.5, "sigma_b": 0.3}, ("W_h",)),
    ("gru", {"sigma_h": 3.0, "R": 0.5, "nu_h": 1.0}, ("W_h", "W_r")),
    ("nested", {}, ("B", "C")),
    ("two-states", {}, ()),
    ("two-states", {}, ("A",)),
]


@pytest.mark.parametrize("haar", [(), ("B",)])
def test_one_step_of_a_product_is_the_moments_of_one_step(haar: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("nested", "two-states", "shared"):
        cell = cell_of(name, tmp_path)
        cell = orthogonal(cell, [w for w in haar if w in cell.weights])
        network, state = any_units(cell, resolve(cell), 200, 1)
        measure = network_measure(site_form(cell), resolve(cell), sites_of(network, state))
        assert product_moments(iter([measure]), 1)[:2] == pytest.approx(moments_of(measure), rel=1e-12)


def test_products_of_one_state_obey_the_closed_recursion() -> None:
    """tau, d, o of independent L, a, b: units drawn afresh at every step make X independent of them."""
    rng = np.random.default_rng(1)
    n, T, gain = 200_000, 3, 1.2

    def fresh() -> SiteMeasure:
        L, a, b = 0.7 * rng.random((n, 1, 1)), rng.random((n, 1, 1)), rng.random((n, 1, 1))
        nothing = np.zeros((n, 1))
        return SiteMeasure(np.full(n, 1 / n), L, a, b, np.zeros((n, 1, 1)), nothing, nothing, ("A",), ("A",),
                           np.array([gain]), ("gaussian",), True)  # fmt: skip

    l2, l4, a2, a4 = 0.49 / 3, 0.7**4 / 5, 1 / 3, 1 / 5
    c, b2, b4, g2 = gain**2 * a2, 1 / 3, 1 / 5, gain**2
    tau = d = 1.0
    o, m1 = 0.0, l2 + c * b2
    for _ in range(T):
        o = m1**2 * o + (2 * c * l2 * b2 + c**2 * b4) * d
        d = l4 * d + (2 * g2 * l2 * a2 * b2 + (g2 * b2) ** 2 * a4) * tau**2
        tau *= m1
    found = product_moments((fresh() for _ in range(T)), T)[:2]
    assert found == pytest.approx((tau, d + o), rel=0.01)  # 1/sqrt(n) times a few


@pytest.mark.parametrize(("name", "parameters", "haar"), CLOSED)
def test_one_step_of_the_recursion_is_m1_and_m2(
    name: str, parameters: dict[str, float], haar: tuple[str, ...], tmp_path: Path
) -> None:
    solved = solve(cell_of(name, tmp_path, haar), parameters, ansatz="untied")
    found, m1, m2 = (
        ProductRecursion(solved, solved.solutions[-1]).run(1), *symbolic_moments(solved, solved.solutions[-1])
    )  # fmt: skip
    assert found.m1.value == pytest.approx(m1.value, rel=1e-8)
    assert found.m2.value == pytest.approx(m2.value, rel=1e-8)


@pytest.mark.parametrize(("name", "parameters", "haar"), CLOSED)
def test_the_recursion_agrees_with_sampled_units(
    name: str, parameters: dict[str, float], haar: tuple[str, ...], tmp_path: Path
) -> None:
    solved = solve(cell_of(name, tmp_path, haar), parameters, ansatz="untied")
    exact, sampled = (way(solved, solved.solutions[-1], 4) for way in (product_of, sampled_product))
    assert (exact.closure, sampled.closure) == ("exact", "sampled")
    for key in ("m1", "m2", "spread"):
        one, other = getattr(exact, key), getattr(sampled, key)
        assert one.error < 1e-6 * abs(one.value)
        assert abs(one.value - other.value) < 2 * other.error  # four standard errors


def test_three_numbers_and_their_slope_are_the_known_recursion() -> None:
    """L of a bias, a of a field: tau, d and o by averages taken here, and the growth of w/tau^2 per step."""
    solved = solve(parse_cell(LEAKY), ansatz="untied")
    solution = solved.solutions[-1]
    assert product_theory(solved.theory).simple
    x, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    gate = 1 / (1 + np.exp(0.5 - 0.8 * x))
    slope = 0.5 / np.cosh(np.sqrt(solution.numbers["q"]["W"]) * x) ** 2
    l2, l4, a2, a4 = (float(weights @ values) for values in (gate**2, gate**4, slope**2, slope**4))
    c, g2, T = 4.0 * a2, 4.0, 6
    m1 = l2 + c
    tau, d, o = 1.0, 1.0, 0.0
    for _ in range(T):
        o = m1**2 * o + (2 * c * l2 + c**2) * d
        d = l4 * d + (2 * g2 * l2 * a2 + g2**2 * a4) * tau**2
        tau *= m1
    found = product_of(solved, solution, T)
    assert found.m1.value == pytest.approx(tau, rel=1e-9)
    assert found.m2.value == pytest.approx(d + o, rel=1e-9)
    late = (2 * g2 * l2 * a2 + g2**2 * a4) / (m1**2 - l4)  # d/tau^2 after many steps
    assert found.slope is not None
    assert found.slope.value == pytest.approx(late * (2 * c * l2 + c**2) / m1**2, rel=1e-5)
    one = product_of(solved, solution, 1)
    assert found.slope.value - one.spread.value > 100 * found.slope.error  # successive diagonals are not free


def test_the_spread_grows_exponentially_where_single_units_carry_it() -> None:
    """E L^4 > m1^2: a few units whose gate stays open outweigh the rest."""
    cell = parse_cell(LEAKY.replace("-0.5, std = 0.8", "-3, std = 4").replace("W = 2.0", "W = 0.3"))
    found = product_of(solved := solve(cell, ansatz="untied"), solved.solutions[-1], 3)
    assert found.slope is None
    assert any("exponentially" in note for note in found.notes)


def test_state_dependent_factors_need_their_own_moments() -> None:
    theory = product_theory(derive_theory(load("minimal-rnn"), "untied"))
    assert not theory.simple
    assert len(theory.units) == 3  # E[X], E[X^2] and E[X h^2]


@pytest.mark.parametrize(("name", "what"), [("lstm", "do not close"), ("shared", "L or b holds the state")])
def test_what_does_not_close_is_refused(name: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(AnsatzError, match=what):
        product_theory(derive_theory(cell_of(name, tmp_path), "untied"))


def test_where_it_does_not_close_the_chain_is_sampled() -> None:
    solved = solve(load("lstm"), {"sigma_g": 2.0, "R": 1.0}, ansatz="untied", tol=0.03)
    found = product_of(solved, solved.solutions[-1], 2)
    assert found.closure == "sampled"
    assert found.slope is None
    assert any("do not close" in note for note in found.notes)


def test_a_mean_that_few_units_carry_is_not_converged() -> None:
    """Units whose gates happened to be open at every step: soon they are all that is left of the sample."""
    cell = parse_cell(LEAKY.replace("-0.5, std = 0.8", "-1, std = 2").replace("W = 2.0", "W = 0.1"))
    solved = solve(cell, ansatz="untied")
    short, long = (sampled_product(solved, solved.solutions[-1], steps) for steps in (1, 60))
    assert short.verdict == "converged"
    assert "carry m2" in long.verdict


def test_static_theories_have_no_products() -> None:
    with pytest.raises(AnsatzError, match="untied"):
        product_theory(derive_theory(load("vanilla"), "static"))


def test_documents_show_the_recursion_where_it_closes(tmp_path: Path) -> None:
    heading = "Products of Jacobians of successive steps"
    shown = document(derive_theory(load("vanilla"), "untied"))
    assert heading in shown
    assert r"O_{h} &\leftarrow" in shown
    assert heading in document(derive_theory(load("gru"), "untied"))  # by the general formulas
    two = document(derive_theory(cell_of("two-states", tmp_path), "untied"))
    assert r"O_{p,p,q,q}" in two
    for name, ansatz in (("vanilla", "static"), ("lstm", "untied")):
        assert heading not in document(derive_theory(load(name), ansatz))


def matrices(cell: Cell, parameters: dict[str, float], N: int, T: int, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """m1 and m2 of products of T Jacobians after 30 steps: mean and standard error over networks."""
    settings, rows = resolve(cell, parameters), []
    for seed in range(seeds):
        network = Network(cell, settings, N, np.random.default_rng(seed))
        state, total = network.random_state(0.5), np.eye(N * len(cell.states))
        for step in range(30 + T):
            network.redraw()
            total = network.jacobian(state) @ total if step >= 30 else total
            state = network.evaluate(state).new_state
        squares = singular_values(total) ** 2
        rows.append([squares.mean(), (squares**2).mean()])
    return np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(seeds)


@pytest.mark.parametrize(("name", "parameters", "haar"), [CLOSED[2], CLOSED[3], CLOSED[5]])
def test_small_products_are_those_of_matrices(
    name: str, parameters: dict[str, float], haar: tuple[str, ...], tmp_path: Path
) -> None:
    cell, N, T = cell_of(name, tmp_path, haar), 120, 3
    solved = solve(cell, parameters, ansatz="untied")
    theory = product_of(solved, solved.solutions[-1], T)
    found, error = matrices(cell, parameters, N, T, 10)
    expected = np.array([theory.m1.value, theory.m2.value])
    assert np.all(np.abs(found - expected) < 4 * error + np.array([3.0, 8.0]) * T / N * expected)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CLOSED, ("minimal-rnn", {"sigma_w": 2.0, "R": 1.0, "sigma_v": 1.0}, ("W_u",))])
def test_products_are_those_of_large_matrices(
    case: tuple[str, dict[str, float], tuple[str, ...]], tmp_path: Path
) -> None:
    name, parameters, haar = case
    cell = cell_of(name, tmp_path, haar)
    N, T = 1000 // len(cell.states), 5
    solved = solve(cell, parameters, ansatz="untied")
    theory = product_of(solved, solved.solutions[-1], T)
    found, error = matrices(cell, parameters, N, T, 6)
    expected = np.array([theory.m1.value, theory.m2.value])
    assert np.all(np.abs(found - expected) < 4 * error)
