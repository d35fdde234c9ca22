"""Products of free Jacobians: known laws, moments, real matrices, and what is refused by name."""

from __future__ import annotations

import json
from math import comb

import numpy as np
import pytest

from derive import load
from derive.cell import parse_cell, resolve
from derive.cell.orthogonal import orthogonal
from derive.cell.spec import Cell
from derive.errors import AnsatzError
from derive.pipeline import derive_theory
from derive.stability.free import require_free_factors
from solvers.cli.main import main
from solvers.measure import SiteMeasure
from solvers.simulate import Network, singular_values
from solvers.singular.free import free_product_of
from solvers.singular.products import free_moments, product_of, sampled_product
from solvers.solve import solve
from solvers.spectrum.singular_free import FreeProductLaw

CELL = 'name = "{}"\nequations = """\n{}\n"""\n[weights]\n{}\n[biases]\nc = {{ mean = 0.3, std = 0.4 }}\n'


def made(equation: str, weights: str, name: str = "made-up") -> Cell:
    return parse_cell(CELL.format(name, equation, weights))


TWO = "A = 0.9\nB = 0.8"
FREE = {
    "plain": (made("h' = tanh(A @ h + c)", "A = 1.3"), ()),
    "orthogonal": (made("h' = tanh(A @ h + c)", "A = 1.3"), ("A",)),
    "a sum of both kinds": (made("h' = tanh(A @ h + c)/2 + tanh(B @ h)", TWO), ("B",)),
    "nested": (made("h' = tanh(A @ tanh(B @ h + c))", "A = 1.5\nB = 1.4"), ("A",)),
    "slope after the product": (made("h' = A @ tanh(h) + c", "A = 1.4"), ()),
}
LONG = ("nested", "a sum of both kinds")


def one_number(value: float, T: int, ensemble: str = "gaussian") -> FreeProductLaw:
    """Factors that are ``value`` times one matrix."""
    ones = np.ones((1, 1, 1))
    measure = SiteMeasure(
        np.ones(1), 0 * ones, ones, ones, 0 * ones, np.zeros((1, 1)), np.zeros((1, 1)), ("A",), ("A",),
        np.array([value]), (ensemble,), True,
    )  # fmt: skip
    return FreeProductLaw(measure, T)


@pytest.mark.parametrize("T", [2, 3, 8])
def test_products_of_square_gaussian_matrices_have_fuss_catalan_moments(T: int) -> None:
    """E s^2k = comb((T + 1)k, k)/(Tk + 1), the upper end is sqrt((T + 1)^(T + 1)/T^T)."""
    law = one_number(1.0, T)
    edge = np.sqrt((T + 1.0) ** (T + 1) / T**T)
    assert law.ends().upper == pytest.approx(edge, abs=law.ends().upper_error)
    assert law.ends().upper_error < 0.01 * edge
    x, w = np.polynomial.legendre.leggauss(60)
    t = 0.25 * np.pi * (x + 1.0)
    s = edge * np.sin(t) ** (T + 1)  # takes away the singularity at zero and the root at the edge
    w = w * 0.25 * np.pi * edge * (T + 1) * np.sin(t) ** T * np.cos(t)
    rho = law.density(s)
    for k in range(4):
        assert w @ (rho * s ** (2 * k)) == pytest.approx(comb((T + 1) * k, k) / (T * k + 1), rel=1e-5)
    assert law.share_below(s[[20, 40]]) == pytest.approx([w[:20] @ rho[:20], w[:40] @ rho[:40]], abs=0.03)
    step = 1e-4 * s[[20, 40]]
    slope = (law.share_below(s[[20, 40]] + step) - law.share_below(s[[20, 40]] - step)) / (2 * step)
    assert slope == pytest.approx(rho[[20, 40]], rel=1e-3)


def test_products_of_orthogonal_matrices_are_one_point() -> None:
    law = one_number(1.1, 4, "haar")
    assert law.point
    assert law.quantiles([0.2, 0.8]) == pytest.approx(1.1**4)


