"""Fixed points and spectra of finite networks at small N."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import optimize

from derive.cell import load, parse_cell, resolve
from solvers.simulate import (
    Network,
    eigenvalues,
    measure_static,
    newton_from,
    plant,
    relax,
    singular_values,
    sites_of,
    spectral_radius,
    velocity,
)
from solvers.simulate import fixed_point as fixed_point_module

GRU = {"sigma_z": 2.0, "sigma_r": 1.0, "sigma_h": 1.5, "rho_h": 0.7, "rho_z": 0.5}


def drawn(cell, given, N=120, seed=0):
    return Network(cell, resolve(cell, given), N, np.random.default_rng(seed))


def gauss(function, q):
    """E f(x) for x ~ N(0, q)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    return float(weights @ function(np.sqrt(q) * nodes) / weights.sum())


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("gru", GRU),
        ("gru-reset-after", {**GRU, "rho_c": 0.5}),
        ("lstm", {"sigma_g": 1.5, "rho_g": 0.5, "mu_f": 0.5}),
        ("gated-rnn", {"g_h": 1.2, "tau_z": 3.0}),
    ],
)
def test_relaxation_ends_at_rest_and_newton_finds_the_same_point_nearby(name, given):
    network = drawn(load(name), given)
    point = relax(network, network.random_state(0.5))
    assert point.converged, point.outcome
    assert np.max(np.abs(velocity(network, point.state))) <= 1e-10
    again = newton_from(network, point.state + network.random_state(1e-3))
    assert again.converged
    np.testing.assert_allclose(again.state, point.state, atol=1e-8)


def test_the_krylov_solver_agrees_with_the_dense_one(monkeypatch):
    network = drawn(load("gru"), GRU)
    dense = relax(network, network.random_state(0.5))
    monkeypatch.setattr(fixed_point_module, "DENSE_LIMIT", 1)
    krylov = newton_from(network, dense.state + network.random_state(0.05))
    assert krylov.converged, krylov.outcome
    np.testing.assert_allclose(krylov.state, dense.state, atol=1e-8)


def test_newton_finds_an_unstable_point_that_relaxation_leaves():
    network = drawn(load("vanilla"), {"sigma_w": 2.0})
    moving = relax(network, network.random_state(0.5), max_steps=300)
    assert not moving.converged
    assert "did not come to rest" in moving.outcome
    zero = newton_from(network, network.random_state(1e-3))
    assert zero.converged
    assert zero.Q["h"] < 1e-20
    assert spectral_radius(eigenvalues(network.jacobian(zero.state))) == pytest.approx(2.0, abs=0.4)


def test_a_planted_unstable_solution_is_exact_and_has_the_outlier_of_its_own_branch():
    # Lower branch near its fold: det(1 - A(lambda)) = 0 at 0.2745, outside a support that ends at 0.108.
    g, alpha, beta = 4.0, 10.0, 2.0
    q_r = lambda q: gauss(lambda x: np.tanh(x) ** 2, q)  # noqa: E731
    gate = lambda q: gauss(lambda x: (1 + np.exp(beta - alpha * x)) ** -2.0, q)  # noqa: E731
    q_h = optimize.brentq(lambda q: g**2 * q_r(q) * gate(q_r(q)) - q, 0.005, 0.5)

    def columns(network):
        u_h, u_z, u_r = network.rng.standard_normal((3, network.N)) * np.sqrt([[q_h], [q_r(q_h)], [q_r(q_h)]])
        return {"h": u_h, "z": u_z, "r": u_r, "J_h": u_h, "J_z": u_z, "J_r": u_r}

    cell = load("gated-rnn")
    settings = resolve(cell, {"g_h": g, "alpha_r": alpha, "beta_r": beta, "alpha_z": 0.0})
    found = measure_static(cell, settings, N=300, seeds=3, planted=columns)
    assert found.converged, str(found)
    assert all(sample.point.displacement < 1e-8 for sample in found.samples)
    assert found["spectral_abscissa"].mean == pytest.approx(0.2745, abs=0.08)
    assert all(np.sort(sample.eigenvalues.real)[-2] < 0.16 for sample in found.samples)


