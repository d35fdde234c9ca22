"""Fixed points of one finite network with tied weights and constant inputs.

`relax` follows the dynamics until they stop and then polishes; `newton_from` searches near a given
state and so also finds unstable solutions.  Neither hides a failure: the result says what was
reached, and how far from the start it lies, so that a caller can reject another branch.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import integrate, linalg
from scipy.sparse.linalg import LinearOperator, gmres

from solvers.simulate.elementwise import Array
from solvers.simulate.network import Network

DENSE_LIMIT = 4000  # S*N up to which a Newton step is solved with the dense Jacobian (128 MB)
HANDOVER = 1e-6  # residual, relative to the state, at which relaxation hands over to Newton
RUNAWAY = 1e6  # growth of the state that counts as divergence
SPOILT = "; the linear equations were ill-conditioned on the way, as near a fold"
POLISH_SHIFT = 0.02  # relative distance that polishing may move; more means that relaxation had not arrived


@dataclass(frozen=True)
class FixedPoint:
    """Where a search ended, converged or not.

    Attributes
    ----------
    state : (S, N)
    residual : max |F(s) - s| (discrete) or max |ds/dt| (continuous), nan after divergence
    converged : residual is within the tolerance asked
    outcome : one sentence: what was reached, and after a failure the likely causes and remedies
    steps : steps of the map, of the integrator, or Newton steps taken
    displacement : root mean square distance of state from the initial state
    Q : mean s^2 over units by state; q : gain^2 mean v^2 over units by field, both at state
    """

    state: Array
    residual: float
    converged: bool
    outcome: str
    steps: int
    displacement: float
    Q: Mapping[str, float]
    q: Mapping[str, float]


def field_variances(network: Network, operands: Mapping[str, Array]) -> dict[str, float]:
    """gain^2 mean over units of v^2, by field name; what theory calls q."""
    gains = network.settings.gains
    return {name: float(gains[network.weight_of[name]] ** 2 * np.mean(v * v)) for name, v in operands.items()}


def state_moments(network: Network, state: Array) -> dict[str, float]:
    """Mean over units of s^2, by state."""
    return {name: float(np.mean(row * row)) for name, row in zip(network.states, state, strict=True)}


def velocity(network: Network, state: Array) -> Array:
    """What vanishes at a fixed point, (S, N): F(s) - s in discrete time, ds/dt in continuous time."""
    moved = network.evaluate(state).new_state
    return moved - state if network.cell.time == "discrete" else moved


def relax(
    network: Network, initial: Array, *, tolerance: float = 1e-10, max_steps: int = 3000, max_time: float = 2000.0
) -> FixedPoint:
    """Follow the dynamics from initial (S, N) until they stop, then polish by Newton.

    Discrete time: at most max_steps steps of the map.  Continuous time: an adaptive Runge-Kutta method
    (orders 3 and 2) of at most max_steps steps and up to max_time, in the time unit of the cell.
    Finds stable solutions only; ``converged`` is False for a network that oscillates or is chaotic.
    """
    initial = np.asarray(initial, dtype=float)
    follow = _iterate if network.cell.time == "discrete" else _integrate
    handover, limit = HANDOVER, RUNAWAY * _scale(initial)
    state, steps = initial, 0
    # A slow unit (a gate near 1) has a small velocity far from its rest, so polishing may jump.  Then the dynamics
    # were not at rest, and they go on from where they were, to a hundredth of the velocity.
    while True:
        state, taken = follow(network, state, handover, limit, max_steps - steps, max_time)
        steps += taken
        if _runaway(state, limit):
            return _result(network, initial, state, steps, tolerance, f"diverged after {steps} steps")
        if _residual(network, state) > handover * _scale(state):
            return _result(network, initial, state, steps, tolerance, _RESTLESS)
        if handover <= tolerance:  # nothing finer was asked, as where products have single precision
            return _result(network, initial, state, steps, tolerance, _RESTLESS)
        polished, _, _ = _newton(network, state, tolerance, 20)
        shift = _rms(polished - state)
        if shift <= POLISH_SHIFT * _rms(state) + 1e-4:
            return _result(network, initial, polished, steps, tolerance, _RESTLESS)
        handover /= 100.0
        if handover < tolerance:
            return _result(network, initial, state, steps, tolerance, "came to rest; polishing was not possible")


_RESTLESS = (
    "did not come to rest: (a) the solution is unstable or the dynamics are chaotic - search with newton_from at a"
    " mean-field draw; (b) it is slow - raise max_steps or max_time"
)
_NOT_FOUND = (
    "Newton found no fixed point from this state: (a) there is none near it - draw another, or a larger N;"
    " (b) the solution is near a fold - step towards it from parameters where it is found"
)


def newton_from(network: Network, initial: Array, *, tolerance: float = 1e-10, max_steps: int = 60) -> FixedPoint:
    """Damped Newton search from initial (S, N), for stable and unstable fixed points alike.

    Up to S*N = 4000 each step solves with the dense analytic Jacobian; above, by GMRES with Jacobian-vector
    products.  The root that is found may belong to another branch than the initial state: compare
    ``displacement``, ``Q`` and ``q`` with what the mean field says.
    """
    initial = np.asarray(initial, dtype=float)
    state, steps, why = _newton(network, initial, tolerance, max_steps)
    return _result(network, initial, state, steps, tolerance, f"{_NOT_FOUND} ({why})")


def _iterate(
    network: Network, state: Array, handover: float, limit: float, steps: int, _time: float
) -> tuple[Array, int]:
    for taken in range(steps):
        following = network.evaluate(state).new_state
        if _runaway(following, limit) or np.max(np.abs(following - state)) <= handover * _scale(state):
            return following, taken + 1
        state = following
    return state, max(steps, 0)


def _integrate(
    network: Network, state: Array, handover: float, limit: float, steps: int, time: float
) -> tuple[Array, int]:
    shape = state.shape

    def flow(_t: float, flat: Array) -> Array:
        return network.evaluate(flat.reshape(shape)).new_state.ravel()

    solver = integrate.RK23(flow, 0.0, state.ravel(), time, rtol=1e-5, atol=1e-2 * handover)
    taken = 0
    while solver.status == "running" and taken < steps:
        solver.step()
        taken += 1
        if _runaway(solver.y, limit) or np.max(np.abs(solver.f)) <= handover * _scale(solver.y):
            break
    return solver.y.reshape(shape), taken


def _newton(network: Network, state: Array, tolerance: float, max_steps: int) -> tuple[Array, int, str]:
    """State reached, steps taken, and why it stopped."""
    speed, spoilt = velocity(network, state), False
    for step in range(max_steps):
        if not np.isfinite(speed).all():
            return state, step, "the equations are not finite there"
        # Quadratic convergence makes the last step free: stop well below what was asked.
        if np.max(np.abs(speed)) <= 1e-3 * tolerance:
            return state, step, "reached"
        direction, ill = _newton_direction(network, state, speed)
        spoilt = spoilt or ill
        if direction is None:
            return state, step, "the linear equations of a Newton step are singular"
        following = _damped(network, state, direction, speed)
        if following is None:
            return state, step, "no step along the Newton direction came closer" + SPOILT * spoilt
        state, speed = following
    return state, max_steps, f"{max_steps} steps were not enough" + SPOILT * spoilt


def _damped(network: Network, state: Array, direction: Array, speed: Array) -> tuple[Array, Array] | None:
    """The first of the step lengths 1, 1/2, ... 1/256 that makes the velocity shorter."""
    before = np.linalg.norm(speed)
    for halvings in range(9):
        length = 0.5**halvings
        trial = state + length * direction
        moved = velocity(network, trial)
        if np.isfinite(moved).all() and np.linalg.norm(moved) < (1.0 - 1e-4 * length) * before:
            return trial, moved
    return None


def _newton_direction(network: Network, state: Array, speed: Array) -> tuple[Array | None, bool]:
    """The direction, and whether rounding may have spoilt it; how good it is shows where it leads."""
    shift = 1.0 if network.cell.time == "discrete" else 0.0
    if state.size > DENSE_LIMIT:
        return _krylov_direction(network, state, speed, shift), False
    matrix = network.jacobian(state)
    matrix[np.diag_indices_from(matrix)] -= shift
    if not np.isfinite(matrix).all():
        return None, False
    with warnings.catch_warnings(record=True) as ill:
        warnings.simplefilter("always", linalg.LinAlgWarning)
        try:
            direction = linalg.solve(matrix, -speed.ravel(), overwrite_a=True, check_finite=False)
        except linalg.LinAlgError:
            return None, False
    return direction.reshape(state.shape), bool(ill)


def _krylov_direction(network: Network, state: Array, speed: Array, shift: float) -> Array | None:
    derivative = network.linearise(state)

    def apply(flat: Array) -> Array:
        column = flat.reshape(state.shape)
        return (derivative.jvp(column) - shift * column).ravel()

    operator = LinearOperator((state.size, state.size), matvec=apply, dtype=float)
    # An inexact direction is enough: the damping judges it by the velocity it leads to.
    solution, _ = gmres(operator, -speed.ravel(), rtol=1e-6, restart=150, maxiter=10)
    return solution.reshape(state.shape) if np.isfinite(solution).all() else None


def _runaway(state: Array, limit: float) -> bool:
    return not np.max(np.abs(state)) <= limit  # also true for nan


def _residual(network: Network, state: Array) -> float:
    return float(np.max(np.abs(velocity(network, state))))


def _rms(state: Array) -> float:
    return float(np.sqrt(np.mean(state * state)))


def _scale(state: Array) -> float:
    """Residuals are relative to the state where that is larger than 1."""
    return max(1.0, _rms(state))


def _result(network: Network, initial: Array, state: Array, steps: int, tolerance: float, failure: str) -> FixedPoint:
    with np.errstate(all="ignore"):
        residual = _residual(network, state)
        converged = bool(residual <= tolerance * _scale(state))
        reached = f"residual {residual:.2g}, asked {tolerance:.2g}"
        return FixedPoint(
            state=state,
            residual=residual,
            converged=converged,
            outcome=reached if converged else f"{reached}; {failure}",
            steps=steps,
            displacement=_rms(state - initial),
            Q=state_moments(network, state),
            q=field_variances(network, network.evaluate(state).operands),
        )
