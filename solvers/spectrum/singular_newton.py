"""The self-consistent pencil: Newton's method, and continuation down to the real axis.

    Gaussian: alpha = sigma^2 g2                 beta = sigma^2 g1
    Haar:     alpha (1 + beta g2) = sigma^2 g2   beta (1 + alpha g1) = sigma^2 g1      (matrices on the fields of W)

The Haar form alpha = sigma^2 (g2^-1 + beta)^-1 is solved multiplied out, so that nothing is divided by.  High above the
real axis alpha = Phi/w, beta = Psi/w; from there a point comes down in steps that adapt to how Newton fares.  Inside
the support its neighbours then need a few Newton steps only: above the axis one solution has Im alpha, beta < 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from solvers.budget import check_budget
from solvers.measure import SiteMeasure
from solvers.spectrum.singular_memory import Mask, PencilMemory
from solvers.spectrum.singular_moments import moments_of, unit_gains
from solvers.spectrum.singular_pencil import Averages, Complex, SingularPencil

TOLERANCE = 1e-11
"""Relative to the size of alpha and beta."""

ITERATIONS = 12
START = 4.0
"""Height of the start above the real axis, in units of the size of the Jacobian."""

FLOOR = 1e-9
"""Height in the same units at which the real axis is taken to be reached."""

FIRST_RATIO, LEAST_STEPS = 0.4, 0.97
MOST_LEVELS = 400

INSIDE = 1e-5
"""-Im alpha and -Im beta, relative to their size, from which a point counts as inside the support."""

FEW, EVERY = 6, 4
"""Where more than so many points have no neighbour, one in so many comes down and is a start for the others."""


@dataclass(frozen=True)
class PencilPoints:
    """The solution at w (m,).

    alpha, beta : (m, P) on pairs of fields of one matrix; trace : (1/S) E tr G11 on the states; angle : Im of the
    pencil's potential, pi S times the share of singular values above Re w; residual : of the equations, relative to
    alpha and beta; converged : whether it met the tolerance on the physical branch (Im alpha, beta <= 0).
    """

    w: Complex
    alpha: Complex
    beta: Complex
    trace: Complex
    angle: npt.NDArray[np.float64]
    residual: npt.NDArray[np.float64]
    converged: npt.NDArray[np.bool_]


class PencilSolver:
    """Solves one pencil at any points near the positive real axis.

    m1, m2 : moments of the squared singular values; size : their root mean square, the scale of w; memory : points
    solved before, here or on other site measures of the same units
    """

    def __init__(self, measure: SiteMeasure, memory: PencilMemory | None = None) -> None:
        self.pencil = SingularPencil(measure)
        self._memory = memory or PencilMemory()
        self.m1, self.m2 = moments_of(measure)
        self.size = float(np.sqrt(self.m1))
        alive = np.ix_(self.pencil.alive, self.pencil.alive)
        self._phi, self._psi = (self.pencil.on_pairs(gain[alive][None])[0] for gain in unit_gains(measure))

    def residual(self, found: Averages, alpha: Complex, beta: Complex) -> tuple[Complex, Complex]:
        """Equations (m, 2P) and their Jacobian (m, 2P, 2P), unknowns (alpha, beta)."""
        pencil = self.pencil
        P, m = len(pencil.pairs), len(alpha)
        g2, g1 = pencil.on_pairs(found.g2), pencil.on_pairs(found.g1)
        variance = np.concatenate([pencil.variance, pencil.variance])
        value = np.concatenate([alpha, beta], axis=1) - variance * np.concatenate([g2, g1], axis=1)
        weight = np.broadcast_to(np.diag(-variance).astype(complex), (m, 2 * P, 2 * P)).copy()
        slopes = np.broadcast_to(np.eye(2 * P, dtype=complex), (m, 2 * P, 2 * P)).copy()
        if pencil.haar.any():
            self._crossed(found, alpha, beta, value, weight, slopes)
        return value, slopes + weight @ found.slopes

    def _crossed(
        self, found: Averages, alpha: Complex, beta: Complex, value: Complex, weight: Complex, slopes: Complex
    ) -> None:
        """Add alpha beta g2 and beta alpha g1 with their derivatives where the matrix is orthogonal."""
        pencil = self.pencil
        P = len(pencil.pairs)
        on = pencil.haar[:, None] & pencil.haar[None, :]
        same = on & (pencil.pairs[:, 0][:, None] == pencil.pairs[:, 0][None, :])
        other = on & (pencil.pairs[:, 1][:, None] == pencil.pairs[:, 1][None, :])
        A, B, g1, g2 = pencil.full(alpha), pencil.full(beta), _inside(pencil, found.g1), _inside(pencil, found.g2)
        for place, first, second, g in ((0, A, B, g2), (P, B, A, g1)):
            away = P - place  # where the other unknown stands
            value[:, place : place + P] += pencil.haar * pencil.on_pairs(first @ second @ g)
            slopes[:, place : place + P, place : place + P] += same * _right(pencil, second @ g)
            slopes[:, place : place + P, away : away + P] += on * _both(pencil, first, g)
            weight[:, place : place + P, place : place + P] += other * _left(pencil, first @ second)

    def newton(self, w: Complex, alpha: Complex, beta: Complex) -> PencilPoints:
        """Newton's method from a guess; points that diverge keep nan."""
        alpha, beta = alpha.copy(), beta.copy()
        P, m = len(self.pencil.pairs), w.size
        trace, angle = np.full(m, np.nan, complex), np.full(m, np.nan)
        residual, open_points = np.full(m, np.inf), np.arange(m)
        for turn in range(ITERATIONS):
            check_budget()
            found = self.pencil.averages(w[open_points], alpha[open_points], beta[open_points])
            value, slopes = self.residual(found, alpha[open_points], beta[open_points])
            scale = np.abs(np.concatenate([alpha[open_points], beta[open_points]], axis=1))
            scale = scale.max(axis=1, initial=1e-300) if P else np.ones(open_points.size)
            residual[open_points] = np.abs(value).max(axis=1, initial=0.0) / scale
            trace[open_points] = found.trace
            angle[open_points] = self._angle(found, alpha[open_points], beta[open_points])
            moving = ~(residual[open_points] <= TOLERANCE) & np.isfinite(residual[open_points])
            if turn == ITERATIONS - 1 or not moving.any():
                break
            open_points, value, slopes = open_points[moving], value[moving], slopes[moving]
            step = _solve(slopes, value)
            alpha[open_points] -= step[:, :P]
            beta[open_points] -= step[:, P:]
        physical = self._below(alpha, beta, 1e-7) & (trace.imag <= 1e-7 * np.abs(trace))
        good = (residual <= 10 * TOLERANCE) & physical
        return PencilPoints(w, alpha, beta, trace, angle, residual, good)

    def _below(self, alpha: Complex, beta: Complex, share: float) -> Mask:
        """Whether Im alpha and Im beta lie below this share of their size on the diagonal, (m,)."""
        limit = share * (np.abs(np.concatenate([alpha, beta], axis=1)).max(axis=1, initial=0.0))[:, None]
        diagonal = self.pencil.pairs[:, 0] == self.pencil.pairs[:, 1]
        return np.asarray(np.all((alpha.imag <= limit)[:, diagonal] & (beta.imag <= limit)[:, diagonal], axis=1))

    def _angle(self, found: Averages, alpha: Complex, beta: Complex) -> npt.NDArray[np.float64]:
        """Im of E ln det + sum tr(alpha beta)/sigma^2 (Gaussian) or - ln det(1 - alpha beta/sigma^2) (Haar)."""
        pencil = self.pencil
        total = found.angle.copy()
        total += np.imag(np.where(pencil.haar, 0.0, alpha * beta / pencil.variance).sum(axis=1))
        if pencil.haar.any():
            on = pencil.haar & (pencil.pairs[:, 0] == pencil.pairs[:, 1])
            fields = pencil.pairs[on, 0]
            product = pencil.full(alpha / pencil.variance) @ pencil.full(beta)
            inner = product[:, fields[:, None], fields]
            total -= _haar_angle(np.eye(fields.size) - inner)
        return np.asarray(total)

    def start(self, w: Complex) -> PencilPoints:
        """The solution at w high above the axis, from its expansion."""
        return self.newton(w, self._phi / w[:, None], self._psi / w[:, None])

    def at(self, s: npt.NDArray[np.float64], height: float = FLOOR) -> PencilPoints:
        """The solution at s + i height, (m,): from neighbours where they lead there, else by coming down."""
        w = np.asarray(s + 1j * height * self.size, complex)
        found = self._beside(_unsolved(w, len(self.pencil.pairs)))
        rest = np.nonzero(~found.converged)[0]
        if rest.size > FEW:
            found = self._beside(self._descended(found, rest[::EVERY]))
            rest = np.setdiff1d(np.nonzero(~found.converged)[0], rest[::EVERY])
        return self._descended(found, rest)

    def _beside(self, found: PencilPoints) -> PencilPoints:
        """Points that are open, solved from neighbours where there are any and where that leads inside the support."""
        rest = np.nonzero(~found.converged)[0]
        close, alpha, beta = self._memory.near(found.w[rest].real, len(self.pencil.pairs))
        if not close.any():
            return found
        trial = self.newton(found.w[rest[close]], alpha, beta)
        good = np.nonzero(trial.converged & self._below(trial.alpha, trial.beta, -INSIDE))[0]
        return self._kept(found, trial, rest[close][good], good)

    def _descended(self, found: PencilPoints, chosen: Any) -> PencilPoints:
        """These points by coming down from above."""
        if not chosen.size:
            return found
        trial = self._from_above(found.w[chosen])
        return self._kept(found, trial, chosen, np.arange(trial.w.size))

    def _kept(self, found: PencilPoints, trial: PencilPoints, where: Any, from_: Any) -> PencilPoints:
        """``found`` with points of a trial, which are remembered where they lie inside the support."""
        inside = from_[trial.converged[from_] & self._below(trial.alpha, trial.beta, -INSIDE)[from_]]
        self._memory.add(trial.w[inside].real, trial.alpha[inside], trial.beta[inside])
        return _put(found, trial, where, from_)

    def _from_above(self, w: Complex) -> PencilPoints:
        """The solution at w (m,) by coming down from START."""
        s, target = w.real, w.imag
        y = np.full(s.shape, START * self.size)
        now = self.start(s + 1j * y)
        ratio = np.full(s.shape, FIRST_RATIO)
        before, previous = now, np.full(s.shape, np.nan)
        failed = ~now.converged
        for _ in range(MOST_LEVELS):
            todo = np.nonzero((y > target) & ~failed)[0]
            if not todo.size:
                break
            following = np.maximum(y[todo] * ratio[todo], target[todo])
            guess = [_predicted(now, before, name, todo, y, previous, following) for name in ("alpha", "beta")]
            trial = self.newton(s[todo] + 1j * following, *guess)
            far = _moved(trial, now, todo)
            good = trial.converged & far
            kept = todo[good]
            previous[kept] = y[kept]
            before, now = _put(before, now, kept, kept), _put(now, trial, kept, np.nonzero(good)[0])
            y[kept] = following[good]
            ratio[kept] = np.maximum(0.7 * ratio[kept], 0.05)
            lost = todo[~good]
            ratio[lost] = np.sqrt(ratio[lost])
            failed[lost] = ratio[lost] > LEAST_STEPS
        converged = now.converged & ~failed & (y <= target)
        return PencilPoints(now.w, now.alpha, now.beta, now.trace, now.angle, now.residual, converged)


