"""From a start far from any fixed point to one: the method of Levenberg and Marquardt.

A step d solves (A^T A + mu) d = -A^T R, with R what vanishes at a fixed point and A its derivative: Newton's direction
where that comes closer, and towards steepest descent in |R|^2 where it does not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg

from solvers.budget import check_budget
from solvers.census.residual import SiteResidual
from solvers.simulate.elementwise import Array
from solvers.simulate.fixed_point import newton_from
from solvers.simulate.network import Network

MOST_STEPS = 200
CLOSER = 1e-4
"""A step counts where it shortens |R|^2 by this share of what the linear equations promise."""

STALLED, PATIENCE = 0.9, 12
"""A search whose |R| is not below this share of what it was so many steps ago sits at a local minimum."""

HANDOVER = 1e-6
"""Root mean square of R at which Newton's method on the velocity of the network takes over."""

FARTHEST = 1e-3
"""Distance from there, relative to the state, within which it has to end."""


class Descent(NamedTuple):
    """state : (S, N) where the search ended; residual : root mean square of R there; found : it is a fixed point."""

    state: Array
    residual: float
    found: bool


def descend(network: Network, residual: SiteResidual, start: Array, tolerance: float = 1e-10) -> Descent:
    """Search from ``start`` (S, N); what was found is polished and judged by the network's own equations."""
    state = np.asarray(start, dtype=float)
    damping, sizes = 1e-2, []
    for _ in range(MOST_STEPS):
        check_budget()
        R, A = residual.at(network, state)
        sizes.append(float(np.linalg.norm(R)) / np.sqrt(state.size))
        stalled = len(sizes) > PATIENCE and sizes[-1] > STALLED * sizes[-1 - PATIENCE]
        if not np.isfinite(sizes[-1]) or not np.isfinite(A).all() or sizes[-1] <= HANDOVER or stalled:
            break
        normal, slope = A.T @ A, A.T @ R
        scale = float(np.trace(normal)) / state.size
        moved = None
        while moved is None and damping < 1e6:
            moved = _step(network, residual, state, (R, normal, slope), damping * scale)
            damping *= 5.0 if moved is None else 0.1
        if moved is None:
            break
        state = moved
    if not sizes[-1] <= HANDOVER:
        return Descent(state, sizes[-1], False)
    end = newton_from(network, state, tolerance=tolerance)
    near = end.displacement <= FARTHEST * max(1.0, float(np.sqrt(np.mean(state**2))))
    return Descent(end.state if near else state, sizes[-1], end.converged and near)


def _step(
    network: Network, residual: SiteResidual, state: Array, known: tuple[Array, Array, Array], damping: float
) -> Array | None:
    """The state after a step, if that comes closer."""
    R, normal, slope = known
    shifted = normal.copy()
    shifted[np.diag_indices_from(shifted)] += damping
    try:
        d = linalg.cho_solve(linalg.cho_factor(shifted, check_finite=False), -slope, check_finite=False)
    except linalg.LinAlgError:
        return None
    trial = state + d.reshape(state.shape)
    moved = residual.value(network, trial)
    promised = -2.0 * float(slope @ d) - float(d @ normal @ d)
    gained = float(R @ R - moved @ moved)
    return np.asarray(trial) if promised >= 0.0 and gained >= CLOSER * promised else None
