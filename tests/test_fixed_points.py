"""Static solutions over a range: folds, stability, number of fixed points."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from derive import load, parse_cell
from derive.cell import resolve
from derive.errors import AnsatzError, ParameterError
from derive.pipeline import derive_theory
from solvers.branches.complexity import complexity
from solvers.branches.static import check_grid, fixed_points
from solvers.budget import budget
from solvers.cli import main
from solvers.mean_field_draw import MeanFieldDraw
from solvers.simulate import Network
from solvers.solve import solve

NESTED = """
equations = '''
r  = sigmoid(4*(W_r @ c) + b)
h' = a*h + (1 - a)*tanh(W_h @ (r*c'))
c' = tanh(W_c @ (h/(1 + h*h)))
'''
[weights]
W_r = 1.5
W_h = "g"
W_c = 2.0
[biases]
b = 0.3
[parameters]
g = 1.0
a = 0.4
"""
"""Two states, a nested product of a new state, a division."""


@pytest.fixture(scope="module")
def sharp():
    """A gate that opens with the state: the zero state loses its stability at 2, and other solutions begin below."""
    return fixed_points(load("gated-rnn"), ("g_h", 1.0, 3.0, 11), {"alpha_r": 20.0})


def test_zero_loses_its_stability_where_it_should(sharp):
    zero = sharp.branches[0]
    assert zero.state == "zero"
    assert [point.stable for point in zero.points] == [bool(value < 2.0 - 1e-9) for value in sharp.grid]


def test_solutions_appear_in_pairs_at_the_fold(sharp):
    (fold,) = sharp.folds
    assert 0 < fold.error < 1e-9
    # the least g at which q = g^2 E[tanh^2] E[sigmoid(20 u)^2] has a solution, by quadrature on a fine grid
    x = np.linspace(-10.0, 10.0, 20_001)
    weights = np.exp(-0.5 * x * x) / np.exp(-0.5 * x * x).sum()

    def gain(log_q: float) -> float:
        inner = weights @ np.tanh(np.exp(0.5 * log_q) * x) ** 2
        return float(np.sqrt(np.exp(log_q) / (inner * (weights @ expit(20.0 * np.sqrt(inner) * x) ** 2))))

    least = minimize_scalar(gain, bounds=(-5.0, -1.0), method="bounded", options={"xatol": 1e-12})
    assert abs(fold.value - least.fun) < fold.error + 1e-13
    assert fold.q["J_h"] == pytest.approx(np.exp(least.x), rel=1e-6)
    cell = load("gated-rnn")
    for shift, number in ((-1e-4, 1), (1e-4, 3)):
        assert len(solve(cell, {"alpha_r": 20.0, "g_h": fold.value + shift}).solutions) == number
    upper, lower = (sharp.branches[k] for k in fold.branches)
    upper, lower = (upper, lower) if upper.values[-1] == 3.0 else (lower, upper)
    assert lower.ends == ("fold", "zero state at 2")
    assert upper.ends == ("fold", "upper end of the range")
    sharper = fixed_points(cell, ("g_h", 1.0, 3.0, 2), {"alpha_r": 200.0}, stability=False, complexity=False)
    assert np.sqrt(2) < sharper.folds[0].value < fold.value  # towards sqrt 2 as the gate sharpens


def test_points_of_branches_are_all_solutions(sharp):
    cell = load("gated-rnn")
    for value in (1.2, 1.8, 2.6):
        solved = solve(cell, {"alpha_r": 20.0, "g_h": value})
        own = [p for b in sharp.branches for p in b.points if p.value == pytest.approx(value)]
        assert len(own) == len(solved.solutions)
        own.sort(key=lambda point: point.Q["h"])
        for point, solution in zip(own, solved.solutions, strict=True):
            assert point.q["J_h"] == pytest.approx(solution.numbers["q"]["J_h"], rel=1e-7, abs=1e-12)
            assert abs(point.q["J_h"] - solution.numbers["q"]["J_h"]) <= point.errors["J_h"] + 1e-12
            assert point.stable == solution.stable


def test_number_of_fixed_points_does_not_know_the_update_gate():
    known = []
    for more in ({}, {"sigma_z": 3.0, "mu_z": 1.5}, {"sigma_z": 0.2, "mu_z": -2.0}):
        solved = solve(load("gru"), {"sigma_r": 2.0, "sigma_h": 4.0, **more})
        known.append(complexity(solved.theory, solved.solutions[1].linearised_at))
    for found in known:
        assert found.verdict == "converged"
        assert 0 < found.error < 5e-4
        assert abs(found.value - 0.0249) < found.error + 5e-5


@pytest.mark.parametrize(("name", "parameters"), [
    ("rate", {"g": 2.5}), ("gru", {"sigma_r": 2.0, "sigma_h": 4.0, "mu_z": 1.0}), ("nested", {"g": 4.0}),
])  # fmt: skip
def test_number_of_fixed_points_against_determinants(name, parameters):
    cell = parse_cell(NESTED) if name == "nested" else load(name)
    solved = solve(cell, parameters)
    solution = solved.solutions[-1]
    found = complexity(solved.theory, solution.linearised_at)
    draw, N, line = MeanFieldDraw(solved.theory, solution.values), 200, 1.0 if cell.time == "discrete" else 0.0
    measured = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        net, units = Network(cell, resolve(cell, parameters), N, rng), draw(N, rng)
        state = np.stack([units[s] for s in net.states])
        size = state.size
        whole = np.linalg.slogdet(line * np.eye(size) - net.linearise(state, fields=units).jacobian())[1]
        net.weights = {weight: np.zeros((N, N)) for weight in net.weights}
        local = np.linalg.slogdet(line * np.eye(size) - net.linearise(state, fields=units).jacobian())[1]
        measured.append((whole - local) / N)
    error = np.std(measured, ddof=1) / np.sqrt(len(measured))
    assert found.value > 5 * error
    # The logarithm of a determinant has a correction of order one: 1/N here.
    assert abs(np.mean(measured) - found.value) < 3.5 * error + 1.0 / N


def test_a_made_up_cell_with_two_states():
    found = fixed_points(parse_cell(NESTED), ("g", 0.5, 4.0, 8))
    assert found.verdict == "converged"
    assert [branch.state for branch in found.branches].count("zero") == 1
    active = [branch for branch in found.branches if branch.state == "active"]
    assert active
    assert all(level >= 0 and error < 1e-3 for level, error in found.complexity)
    assert found.complexity[-1][0] > 0.01
    for branch in active:
        for point in branch.points[-2:]:
            levels = [s.numbers["q"] for s in solve(parse_cell(NESTED), {"g": point.value}).solutions]
            assert any(abs(q["W_h"] - point.q["W_h"]) < 1e-6 * q["W_h"] for q in levels)


def test_a_kink_at_zero_and_an_end_where_a_gain_vanishes():
    text = 'equations = "h\' = 0.5*tanh(h) + 0.5*tanh(relu(W @ h))"'
    relu = parse_cell(f'{text}\n[weights]\nW = "g"\n[parameters]\ng = 1')
    found = fixed_points(relu, ("g", 1.0, 3.0, 5))
    assert found.verdict == "converged"
    assert any("kink" in note for note in found.notes)
    biased = fixed_points(load("vanilla"), ("sigma_w", 0.0, 2.0, 3), {"sigma_b": 0.3})
    assert len(biased.branches[0].points) == 3
    assert biased.complexity[0] == (0.0, 0.0)


def test_a_branch_that_runs_off_to_infinity():
    # q = g^2 (q + 1)/2 for unit bias variance: without bound at g = sqrt 2
    cell = parse_cell('equations = "h\' = relu(W @ h + b)"\n[weights]\nW = "g"\n[biases]\nb = {std = 1}\n'
                      "[parameters]\ng = 1")  # fmt: skip
    found = fixed_points(cell, ("g", 1.0, 2.0, 5), stability=False)
    assert found.verdict == "converged"
    (branch,) = found.branches
    assert branch.ends == ("lower end of the range", "a variance grows without bound near 1.414")
    np.testing.assert_allclose([point.q["W"] for point in branch.points], [1.0, 0.78125 / 0.21875], rtol=1e-7)


def test_a_budget_is_kept():
    with budget(0.5):
        found = fixed_points(load("gated-rnn"), ("g_h", 0.0, 4.0, 500), {"alpha_r": 20.0})
    assert not found.complete
    assert "stopped" in found.verdict
    assert any("time budget" in note for note in found.notes)


@pytest.mark.parametrize("text", ["g", "g=1:2", "g=1:2:x", "=1:2:3", "g=1:nan:4"])
def test_bad_grids_are_refused(text):
    with pytest.raises(ParameterError, match="write NAME=LO:HI:COUNT"):
        check_grid(text)


def test_bad_requests_are_refused():
    cell = load("rate")
    with pytest.raises(ParameterError, match="from 2 to 2000 values; 1 were asked"):
        fixed_points(cell, ("g", 0.0, 1.0, 1))
    with pytest.raises(ParameterError, match="not a parameter"):
        fixed_points(cell, ("gain", 0.0, 1.0, 3))
    with pytest.raises(ParameterError):
        fixed_points(cell, ("g", 2.0, 1.0, 3))
    haar = parse_cell('equations = "h\' = tanh(W @ h)"\n[weights]\nW = { gain = 2, ensemble = "haar" }')
    with pytest.raises(AnsatzError, match="Gaussian weights only"):
        complexity(derive_theory(haar, "static"), {})


def test_json_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = main(["fixed-points", "rate", "--over", "g=0.5:2:4", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert found["over"] == {"name": "g", "values": [0.5, 1.0, 1.5, 2.0]}
    zero, active = found["branches"]
    assert zero["g"] == [0.5, 1.0, 1.5, 2.0]
    assert zero["stable"] == [True, False, False, False]
    assert active["g"] == [1.5, 2.0]
    assert active["q"]["J"] == pytest.approx([0.7933540, 2.1214736], abs=1e-6)
    assert found["folds"] == []
    assert found["complexity"] == pytest.approx([0.0, 0.0, 0.0027952108, 0.0106830885], abs=1e-8)
    assert any("lower bound" in note for note in found["notes"])
    target = tmp_path / "branches.png"
    assert main(["fixed-points", "rate", "--over", "g=0.5:2:4", "--plot", str(target)]) == 0
    assert target.stat().st_size > 5000
    assert "branch 1 (active)" in capsys.readouterr().out
    assert main(["fixed-points", "rate", "--over", "g"]) == 2