def _unsolved(w: Complex, pairs: int) -> PencilPoints:
    """Points at which nothing is known yet."""
    blank: Complex = np.full((w.size, pairs), np.nan, complex)
    none = np.full(w.size, np.nan)
    return PencilPoints(w, blank, blank, none.astype(complex), none, none, np.zeros(w.size, bool))


def _moved(trial: PencilPoints, now: PencilPoints, todo: Any) -> npt.NDArray[np.bool_]:
    """Whether a step was short enough not to have landed on another branch."""
    change = np.abs(trial.alpha - now.alpha[todo]) + np.abs(trial.beta - now.beta[todo])
    size = np.abs(now.alpha[todo]) + np.abs(now.beta[todo])
    return np.asarray(np.all(change <= 1.5 * size + 1e-300, axis=1))


def _predicted(
    now: PencilPoints, before: PencilPoints, name: str, todo: Any, y: Any, previous: Any, following: Any
) -> Complex:
    """Linear in the height, from the last two levels."""
    value, old = getattr(now, name)[todo], getattr(before, name)[todo]
    with np.errstate(all="ignore"):
        slope = (value - old) / (y[todo] - previous[todo])[:, None]
    slope = np.where(np.isfinite(slope), slope, 0.0)
    return np.asarray(value + slope * (following - y[todo])[:, None])


