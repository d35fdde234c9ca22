"""Trajectories and Lyapunov exponents of finite networks, against what is known of them exactly."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_up_cells import PAIR
from scipy import integrate

from derive import load, parse_cell, shipped
from derive.cell import resolve
from derive.errors import AnsatzError, ParameterError
from solvers.budget import budget
from solvers.cli import main
from solvers.compare.exponent import MaximalExponent
from solvers.compare.lyapunov import lyapunov
from solvers.simulate import Network, relax
from solvers.simulate.dimension import measure_dimension
from solvers.simulate.lyapunov import Benettin, entropy_rate, kaplan_yorke, measure_lyapunov
from solvers.simulate.stepper import Stepper, chosen_step

LINEAR = 'equations = "h\' = W @ h"\n[weights]\nW = 0.9'


def network(cell, N, **parameters):
    return Network(cell, resolve(cell, parameters), N, np.random.default_rng(3))


def random_frame(net, k):
    return np.random.default_rng(4).standard_normal((len(net.states), k, net.N))


@pytest.mark.parametrize("name", [*shipped(), "pair"])
def test_pushed_and_pulled_directions_are_products_with_the_jacobian(name):
    cell = parse_cell(PAIR) if name == "pair" else load(name)
    net = network(cell, 12)
    state, directions = net.random_state(), random_frame(net, 3)
    columns = np.moveaxis(directions, 1, 2)
    jacobian = net.jacobian(state)
    moved, pushed = net.push(state, directions)
    np.testing.assert_allclose(moved, net.evaluate(state).new_state, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(np.moveaxis(pushed, 1, 2), net.jvp(state, columns), rtol=1e-12, atol=1e-13)
    expected = (jacobian.T @ columns.reshape(-1, 3)).reshape(columns.shape)
    np.testing.assert_allclose(net.vjp(state, columns), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(net.vjp(state, columns[..., 0]), expected[..., 0], rtol=1e-11, atol=1e-12)


def test_a_step_of_a_flow_agrees_with_an_integrator_to_its_stated_error():
    net = network(load("gated-rnn"), 30, g_h=3.0, alpha_r=5.0)
    state, frame = net.random_state(), random_frame(net, 2)
    stepper = chosen_step(net, state, frame, 1e-4)
    moved = stepper.advance(state)
    exact = integrate.solve_ivp(
        lambda _t, flat: net.evaluate(flat.reshape(state.shape)).new_state.ravel(), (0, stepper.dt), state.ravel(),
        rtol=1e-12, atol=1e-13,
    ).y[:, -1].reshape(state.shape)  # fmt: skip
    gap = np.linalg.norm(moved - exact) / np.linalg.norm(exact) / stepper.dt
    assert 1e-9 < gap <= 1.1 * stepper.error(state, frame) <= 1.1e-4
    # of fourth order: half the step, a sixteenth of the error per unit of time
    ratio = stepper.error(state, frame) / Stepper(net, stepper.dt / 2).error(state, frame)
    assert 12 < ratio < 22
    np.testing.assert_allclose(stepper.push(state, frame)[0], moved, rtol=1e-13)


def test_a_frame_moves_by_the_derivative_of_the_step_itself():
    net = network(load("rate"), 20, g=2.0)
    state, frame, h = net.random_state(), random_frame(net, 1), 1e-6
    stepper = Stepper(net, 0.5)
    ahead, behind = (stepper.advance(state + sign * h * frame[:, 0]) for sign in (1, -1))
    np.testing.assert_allclose(stepper.push(state, frame)[1][:, 0], (ahead - behind) / (2 * h), atol=1e-8)


def test_exponents_of_a_linear_map_are_logarithms_of_its_eigenvalues():
    cell = parse_cell(LINEAR)
    net = network(cell, 12)
    values, vectors = np.linalg.eig(net.jacobian(np.zeros((1, 12))))
    steps = 4000
    runner = Benettin(Stepper(net), np.zeros((1, 12)), random_frame(net, 12))
    runner.measure(steps)
    measured = np.sort(np.array(runner.logs).mean(axis=0))[::-1]
    # ln|J^T v| differs from that of the eigenvalue by at most the logarithm of the eigenvectors' condition number.
    allowed = 4 * np.log(np.linalg.cond(vectors)) / steps
    np.testing.assert_allclose(measured, np.sort(np.log(np.abs(values)))[::-1], atol=allowed)
    assert np.ptp(measured) > 100 * allowed


@pytest.mark.parametrize(("name", "parameters"), [
    ("pair", {"g": 0.8}), ("gru", {"sigma_h": 1.2}), ("lstm", {}), ("gated-rnn", {"g_h": 0.8}), ("rate", {"g": 0.9}),
])  # fmt: skip
def test_a_state_at_rest_has_the_eigenvalues_of_its_jacobian(name, parameters):
    cell = parse_cell(PAIR) if name == "pair" else load(name)
    settings = resolve(cell, parameters)
    net = Network(cell, settings, 20, np.random.default_rng(5))
    point = relax(net, net.random_state(0.5), tolerance=1e-12)
    assert point.converged
    values, vectors = np.linalg.eig(net.jacobian(point.state))
    rates = np.log(np.abs(values)) if cell.time == "discrete" else values.real
    expected = np.sort(rates)[::-1]
    # a group that a gap follows: within it, directions of nearly equal growth sort themselves out more slowly
    k = 2 + int(np.argmax(-np.diff(expected)[1:7]))
    time = 800.0
    runner = Benettin(Stepper(net, 0.25), point.state, random_frame(net, k))
    runner.align(50)
    runner.measure(time)
    sums = np.array(runner.rates()).mean(axis=0).sum()
    allowed = 4 * k * np.log(np.linalg.cond(vectors)) / time
    assert abs(sums - expected[:k].sum()) < allowed < 0.2 * abs(expected[:k].sum())


def test_all_exponents_of_a_map_add_up_to_the_mean_log_determinant():
    cell = parse_cell(PAIR)
    net = network(cell, 8, g=3.0)
    runner = Benettin(Stepper(net), net.random_state(), np.eye(16).reshape(2, 8, 16).transpose(0, 2, 1))
    state, volume = runner.state, 0.0
    runner.measure(300)
    for _ in range(300):
        volume += np.linalg.slogdet(net.jacobian(state))[1]
        state = net.evaluate(state).new_state
    assert np.array(runner.logs).sum() == pytest.approx(volume, rel=1e-8)


def test_a_flow_that_keeps_moving_has_a_vanishing_exponent_and_shrinks_volume_by_its_trace():
    net = network(load("rate"), 30, g=5.0)
    stepper = Stepper(net, 0.1)
    runner = Benettin(stepper, net.random_state(), random_frame(net, 30))
    runner.follow(50.0)
    runner.align(50)
    runner.measure(300.0)
    rates = np.array(runner.logs).mean(axis=0)
    assert np.sqrt(np.mean(net.evaluate(runner.state).new_state ** 2)) > 0.1
    assert np.min(np.abs(rates)) < 0.02  # along the flow
    # tr J = -N + sum_i J_ii phi'(x_i); its diagonal is small, and the trajectory average is over bounded terms
    diagonal = np.abs(np.diag(net.weights["J"])).sum()
    assert abs(rates.sum() + 30.0) < diagonal
    assert runner.step_error < 1e-3


def test_the_largest_exponent_is_the_rate_at_which_neighbours_part():
    cell = load("gru")
    net = network(cell, 60, sigma_z=2.0, sigma_r=2.0, sigma_h=6.0)
    state = net.random_state()
    for _ in range(200):
        state = net.evaluate(state).new_state
    runner = Benettin(Stepper(net), state, random_frame(net, 1))
    runner.align(40)
    here, logs = runner.state, []
    there = here + 1e-7 * runner.frame[:, 0]
    for _ in range(400):
        here, there = net.evaluate(here).new_state, net.evaluate(there).new_state
        gap = np.linalg.norm(there - here)
        logs.append(np.log(gap / 1e-7))
        there = here + 1e-7 / gap * (there - here)
    runner.measure(400)
    assert np.mean(logs) == pytest.approx(np.array(runner.logs).mean(), abs=1e-5)


@pytest.mark.parametrize(("name", "parameters"), [
    ("pair", {"g": 4.0, "R": 0.3}), ("vanilla", {"sigma_w": 3.0}), ("minimal-rnn", {"sigma_w": 3.0}),
    ("gru", {"sigma_h": 5.0}), ("gru-reset-after", {"sigma_h": 5.0}), ("lstm", {"sigma_g": 6.0, "sigma_o": 3.0}),
    ("rate", {"g": 3.0}), ("gated-rnn", {"g_h": 5.0}),
])  # fmt: skip
def test_every_cell_runs_and_says_how_well_it_is_known(name, parameters):
    cell = parse_cell(PAIR) if name == "pair" else load(name)
    found = measure_lyapunov(cell, resolve(cell, parameters), N=30, seeds=2, exponents=4, window=100.0, precision=0.1)
    assert found.converged, found.outcomes
    for sample in found.samples:
        assert np.all(np.diff(sample.exponents) <= 0)
        assert np.all(np.isfinite(sample.errors) & (sample.errors < 0.1))
        assert sample.step_error < 1e-2
    again = measure_lyapunov(cell, resolve(cell, parameters), N=30, seeds=2, exponents=4, window=100.0, precision=0.1)
    assert [s.exponents.tobytes() for s in again.samples] == [s.exponents.tobytes() for s in found.samples]


def test_kaplan_yorke_and_entropy_by_hand():
    assert kaplan_yorke(np.array([0.9, 0.0, -14.6])) == pytest.approx(2 + 0.9 / 14.6)
    assert kaplan_yorke(np.array([-0.1, -0.2])) == 0.0
    assert np.isnan(kaplan_yorke(np.array([0.3, 0.1, -0.2])))
    assert entropy_rate(np.array([0.3, 0.1, -0.2])) == pytest.approx(0.4)
    assert np.isnan(entropy_rate(np.array([0.3, 0.1])))


def test_divergence_is_reported_and_not_measured():
    cell = parse_cell('equations = "h\' = relu(W @ h)"\n[weights]\nW = "g"\n[parameters]\ng = 4.0')
    found = lyapunov(cell, N=20, exponents=2, seeds=2)
    assert "2 of 2 networks" in found.verdict
    assert "diverged at t =" in found.verdict
    assert found.as_dict()["measured"] == [None, None]


def test_a_budget_stops_with_what_there_is():
    cell = load("vanilla")
    with budget(0.3):
        found = measure_lyapunov(cell, resolve(cell, {"sigma_w": 2.0}), N=200, seeds=2, precision=1e-9, longest=1e9)
    assert not any(found.settled)
    assert all("time budget" in text for text in found.outcomes)


def test_what_cannot_be_measured_is_refused():
    cell = load("vanilla")
    with pytest.raises(ParameterError, match="10 units with 1 states have 10 exponents; 11 were asked"):
        measure_lyapunov(cell, resolve(cell, {}), N=10, seeds=1, exponents=11)
    driven = parse_cell("equations = \"dh/dt = -h + W @ tanh(h) + x\"\n[weights]\nW = 2\n[inputs]\nx = {variance = 1}")
    with pytest.raises(AnsatzError, match="independent at all times"):
        measure_lyapunov(driven, resolve(driven, {}), N=10, seeds=1)


def test_json_of_the_command(capsys):
    code = main(["lyapunov", "vanilla", "-p", "sigma_w=2", "-N", "60", "--seeds", "2", "--exponents", "30", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert len(found["measured"]) == len(found["standard_error"]) == 30
    assert found["kaplan_yorke"] > found["measured"][0] > found["measured"][1]
    assert found["entropy_rate"] == pytest.approx(sum(x for x in found["measured"] if x > 0), abs=0.02)
    assert (found["N"], found["seeds"], found["verdict"]) == (60, 2, "converged")
    assert main(["lyapunov", "vanilla", "-N", "20", "--exponents", "21"]) == 2


def test_exponents_are_added_until_their_sum_is_negative():
    cell = load("vanilla")
    settings = resolve(cell, {"sigma_w": 4.0})
    found = measure_dimension(cell, settings, N=40, seeds=2, first=2, most=40)
    assert found.complete
    assert 4 < found.exponents < 40
    whole = measure_lyapunov(cell, settings, N=40, seeds=2, exponents=40, window=found.window, longest=found.window)
    for k, sample in enumerate(whole.samples):  # the same networks; trajectories part by rounding
        j = int(kaplan_yorke(sample.exponents))
        ahead, growing = sample.errors[: j + 1], sample.errors[sample.exponents > 0]
        scale = np.array([np.linalg.norm(ahead) / abs(sample.exponents[j]), np.linalg.norm(growing)])
        errors = 3.0 * np.sqrt(2.0) * scale  # both are averages over a window of time
        gaps = [abs(row.measured[k] - whole[row.quantity].measured[k]) for row in found.rows]
        assert np.all(gaps <= errors)
        assert np.all(errors < 0.5 * np.array([row.measured[k] for row in found.rows]))


def test_a_limit_on_the_exponents_is_named(monkeypatch):
    monkeypatch.setattr("solvers.compare.lyapunov.maximal_exponent", lambda *_: MaximalExponent(None, None))
    cell = load("vanilla")
    found = lyapunov(cell, {"sigma_w": 4.0}, N=40, seeds=2, exponents=2, most=4)
    assert found.dimension is not None
    assert found.dimension.left > 0
    record = found.as_dict()
    assert record["kaplan_yorke"] is None
    assert any("first 4 exponents is still positive" in note and "--most" in note for note in record["notes"])
    assert lyapunov(cell, {"sigma_w": 4.0}, N=16, seeds=1, exponents=2, most=0).dimension is None
