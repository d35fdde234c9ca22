"""--set and --limit: another cell from a cell, before anything is derived."""

from __future__ import annotations

import numpy as np
import pytest

from derive.cell import load, parse_cell, resolve
from derive.cell.limit import limit
from derive.cell.substitute import substitute
from derive.errors import ParameterError
from solvers.simulate import Network
from solvers.solve import solve

OWN = """
equations = '''
g = sigmoid(k*(W_g @ h) + b)
h' = g*h + (1 - g)*phi(W @ h + x)
'''
[weights]
W_g = "s"
W = "2*s"
[biases]
b = {mean = "m", std = 0.3}
[inputs]
x = {variance = "R"}
[functions]
phi = "tanh(k*x)"
[parameters]
s = 1.5
m = 0.2
k = 1.0
R = 0.4
"""


def step_of(cell, given=None, N=40, seed=0):
    """One step of a network, and its new state."""
    network = Network(cell, resolve(cell, given or {}), N, np.random.default_rng(seed))
    state = np.random.default_rng(seed + 1).standard_normal((len(cell.states), N))
    return network, state, network.evaluate(state)


def test_a_parameter_set_is_a_parameter_given():
    cell = parse_cell(OWN)
    changed = substitute(cell, ["s=k/2", "m=-1"])
    assert set(changed.parameters) == {"k", "R"}
    given = solve(cell, {"s": 0.5, "m": -1.0}).solutions[0]
    assert solve(changed, {}).solutions[0]["Q[h]"] == pytest.approx(given["Q[h]"], rel=1e-9)


def test_functions_are_replaced_wherever_they_are_called():
    cell = substitute(parse_cell(OWN), ["phi=erf", "sigmoid=(1 + erf(k*x))/2"])
    network, state, step = step_of(cell)
    from scipy.special import erf

    field = network.weights["W_g"] @ state[0]
    gate = (1 + erf(field + network.biases["b"])) / 2
    new = gate * state[0] + (1 - gate) * erf(network.weights["W"] @ state[0] + network.inputs["x"])
    np.testing.assert_allclose(step.new_state[0], new, atol=1e-12)


def test_biases_inputs_and_gains_become_numbers():
    cell = substitute(parse_cell(OWN), ["b=m", "x=0", "W=3"])
    assert not cell.biases
    assert not cell.inputs
    settings = resolve(cell, {})
    assert settings.gains == {"W_g": 1.5, "W": 3.0}


def test_a_saturated_gate_is_a_step_and_so_is_the_network():
    cell = limit(parse_cell(OWN), ["k=oo"])
    network, state, step = step_of(cell)
    gate = (network.weights["W_g"] @ state[0] > 0).astype(float)
    new = gate * state[0] + (1 - gate) * np.sign(network.weights["W"] @ state[0] + network.inputs["x"])
    np.testing.assert_allclose(step.new_state[0], new, atol=1e-12)


def test_the_limit_is_approached_by_large_values():
    cell = load("gru")
    exact = solve(limit(cell, ["sigma_z=oo"]), {"sigma_h": 3.0}).solutions[-1]
    near = solve(cell, {"sigma_h": 3.0, "sigma_z": 400.0}).solutions[-1]
    for name in ("q[W_h]", "Q[h]"):
        assert near[name] == pytest.approx(exact[name], rel=1e-9)
    cell = load("minimal-rnn")
    given = {"sigma_v": 1.0, "R": 0.5, "Sigma": 0.3}
    exact = solve(limit(cell, ["sigma_w=oo"]), given, ansatz="untied").solutions[-1]
    gaps = []
    for s in (30.0, 120.0):
        near = solve(cell, given | {"sigma_w": s}, ansatz="untied").solutions[-1]
        gaps.append([abs(near[name] - exact[name]) for name in ("Q[h]", "C_star[h]")])
    assert all(later < 0.3 * earlier < 0.02 for earlier, later in zip(*gaps, strict=True))


def test_a_bias_that_grows_opens_or_shuts_a_gate():
    lstm = load("lstm")
    for sign, value in (("oo", 1.0), ("-oo", 0.0)):
        cell = limit(lstm, [f"mu_i={sign}"])
        step = step_of(cell, {"rho_f": 0.2})[2]
        np.testing.assert_allclose(step.definitions["i"], value)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["phi"], "not NAME=VALUE"),
        (["phi="], "no value"),
        (["phi=bla"], "`bla` is not known"),
        (["phi=bla(x)"], "no function"),
        (["phi=W @ x"], "matrix product"),
        (["phi=phi(x)"], "by itself"),
        (["s=h"], "not another parameter"),
        (["s=s"], "not another parameter"),
        (["phj=1"], "Did you mean `phi`"),
        (["s=1+"], "nothing follows"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(texts, said):
    with pytest.raises(ParameterError, match=said):
        substitute(parse_cell(OWN), texts)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["k=3"], "NAME=oo"),
        (["q=oo"], "no parameter `q`"),
        (["R=oo"], "no distribution"),
        (["tau_z=oo"], "time constant"),
    ],
)
def test_what_has_no_limit_is_refused(texts, said):
    cell = load("gated-rnn") if "tau_z" in texts[0] else parse_cell(OWN)
    with pytest.raises(ParameterError, match=said):
        limit(cell, texts)


def test_growth_without_bound_is_refused():
    cell = parse_cell("equations = \"h' = relu(W @ h)\"\n[weights]\nW = \"g\"\n[parameters]\ng = 1.0")
    with pytest.raises(ParameterError, match="no finite limit"):
        limit(cell, ["g=oo"])
    cell = parse_cell("equations = \"h' = W @ tanh(h)\"\n[weights]\nW = \"g\"\n[parameters]\ng = 1.0")
    with pytest.raises(ParameterError, match="without bound"):
        limit(cell, ["g=oo"])
