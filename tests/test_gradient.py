"""Gradients: the adjoint mean field against the perturbation, against products of Jacobians and finite differences."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_up_cells import PAIR

from derive import load, parse_cell
from derive.cell import resolve
from derive.errors import AnsatzError, ParameterError
from derive.pipeline import derive_theory
from solvers.adjoint import adjoint_norms, field_gradients, pulled
from solvers.budget import BudgetSpent, budget
from solvers.cli import main
from solvers.compare.gradient import gradient
from solvers.measure import network_measure
from solvers.simulate import Network, sample_untied, sites_of
from solvers.simulate.backward import measure_tied_gradient, measure_untied_gradient
from solvers.simulate.lyapunov import measure_lyapunov
from solvers.simulate.stepper import Stepper
from solvers.solve import solve
from solvers.untied_sites import UntiedSites


def cell_of(name):
    return parse_cell(PAIR) if name == "pair" else load(name)


def network(cell, N, **parameters):
    return Network(cell, resolve(cell, parameters), N, np.random.default_rng(3))


@pytest.mark.parametrize(("name", "dt"), [("pair", 1.0), ("lstm", 1.0), ("rate", 0.5), ("gated-rnn", 0.3)])
def test_a_step_back_is_the_transpose_of_a_step(name, dt):
    net = network(cell_of(name), 15)
    rng = np.random.default_rng(1)
    stepper, state = Stepper(net, dt), net.random_state()
    directions, covectors = rng.standard_normal((len(net.states), 3, 15)), rng.standard_normal((len(net.states), 15, 2))
    ahead = np.einsum("snm,skn->mk", covectors, stepper.push(state, directions)[1])
    back = np.einsum("snm,skn->mk", stepper.pull(state, covectors, net.inputs), directions)
    np.testing.assert_allclose(back, ahead, rtol=1e-10, atol=1e-11)


def test_backpropagation_is_the_gradient_of_a_loss():
    net = network(load("gated-rnn"), 10, g_h=3.0)
    stepper, start = Stepper(net, 0.4), net.random_state()
    readout = np.random.default_rng(2).choice((-1.0, 1.0), size=start.shape)

    def visited(state):
        states = [state]
        for _ in range(12):
            states.append(stepper.advance(states[-1]))
        return states

    covector = readout[..., None]
    for state in reversed(visited(start)[:-1]):
        covector = stepper.pull(state, covector, net.inputs)
    h = 1e-5
    for place in ((0, 3), (1, 0), (2, 7)):
        shift = np.zeros_like(start)
        shift[place] = h
        ends = [float(np.sum(readout * visited(start + sign * shift)[-1])) for sign in (1, -1)]
        assert covector[place][0] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-8)


def perturbed(step, sigma):
    """E over units of the next perturbation covariance (theory, section 2), from the forward equations."""
    K = len(step.fields)
    delta = np.zeros((K, K))
    for k in range(K):
        for m in range(K):
            if step.matrices[k] == step.matrices[m]:
                local = step.mean(np.einsum("ns,st,nt->n", step.b[:, k], sigma, step.b[:, m]))
                passed = step.mean(np.einsum("np,nq,pq->n", step.e[:, k], step.e[:, m], delta))
                delta[k, m] = step.gains[k] ** 2 * (local + passed)
    own = step.L @ sigma @ np.swapaxes(step.L, 1, 2) + step.a @ delta @ np.swapaxes(step.a, 1, 2)
    return np.einsum("n,nst->st", step.weights, own)


@pytest.mark.parametrize("name", ["pair", "lstm", "gru", "gru-reset-after", "minimal-rnn"])
def test_the_adjoint_map_is_the_transpose_of_the_perturbation_map(name):
    cell = cell_of(name)
    settings = resolve(cell, {})
    net = Network(cell, settings, 50, np.random.default_rng(0))
    step = network_measure(derive_theory(cell, "untied").site, settings, sites_of(net, net.random_state()))
    S = step.states
    units = [np.outer(left, right) for left in np.eye(S) for right in np.eye(S)]
    forward = np.array([perturbed(step, unit).ravel() for unit in units]).T
    backward = np.array(
        [np.einsum("n,nst->st", step.weights, pulled(step, np.broadcast_to(u, (50, S, S)))).ravel() for u in units]
    ).T
    np.testing.assert_allclose(backward, forward.T, atol=1e-12)
    radii = [np.max(np.abs(np.linalg.eigvals(matrix))) for matrix in (forward, backward)]
    assert radii[0] == pytest.approx(radii[1], rel=1e-10) != 0
    if name == "pair":  # the covariance of gradients of products that share a matrix has entries beside the diagonal
        gamma = field_gradients(step, np.broadcast_to(np.eye(S), (50, S, S)))
        assert np.count_nonzero(np.abs(gamma) > 1e-6) > len(step.fields)


@pytest.mark.parametrize(("name", "parameters"), [
    ("vanilla", {"sigma_w": 1.5}), ("minimal-rnn", {"sigma_w": 3.0}), ("gru", {"sigma_h": 4.0, "sigma_r": 2.0}),
    pytest.param("pair", {"g": 2.0}, marks=pytest.mark.slow),
])  # fmt: skip
def test_the_adjoint_grows_as_perturbations_do(name, parameters):
    solved = solve(cell_of(name), parameters, ansatz="untied")
    solution = solved.solutions[-1]
    found = adjoint_norms(solved, solution, 20)
    assert found.settled
    assert found.squares[0] == 1.0
    gap = abs(found.growth.value - solution.numbers["chi1"])
    assert gap <= 2 * found.growth.error + 4 * solution.errors["chi1"] + 1e-10
    assert found.growth.error < 0.02 * found.growth.value


@pytest.mark.parametrize(("name", "parameters"), [
    ("vanilla", {"sigma_w": 1.5}), ("pair", {"g": 2.0}),
    pytest.param("gru", {"sigma_h": 4.0, "sigma_r": 2.0}, marks=pytest.mark.slow),
    pytest.param("lstm", {"sigma_g": 3.0}, marks=pytest.mark.slow),
])  # fmt: skip
def test_networks_have_the_norms_of_the_theory(name, parameters):
    found = gradient(cell_of(name), parameters, N=150, seeds=8, lags=8)
    assert found.verdict == "converged"
    record = found.as_dict()
    theory, measured = np.array(record["norm"]), np.array(record["measured_norm"])
    error = np.hypot(record["norm_error"], record["measured_norm_error"])
    # a finite network differs by a share of order 1/N for each step
    allowed = 4 * error + np.arange(9) / 150 * theory
    assert np.all(np.abs(measured - theory) <= allowed)
    assert np.all(error[1:] < 0.1 * theory[1:])
    gap = abs(record["measured_growth"] - record["growth"])
    assert gap < 4 * np.hypot(record["measured_growth_error"], record["growth_error"]) + record["growth"] / 150


def test_squares_are_those_of_the_product_of_jacobians():
    cell = parse_cell(PAIR)
    settings = resolve(cell, {"g": 2.0})
    found = measure_untied_gradient(cell, settings, N=20, seeds=1, lags=3, readouts=400)
    sequence = np.random.SeedSequence(0).spawn(1)[0]
    state = sample_untied(cell, settings, 20, sequence, window=1).state[..., 0]
    _, *steps = np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, 1)).spawn(4)
    product = np.eye(40)
    factors = []
    for own in steps:
        net = Network(cell, settings, 20, np.random.default_rng(own))
        factors.append(net.jacobian(state))
        state = net.evaluate(state).new_state
    for lag, factor in enumerate(reversed(factors), start=1):
        product = product @ factor
        expected = np.sum(product**2) / 40  # E |P^T w|^2 / |w|^2 over random signs w
        assert found.squares[0, lag] == pytest.approx(expected, rel=0.25)
    assert found.squares[0, 0] == 1.0


@pytest.mark.parametrize(("name", "parameters"), [("pair", {"g": 4.0}), ("rate", {"g": 5.0})])
def test_gradients_grow_with_the_largest_exponent_of_the_same_network(name, parameters):
    cell = cell_of(name)
    settings = resolve(cell, parameters)
    back = measure_tied_gradient(cell, settings, N=40, seeds=2, lags=150, transient=50.0)
    ahead = measure_lyapunov(cell, settings, N=40, seeds=2, transient=50.0, window=300.0, longest=300.0)
    assert back.converged
    error = np.array([sample.errors[0] for sample in ahead.samples])
    # half the time of the forward run, so that the variance is twice as large
    gap = back.log_growth() - ahead["lyapunov[1]"].measured
    assert np.all(np.abs(gap) < 4 * np.sqrt(3) * error + 1e-3)
    assert np.max(np.abs(ahead["lyapunov[1]"].measured)) > 4 * np.sqrt(3) * np.min(error)


def test_tied_gradients_of_a_map_with_theory():
    found = gradient(load("vanilla"), {"sigma_w": 2.0}, ansatz="stationary", N=200, seeds=3, lags=200).as_dict()
    assert found["growth"] == pytest.approx(0.15472423, abs=1e-6)
    assert found["norm"][10] == pytest.approx(np.exp(10 * found["growth"]))
    assert abs(found["measured_growth"] - found["growth"]) < 4 * found["measured_growth_error"] + 0.02
    assert len(found["lags"]) == len(found["measured_norm"]) == 201


def test_what_has_no_gradient():
    with pytest.raises(AnsatzError, match="continuous time"):
        gradient(load("rate"), {}, ansatz="untied")
    with pytest.raises(AnsatzError, match="not the static one"):
        gradient(load("vanilla"), {}, ansatz="static")
    with pytest.raises(ParameterError, match="at least two lags"):
        gradient(load("vanilla"), {}, lags=1)
    grows = parse_cell("equations = \"h' = W @ h\"\n[weights]\nW = 3")
    found = measure_untied_gradient(grows, resolve(grows, {}), N=20, seeds=2, lags=3)
    assert not found.converged
    assert "diverged" in found.outcomes[0]
    tied = measure_tied_gradient(grows, resolve(grows, {}), N=20, seeds=1, lags=3)
    assert "diverged" in tied.outcomes[0]


def test_json_of_the_command(capsys):
    command = ["gradient", "minimal-rnn", "-p", "sigma_w=3", "-N", "100", "--seeds", "3", "--lags", "8"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["growth"] == pytest.approx(0.714793418)
    assert found["lags"] == list(range(9))
    assert found["norm"][0] == found["measured_norm"][0] == 1.0
    assert found["norm"][8] == pytest.approx(found["growth"] ** 4, rel=0.1)
    assert main(command) == 0
    assert "growth of the adjoint" in capsys.readouterr().out
    assert main(["gradient", "rate", "--ansatz", "untied"]) == 2


NEVER_CLOSED = {"sigma_f": 3.0, "sigma_i": 2.0, "sigma_g": 4.0, "mu_f": 1.0}


def test_a_sampled_gradient_says_what_it_has_when_the_time_ends():
    with budget(2.0):
        found = gradient(load("lstm"), NEVER_CLOSED, N=60, seeds=2, lags=4)
    assert found.verdict.startswith("not converged")
    assert found.growth == pytest.approx(1.07, abs=0.03)
    assert found.as_dict()["lags"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("late", ["solve", "measure_untied_gradient"])
def test_time_that_ends_inside_a_stage_leaves_the_others(monkeypatch, late):
    def spent(*_given, **_named):
        raise BudgetSpent("stopped by the time budget")

    monkeypatch.setattr(f"solvers.compare.gradient.{late}", spent)
    found = gradient(load("vanilla"), {"sigma_w": 1.2}, N=40, seeds=2, lags=4)
    assert found.verdict.startswith("not converged: stopped by the time budget")
    assert (found.growth is None) == (late == "solve")
    assert (found.measurement is None) == (late != "solve")


def test_fewer_populations_have_larger_errors(monkeypatch):
    solved = solve(load("vanilla"), {"sigma_w": 1.2}, ansatz="untied")
    solution = next(item for item in solved.solutions if item.stable)
    whole = adjoint_norms(solved, solution, 4)
    walk = UntiedSites.walk

    def ends(self, units, replicate, seed=0):
        if replicate == 3:
            raise BudgetSpent("stopped by the time budget")
        return walk(self, units, replicate, seed)

    monkeypatch.setattr(UntiedSites, "walk", ends)
    part = adjoint_norms(solved, solution, 4)
    assert part.stopped == "stopped by the time budget: 3 of 4 populations of sampled units"
    assert not whole.stopped
    np.testing.assert_array_less(np.abs(part.squares - whole.squares), part.errors + 1e-12)
