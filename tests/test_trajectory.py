"""Autocorrelations of finite networks against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from derive import load, parse_cell
from derive.cell import resolve
from derive.errors import AnsatzError, ParameterError
from solvers.budget import budget
from solvers.simulate import Network
from solvers.simulate.trajectory import autocorrelation, measure_trajectories

PAIR = """
equations = '''
r  = sigmoid(W_r @ c + b)
h' = a*h + (1 - a)*tanh(W_h @ (r*c'))
c' = tanh(W_c @ (h/(1 + h*h)) + W_c @ c + V @ x)
'''
[weights]
W_r = 1.5
W_h = "g"
W_c = "g"
V = 0.7
[biases]
b = { mean = 0.3, std = 0.5 }
[inputs]
x = { variance = "R" }
[parameters]
g = 1.0
a = 0.4
R = 0.0
"""


def agrees(row, expected, allowed=0.0):
    assert row.standard_error > 0
    assert abs(row.mean - expected) < 4 * row.standard_error + allowed, (row.quantity, row.mean, expected)


def test_autocorrelation_is_the_mean_of_products():
    series = np.random.default_rng(0).standard_normal((50, 7))
    found = autocorrelation(series, 10)
    for lag in range(11):
        assert found[lag] == pytest.approx(np.mean(series[: 50 - lag] * series[lag:]), abs=1e-12)


def test_a_filter_of_fresh_noise():
    # h' = a h + V x with fresh x: Q = V^2/(1 - a^2), and every step costs a factor a.
    cell = parse_cell("equations = \"h' = 0.6*h + V @ x\"\n[weights]\nV = 0.5\n[inputs]\nx = {variance = 1}")
    found = measure_trajectories(cell, resolve(cell, {}), N=200, seeds=8, lags=4)
    assert found.converged
    for lag in range(5):
        agrees(found[f"autocorrelation[h]({lag})"], 0.25 / 0.64 * 0.6**lag)
    agrees(found["C[V](0)"], 0.25)
    agrees(found["C[V](1)"], 0.0)  # fresh at each step: the input recorded is the one that was used


def test_constant_inputs_and_biases_stay():
    cell = load("vanilla")
    text = parse_cell("equations = \"h' = tanh(W @ h + V @ x + b)\"\n[weights]\nW = 0.5\nV = 1\n[biases]\n"
                      "b = {std = 0.5}\n[inputs]\nx = {variance = 1, time = \"constant\"}")  # fmt: skip
    found = measure_trajectories(text, resolve(text, {}), N=50, seeds=2, lags=3)
    assert all(sample.at_rest for sample in found.samples)
    for name in ("W", "V"):
        assert found[f"C[{name}](3)"].mean == pytest.approx(found[f"q[{name}]"].mean, rel=1e-6)
    chaotic = measure_trajectories(cell, resolve(cell, {"sigma_w": 2.0}), N=200, seeds=6, lags=2)
    # q = sigma^2 E[tanh^2] at each step, and of one step nothing is left at the next
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    mean = lambda q: float(weights @ np.tanh(np.sqrt(q) * nodes) ** 2 / weights.sum())  # noqa: E731
    q = brentq(lambda q: 4.0 * mean(q) - q, 0.5, 4.0)
    agrees(chaotic["q[W_h]"], q, allowed=q / 200)
    agrees(chaotic["C[W_h](1)"], 0.0, allowed=q / np.sqrt(200 * 6))


def test_correlations_of_chaotic_rate_units():
    # Sompolinsky, Crisanti & Sommers: Delta(0) = 3.4953425 at g = 2.5.
    cell = load("rate")
    found = measure_trajectories(cell, resolve(cell, {"g": 2.5}), N=300, seeds=6, lags=8, spacing=0.5, window=200.0)
    assert all(0 < sample.step_error < 1e-2 for sample in found.samples)
    agrees(found["Q[x]"], 3.4953425, allowed=3.5 / np.sqrt(300 * 6))
    # x' = -x + u makes C = Delta - Delta'', so that fields forget faster than states
    levels = [found[f"{name}(4)"].mean / found[f"{name}(0)"].mean for name in ("C[J]", "autocorrelation[x]")]
    assert levels[0] < levels[1] < 1


def test_two_states_with_fresh_inputs_run_and_repeat():
    cell = parse_cell(PAIR)
    settings = resolve(cell, {"g": 2.0, "R": 0.5})
    found = measure_trajectories(cell, settings, N=60, seeds=2, lags=3, window=300.0)
    again = measure_trajectories(cell, settings, N=60, seeds=2, lags=3, window=300.0)
    assert found.converged, found.outcomes
    assert [row.measured.tobytes() for row in found.rows] == [row.measured.tobytes() for row in again.rows]
    assert set(found.samples[0].fields) == set(Network(cell, settings, 2, np.random.default_rng(0)).fields)
    assert found["C[V](0)"].mean == pytest.approx(0.49 * 0.5, rel=0.05)


def test_divergence_drift_and_budget_are_reported():
    grows = parse_cell("equations = \"h' = relu(W @ h)\"\n[weights]\nW = 3")
    found = measure_trajectories(grows, resolve(grows, {}), N=20, seeds=2)
    assert found.rows == ()
    assert all("diverged at t =" in text for text in found.outcomes)
    slow = parse_cell("equations = \"dh/dt = -h/1000 + 0.0*h\"\n")
    drifting = measure_trajectories(slow, resolve(slow, {}), N=20, seeds=1, transient=0.0)
    assert not drifting.converged
    assert "still drifts" in drifting.outcomes[0]
    cell = load("vanilla")
    with budget(0.2):
        found = measure_trajectories(cell, resolve(cell, {"sigma_w": 2.0}), N=300, seeds=2, window=1e6)
    assert all("time budget" in text for text in found.outcomes)


def test_what_cannot_be_recorded_is_refused():
    cell = load("vanilla")
    with pytest.raises(ParameterError, match="need a window of at least 80"):
        measure_trajectories(cell, resolve(cell, {}), N=10, seeds=1, lags=40, window=60.0)
    with pytest.raises(ParameterError, match="whole steps"):
        measure_trajectories(cell, resolve(cell, {}), N=10, seeds=1, spacing=0.5)
    driven = parse_cell("equations = \"dh/dt = -h + W @ tanh(h) + x\"\n[weights]\nW = 2\n[inputs]\nx = {variance = 1}")
    with pytest.raises(AnsatzError, match="independent at all times"):
        measure_trajectories(driven, resolve(driven, {}), N=10, seeds=1)
