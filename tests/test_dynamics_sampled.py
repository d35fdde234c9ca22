"""Sampled stationary mean field: against the path without sampling, against networks, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from derive import load, parse_cell
from derive.cell import resolve
from derive.cell.spec import Cell
from derive.site import site_form
from solvers import dynamics
from solvers.budget import budget
from solvers.dynamics.grid import Grid
from solvers.dynamics.paths import PathNoise, mean_covariance
from solvers.dynamics.result import StationaryState
from solvers.dynamics.sampled_model import SampledModel
from solvers.dynamics.sampled_solve import Vanishes, explore, numbers_of, replicate
from solvers.dynamics.sampled_states import sampled_states
from solvers.dynamics.search import at_zeros
from solvers.dynamics.window import whole

WITHIN = 4.0
"""Standard errors, from eight replicates: beyond with probability below 1 % (Student's t with 7 degrees of freedom)."""


def sampled(cell: Cell, parameters: dict[str, object], tol: float) -> StationaryState:
    settings = resolve(cell, parameters)
    (state,), _ = sampled_states(SampledModel(at_zeros(site_form(cell), settings), settings), tol, 0)
    return state


def agree(one: StationaryState, exact: StationaryState) -> None:
    for name, value in exact.q.items():
        assert abs(one.q[name] - value) <= WITHIN * one.error["q"][name] + 1e-12
    for name, value in exact.Q.items():
        assert abs(one.Q[name] - value) <= WITHIN * one.error["Q"][name]
    assert one.lyapunov_max is not None
    assert exact.lyapunov_max is not None
    assert abs(one.lyapunov_max - exact.lyapunov_max) <= WITHIN * one.error["lyapunov_max"]


def test_paths_have_exactly_the_covariance_asked_for() -> None:
    """Two fields of one matrix, with delays: C_kl(tau) = C_lk(-tau) is no even function."""
    grid = Grid(64, 1.0)
    base = np.exp(-((grid.lags / 4.0) ** 2))
    C = np.array([[base, 0.7 * np.roll(base, 2)], [0.7 * np.roll(base, -2), base]])
    noise = PathNoise(np.random.default_rng(0), grid, 2, 1, 200)
    u = noise.paths(C, [0, 1], 1)
    for k in range(2):
        for m in range(2):
            assert mean_covariance(grid, u[k], u[m]) == pytest.approx(C[k, m], abs=1e-12)
    fine = noise.paths(C, [0, 1], 2)
    assert fine[:, ::2] == pytest.approx(u, abs=1e-10)


def test_the_taper_leaves_plateaus() -> None:
    grid = Grid(128, 1.0)
    window = whole(grid)
    C = (0.3 + np.exp(-grid.lags / 3.0))[None, None]
    assert window.tapered(C, np.ones((1, 1))) == pytest.approx(C, abs=1e-2)
    assert window.tapered(C, np.zeros((1, 1)))[0, 0, 64] == 0.0


def test_sampler_meets_the_exact_map_with_biases() -> None:
    cell, given = load("vanilla"), {"sigma_w": 2.0, "sigma_b": 0.3}
    (exact,) = dynamics(cell, given).solutions
    agree(sampled(cell, given, 1e-2), exact)


@pytest.mark.slow
@pytest.mark.parametrize("g", [1.5, 2.0, 3.0])
def test_sampler_meets_the_exact_flow(g: float) -> None:
    cell = load("rate")
    (exact,) = dynamics(cell, {"g": g}).solutions
    agree(sampled(cell, {"g": g}, 1e-2), exact)


MADE_UP = """
equations = '''
z  = sigmoid(2*(V @ (h*h)) - 1)
h' = z*h/4 + (1 - z/4)*tanh(W @ h + W @ (z*h))
'''
[weights]
V = 2.0
W = 2.5
"""


def network(N: int, steps: int, seed: int) -> np.ndarray:
    """The made-up cell, written out: h over time, (steps, N)."""
    random = np.random.default_rng(seed)
    W, V = (gain * random.standard_normal((N, N)) / np.sqrt(N) for gain in (2.5, 2.0))
    h, found = random.standard_normal(N), np.empty((steps, N))
    for step in range(-100, steps):
        z = 1 / (1 + np.exp(-(2 * (V @ (h * h)) - 1)))
        h = z * h / 4 + (1 - z / 4) * np.tanh(W @ (h + z * h))
        found[step] = h
    return found


def test_a_cell_with_a_shared_matrix_and_a_nested_product_meets_networks() -> None:
    cell = parse_cell(MADE_UP, "made-up.toml")
    model = SampledModel(site_form(cell), resolve(cell, {}))
    found, _ = replicate(model, explore(model, 4.0, 0), 0.1, 0)
    theory, theory_error = found.combined(lambda s: s.states[0]), found.standard_error(lambda s: s.states[0])
    paths = [network(500, 300, seed) for seed in range(6)]
    for lag in (0, 1, 3):
        measured = [float(np.mean(h[: 300 - lag] * h[lag:])) for h in paths]
        error = np.std(measured, ddof=1) / np.sqrt(6)
        assert abs(np.mean(measured) - theory[lag]) <= WITHIN * np.hypot(error, theory_error[lag])


@pytest.mark.slow
def test_two_matrices_in_place_of_a_shared_one_give_other_numbers() -> None:
    """What the shared matrix changes is larger than the error bars: correlations inside a group are really used."""
    apart = MADE_UP.replace("W @ h +", "W2 @ h +").replace("W = 2.5", "W = 2.5\nW2 = 2.5")
    states = [sampled(parse_cell(text, "made-up.toml"), {}, 5e-2) for text in (MADE_UP, apart)]
    one, other = (s.autocorrelation["h"][1] for s in states)
    assert abs(one - other) > 2 * np.hypot(*(s.error["Q"]["h"] for s in states))


def test_growth_without_bound_is_reported_and_no_number_given() -> None:
    text = "equations = \"h' = sigmoid(V @ h)*h + relu(W @ h)\"\n[weights]\nV = 1\nW = 2\n"
    found = dynamics(parse_cell(text, "grows.toml"))
    assert not found.solutions
    assert any("grow without bound" in note for note in found.notes)


def test_steps_too_long_for_a_flow_are_not_called_divergence() -> None:
    """A stiff site: explicit steps of half its time at rest blow up, shorter ones do not."""
    text = "equations = \"dx/dt = -x - 3*x**3 + J @ x\"\n[weights]\nJ = 3\n"
    cell = parse_cell(text, "stiff.toml")
    reached = explore(SampledModel(site_form(cell), resolve(cell, {})), 4.0, 0)
    assert reached.setting.substeps > 1
    assert np.isfinite(numbers_of(reached.sample)).all()


def test_units_with_two_states_of_their_own_come_to_rest_and_it_is_said() -> None:
    cell = parse_cell("equations = \"h' = tanh(2*h + W @ h)\"\n[weights]\nW = 1\n", "memory.toml")
    with pytest.raises(Vanishes, match="come to rest"):
        explore(SampledModel(site_form(cell), resolve(cell, {})), 4.0, 0)


def test_the_budget_leaves_what_was_found_by_then() -> None:
    with budget(4.0):
        found = dynamics(load("gru"), {"sigma_z": 2.0, "sigma_r": 2.0, "sigma_h": 6.0})
    assert not found.converged
    assert any("budget" in note for note in found.notes)


def test_same_seed_same_numbers_and_names_do_not_matter() -> None:
    renamed = MADE_UP.replace("V", "A").replace("W", "Z")
    for old, new in (("z ", "gate "), ("z*", "gate*"), ("z/", "gate/")):
        renamed = renamed.replace(old, new)
    numbers = []
    for text in (MADE_UP, renamed):
        cell = parse_cell(text, "made-up.toml")
        reached = explore(SampledModel(site_form(cell), resolve(cell, {})), 4.0, 0)
        numbers.append(numbers_of(reached.sample))
    assert sorted(numbers[0]) == pytest.approx(sorted(numbers[1]), rel=1e-9)
