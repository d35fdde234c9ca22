"""Eigenvalues of one finite network at each static solution, to be drawn under the theory's curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from derive.cell.parameters import Settings
from derive.errors import GatefieldError
from solvers.budget import check_budget
from solvers.compare.networks import Preparation
from solvers.compare.untied import one_untied, reached
from solvers.mean_field_draw import MeanFieldDraw
from solvers.simulate import Network, measure_static, singular_values
from solvers.solution import Solved

MOST_EIGENVALUES = 1200
"""States times units of the network whose eigenvalues are drawn."""


def eigenvalue_clouds(solved: Solved, settings: Settings, N: int, seed: int) -> list[np.ndarray | None]:
    """One array for each solution; None where a network does not get there.

    The weights are conditioned on the solution; orthogonal ones cannot be, so that the dynamics must lead there.
    N : units, fewer where the eigenvalues would be more than a figure can show.
    """
    cell = solved.theory.site.cell
    gaussian = all(ensemble == "gaussian" for ensemble in settings.ensembles.values())
    units = max(2, min(N, MOST_EIGENVALUES // len(cell.states)))
    clouds: list[np.ndarray | None] = []
    for solution in solved.solutions:
        check_budget()
        planter = _planter(MeanFieldDraw(solved.theory, solution.values)) if gaussian else None
        try:
            measured = measure_static(cell, settings, N=units, seeds=1, seed=seed, planted=planter)
        except (GatefieldError, np.linalg.LinAlgError):
            clouds.append(None)
            continue
        clouds.append(measured.samples[0].eigenvalues if measured.settled[0] else None)
    return clouds


def singular_clouds(solved: Solved, settings: Settings, N: int, seed: int) -> list[np.ndarray | None]:
    """Singular values of one network at each solution, as `eigenvalue_clouds`."""
    cell = solved.theory.site.cell
    units = max(2, min(N, MOST_EIGENVALUES // len(cell.states)))
    clouds: list[np.ndarray | None] = []
    for index, solution in enumerate(solved.solutions):
        check_budget()
        others = [other for k, other in enumerate(solved.solutions) if k != index]
        try:
            prepare = Preparation(solved.theory, settings, solution, others, seed)
            prepared = prepare(np.random.SeedSequence([seed, units]), units)
            reached = prepared.state is not None
            clouds.append(singular_values(prepared.linearise().jacobian()) if reached else None)
        except (GatefieldError, np.linalg.LinAlgError):
            clouds.append(None)
    return clouds


def _planter(draw: MeanFieldDraw) -> Callable[[Network], Mapping[str, np.ndarray]]:
    return lambda network: draw(network.N, network.rng)


def untied_singular_clouds(solved: Solved, settings: Settings, N: int, seed: int) -> list[np.ndarray | None]:
    """Singular values of the next step of one network whose weights are redrawn, at the state that it has reached.

    One array for each solution; None at those from which the network stays away, and where it does not settle.
    """
    cell = solved.theory.site.cell
    units = max(2, min(N, MOST_EIGENVALUES // len(cell.states)))
    drawn, fresh = np.random.SeedSequence([seed, units]).spawn(2)
    sample = one_untied(cell, settings, units, drawn, 1)
    found: list[np.ndarray | None] = [None] * len(solved.solutions)
    index = reached(solved, [sample], []) if sample.settled else None
    if index is not None:
        network = Network(cell, settings, units, np.random.default_rng(fresh))
        found[index] = singular_values(network.jacobian(sample.state[..., 0]))
    return found