def test_planting_serves_nested_and_shared_products():
    text = """
    equations = "h' = tanh(W @ (b*(V @ h)) + W @ h)"
    [weights]
    V = 1.2
    W = { gain = 2.5, ensemble = "gaussian" }
    [biases]
    b = { mean = 1, std = 1 }
    """
    network = drawn(parse_cell(text), {})
    columns = dict(zip(("W", "W.2", "V"), network.random_state() * np.ones((3, 1)), strict=True))
    columns = {name: column + 0.3 * network.random_state()[0] for name, column in columns.items()}
    columns["h"] = np.tanh(columns["W"] + columns["W.2"])
    point = plant(network, columns)
    assert point.converged
    assert point.displacement < 1e-8


def test_failures_say_what_was_reached():
    runaway = drawn(parse_cell('equations = "h\' = W @ h"\n[weights]\nW = 2.0'), {})
    point = relax(runaway, runaway.random_state())
    assert not point.converged
    assert "diverged after" in point.outcome
    nowhere = drawn(parse_cell('equations = "h\' = h + 1 + (W @ h)**2"\n[weights]\nW = 1.0'), {})
    point = newton_from(nowhere, nowhere.random_state(0.1))
    assert not point.converged
    assert "found no fixed point" in point.outcome
    assert point.residual >= 1.0


def test_a_slow_unit_is_not_mistaken_for_one_at_rest():
    # Every unit moves by 1e-7 of its distance per step: at rest to any eye, and far from its fixed point.
    slow = drawn(parse_cell('equations = "h\' = h + 1e-7*(1 - h) + 0*(W @ h)"\n[weights]\nW = 1.0'), {})
    point = relax(slow, np.zeros((1, 120)), max_steps=50)
    assert not point.converged


def test_second_moments_of_a_static_network_are_those_of_the_mean_field():
    sigma, rho = 0.9, 0.8
    cell = load("vanilla")
    found = measure_static(cell, resolve(cell, {"sigma_w": sigma, "sigma_b": rho}), N=400, seeds=6, seed=1)
    q = 1.0
    for _ in range(300):
        q = sigma**2 * gauss(lambda x: np.tanh(x) ** 2, q + rho**2)
    assert found.converged
    for quantity in ("q[W_h]", "mean_u2[W_h]"):
        row = found[quantity]
        assert abs(row.mean - q) < 5 * row.standard_error
    assert abs(found["Q[h]"].mean - q / sigma**2) < 5 * found["Q[h]"].standard_error
    edge = sigma * np.sqrt(gauss(lambda x: np.cosh(x) ** -4.0, q + rho**2))
    assert found["spectral_radius"].mean == pytest.approx(edge, rel=0.06)


def test_a_site_measure_has_one_column_per_state_field_bias_and_input():
    cell = load("gru")
    (sample,) = measure_static(cell, resolve(cell, GRU), N=60, seeds=1, spectra=False).samples
    expected = {"h", "W_z", "W_r", "W_h", "U_z", "U_r", "U_h", "b_z", "b_r", "b_h", "x"}
    assert set(sample.sites) == expected
    assert all(column.shape == (60,) for column in sample.sites.values())
    assert sample.eigenvalues.size == 0
    network = drawn(cell, GRU)
    assert set(sites_of(network, network.random_state())) == expected


def test_results_depend_on_the_seed_and_not_on_the_workers():
    cell = load("gru")
    settings = resolve(cell, GRU)
    alone = measure_static(cell, settings, N=40, seeds=4, seed=7)
    with ThreadPoolExecutor(3) as executor:
        together = measure_static(cell, settings, N=40, seeds=4, seed=7, executor=executor)
    fewer = measure_static(cell, settings, N=40, seeds=2, seed=7)
    for row, other, short in zip(alone.rows, together.rows, fewer.rows, strict=True):
        np.testing.assert_array_equal(row.measured, other.measured)
        np.testing.assert_array_equal(row.measured[:2], short.measured)


def test_a_seed_without_a_fixed_point_is_missing_not_averaged():
    cell = load("vanilla")
    found = measure_static(cell, resolve(cell, {"sigma_w": 2.5}), N=60, seeds=2, max_steps=200)
    assert not found.converged
    assert found.rows == ()
    assert "2 networks, 0 settled" in str(found)


def test_singular_values_and_eigenvalues_belong_to_the_same_matrix():
    matrix = np.random.default_rng(0).standard_normal((30, 30))
    assert np.prod(np.abs(eigenvalues(matrix))) == pytest.approx(np.prod(singular_values(matrix)))
