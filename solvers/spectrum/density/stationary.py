"""Stationary points of Phi for many lam at once: Newton's method from neighbours, with plain iteration behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from solvers.budget import check_budget
from solvers.spectrum.density.potential import Array, ComplexArray, Potential, Slopes

TOLERANCE = 1e-9
MOST_STEPS, FEW_STEPS = 80, 20
STUCK = 6
PLAIN_STEPS = 12


@dataclass(frozen=True)
class Stationary:
    """theta : (m, p), nan outside the support; tangent : (m, p) its derivative d/dlam; inside : (m,);
    residual : (m,) largest relative mismatch of the equations, zero outside; value : Phi (m,); G : (m,);
    rho : (m,) density in units where each state has mass one."""

    theta: Array
    tangent: ComplexArray
    inside: npt.NDArray[np.bool_]
    residual: Array
    value: Array
    G: ComplexArray
    rho: Array


def stationary(potential: Potential, lam: ComplexArray, guess: Array | None = None) -> Stationary:
    """Solve at every lam (m,), from ``guess`` (m, p) where it is finite."""
    check_budget()
    size, p = lam.size, potential.parameters
    inside = potential.log_radius(lam) > 0
    value, G = potential.outside(lam)
    G, value = np.where(inside, 0.0, G), np.where(inside, 0.0, value)
    theta, tangent = np.full((size, p), np.nan), np.full((size, p), np.nan, complex)
    residual, rho = np.zeros(size), np.zeros(size)
    if inside.any():
        at = np.nonzero(inside)[0]
        begin = np.full((at.size, p), np.nan) if guess is None else np.array(guess[at])
        theta[at], slopes, residual[at] = _from_guess_or_start(potential, lam[at], begin)
        G[at], value[at] = slopes.G, slopes.value
        followed = _solve(_regular(potential, theta[at], slopes.hessian), slopes.mixed)
        tangent[at] = -followed
        rho[at] = (slopes.curvature - np.sum(slopes.mixed.conj() * followed, axis=1).real) / np.pi
    return Stationary(theta, tangent, inside, residual, value, G, rho)


def _from_guess_or_start(potential: Potential, lam: ComplexArray, guess: Array) -> tuple[Array, Slopes, Array]:
    """Newton's method from the guess, or from the potential's own start where there is none or it led nowhere."""
    unknown = ~np.isfinite(guess).all(axis=1)
    if unknown.any():
        guess[unknown] = potential.start(lam[unknown])
    theta, slopes, residual = _newton(potential, lam, guess, FEW_STEPS)
    again = np.nonzero(~(residual <= TOLERANCE))[0]
    if again.size:
        fresh, better, left = _newton(potential, lam[again], potential.start(lam[again]), MOST_STEPS)
        improved = left < residual[again]
        at = again[improved]
        theta[at], residual[at] = fresh[improved], left[improved]
        slopes.replace(at, better, improved)
    return theta, slopes, residual


def _newton(potential: Potential, lam: ComplexArray, theta: Array, most: int) -> tuple[Array, Slopes, Array]:
    """Newton steps until the gradient vanishes; points that get stuck take plain steps in between."""
    theta, best = theta.copy(), theta.copy()
    lowest, since = np.full(lam.size, np.inf), np.zeros(lam.size, int)
    found: Slopes | None = None
    active = np.arange(lam.size)
    for _ in range(most):
        slopes = potential.slopes(lam[active], theta[active])
        found = slopes if found is None else found
        residual = _residual(slopes)
        since[active] = np.where(residual < 0.5 * lowest[active], 0, since[active] + 1)
        lower = residual < lowest[active]
        found.replace(active[lower], slopes, lower)
        best[active[lower]], lowest[active[lower]] = theta[active[lower]], residual[lower]
        going = ~(residual <= TOLERANCE)
        step = _step(potential, theta[active], slopes)
        theta[active] = potential.moved(theta[active], step)
        active = active[going]
        if not active.size:
            break
        _shake(potential, lam, theta, best, active[since[active] >= STUCK], since)
    assert found is not None
    return best, found, lowest


def _shake(
    potential: Potential, lam: ComplexArray, theta: Array, best: Array, stuck: npt.NDArray[np.intp],
    since: npt.NDArray[np.int_],
) -> None:  # fmt: skip
    """Plain steps from the best point so far, where Newton's method makes no progress."""
    if stuck.size:
        theta[stuck] = best[stuck]
        for _ in range(PLAIN_STEPS):
            theta[stuck] = potential.iterated(lam[stuck], theta[stuck])
        since[stuck] = 0


def _residual(slopes: Slopes) -> Array:
    with np.errstate(all="ignore"):
        residual = np.abs(slopes.equations).max(axis=1)
    return np.asarray(np.where(np.isfinite(residual), residual, np.inf))


def _regular(potential: Potential, theta: Array, matrix: Array) -> Array:
    """Hessian or Jacobian with its flat direction filled."""
    flat: Array = potential.gauge(theta)
    scale: Array = np.abs(matrix).max(axis=(1, 2))
    return np.asarray(matrix - scale[:, None, None] * flat[:, :, None] * flat[:, None, :])


def _step(potential: Potential, theta: Array, slopes: Slopes) -> Array:
    matrix = _regular(potential, theta, slopes.jacobian)
    good = np.asarray(np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(slopes.equations).all(axis=1))
    safe = np.where(good[:, None, None], matrix, np.eye(matrix.shape[1]))
    return -_solve(safe, np.where(good[:, None], slopes.equations, 0.0)).real


def _solve(matrix: Array, right: npt.NDArray[np.inexact]) -> npt.NDArray[np.inexact]:
    try:
        return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0])
    except np.linalg.LinAlgError:  # one singular matrix of the batch: the least-squares solution for all
        return np.asarray((np.linalg.pinv(matrix, rcond=1e-14) @ right[..., None])[..., 0])
