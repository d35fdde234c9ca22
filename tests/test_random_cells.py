"""Cells nobody wrote by hand go through derivation, solution and comparison.

A fixed cheap sample runs by default; many more are marked slow.
"""

from __future__ import annotations

import numpy as np
import pytest
from random_cells import random_cell

from derive.cell import parse_cell, resolve
from derive.pipeline import derive_theory
from derive.write.latex import document
from solvers.budget import budget
from solvers.compare import check
from solvers.simulate import Network
from solvers.solve import solve

SAMPLE = (2, 4, 6, 7, 9, 13, 25, 33)
"""Cheap cells that between them have shared, nested and squared operands, one or two states, relu, both times."""

CHECKED = (4, 7, 52)
"""Cheap to compare; 7 has eigenvalues on a pole."""
MANY = tuple(range(60))
SECONDS = 60.0


def ansaetze(seed: int) -> list[str]:
    return ["static", "untied"] if parse_cell(random_cell(seed)).time == "discrete" else ["static"]


def derive_and_solve(seed: int, ansatz: str) -> None:
    """Every number has an error and every solution a verdict; unfinished work says so."""
    theory = derive_theory(parse_cell(random_cell(seed)), ansatz)
    text = document(theory)
    assert text.rstrip().endswith(r"\end{document}")
    with budget(SECONDS):
        solved = solve(theory)
    assert solved.solutions or not solved.complete or solved.notes
    for solution in solved.solutions:
        assert solution.verdict
        for name, value in solution.numbers["Q"].items():
            assert value >= 0
            assert solution.errors["Q"][name] >= 0


def network_differs_from_differences(seed: int) -> float:
    """Largest deviation of the network's Jacobian from central differences of its own step."""
    cell = parse_cell(random_cell(seed))
    network = Network(cell, resolve(cell), 6, np.random.default_rng(seed))
    state = network.random_state(0.5)
    jacobian = network.jacobian(state)
    h, size = 1e-6, state.size
    columns = []
    for k in range(size):
        shift = np.zeros(size)
        shift[k] = h
        ahead = network.evaluate(state + shift.reshape(state.shape)).new_state
        behind = network.evaluate(state - shift.reshape(state.shape)).new_state
        columns.append((ahead - behind).ravel() / (2 * h))
    return float(np.abs(np.array(columns).T - jacobian).max())


@pytest.mark.parametrize("seed", SAMPLE)
def test_a_sample_is_derived_and_solved(seed: int) -> None:
    for ansatz in ansaetze(seed):
        derive_and_solve(seed, ansatz)


@pytest.mark.parametrize("seed", range(24))
def test_jacobians_of_networks(seed: int) -> None:
    assert network_differs_from_differences(seed) < 1e-6


@pytest.mark.parametrize("seed", CHECKED)
def test_a_sample_does_not_disagree_with_networks(seed: int) -> None:
    found = check(parse_cell(random_cell(seed)), N=200, seeds=6)
    assert found.verdict in ("agrees", "inconclusive"), found.as_dict()
    assert found.rows


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_many_are_derived_and_solved(seed: int) -> None:
    for ansatz in ansaetze(seed):
        derive_and_solve(seed, ansatz)


@pytest.mark.slow
@pytest.mark.parametrize("ansatz", ["static", "untied"])
@pytest.mark.parametrize("seed", MANY)
def test_many_do_not_disagree_with_networks(seed: int, ansatz: str) -> None:
    cell = parse_cell(random_cell(seed))
    if ansatz not in ansaetze(seed):
        pytest.skip("continuous time is static")
    with budget(2 * SECONDS):
        found = check(cell, ansatz=ansatz, N=200, seeds=6)
    assert found.verdict in ("agrees", "inconclusive"), found.as_dict()
