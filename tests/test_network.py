"""The finite network against loops written by hand, and its derivative against its own step."""

from __future__ import annotations

import numpy as np
import pytest

from derive.cell import load, parse_cell, resolve
from derive.errors import ParameterError
from solvers.simulate import Network
from solvers.simulate.elementwise import BINARY, ELEMENTWISE

N = 7


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def drawn(cell, given=None, N=N, seed=0, **options):
    return Network(cell, resolve(cell, given or {}), N, np.random.default_rng(seed), **options)


def matrix_times(W, v):
    """W @ v by two loops, so that not even the product is shared with the code under test."""
    u = np.zeros(len(v))
    for i in range(len(v)):
        for j in range(len(v)):
            u[i] += W[i, j] * v[j]
    return u


# ---------------------------------------------------------------------------------------------- shipped cells by hand


def vanilla(W, b, x, s):
    (h,) = s
    return [np.tanh(matrix_times(W["W_h"], h) + matrix_times(W["U_x"], x["x"]) + b["b"])]


def rate(W, b, x, s):
    (y,) = s
    return [-y + matrix_times(W["J"], np.tanh(y))]


def minimal_rnn(W, b, x, s):
    (h,) = s
    u = sigmoid(matrix_times(W["W_u"], h) + matrix_times(W["V_u"], x["x"]) + b["b"])
    return [u * h + (1 - u) * x["x"]]


def gate(name, W, b, x, h):
    """Argument of a gate with recurrent, input and bias part."""
    return matrix_times(W[f"W_{name}"], h) + matrix_times(W[f"U_{name}"], x["x"]) + b[f"b_{name}"]


def gru(W, b, x, s):
    (h,) = s
    z, r = sigmoid(gate("z", W, b, x, h)), sigmoid(gate("r", W, b, x, h))
    y = np.tanh(gate("h", W, b, x, r * h))
    return [z * h + (1 - z) * y]


def gru_reset_after(W, b, x, s):
    (h,) = s
    z, r = sigmoid(gate("z", W, b, x, h)), sigmoid(gate("r", W, b, x, h))
    y = np.tanh(matrix_times(W["U_h"], x["x"]) + b["b_h"] + r * (matrix_times(W["W_h"], h) + b["c_h"]))
    return [z * h + (1 - z) * y]


def lstm(W, b, x, s):
    c, h = s
    f, i, o = (sigmoid(gate(name, W, b, x, h)) for name in "fio")
    c = f * c + i * np.tanh(gate("g", W, b, x, h))
    return [c, o * np.tanh(c)]


TAU_Z, TAU_R, ALPHA_Z, ALPHA_R, BETA_Z, BETA_R = 3.0, 2.0, 1.7, 4.0, 0.3, -0.6


def gated_rnn(W, b, x, s):
    h, z, r = s
    gate_z, gate_r = sigmoid(ALPHA_Z * z - BETA_Z), sigmoid(ALPHA_R * r - BETA_R)
    dh = gate_z * (-h + matrix_times(W["J_h"], np.tanh(h) * gate_r))
    dz = (-z + matrix_times(W["J_z"], np.tanh(h))) / TAU_Z
    dr = (-r + matrix_times(W["J_r"], np.tanh(h))) / TAU_R
    return [dh, dz, dr]