def shares_below(cell: Cell, at: list[float], T: int, N: int, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares of singular values of products of T Jacobians below ``at``: mean and standard error over networks."""
    shares = []
    for seed in range(seeds):
        network = Network(cell, resolve(cell), N, np.random.default_rng(seed))
        state, total = network.random_state(0.5), np.eye(N)
        for step in range(20 + T):
            network.redraw()
            total = network.jacobian(state) @ total if step >= 20 else total
            state = network.evaluate(state).new_state
        values = singular_values(total)
        shares.append([np.mean(values < s) for s in at])
    return np.mean(shares, axis=0), np.std(shares, axis=0, ddof=1) / np.sqrt(seeds)


@pytest.mark.parametrize("name", [pytest.param(k, marks=pytest.mark.slow) if k in LONG else k for k in FREE])
def test_free_products_are_those_of_matrices(name: str) -> None:
    cell, haar = FREE[name]
    cell, N = orthogonal(cell, haar), 150
    solved = solve(cell, ansatz="untied")
    found = free_product_of(solved, solved.solutions[-1], 3, levels=(0.1, 0.5, 0.9))
    assert found.verdict == "converged"
    shares, error = shares_below(cell, [item.value for item in found.quantiles.values()], 3, N, 8)
    assert np.all(np.abs(shares - [0.1, 0.5, 0.9]) < 4 * error + 1.0 / N)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "orthogonal"])
def test_free_products_of_many_steps_are_those_of_large_matrices(name: str) -> None:
    cell, haar = FREE[name]
    cell, levels = orthogonal(cell, haar), (0.25, 0.5, 0.75, 0.95)
    solved = solve(cell, ansatz="untied")
    found = free_product_of(solved, solved.solutions[-1], 8, levels=levels)
    shares, error = shares_below(cell, [item.value for item in found.quantiles.values()], 8, 1000, 8)
    # a network's activity moves all of its shares together, so that the largest of their errors is known best
    assert np.all(np.abs(shares - levels) < 4 * error.max() + 1.0 / 1000)


@pytest.mark.parametrize("name", list(FREE))
def test_the_spread_of_free_factors_adds_up(name: str) -> None:
    """S-transform to the power T: m2/m1^2 - 1 grows by that of one step, as the recursion says without freeness."""
    cell, haar = FREE[name]
    solved = solve(orthogonal(cell, haar), ansatz="untied")
    solution = solved.solutions[-1]
    one, many, free = (*(product_of(solved, solution, steps) for steps in (1, 5)), free_moments(solved, solution, 5))
    assert many.closure == ("free" if name == "slope after the product" else "exact")  # b holds the state there
    for key in ("m1", "m2", "spread", "slope"):
        assert getattr(many, key).value == pytest.approx(getattr(free, key).value, rel=1e-5)
    sampled = sampled_product(solved, solution, 5)
    assert abs(sampled.m1.value - free.m1.value) < 2 * sampled.m1.error
    error = 5 * one.spread.error + many.spread.error
    assert abs(many.spread.value - 5 * one.spread.value) < 2 * error + 1e-9


REFUSED = [
    (load("gru"), "L = .* is not zero"),
    (load("lstm"), "2 states"),
    (made("h' = tanh(A @ (tanh(B @ h)*h) + c)", TWO), "tanh.*differs from unit to unit"),
    (made("h' = tanh(A @ tanh(A @ h) + c)", "A = 1.2"), "also stands inside another product"),
    (made("h' = tanh(A @ (h**2) + c)", "A = 1.2"), "differs from unit to unit"),
]


@pytest.mark.parametrize(("cell", "message"), REFUSED)
def test_what_is_not_free_is_refused_by_name(cell: Cell, message: str) -> None:
    with pytest.raises(AnsatzError, match=message):
        require_free_factors(derive_theory(cell, "untied"))


def test_static_theories_are_refused() -> None:
    with pytest.raises(AnsatzError, match="untied"):
        require_free_factors(derive_theory(load("vanilla"), "static"))


def test_steps_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--ansatz", "untied", "--singular", "--steps", "4", "--json"]
    assert main(["spectrum", "vanilla", "-p", "sigma_w=1", "--orthogonal", "W_h", *base]) == 0
    *_, found = json.loads(capsys.readouterr().out)["solutions"]
    product, errors = found["singular"]["product"], found["error"]["singular"]["product"]
    assert product["quantiles"]["0.5"] == pytest.approx(1.0)
    assert product["closure"] == "exact"
    assert product["spread"] == pytest.approx(4 * product["slope"], abs=1e-6)
    assert set(errors) == set(product) - {"steps", "closure", "zero"}
    assert main(["spectrum", "minimal-rnn", "-p", "R=1", *base]) == 0
    *_, found = json.loads(capsys.readouterr().out)["solutions"]
    assert found["singular"]["product"]["m1"] == pytest.approx(found["singular"]["m1"] ** 4, rel=1e-8)
    assert "quantiles" not in found["singular"]["product"]
    assert any("not free" in note for note in found["notes"])
