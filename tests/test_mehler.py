"""Mehler series against closed forms and against quadrature that shares nothing with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import sympy as sp
from scipy.special import erf, expit

from derive import load
from derive.elementary import Fn
from derive.gaussian.average import Law
from derive.pipeline import derive_theory
from solvers.averages import CompiledAverage
from solvers.canonical import canonical_directions
from solvers.codegen.axes import PanelRule, SinhRule, largest_gap
from solvers.codegen.hermite import weighted_hermite
from solvers.codegen.mehler import MehlerAverage, mehler_average
from solvers.factor_pair import FactorPair
from solvers.solve import solve

ROUNDING = 2e-15


def check(found: MehlerAverage, exact: float, rtol: float = 1e-11, slack: float = 1.0) -> None:
    """Converged, accurate, and the stated error covers the true one."""
    off = abs(found.value - exact)
    assert found.converged
    assert off <= rtol * abs(exact) + 1e-16
    assert off <= slack * found.error + ROUNDING * abs(exact)


def arcsine_law(s: float, rho: float) -> float:
    """E[erf(s x) erf(s y)]."""
    return float(2 / np.pi * np.arcsin(2 * s * s * rho / (1 + 2 * s * s)))


# The series ----------------------------------------------------------------------------------------------


def test_hermite_polynomials_are_orthonormal_on_a_fine_rule() -> None:
    rule = SinhRule(0.0, 0.3, 0.01, 22.0)
    basis = weighted_hermite(rule.nodes, rule.weights, 60)
    assert np.abs(basis @ basis.T - np.eye(61)).max() < 1e-13


@pytest.mark.parametrize("rho", [0.0, 1e-6, 0.1, 0.5, -0.7, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("s", [0.3, 1.0, 3.0])
def test_arcsine_law(s: float, rho: float) -> None:
    found = mehler_average(lambda x: erf(s * x[0]), None, (1, 1), np.array([rho]), rtol=1e-12, atol=1e-16)
    check(found, arcsine_law(s, rho))


def test_a_factor_that_is_zero_everywhere_is_finished_at_once() -> None:
    found = mehler_average(lambda x: 0.0 * x[0], None, (1, 1), np.array([0.5]), rtol=1e-12)
    assert (found.value, found.error, found.converged) == (0.0, 0.0, True)
    assert found.evaluations < 1e5


@pytest.mark.parametrize("s", [5.0, 10.0, 30.0, 200.0])
@pytest.mark.parametrize("rho", [0.5, 0.9, 0.99, 0.9999, 1.0])
def test_error_is_honest_where_the_series_is_too_slow(s: float, rho: float) -> None:
    found = mehler_average(lambda x: erf(s * x[0]), None, (1, 1), np.array([rho]), rtol=1e-12)
    off = abs(found.value - arcsine_law(s, rho))
    assert off <= found.error
    assert found.error < 0.1
    assert found.converged == (rho <= 0.9)


@pytest.mark.parametrize("limit", [3e3, 3e4, 2e5, 1e6, 1e7])
def test_error_is_honest_when_effort_is_short(limit: float) -> None:
    rho = np.array([0.9, 0.8])
    found = mehler_average(
        lambda x: erf(2 * x[0]) * erf(x[1]), None, (2, 2), rho, rtol=1e-13, atol=0.0, max_evaluations=limit
    )
    assert found.error == np.inf or abs(found.value - arcsine_law(2, 0.9) * arcsine_law(1, 0.8)) <= found.error
    assert found.converged == (limit > 1e5)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.95, 1.0])
def test_polynomials(rho: float) -> None:
    found = mehler_average(
        lambda x: x[0] ** 2 * x[1], lambda y: y[0] ** 2 * y[1] + y[1], (2, 2), np.array([rho, 0.6]), rtol=1e-12
    )
    check(found, 0.6 * (1 + 2 * rho**2) + 0.6)
    fourth = mehler_average(lambda x: x[0] ** 4, None, (1, 1), np.array([rho]), rtol=1e-12)
    check(fourth, 9 + 72 * rho**2 + 24 * rho**4)


@pytest.mark.parametrize("dimensions", [(1, 1), (1, 2), (2, 2), (3, 1), (2, 3), (3, 3)])
def test_exponentials_and_waves_in_every_pair_of_dimensions(dimensions: tuple[int, int]) -> None:
    rng = np.random.default_rng(dimensions)
    a, b = (rng.uniform(-0.9, 0.9, p) for p in dimensions)
    rho = rng.uniform(0, 0.97, min(dimensions))
    shared = float(np.sum(rho * a[: rho.size] * b[: rho.size]))
    size = 0.5 * float(a @ a + b @ b)
    grown = mehler_average(lambda x: np.exp(a @ x), lambda y: np.exp(b @ y), dimensions, rho, rtol=1e-12)
    check(grown, float(np.exp(size + shared)))
    waves = mehler_average(lambda x: np.cos(a @ x), lambda y: np.cos(b @ y), dimensions, rho, rtol=1e-12)
    check(waves, float(np.exp(-size) * np.cosh(shared)))


def test_what_is_not_finite_has_no_value() -> None:
    with np.errstate(all="ignore"):
        found = mehler_average(lambda x: np.log(x[0]), None, (1, 1), np.array([0.5]), rtol=1e-12)
    assert not found.converged
    assert found.error == np.inf


def test_rules_get_as_close_as_asked() -> None:
    for rule in (SinhRule(0.0, 1.0, 0.2, 9.0), PanelRule((-9.0, -1.0, 2.0, 9.0))):
        assert largest_gap(rule.spaced(0.1, 5.0), 5.0) <= 0.1
        assert rule.spaced(9.0, 5.0) is rule


# Canonical correlations ----------------------------------------------------------------------------------


def random_covariance(rng: np.random.Generator, size: int, rank: int) -> np.ndarray:
    mixing = rng.standard_normal((size, rank))
    return mixing @ mixing.T


@pytest.mark.parametrize(("sizes", "rank"), [((1, 1), 2), ((2, 2), 5), ((3, 2), 5), ((2, 3), 3), ((3, 3), 4)])
def test_canonical_coordinates_have_the_law(sizes: tuple[int, int], rank: int) -> None:
    joint = random_covariance(np.random.default_rng([*sizes, rank]), sum(sizes), rank)
    p = sizes[0]
    found = canonical_directions(joint[:p, :p], joint[p:, p:], joint[:p, p:])
    between = np.zeros(found.ranks)
    np.fill_diagonal(between, found.correlations)
    assert np.abs(found.left @ found.left.T - joint[:p, :p]).max() < 1e-12
    assert np.abs(found.right @ found.right.T - joint[p:, p:]).max() < 1e-12
    assert np.abs(found.left @ between @ found.right.T - joint[:p, p:]).max() < 1e-12


def test_mirrored_sides_share_their_coordinates() -> None:
    rng = np.random.default_rng(5)
    own, shared = random_covariance(rng, 3, 3), random_covariance(rng, 3, 2)
    cross = shared - 0.5 * own  # correlations of either sign
    found = canonical_directions(own + shared, own + shared, cross, mirrored=True)
    assert found.symmetric
    assert np.array_equal(found.left, found.right)
    assert found.correlations.min() < 0 < found.correlations.max()
    assert np.abs(found.left @ np.diag(found.correlations) @ found.right.T - cross).max() < 1e-12


# Averages of a cell --------------------------------------------------------------------------------------

A, B, C = sp.symbols("A B C", real=True)
A2, B2, C2 = sp.symbols("A2 B2 C2", real=True)
k = sp.Symbol("k", real=True)


def law_of(symbols: tuple[sp.Symbol, ...], covariance: np.ndarray, mean: np.ndarray) -> Law:
    second = {
        (s, t): sp.Float(float(covariance[i, j] + mean[i] * mean[j]), 17)
        for i, s in enumerate(symbols)
        for j, t in enumerate(symbols)
    }
    means = {s: sp.Float(float(m), 17) for s, m in zip(symbols, mean, strict=True)}
    return Law(dict.fromkeys(symbols, "all"), means, second)


def normal_rule(step: float, reach: float = 8.6) -> tuple[np.ndarray, np.ndarray]:
    """Trapezoid rule of the standard normal law: geometric convergence for analytic integrands."""
    nodes = step * np.arange(-int(reach / step), int(reach / step) + 1)
    weights = np.exp(-0.5 * nodes**2)
    return nodes, weights / weights.sum()


@cache
def product_rule(dimension: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = normal_rule(step)
    grid = np.array([x.ravel() for x in np.meshgrid(*[nodes] * dimension, indexing="ij")])
    weight = np.prod([x.ravel() for x in np.meshgrid(*[weights] * dimension, indexing="ij")], axis=0)
    kept = weight > 1e-19
    return grid[:, kept], weight[kept]


def brute(f: Callable[..., np.ndarray], covariance: np.ndarray, mean: np.ndarray, step: float) -> float:
    """E[f] by a product rule in the joint Cholesky coordinates."""
    grid, weight = product_rule(len(mean), step)
    return float(weight @ f(*(mean[:, None] + np.linalg.cholesky(covariance) @ grid)))


def tanh(argument: sp.Expr) -> sp.Expr:
    return Fn("tanh", 0, argument)


def sigmoid(argument: sp.Expr) -> sp.Expr:
    return Fn("sigmoid", 0, argument)


@pytest.mark.parametrize("seed", range(4))
def test_two_and_two_directions_against_a_product_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    covariance, mean = 0.12 * random_covariance(rng, 4, 4), rng.uniform(-0.5, 0.5, 4)
    law = law_of((A, B, A2, B2), covariance, mean)
    average = CompiledAverage((k * tanh(A) * sigmoid(A * B) * sigmoid(A2) * B2,), law)
    value, error = average.evaluate({k: 3.0}, 1e-11)
    # The last Gaussian is linear, and is replaced by its regression on the others.
    root = np.linalg.cholesky(covariance)
    (s, t), weight = product_rule(2, 0.22)
    a, b, a2, b2 = mean[:, None] + root[:, :2] @ np.array([s, t])
    x, w = normal_rule(0.22)
    inner = (expit(a2[:, None] + root[2, 2] * x) * (b2[:, None] + root[3, 2] * x)) @ w
    exact = 3.0 * float(weight @ (np.tanh(a) * expit(a * b) * inner))
    assert value[0] == pytest.approx(exact, rel=1e-12)
    assert error[0] < 1e-11 * abs(exact)


def test_three_components_are_shared_out_so_that_few_directions_remain() -> None:
    rng = np.random.default_rng(8)
    covariance, mean = 0.2 * random_covariance(rng, 3, 3), np.array([0.1, 0.4, 0.0])
    law = law_of((A, B, C), covariance, mean)
    pair = FactorPair.of(tanh(A) * sigmoid(B) * tanh(C + 1), (), law)
    assert pair is not None
    found = pair.evaluate({}, 3, 1e-12, 0.0)
    assert found is not None
    exact = brute(lambda a, b, c: np.tanh(a) * expit(b) * np.tanh(c + 1), covariance, mean, 0.2)
    check(found, exact)
    assert pair.evaluate({}, 2, 1e-12, 0.0) is None, "quadrature of the whole product is as cheap"


def test_what_is_no_product_is_left_alone() -> None:
    law = law_of((A, B, C), np.eye(3) + 0.1, np.zeros(3))
    assert FactorPair.of(tanh(A * B) + tanh(C), (), law) is None
    assert FactorPair.of(tanh(A * B) * tanh(B * C), (), law) is None
    assert FactorPair.of(tanh(A), (), law) is None


@pytest.mark.parametrize("rank", [3, 4, 5, 6])
def test_replicas_of_three_directions_against_bells(rank: int) -> None:
    """E[exp(-|x|^2 / 2 - |y|^2 / 2)] = det(1 + C)^(-1/2), also for laws of lower rank."""
    rng = np.random.default_rng(rank)
    own, shared = 0.3 * random_covariance(rng, 3, max(rank - 3, 0)), 0.3 * random_covariance(rng, 3, 3)
    covariance = np.block([[own + shared, shared], [shared, own + shared]])
    law = law_of((A, B, C, A2, B2, C2), covariance, np.zeros(6))
    bells = [Fn("exp", 0, -(x**2 + y**2 + z**2) / 2) for x, y, z in ((A, B, C), (A2, B2, C2))]
    average = CompiledAverage((bells[0] * bells[1],), law)
    value, error = average.evaluate({}, 1e-11)
    exact = 1 / np.sqrt(np.linalg.det(np.eye(6) + covariance))
    assert value[0] == pytest.approx(exact, rel=2e-12)
    assert abs(value[0] - exact) <= error[0] + ROUNDING


# The whole map of a gated cell whose reset follows the product --------------------------------------------

def pair_moment(f: Callable[[np.ndarray], np.ndarray], variance: float, covariance: float, step: float) -> float:
    """E[f(x_a) f(x_b)]."""
    (s, t), w = product_rule(2, step)
    rho = covariance / variance
    return float(w @ (f(np.sqrt(variance) * s) * f(np.sqrt(variance) * (rho * s + np.sqrt(1 - rho**2) * t))))


def overlap_map(p: dict[str, float], Q: float, overlap: float, steps: tuple[float, float]) -> float:
    """E[h'_a h'_b] from E[h_a h_b]: given both resets, the candidates are functions of two correlated Gaussians."""

    def law(sigma: float, nu: float, rho: float) -> tuple[float, float]:
        drive = nu**2 * p["R"]
        return sigma**2 * Q + drive + rho**2, sigma**2 * overlap + drive * p["Sigma"] + rho**2

    gate, reset = law(p["sigma_z"], p["nu_z"], 0.0), law(p["sigma_r"], p["nu_r"], 0.0)
    inner, outer = law(p["sigma_h"], 0.0, p["rho_c"]), law(0.0, p["nu_h"], p["rho_h"])
    held = pair_moment(expit, *gate, steps[0])
    taken = pair_moment(lambda x: expit(-x), *gate, steps[0])
    (s, t), weight = product_rule(2, steps[0])
    rho = reset[1] / reset[0]
    r_a, r_b = expit(np.sqrt(reset[0]) * s), expit(np.sqrt(reset[0]) * (rho * s + np.sqrt(1 - rho**2) * t))
    size_a, size_b = np.sqrt(r_a**2 * inner[0] + outer[0]), np.sqrt(r_b**2 * inner[0] + outer[0])
    rho_y = (r_a * r_b * inner[1] + outer[1]) / (size_a * size_b)
    (x, y), w = product_rule(2, steps[1])
    total = 0.0
    for part in np.array_split(np.arange(s.size), 200):
        first = np.tanh(size_a[part, None] * x)
        root = np.sqrt(1 - rho_y[part] ** 2)
        second = np.tanh(size_b[part, None] * (rho_y[part, None] * x + root[:, None] * y))
        total += float(weight[part] @ ((first * second) @ w))
    return held * overlap + taken * total


AFTER = {"sigma_z": 1.0, "sigma_r": 1.0, "sigma_h": 1.0, "nu_z": 0.0, "nu_r": 0.0, "nu_h": 1.0, "rho_h": 0.0,
         "rho_c": 0.0, "R": 1.0, "Sigma": 0.5}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, (0.6, 0.25)),
        ({"sigma_r": 3.0, "sigma_h": 3.0, "nu_r": 1.0, "nu_z": 1.0, "rho_h": 0.5, "rho_c": 0.5}, (0.3, 0.16)),
    ],
)
def test_overlap_and_its_growth_in_a_gated_cell(changes: dict[str, float], steps: tuple[float, float]) -> None:
    """C* is a fixed point of the map, and chi_star its slope there: differences of the map know no perturbations."""
    parameters = AFTER | changes
    found = solve(derive_theory(load("gru-reset-after"), "untied"), parameters).solutions[0]
    Q, overlap = found["Q[h]"], found["C_star[h]"]
    shifts = 0.02 * Q * np.array([-3, -2, -1, 0, 1, 2, 3])
    images = [overlap_map(parameters, Q, overlap + shift, steps) for shift in shifts]
    assert images[3] == pytest.approx(overlap, rel=1e-10)
    slope = np.array([-1, 9, -45, 0, 45, -9, 1]) @ images / (60 * 0.02 * Q)
    assert found["chi_star"] == pytest.approx(slope, rel=2e-10)
    assert abs(found["chi_star"] - slope) <= found.error("chi_star") + 1e-10
    assert found.error("C_star[h]") <= 1e-10 * overlap
    assert found.error("chi_star") <= 1e-10 * slope