GATES = {"sigma_z": 2.0, "sigma_r": 1.5, "sigma_h": 3.0, "nu_z": 0.4, "nu_r": 0.7, "nu_h": 0.9, "mu_z": 0.3}
SHIPPED = {
    "vanilla": (vanilla, {"sigma_w": 2.0, "sigma_v": 0.5, "mu_b": 0.1, "sigma_b": 0.3, "R": 1.5}),
    "rate": (rate, {"g": 1.8}),
    "minimal-rnn": (minimal_rnn, {"sigma_w": 3.0, "sigma_v": 0.5, "mu_b": 1.0, "sigma_b": 0.3, "R": 1.5}),
    "gru": (gru, {**GATES, "rho_z": 0.4, "rho_r": 0.5, "rho_h": 0.6, "R": 1.5}),
    "gru-reset-after": (gru_reset_after, {**GATES, "rho_z": 0.4, "rho_h": 0.6, "mu_c": 0.2, "rho_c": 0.8, "R": 1.5}),
    "lstm": (lstm, {"sigma_f": 2.0, "sigma_g": 4.0, "nu_i": 0.6, "nu_o": 0.2, "mu_f": 1.0, "rho_o": 0.5, "R": 1.5}),
    "gated-rnn": (
        gated_rnn,
        {"g_h": 3.0, "alpha_z": ALPHA_Z, "alpha_r": ALPHA_R, "beta_z": BETA_Z, "beta_r": BETA_R}
        | {"tau_z": TAU_Z, "tau_r": TAU_R},
    ),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_step_of_a_shipped_cell_is_the_loop_written_by_hand(name):
    by_hand, given = SHIPPED[name]
    network = drawn(load(name), given)
    state = network.random_state(0.8)
    expected = by_hand(network.weights, network.biases, network.inputs, list(state))
    np.testing.assert_allclose(network.evaluate(state).new_state, expected, rtol=0, atol=1e-13)


# ------------------------------------------------------------------------------------------------- cells nobody ships

NESTED = parse_cell("""
equations = '''
r  = sigmoid(V @ h)
h' = leak*h + tanh(W @ (r*(V @ h)) + r*(W @ h) + W @ (h*h))
'''
[weights]
V = 1.2
W = "g"
[parameters]
g = 0.9
leak = 0.3
""")

PEEPHOLE = parse_cell("""
equations = '''
m' = m/2 + bend(K @ h')*q - 2**m/5
c' = sigmoid(W_f @ h + p*c)*c + (1 - sigmoid(W_f @ h + p*c))*tanh(W_f @ c + x)
h' = sigmoid(W_o @ c' + q)*tanh(c')/(1 + abs(h)) - 0.3*m**3
'''
[functions]
bend = "a*x/(1 + x**2)"
[weights]
W_f = 1.5
W_o = 0.7
K = 1.1
[biases]
p = { mean = 0.5, std = 1.0 }
q = "a"
[inputs]
x = { variance = 1.0, mean = 0.5 }
[parameters]
a = 1.7
""")

SLOW = parse_cell("""
equations = '''
tau*dh/dt = -h + J @ (relu(h)*s(r)) + b
dr/dt     = -softplus(l)*r + K @ (J @ erf(h))
'''
[functions]
s = "sigmoid(a*x)"
[weights]
J = 3.0
K = 1.0
[biases]
b = { mean = 0, std = 1 }
l = { mean = 0, std = 1 }
[parameters]
a = 2.0
tau = 3.0
""")


def test_nested_and_shared_products_against_loops():
    network = drawn(NESTED)
    state = network.random_state()
    (h,), V, W = state, network.weights["V"], network.weights["W"]
    Vh = matrix_times(V, h)
    r = sigmoid(Vh)
    inner, plain, square = matrix_times(W, r * Vh), matrix_times(W, h), matrix_times(W, h * h)
    step = network.evaluate(state)
    np.testing.assert_allclose(step.new_state[0], 0.3 * h + np.tanh(inner + r * plain + square), atol=1e-13)
    assert network.fields == ("V", "W", "W.2", "W.3")
    for name, u, v in (("V", Vh, h), ("W", inner, r * Vh), ("W.2", plain, h), ("W.3", square, h * h)):
        np.testing.assert_allclose(step.fields[name], u, atol=1e-13)
        np.testing.assert_allclose(step.operands[name], v, atol=1e-13)


def test_new_values_biases_and_user_functions_against_loops():
    network = drawn(PEEPHOLE)
    state = network.random_state()
    m, c, h = state
    W, p, q, x = network.weights, network.biases["p"], network.biases["q"], network.inputs["x"]
    gate = sigmoid(matrix_times(W["W_f"], h) + p * c)
    new_c = gate * c + (1 - gate) * np.tanh(matrix_times(W["W_f"], c) + x)
    new_h = sigmoid(matrix_times(W["W_o"], new_c) + q) * np.tanh(new_c) / (1 + abs(h)) - 0.3 * m**3
    u = matrix_times(W["K"], new_h)
    new_m = m / 2 + 1.7 * u / (1 + u**2) * q - 2**m / 5
    assert network.states == ("m", "c", "h")
    np.testing.assert_allclose(network.evaluate(state).new_state, [new_m, new_c, new_h], atol=1e-13)


def test_a_flow_is_divided_by_its_time_constant():
    network = drawn(SLOW)
    h, r = state = network.random_state()
    J, K = network.weights["J"], network.weights["K"]
    b, leak = network.biases["b"], network.biases["l"]
    dh = (-h + matrix_times(J, np.maximum(h, 0) * sigmoid(2 * r)) + b) / 3
    erf = ELEMENTWISE["erf"].value
    dr = -np.log(1 + np.exp(leak)) * r + matrix_times(K, matrix_times(J, erf(h)))
    np.testing.assert_allclose(network.evaluate(state).new_state, [dh, dr], atol=1e-13)


# -------------------------------------------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("cell", [*map(load, SHIPPED), NESTED, PEEPHOLE, SLOW], ids=[*SHIPPED, "nested", "pe", "slow"])
def test_jacobian_and_jvp_are_central_differences_of_the_step(cell):
    network = drawn(cell, SHIPPED[cell.name][1] if cell.name in SHIPPED else None)
    state = network.random_state(0.8)
    jacobian = network.jacobian(state)
    differences = np.zeros_like(jacobian)
    for k in range(state.size):
        nudge = np.zeros(state.size)
        nudge[k] = 1e-5
        nudge = nudge.reshape(state.shape)
        change = network.evaluate(state + nudge).new_state - network.evaluate(state - nudge).new_state
        differences[:, k] = change.ravel() / 2e-5
    np.testing.assert_allclose(jacobian, differences, atol=2e-8)
    directions = np.random.default_rng(1).standard_normal((*state.shape, 3))
    expected = (jacobian @ directions.reshape(state.size, 3)).reshape(directions.shape)
    np.testing.assert_allclose(network.jvp(state, directions), expected, atol=1e-12)
    np.testing.assert_allclose(network.jvp(state, directions[..., 0]), expected[..., 0], atol=1e-12)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_slopes_are_central_differences(name):
    value, derivative = ELEMENTWISE[name]
    x = np.linspace(-4, 4, 37) + 0.0131
    x = np.abs(x) if name in ("log", "sqrt") else x
    np.testing.assert_allclose(derivative(x), (value(x + 1e-6) - value(x - 1e-6)) / 2e-6, atol=1e-8)
    if name not in ("exp", "log", "sqrt"):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            far = np.array([-1e6, -900.0, 900.0, 1e6])
            assert np.isfinite(value(far)).all()
            assert np.isfinite(derivative(far)).all()


def test_kinks_have_the_slope_of_a_central_difference_and_powers_of_zero_are_flat():
    zero = np.zeros(1)
    assert ELEMENTWISE["relu"].derivative(zero) == 0.5
    assert ELEMENTWISE["step"].value(zero) == 0.5
    assert ELEMENTWISE["hard_tanh"].derivative(np.array([1.0])) == 0.5
    assert BINARY["**"].by_left(zero, np.array(0.0)) == 0.0
    assert BINARY["**"].by_left(zero, np.array(2.0)) == 0.0


# --------------------------------------------------------------------------------------------------- fields and draws


def test_identical_products_are_one_field_also_through_definitions():
    cell = parse_cell("""
    equations = '''
    y  = tanh(W @ v + k)
    k  = W @ (r*h)
    v  = r*h
    r  = sigmoid(W @ h)
    h' = y + W @ (h*r) + W @ h
    '''
    [weights]
    W = 0.5
    """)
    network = drawn(cell)
    step = network.evaluate(network.random_state())
    assert network.fields == ("W", "W.2")
    np.testing.assert_array_equal(step.operands["W.2"], step.definitions["v"])
    np.testing.assert_array_equal(step.fields["W.2"], step.definitions["k"])


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    first, again, other = (drawn(PEEPHOLE, seed=seed) for seed in (3, 3, 4))
    state = first.random_state()
    again.random_state()
    assert first.evaluate(state).new_state.tobytes() == again.evaluate(state).new_state.tobytes()
    assert first.evaluate(state).new_state.tobytes() != other.evaluate(state).new_state.tobytes()
    first.redraw()
    again.redraw()
    assert first.jacobian(state).tobytes() == again.jacobian(state).tobytes()


@pytest.mark.parametrize("cell", [NESTED, PEEPHOLE, SLOW], ids=["nested", "peephole", "slow"])
def test_stacked_trajectories_are_single_ones(cell):
    network = drawn(cell)
    states = np.random.default_rng(2).standard_normal((len(cell.states), N, 4))
    stacked = network.evaluate(states)
    for k in range(4):
        single = network.evaluate(states[..., k])
        np.testing.assert_allclose(stacked.new_state[..., k], single.new_state, atol=1e-14)
        for name in network.fields:
            np.testing.assert_allclose(stacked.fields[name][:, k], single.fields[name], atol=1e-14)


def test_draws_have_the_moments_of_the_settings():
    cell = parse_cell("""
    equations = "h' = tanh(W @ h + V @ h + b + x)"
    [weights]
    W = 2.0
    V = { gain = 1.5, ensemble = "haar" }
    [biases]
    b = { mean = 0.3, std = 2.0 }
    [inputs]
    x = { variance = 1.5, mean = 0.5, correlation = "Sigma" }
    [parameters]
    Sigma = 0.1
    """)
    network = drawn(cell, N=600)
    V = network.weights["V"]
    np.testing.assert_allclose(V @ V.T, 1.5**2 * np.eye(600), atol=1e-12)
    assert np.var(network.weights["W"]) * 600 == pytest.approx(4.0, abs=5 * 4 * np.sqrt(2 / 360_000))
    assert network.biases["b"].mean() == pytest.approx(0.3, abs=5 * 2 / np.sqrt(600))
    assert network.biases["b"].std() == pytest.approx(2.0, abs=5 * 2 / np.sqrt(1200))
    for correlation in (1.0, 0.6, 0.1, -0.1):
        network = drawn(cell, {"Sigma": correlation}, N=40_000 // 100)
        pairs = [network.draw_inputs(2) for _ in range(100)]
        a, b = (np.concatenate([pair[k]["x"] for pair in pairs]) for k in (0, 1))
        assert np.mean(a * a) == pytest.approx(1.5, abs=0.08)
        assert np.mean(b * b) == pytest.approx(1.5, abs=0.08)
        assert np.mean(a * b) == pytest.approx(1.5 * correlation, abs=0.08)


def test_wrong_shapes_and_sizes_are_refused():
    network = drawn(NESTED)
    with pytest.raises(ValueError, match="shape"):
        network.evaluate(np.zeros((2, N)))
    with pytest.raises(ValueError, match="one state"):
        network.jacobian(np.zeros((1, N, 2)))
    with pytest.raises(ParameterError, match="at least one unit"):
        drawn(NESTED, N=0)
