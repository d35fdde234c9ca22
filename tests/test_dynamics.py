"""Stationary mean field without sampling: published numbers, errors that hold, states that do not exist."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from derive import load, parse_cell, site_form
from derive.cell import resolve
from derive.errors import AnsatzError
from derive.meanfield.filters import NotLinear, filter_site
from solvers import dynamics
from solvers.cli import main
from solvers.dynamics.hermite_series import covariance_at, hermite_coefficients
from solvers.dynamics.potential import compared, solve_potential

SOMPOLINSKY = {1.2: 0.2426289, 1.5: 0.7476864, 2.0: 1.9248054, 2.5: 3.4953425, 3.0: 5.446326}
"""Delta_0 of tanh from the potential, V(Delta_0) = V(0)."""


@pytest.mark.parametrize("g", SOMPOLINSKY)
def test_variance_of_the_classical_network(g: float) -> None:
    (state,) = dynamics(load("rate"), {"g": g}).solutions
    assert state.converged
    assert state.Q["x"] == pytest.approx(SOMPOLINSKY[g], abs=1e-7)
    # At lag zero Delta'' = Delta - C and energy is conserved: the curve starts flat and C(0) > Delta(0).
    assert state.q["J"] > state.Q["x"]


def test_numbers_at_gain_two() -> None:
    (state,) = dynamics(load("rate"), {"g": 2.0}).solutions
    assert state.q["J"] == pytest.approx(2.0527, abs=1e-4)
    assert state.lyapunov_max == pytest.approx(0.1124, abs=1e-4)
    assert state.lags[0] == 0
    assert state.C["J"][0] == state.q["J"]


@pytest.mark.parametrize("g", SOMPOLINSKY)
def test_two_methods_that_share_no_numerics_agree(g: float) -> None:
    cell = load("rate")
    (state,) = dynamics(cell, {"g": g}).solutions
    found = solve_potential(site_form(cell), resolve(cell, {"g": g}), state.Q["x"])
    assert found is not None
    assert found.variance == pytest.approx(SOMPOLINSKY[g], abs=1e-7)
    assert abs(found.variance - state.Q["x"]) <= found.error + state.error["Q"]["x"]
    assert abs(found.q - state.q["J"]) <= found.q_error + state.error["q"]["J"]


def test_a_state_that_breaks_the_potential_is_not_called_converged() -> None:
    cell = load("rate")
    (state,) = dynamics(cell, {"g": 2.0}).solutions
    wrong = compared(replace(state, Q={"x": 1.001 * state.Q["x"]}), site_form(cell), resolve(cell, {"g": 2.0}))
    assert "disagree" in wrong.verdict


@pytest.mark.slow
def test_a_stable_zero_coexists_with_chaos() -> None:
    """A sharp reset gate: both states are found, the chaotic one from large activity."""
    given = {"g_h": 1.9, "alpha_r": 20.0, "alpha_z": 0.0}
    zero, chaos = dynamics(load("gated-rnn"), given).solutions
    assert zero.Q["h"] == 0.0
    assert zero.lyapunov_max == pytest.approx(0.5 * (0.5 * 1.9 - 1))
    assert chaos.Q["h"] == pytest.approx(0.164, abs=3 * 0.011)  # four networks of 800 units, started from h ~ N(0, 1)
    assert chaos.lyapunov_max is not None
    assert chaos.lyapunov_max > 0.1


def test_exponent_near_onset() -> None:
    (state,) = dynamics(load("rate"), {"g": 1.2}).solutions
    assert state.lyapunov_max == pytest.approx(0.0119, abs=5e-5)


def test_a_time_constant_stretches_lags_and_divides_the_exponent() -> None:
    text = 'equations = "tau*dx/dt = -x + J @ tanh(x)"\n[weights]\nJ = 1.5\n[parameters]\ntau = 1.0\n'
    cell = parse_cell(text, "leaky.toml")
    (one,), (slow,) = (dynamics(cell, {"tau": tau}).solutions for tau in (1.0, 4.0))
    assert slow.Q["x"] == pytest.approx(one.Q["x"], rel=1e-8)
    assert one.correlation_time is not None
    assert one.lyapunov_max is not None
    assert slow.correlation_time == pytest.approx(4 * one.correlation_time, rel=1e-6)
    assert slow.lyapunov_max == pytest.approx(one.lyapunov_max / 4, rel=1e-6)


def test_a_stable_zero_state_is_the_only_one_below_the_onset() -> None:
    found = dynamics(load("rate"), {"g": 0.5})
    (state,) = found.solutions
    assert (state.Q["x"], state.dt, state.lyapunov_max) == (0.0, None, pytest.approx(-0.5))


def test_a_map_forgets_in_one_step() -> None:
    """Autonomous chaos of a map with odd activation: C vanishes at all lags but zero, and L = ln(chi1)/2."""
    (state,) = dynamics(load("vanilla"), {"sigma_w": 1.5}).solutions
    q = state.q["W_h"]
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    weights = weights / weights.sum()
    x = np.sqrt(q) * nodes
    assert q == pytest.approx(1.5**2 * weights @ np.tanh(x) ** 2, rel=1e-8)
    assert np.abs(state.C["W_h"][1:]).max() < 1e-9
    assert state.lyapunov_max == pytest.approx(0.5 * np.log(1.5**2 * weights @ np.cosh(x) ** -4), rel=1e-6)


def test_iid_input_and_bias_of_equal_variance_differ_in_the_plateau_alone() -> None:
    """One step of a map cannot tell them apart; lags can."""
    (noisy,) = dynamics(load("vanilla"), {"sigma_w": 1.5, "sigma_v": 0.3, "R": 1.0}).solutions
    (biased,) = dynamics(load("vanilla"), {"sigma_w": 1.5, "sigma_b": 0.3}).solutions
    assert noisy.q["W_h"] == pytest.approx(biased.q["W_h"], rel=1e-9)
    assert abs(noisy.C["W_h"][5]) < 1e-9
    assert biased.C["W_h"][5] > 0.5


TWO_STATES = """
equations = '''
dx/dt     = -x + W @ (tanh(x)*sigmoid(y)) + W @ y
2*dy/dt   = -y + x/3 + V @ tanh(x) + b
'''
[weights]
W = 2.5
V = 1.0
[biases]
b = { mean = 0.2, std = 0.5 }
"""


def test_two_states_that_share_a_matrix_are_correlated_factors() -> None:
    """tanh(x) sigmoid(y) with x and y driven by one matrix does not factorise; the reason is named."""
    with pytest.raises(NotLinear, match="correlated factors"):
        filter_site(site_form(parse_cell(TWO_STATES, "two.toml")))


def test_iid_input_in_continuous_time_is_refused() -> None:
    text = 'equations = "dx/dt = -x + J @ tanh(x) + U @ w"\n[weights]\nJ = 1\nU = 1\n[inputs]\nw = { variance = 1 }\n'
    with pytest.raises(AnsatzError, match='time = "constant"'):
        dynamics(parse_cell(text, "noise.toml"))


def test_unbounded_activity_is_divergence_and_not_a_number() -> None:
    found = dynamics(parse_cell("equations = \"h' = relu(W @ h)\"\n[weights]\nW = 2\n", "blow-up.toml"))
    assert not found.solutions
    assert not found.converged
    assert any("grows without bound" in note for note in found.notes)


def test_series_against_the_arcsine_law() -> None:
    from scipy.special import erf

    rho = np.linspace(-0.999, 1.0, 41)
    one = hermite_coefficients(erf, 0.0, 1.3)
    values, error = covariance_at(one, one, rho)
    exact = 2 / np.pi * np.arcsin(2 * 1.69 * rho / (1 + 2 * 1.69))
    assert np.abs(values - exact).max() <= error + 1e-15
    assert error < 1e-10


def test_error_of_the_series_covers_a_kink() -> None:
    one = hermite_coefficients(lambda x: np.maximum(x, 0.0), 0.0, 1.0)
    rho = np.array([-0.5, 0.0, 0.3, 0.99])
    values, error = covariance_at(one, one, rho)
    exact = (np.sqrt(1 - rho**2) + rho * (np.pi - np.arccos(rho))) / (2 * np.pi)
    assert np.abs(values - exact).max() <= error


def test_command_prints_the_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dynamics", "rate", "-p", "g=2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (state,) = found["solutions"]
    assert found["parameters"] == {"g": 2.0}
    assert state["Q"]["x"] == pytest.approx(1.9248054, abs=1e-6)
    assert set(state["error"]) == {"q", "Q", "C", "correlation_time", "lyapunov_max"}
    assert len(state["lags"]) == len(state["C"]["J"])


def test_command_says_divergence_in_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dynamics", "vanilla", "--set", "phi=relu", "-p", "sigma_w=3"]) == 3
    assert "no stationary state" in capsys.readouterr().out


def test_command_respects_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dynamics", "rate", "-p", "g=1.01", "--budget", "0.4"]) == 3
    assert "budget" in " ".join(capsys.readouterr())
