"""Fixed points of finite networks: searched, told apart, counted, and estimated with those that were missed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_up_cells import NESTED, PAIR, TWO_STATES

from derive import load, parse_cell
from derive.cell import resolve
from derive.errors import AnsatzError, ParameterError
from solvers.averages import Estimate
from solvers.budget import budget
from solvers.census.census import Kind, NetworkCensus, take_census
from solvers.census.descent import descend
from solvers.census.residual import SiteResidual
from solvers.census.richness import unseen
from solvers.cli import main
from solvers.compare.census import FixedPointCensus, census
from solvers.simulate import Network
from solvers.simulate.fixed_point import velocity


def seeds(*numbers):
    return np.random.SeedSequence(list(numbers))


@pytest.mark.parametrize("cell", [load("gru"), load("gated-rnn"), *map(parse_cell, (PAIR, NESTED, TWO_STATES))],
                         ids=["gru", "gated-rnn", "pair", "nested", "two-states"])  # fmt: skip
def test_the_derivative_of_what_vanishes(cell):
    network = Network(cell, resolve(cell, {}), 11, np.random.default_rng(0))
    residual, state = SiteResidual(cell), network.random_state()
    value, slopes = residual.at(network, state)
    direction, h = np.random.default_rng(1).standard_normal(state.shape), 1e-6
    change = residual.value(network, state + h * direction) - residual.value(network, state - h * direction)
    np.testing.assert_allclose(slopes @ direction.ravel(), change / (2 * h), atol=1e-7)
    np.testing.assert_allclose(value, residual.value(network, state))


def test_what_vanishes_does_not_know_the_update_gate():
    cell = load("gru")
    states, values = np.random.default_rng(1).standard_normal((1, 20)), []
    for gain, shift in ((1.0, 0.0), (6.0, 4.0)):
        network = Network(cell, resolve(cell, {"sigma_z": gain, "mu_z": shift}), 20, np.random.default_rng(0))
        values.append(SiteResidual(cell).value(network, states))
    np.testing.assert_allclose(*values)


def scalar(gain):
    """One unit, x = gain tanh x: three roots where the gain is above one."""
    cell = load("rate")
    network = Network(cell, resolve(cell, {"g": 1.0}), 1, np.random.default_rng(0))
    network.weights["J"] = np.array([[gain]])
    return cell, network


@pytest.mark.parametrize(("gain", "root"), [(2.0, 1.9150080481545), (0.5, 0.0)])
def test_a_root_that_is_known(gain, root):
    cell, network = scalar(gain)
    found = descend(network, SiteResidual(cell), np.array([[3.0]]))
    assert found.found
    assert abs(found.state[0, 0]) == pytest.approx(root, abs=1e-9)


def test_a_search_that_ends_at_a_slow_point_says_so():
    cell = load("rate")
    networks = [Network(cell, resolve(cell, {"g": 2.5}), 40, np.random.default_rng(k)) for k in range(6)]
    lost = [descend(other, SiteResidual(cell), other.random_state(2.0)) for other in networks]
    slow = [end for end in lost if not end.found]
    assert slow
    assert all(end.residual > 1e-6 for end in slow)


def test_small_networks_are_counted_completely_and_in_pairs():
    cell = load("rate")
    settings, residual = resolve(cell, {"g": 2.0}), SiteResidual(cell)
    first = take_census(cell, settings, 20, seeds(5), residual, 60)
    again = take_census(cell, settings, 20, seeds(5), residual, 120)
    assert first.zero
    assert first.found == again.found > 0
    assert all(kind.copies == 2 for kind in first.kinds)
    network = Network(cell, settings, 20, np.random.default_rng(seeds(5)))
    for kind in first.kinds:
        for sign in (1.0, -1.0):
            assert np.max(np.abs(velocity(network, sign * kind.state))) < 1e-9
        spectrum = np.linalg.eigvals(network.jacobian(kind.state))
        assert kind.unstable == np.sum(spectrum.real > 0)


def test_the_update_gate_does_not_change_the_number():
    cell = load("gru")
    residual, found = SiteResidual(cell), []
    for gain, shift in ((1.0, 0.0), (3.0, 1.0)):
        settings = resolve(cell, {"sigma_r": 2.0, "sigma_h": 4.0, "sigma_z": gain, "mu_z": shift})
        found.append(take_census(cell, settings, 16, seeds(3), residual, 60))
    assert found[0].found == found[1].found > 0
    np.testing.assert_allclose(*[sorted(k.Q["h"] for k in own.kinds) for own in found], rtol=1e-6)


def test_missed_kinds_are_estimated():
    rng = np.random.default_rng(0)
    captures = [np.unique(rng.integers(0, 40, 60), return_counts=True)[1] for _ in range(300)]
    found = [unseen(own) for own in captures]
    missed = np.array([40 - own.size for own in captures])
    values, errors = np.array([[own.value, own.error] for own in found]).T
    assert 0.8 * missed.mean() < values.mean() < missed.mean() + 3 * values.std() / np.sqrt(300)  # a lower bound
    assert 0.85 < np.mean(np.abs(values - missed) <= 2 * errors) < 1.0
    assert unseen([5, 7, 3]).value == 0.0


def test_numbers_of_two_sizes_beside_the_theory():
    found = census(load("rate"), {"g": 2.0}, N=24, seeds=3, searches=25)
    record = found.as_dict()
    assert found.level is not None
    assert found.level.value == pytest.approx(0.0106831, abs=1e-6)
    assert [size["N"] for size in record["sizes"]] == [12, 24]
    assert record["sizes"][1]["mean_found"] > 0
    assert sum(record["sizes"][1]["unstable"].values()) == sum(record["sizes"][1]["found"])
    assert "fewer than 4 networks" in found.bound


def test_a_number_below_the_bound_is_called_so():
    def networks(counts):
        kinds = (Kind(np.zeros((1, 1)), count, 0, {"x": 1.0}, captures=9) for count in counts)
        return tuple(NetworkCensus(True, [kind]) for kind in kinds)

    def bound(larger):
        sizes = networks([10, 11, 9, 10]), networks(larger)
        return FixedPointCensus(load("rate"), {}, (50, 100), sizes, Estimate(0.0107, 1e-6), 0).bound

    assert "at least as fast" in bound([17, 18, 16, 17])  # exp(50 * 0.0107) = 1.7
    assert "more slowly" in bound([10, 11, 9, 10])


def test_the_command(capsys):
    assert main(["fixed-points", "rate", "--simulate", "-p", "g=2", "-N", "16", "--seeds", "2", "--starts", "20",
                 "--json"]) in (0, 3)  # fmt: skip
    record = json.loads(capsys.readouterr().out)
    assert set(record) >= {"complexity", "growth", "growth_error", "sizes", "verdict"}
    assert main(["fixed-points", "rate", "--simulate", "-p", "g=2", "--plot", "no.png"]) == 2
    assert "--over" in capsys.readouterr().err


def test_what_has_no_fixed_points_is_refused():
    with pytest.raises(AnsatzError, match="constant"):
        census(load("gru"), {"R": 1.0, "nu_h": 1.0}, N=20)
    with pytest.raises(ParameterError, match="too small"):
        census(load("rate"), {"g": 2.0}, N=6)


def test_searches_that_all_fail_are_no_count():
    jump = """
equations = '''
h' = h/2 + tanh(W @ (step(A @ h)*h) + b)/2
'''
[weights]
W = 3.0
A = 1.0
[biases]
b = { mean = 0.1, std = 0.2 }
"""
    found = census(parse_cell(jump), {}, N=24, seeds=1, searches=6)
    assert "nearly all searches" in found.verdict
    assert found.bound == "not compared"


def test_a_budget_ends_with_what_was_found():
    with budget(2.0):
        found = census(load("rate"), {"g": 2.0}, N=120, seeds=4, searches=400)
    assert found.verdict == "not converged: stopped by the time budget"
    assert found.as_dict()["sizes"][0]["networks"] >= 1
