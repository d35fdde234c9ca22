"""States on a kink, fields that do not vary, eigenvalues on a pole: where a formula's generic case ends."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from derive.cell import parse_cell, resolve
from derive.errors import AnsatzError
from derive.pipeline import derive_theory
from derive.site import site_form
from solvers.averages import Evaluator
from solvers.budget import BudgetSpent, budget
from solvers.compare import check
from solvers.compare.edge import Scattering, edge_on_ray
from solvers.dynamics import dynamics
from solvers.equations import Equations, is_covariance
from solvers.measure import network_measure
from solvers.simulate import Network, newton_from, relax, sites_of
from solvers.solve import parameter_values, solve
from solvers.spectra import spectra_of
from solvers.spectrum.gain import spectral_radii

LEAKY_RELU = '''
name = "leaky-relu"
equations = """
z  = sigmoid(W_z @ h)
h' = z*h + (1 - z)*relu(W @ h)
"""
[weights]
W_z = 0.5
W = 1.1
'''

SHARED = '''
name = "shared"
equations = """
a' = tanh(W @ tanh(a) + b)
c' = 0.4*c + 0.6*tanh(W @ c)
"""
[weights]
W = 1.4
[biases]
b = { mean = 0.3, std = 0.2 }
'''

DRIVEN = """
name = "driven"
equations = '''
a' = tanh(W @ a)
c' = tanh(V @ c + 3*a)
'''
[weights]
W = 1.2
V = 1.1
"""


def test_a_zero_state_on_a_kink_has_the_spectrum_of_vanishing_activity():
    solved = solve(parse_cell(LEAKY_RELU))
    solution = solved.solutions[0]
    edge = 0.5 + 0.5 * 1.1 / np.sqrt(2.0)  # half of the units have slope one
    assert solution["spectral_radius"] == pytest.approx(edge, abs=1e-9)
    assert solution.numbers["outliers"] == []  # W v = u says nothing where v = 0
    assert solution.stable
    assert spectra_of(solved).spectra[0].radius == pytest.approx(edge, abs=1e-9)
    found = check(solved, N=160, seeds=6)
    assert found["spectral_radius"].verdict == "agrees"
    assert found.verdict != "disagrees"


def test_what_does_not_vary_has_no_covariance_also_beside_replicas():
    theory = derive_theory(parse_cell(SHARED), "untied")
    law, parameters = theory.law, parameter_values(theory, resolve(theory.site.cell))
    equations = Equations(theory.system, law, Evaluator(law, theory.implicit), parameters)
    values = dict(equations.complete([0.5] * len(equations.feedback), 1e-6).values)
    cross = next(s for s in values if str(s) == "C[W,W.2]")
    values |= {next(s for s in values if str(s) == "q[W.2]"): 0.0, cross: 0.0}
    assert is_covariance(law, values)
    assert not is_covariance(law, values | {cross: 0.7})


def test_states_that_are_not_driven_back_have_edges_of_their_own():
    network = Network(parse_cell(DRIVEN), resolve(parse_cell(DRIVEN)), 300, np.random.default_rng(2))
    scattering = Scattering(network, network.linearise(np.zeros((2, 300))), np.random.default_rng(3))
    assert edge_on_ray(scattering, 0.0, 1.0, 1.2, 1.2) == pytest.approx(1.2, rel=0.015)


def test_a_gain_on_a_pole_is_not_a_small_one():
    matrices = np.array([[[1.0, 0.0], [0.0, 2.0]], [[np.nan, 0.0], [0.0, 1.0]]])
    np.testing.assert_array_equal(spectral_radii(matrices), [2.0, np.inf])


def test_what_is_known_when_the_budget_ends_is_reported(monkeypatch):
    cell = parse_cell(LEAKY_RELU)

    def stop(*args, **kwargs):
        raise BudgetSpent("stopped by the time budget")

    monkeypatch.setattr(sys.modules["solvers.solve"], "spectrum_of", stop)
    with budget(60.0):
        solved = solve(cell)
    assert not solved.complete
    assert solved.solutions[0].numbers["Q"] == {"h": 0.0}
    assert solved.solutions[0].verdict.startswith("not converged: stopped by the time budget")
    found = check(solved, N=64, seeds=2)
    assert found.verdict == "inconclusive"
    assert any("its spectrum was not computed" in note for note in found.notes)


def test_gates_that_shut_exactly_are_said_to_leave_units_free():
    def notes(gate):
        cell = parse_cell(LEAKY_RELU.replace("sigmoid(W_z", f"{gate}(W_z"))
        return derive_theory(cell, "static").notes

    assert any("hard_sigmoid shuts exactly" in note for note in notes("hard_sigmoid"))
    assert not any("shuts" in note for note in notes("sigmoid"))


NO_PRODUCTS = """
name = "no-products"
equations = '''
h' = a*h/(1 + h*h) + b/2
'''
[biases]
b = { mean = 0.3, std = 0.5 }
[parameters]
a = 0.5
"""

ROTATION = """
name = "rotation"
equations = '''
dp/dt = -w*q
dq/dt = w*p
dh/dt = -h + J @ tanh(h + p)
'''
[weights]
J = "g"
[parameters]
g = 0.5
w = 2.0
"""

SWITCHED_OFF = """
name = "switched-off"
equations = '''
dh/dt = a*h + J @ tanh(h)
'''
[weights]
J = "g"
[parameters]
g = 0.0
a = -1.0
"""


def test_a_cell_without_products():
    cell = parse_cell(NO_PRODUCTS)
    network = Network(cell, resolve(cell, {}), 4000, np.random.default_rng(1))
    state = relax(network, network.random_state()).state
    measure = network_measure(site_form(cell), network.settings, sites_of(network, state))
    assert measure.a.shape == (4000, 1, 0)
    (solution,) = solve(cell).solutions
    assert solution.stable
    assert np.mean(state**2) == pytest.approx(solution["Q[h]"], rel=0.1)
    low, high = solution.numbers["atoms"][0]["range"]
    slopes = measure.L[:, 0, 0]
    assert (low, high) == pytest.approx((slopes.min(), slopes.max()), abs=0.01)  # both are samples of a law with tails
    (found,) = dynamics(cell).solutions
    assert found.lyapunov_max == pytest.approx(np.log(0.5), abs=1e-3)


def test_an_undamped_rotation_is_marginal():
    (solution,) = solve(parse_cell(ROTATION)).solutions
    assert solution.stable is False
    assert solution.as_dict()["marginal"] is True
    assert any("marginally stable" in note for note in dynamics(parse_cell(ROTATION)).notes)
    assert "marginal" not in solve(parse_cell(ROTATION), {"g": 2.0}).solutions[0].as_dict()


@pytest.mark.parametrize(("a", "stable"), [(-1.0, True), (0.5, False)])
def test_a_matrix_of_gain_zero_leaves_the_units_to_themselves(a, stable):
    (solution,) = solve(parse_cell(SWITCHED_OFF), {"a": a}).solutions
    assert (solution.stable, solution.marginal) == (stable, False)
    assert solution.numbers["atoms"] == [{"value": [a, 0.0], "fraction": 1.0}]


def test_a_state_without_a_leak_is_refused_where_theory_divides_by_it():
    with pytest.raises(AnsatzError, match="divides by"):
        solve(parse_cell(SWITCHED_OFF), {"a": 0.0})


def test_a_search_near_a_fold_warns_in_its_result_alone():
    cell = parse_cell(SWITCHED_OFF)
    network = Network(cell, resolve(cell, {"a": 1e-17}), 5, np.random.default_rng(0))
    network.weights["J"] = np.diag([1.0, 1.0, 1.0, 1.0, 1e-19])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = newton_from(network, np.full((1, 5), 1.0), max_steps=3)
    assert not found.converged
    assert "ill-conditioned" in found.outcome
