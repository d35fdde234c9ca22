"""Site measures: the units of a network rebuild its Jacobian; static nodes average as the theory does."""

from __future__ import annotations

import numpy as np
import pytest
from lively import LIVELY, lively

from derive import load, shipped
from derive.cell.parameters import resolve
from derive.cell.substitute import substitute
from derive.errors import AnsatzError
from solvers.measure import SiteMeasure, StaticSites, mixture, network_measure, static_measure
from solvers.simulate import Network, sites_of
from solvers.solve import solve
from solvers.spectrum.gain import GainMatrix

UNITS = 40


def rebuilt_jacobian(measure: SiteMeasure, weights: dict[str, np.ndarray]) -> np.ndarray:
    """(S N, S N) from the site derivatives of each unit and the matrices, field by field."""
    N, S = measure.nodes, measure.states
    unit = np.arange(N)
    jacobian = np.zeros((S, N, S, N))
    for i in range(S):
        for j in range(S):
            jacobian[i, unit, j, unit] += measure.L[:, i, j]
    products: list[np.ndarray] = []
    for k, name in enumerate(measure.matrices):
        inner = np.zeros((N, S, N))
        for j in range(S):
            inner[unit, j, unit] += measure.b[:, k, j]
        for m, earlier in enumerate(products):
            inner += measure.e[:, k, m, None, None] * earlier
        products.append(np.tensordot(weights[name], inner, axes=1))
        for i in range(S):
            jacobian[i] += measure.a[:, i, k, None, None] * products[k]
    return jacobian.reshape(S * N, S * N)


@pytest.mark.parametrize("name", shipped())
def test_units_of_a_network_rebuild_its_jacobian(name: str) -> None:
    cell = load(name)
    settings = resolve(cell, LIVELY[name])
    network = Network(cell, settings, UNITS, np.random.default_rng(3))
    state = network.random_state()
    measure = network_measure(lively(name).theory.site, settings, sites_of(network, state))
    assert measure.nodes == UNITS
    assert np.allclose(rebuilt_jacobian(measure, network.weights), network.jacobian(state), atol=1e-12)


@pytest.mark.parametrize("name", shipped())
def test_static_nodes_average_as_the_theory_does(name: str) -> None:
    solved = lively(name)
    evaluator = solved.same_evaluator()
    for solution in solved.solutions:
        sites = StaticSites(solved.theory, solution.linearised_at)
        rule = sites.rule()
        measure = sites.measure(rule)
        assert measure.weights.sum() == pytest.approx(1.0, abs=1e-14)
        lam = 1.9 + 0.8j
        T = measure.b @ np.linalg.solve(lam * np.eye(measure.states) - measure.L, measure.a.astype(complex)) + measure.e
        K = measure.gains[:, None] ** 2 * measure.mean(np.abs(T) ** 2)
        radius = float(np.abs(np.linalg.eigvals(K)).max())
        exact = GainMatrix(solved.theory, solution.linearised_at, evaluator, 1e-10).log_radius(np.array([lam]))[0][0]
        assert radius == pytest.approx(np.exp(exact), rel=1e-8 if rule.fitted else 2e-3)


def test_scrambles_are_independent_and_mix() -> None:
    solved = lively("lstm")
    values = solved.solutions[-1].linearised_at
    parts = [static_measure(solved.theory, values, log2_nodes=8, scramble=k) for k in range(2)]
    assert not np.allclose(parts[0].L, parts[1].L)
    whole = mixture(parts)
    assert whole.nodes == 512
    assert np.allclose(whole.mean(whole.L), 0.5 * (parts[0].mean(parts[0].L) + parts[1].mean(parts[1].L)))
    assert np.allclose(whole.subset(np.arange(256)).weights, parts[0].weights)


def test_products_are_given_on_request() -> None:
    solved = lively("vanilla")
    values = solved.solutions[-1].linearised_at
    assert np.isnan(static_measure(solved.theory, values).u).all()
    measure = static_measure(solved.theory, values, products=True)
    assert float(measure.mean(measure.u**2)[0]) == pytest.approx(solved.solutions[-1]["q[W_h]"], rel=1e-6)


def test_a_jump_has_no_derivative() -> None:
    jump = solve(substitute(load("vanilla"), ["phi=sign"]), LIVELY["vanilla"])
    with pytest.raises(AnsatzError, match="delta function"):
        static_measure(jump.theory, jump.solutions[-1].linearised_at)