def _put(points: PencilPoints, source: PencilPoints, where: Any, from_: Any) -> PencilPoints:
    """``points`` with the entries ``where`` replaced by the entries ``from_`` of another set."""
    columns = {}
    for name in ("w", "alpha", "beta", "trace", "angle", "residual", "converged"):
        column = getattr(points, name).copy()
        column[where] = getattr(source, name)[from_]
        columns[name] = column
    return PencilPoints(**columns)


def _solve(slopes: Complex, value: Complex) -> Complex:
    try:
        return np.asarray(np.linalg.solve(slopes, value[..., None])[..., 0])
    except np.linalg.LinAlgError:
        return np.asarray((np.linalg.pinv(slopes) @ value[..., None])[..., 0])


def _haar_angle(matrix: Complex) -> npt.NDArray[np.float64]:
    """Im ln det(1 - alpha beta/sigma^2), whose inverse is 1 + alpha g1: nothing is lost by the principal value."""
    return np.asarray(np.angle(np.linalg.det(matrix)))


def _inside(pencil: SingularPencil, matrix: Complex) -> Complex:
    return pencil.full(pencil.on_pairs(matrix))


def _right(pencil: SingularPencil, right: Complex) -> Complex:
    """Derivative of (X right) by X on pairs: entry (kl), (kq) is right_ql."""
    columns = pencil.pairs[:, 1]
    return np.asarray(right[:, columns[None, :], columns[:, None]])


def _left(pencil: SingularPencil, left: Complex) -> Complex:
    """Derivative of (left X) by X on pairs: entry (kl), (pl) is left_kp."""
    rows = pencil.pairs[:, 0]
    return np.asarray(left[:, rows[:, None], rows[None, :]])


def _both(pencil: SingularPencil, left: Complex, right: Complex) -> Complex:
    """Derivative of (left X right) by X on pairs: entry (kl), (pq) is left_kp right_ql."""
    return _left(pencil, left) * _right(pencil, right)
