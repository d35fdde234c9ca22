"""The untied ensemble at small N against quadrature written here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from derive.cell import load, parse_cell, resolve
from derive.errors import AnsatzError, ParameterError
from solvers.simulate import measure_untied
from solvers.simulate.revealed import RevealedGaussian
from solvers.simulate.untied import has_settled


def gauss(function, q):
    """E f(x) for x ~ N(0, q)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    return float(weights @ function(np.sqrt(q) * nodes) / weights.sum())


def agrees(row, expected, errors=4.0):
    assert abs(row.mean - expected) < errors * row.standard_error, (row.quantity, row.mean, row.standard_error)


def test_chaotic_network_without_gates_has_the_quadrature_values():
    cell = load("vanilla")
    found = measure_untied(cell, resolve(cell, {"sigma_w": 2.0}), N=250, seeds=8, window=150)
    q = 1.0
    for _ in range(300):
        q = 4 * gauss(lambda x: np.tanh(x) ** 2, q)
    assert found.converged, str(found)
    agrees(found["Q[h]"], q / 4)
    agrees(found["q[W_h]"], q)
    agrees(found["chi1"], 4 * gauss(lambda x: np.cosh(x) ** -4.0, q))
    agrees(found["C_star[h]"], 0.0)
    assert found["chi1_typical"].mean < found["chi1"].mean


def test_published_critical_point_of_the_minimal_gate():
    cell = load("minimal-rnn")
    given = {"sigma_w": 6.88, "sigma_v": 1.39, "R": 0.46, "mu_b": 0.0, "Sigma": 1.0}
    found = measure_untied(cell, resolve(cell, given), N=400, seeds=8, window=150)
    assert found.converged, str(found)
    agrees(found["q_total[u]"], 15.936)
    agrees(found["Q[h]"], 0.3179)
    agrees(found["chi1"], 0.99878)
    for row in found.rows:
        assert row.measured.shape == (8,)
        assert row.standard_error > 0


def test_replicas_driven_by_the_same_input_become_one_in_the_ordered_phase():
    cell = load("vanilla")
    given = {"sigma_w": 0.8, "sigma_v": 1.0, "R": 0.5, "Sigma": 1.0}
    same = measure_untied(cell, resolve(cell, given), N=100, seeds=3, window=60)
    assert same["C_star[h]"].mean == pytest.approx(same["Q[h]"].mean, rel=1e-5)
    apart = measure_untied(cell, resolve(cell, {**given, "Sigma": 0.0}), N=100, seeds=3, window=60)
    assert apart["C_star[h]"].mean < 0.3 * apart["Q[h]"].mean


def test_two_states_without_sampling_error_in_the_theory():
    # A linear filter of fresh noise: Q = s^2 E[...] closes by hand, and so does the 2 x 2 map of perturbations.
    cell = parse_cell("""
    equations = '''
    c' = a*c + W @ h
    h' = b*c' + V @ c + x
    '''
    [weights]
    W = 0.5
    V = 0.4
    [inputs]
    x = { variance = 1 }
    [parameters]
    a = 0.6
    b = 0.7
    """)
    found = measure_untied(cell, resolve(cell, {}), N=200, seeds=8, window=150)
    a, b, w2, v2 = 0.6, 0.7, 0.25, 0.16
    update = np.array([[a * a, w2], [b * b * a * a + v2, b * b * w2]])
    Q = np.linalg.solve(np.eye(2) - update, [0.0, 1.0])
    agrees(found["Q[c]"], Q[0])
    agrees(found["Q[h]"], Q[1])
    agrees(found["chi1"], max(abs(np.linalg.eigvals(update))))


def test_divergence_and_drift_are_reported():
    grows = parse_cell('equations = "h\' = W @ h"\n[weights]\nW = "g"\n[parameters]\ng = 3.0')
    found = measure_untied(grows, resolve(grows, {}), N=30, seeds=2)
    assert found.settled == (False, False)
    assert all("diverged at step" in text for text in found.outcomes)
    assert found.rows == ()
    drifts = measure_untied(grows, resolve(grows, {"g": 1.06}), N=200, seeds=1, max_burn_in=64, window=4)
    assert not drifts.converged
    assert "still drifting after 64 steps" in drifts.outcomes[0]
    assert np.isfinite(drifts["chi1"].mean)


def test_continuous_time_and_impossible_inputs_are_refused():
    flow = load("rate")
    with pytest.raises(AnsatzError, match="continuous time"):
        measure_untied(flow, resolve(flow, {}), N=10, seeds=1)
    cell = load("vanilla")
    settings = resolve(cell, {"R": 1.0, "Sigma": 0.5})
    object.__setattr__(settings.inputs["x"], "correlation", 1.5)
    with pytest.raises(ParameterError, match="must lie between"):
        measure_untied(cell, settings, N=10, seeds=1)


def test_results_depend_on_the_seed_and_not_on_the_workers():
    cell = load("minimal-rnn")
    settings = resolve(cell, {})
    options = {"N": 30, "window": 10, "max_burn_in": 40, "seed": 5}
    alone = measure_untied(cell, settings, seeds=3, **options)
    with ThreadPoolExecutor(3) as executor:
        together = measure_untied(cell, settings, seeds=3, executor=executor, **options)
    for row, other in zip(alone.rows, together.rows, strict=True):
        assert row.measured.tobytes() == other.measured.tobytes()


def test_the_burn_in_rule_waits_for_a_drift_and_not_for_noise():
    noise = np.random.default_rng(0).standard_normal(128)
    still = [{"Q": 1.0 + 0.1 * wiggle} for wiggle in noise]
    drifting = [{"Q": 1.0 + 0.01 * t + 0.1 * wiggle} for t, wiggle in enumerate(noise)]
    assert has_settled(still, {"Q": 1.0})
    assert not has_settled(drifting, {"Q": 1.0})


def test_a_revealed_matrix_is_linear_and_keeps_what_it_has_shown():
    rng = np.random.default_rng(3)
    matrix = RevealedGaussian(1.5, 40, rng)
    a, b, c = rng.standard_normal((3, 40))
    at_a, at_b = matrix @ a, matrix @ b
    np.testing.assert_allclose(matrix @ (2 * a - 3 * b), 2 * at_a - 3 * at_b, atol=1e-12)
    at_c = matrix @ c
    several = matrix @ np.array([a, c, np.zeros(40)]).T
    np.testing.assert_allclose(several, np.array([at_a, at_c, 0 * c]).T, atol=1e-12)
    whole = matrix @ np.eye(40)  # more columns than directions left
    np.testing.assert_allclose(whole @ np.array([a, b]).T, np.array([at_a, at_b]).T, atol=1e-11)
    assert np.all(np.isnan(matrix @ np.full(40, np.nan)))


def test_a_revealed_matrix_has_independent_entries_of_the_right_size():
    rng = np.random.default_rng(4)
    N, draws, gain = 6, 20_000, 1.5
    v = rng.standard_normal((N, 3))
    entries = np.empty((draws, N * N))
    for k in range(draws):
        matrix = RevealedGaussian(gain, N, rng)
        _ = matrix @ v[:, 0], matrix @ v[:, 1:]  # what was asked before must not be seen in the law
        entries[k] = (matrix @ np.eye(N)).ravel()
    covariance = entries.T @ entries / draws
    np.testing.assert_allclose(covariance, gain**2 / N * np.eye(N * N), atol=5 * gain**2 / N * np.sqrt(2 / draws))
    assert np.mean(entries**4) == pytest.approx(3 * (gain**2 / N) ** 2, rel=0.02)
