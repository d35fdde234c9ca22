"""All fixed points of a closed system, not the first one found.

One feedback unknown: the whole axis is scanned, sign changes and near-tangencies are refined.  Several:
a low-discrepancy set of starts, each iterated and finished by Newton, duplicates removed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.optimize import brentq, minimize_scalar, root
from scipy.stats import qmc

from solvers.budget import BudgetSpent
from solvers.equations import Equations, is_covariance, relative_errors
from solvers.result import CONVERGED, FixedPoint, FixedPoints

SCAN_RTOL = 1e-6
"""Accuracy of averages while searching (fixed points in several dimensions, smooth but only good to 1e-3);
every solution is finished at the accuracy asked for."""

NEGLIGIBLE = 1e-12
STARTS = 16
LARGEST = 1e8


def solve_all(equations: Equations, tol: float) -> FixedPoints:
    """Every fixed point found, each polished to relative accuracy ``tol`` and carrying its error.

    Solutions that run off to infinity are reported in ``notes``, never as numbers.
    """
    if not equations.feedback:
        return FixedPoints((finish(equations, np.zeros(0), tol),))
    polish: list[Callable[[], FixedPoint | None]]
    if len(equations.feedback) == 1:
        brackets, notes = _scan(equations)
        polish = [partial(_polish_scalar, equations, bracket, tol) for bracket in brackets]
    else:
        starts, notes = _multistart(equations)
        polish = [partial(_polish, equations, start, tol) for start in starts]
    found: list[FixedPoint | None] = []
    try:
        for finished in polish:
            found.append(finished())
    except BudgetSpent as spent:
        notes.append(f"{spent}: {len(found)} of {len(polish)} candidate solutions were finished")
    real = [x for x in found if x is not None and is_covariance(equations.law, x.values)]
    return FixedPoints(tuple(_distinct(equations, real)), tuple(notes), len(found) == len(polish))


# One unknown ---------------------------------------------------------------------------------------------


def _scan(equations: Equations) -> tuple[list[tuple[float, float]], list[str]]:
    """Brackets of the fixed points of one unknown (equal ends: an exact solution)."""
    signed = not equations.feedback[0].is_nonnegative

    def image(m: float) -> float:
        return float(equations.complete([m], SCAN_RTOL).image[0])

    brackets: list[tuple[float, float]] = []
    if abs(image(0.0)) < 1e-300:
        brackets.append((0.0, 0.0))
    notes: list[str] = []
    for sign in (1.0, -1.0) if signed else (1.0,):
        found, remarks = _scan_ray(lambda m, s=sign: s * image(s * m))  # type: ignore[misc]
        brackets += [(sign * low, sign * high) for low, high in found]
        notes += remarks
    return brackets, notes


def _scan_ray(image: Callable[[float], float]) -> tuple[list[tuple[float, float]], list[str]]:
    """Fixed points of m -> G(m) on m > 0, from the sign of G(m)/m - 1 on a logarithmic grid."""

    def excess(m: float) -> float:
        value = image(m) / m
        return float(np.clip(value, -1e6, 1e6)) - 1.0 if np.isfinite(value) else np.nan

    upper, notes = _upper_end(image)
    grid = np.concatenate([upper * 10.0 ** np.arange(-14, -7, 1.0), upper * np.logspace(-7, 0, 36)])
    values = np.array([excess(m) for m in grid])
    flat = np.abs(values) < 20 * SCAN_RTOL
    if np.all(flat | ~np.isfinite(values)):
        return [], [*notes, "every value solves the equation: the map is the identity"]
    values = np.where(flat, 0.0, values)
    brackets = _sign_changes(grid, values)
    brackets += _tangencies(excess, grid, values)
    return sorted(brackets), notes


def _upper_end(image: Callable[[float], float]) -> tuple[float, list[str]]:
    """A bound on fixed points: above the largest image, where the map saturates."""
    sizes = [1.0, 1e2, 1e4, 1e6, LARGEST]
    images = [image(m) for m in sizes]
    for m in sizes:
        later = [v for other, v in zip(sizes, images, strict=True) if other >= m and np.isfinite(v)]
        if later and max(later) < m / 2:
            return 2.0 * m, []
    if not np.isfinite(images[-1]) or images[-1] > LARGEST:
        return LARGEST, ["the map does not saturate: iterations from large values diverge"]
    return LARGEST, []


def _sign_changes(grid: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
    """Neighbouring grid points of opposite sign; points that are zero to accuracy are passed over at the low end."""
    found = []
    last: int | None = None
    for k, value in enumerate(values):
        if not np.isfinite(value) or value == 0.0:
            continue
        if last is not None and np.sign(values[last]) != np.sign(value):
            found.append((float(grid[last]), float(grid[k])))
        last = k
    return found


def _tangencies(
    excess: Callable[[float], float], grid: np.ndarray, values: np.ndarray
) -> list[tuple[float, float]]:
    """Pairs of solutions hidden between grid points: extrema of the excess that come near zero."""
    found: list[tuple[float, float]] = []
    for k in range(1, len(grid) - 1):
        left, here, right = values[k - 1 : k + 2]
        if not np.all(np.isfinite([left, here, right])) or here == 0.0 or abs(here) > 0.25:
            continue
        if not (np.sign(left) == np.sign(here) == np.sign(right) and abs(here) <= min(abs(left), abs(right))):
            continue
        sign = np.sign(here)
        best = minimize_scalar(
            lambda t, s=sign: s * excess(float(np.exp(t))),
            bounds=(np.log(grid[k - 1]), np.log(grid[k + 1])),
            method="bounded",
            options={"xatol": 1e-6},
        )
        if best.fun < 0:
            turn = float(np.exp(best.x))
            found += [(float(grid[k - 1]), turn), (turn, float(grid[k + 1]))]
    return found


def _polish_scalar(equations: Equations, bracket: tuple[float, float], tol: float) -> FixedPoint | None:
    low, high = bracket
    if low == high:
        return finish(equations, np.array([low]), tol)

    def gap(m: float, rtol: float) -> float:
        return float(equations.complete([m], rtol).image[0]) - m

    coarse = brentq(lambda m: gap(m, SCAN_RTOL), low, high, xtol=1e-300, rtol=1e-7)
    return polish_from(equations, coarse, bracket, tol)


def polish_from(
    equations: Equations, start: float | np.ndarray, bracket: tuple[float, float] | None, tol: float
) -> FixedPoint | None:
    """Finish a solution known roughly at full accuracy.

    One unknown: chord steps, else Brent's method in ``bracket``; None where the rough map showed a solution that
    is not there.  Several: Newton.
    """
    if bracket is None or len(equations.feedback) > 1:
        return _polish(equations, np.atleast_1d(start), tol)
    coarse = float(np.atleast_1d(start)[0])

    def gap(m: float, rtol: float) -> float:
        return float(equations.complete([m], rtol).image[0]) - m

    def known_gap(m: float) -> float:
        """The gap where it is known, zero where it is below its own error."""
        done = equations.complete([m], tol)
        value = float(done.image[0]) - m
        return value if abs(value) > float(done.image_error[0]) else 0.0

    h = 1e-4 * abs(coarse)
    slope = (gap(coarse + h, SCAN_RTOL) - gap(coarse - h, SCAN_RTOL)) / (2 * h)
    x = _chord(known_gap, coarse, slope, tol)
    if x is None:
        x = _bracketed(known_gap, *bracket, coarse, tol)
    return None if x is None else finish(equations, np.array([x]), tol)


def _chord(gap: Callable[[float], float], x: float, slope: float, tol: float) -> float | None:
    """Newton steps with the slope of the coarse map, corrected by secants; None where they do not contract."""
    step = np.inf
    for _ in range(12):
        value = gap(x)
        if value == 0.0:
            return x
        previous, step = step, -value / slope if slope else np.inf
        if not abs(step) < min(0.2 * abs(x), 0.9 * abs(previous)):
            return None
        x += step
        if abs(step) <= 0.03 * tol * abs(x) or (abs(step) < 1e-9 * abs(x) and abs(step) < 1e-3 * abs(previous)):
            return x
        if np.isfinite(previous):
            slope = slope * (1.0 - step / previous) if abs(step) < 0.5 * abs(previous) else slope
    return None


def _bracketed(gap: Callable[[float], float], low: float, high: float, coarse: float, tol: float) -> float | None:
    """Brent's method at full accuracy; None where the coarse map showed a solution that is not there."""
    for left, right in ((0.98 * coarse, 1.02 * coarse), (low, high)):
        ends = gap(left), gap(right)
        if 0.0 in ends:
            return left if ends[0] == 0.0 else right
        if np.sign(ends[0]) != np.sign(ends[1]):
            return float(brentq(gap, left, right, xtol=1e-300, rtol=max(tol, 1e-14)))
    return None


# Several unknowns ----------------------------------------------------------------------------------------


def _multistart(equations: Equations) -> tuple[list[np.ndarray], list[str]]:
    count = len(equations.feedback)
    signed = np.array([not symbol.is_nonnegative for symbol in equations.feedback])
    points = qmc.Sobol(2 * count, scramble=True, rng=np.random.default_rng(20_240)).random(STARTS)
    size = 10.0 ** (6.0 * points[:, :count] - 4.0)
    starts = np.where(signed & (points[:, count:] < 0.5), -size, size)
    candidates = [np.zeros(count), *starts]
    found: list[np.ndarray] = []
    escaped = 0
    for start in candidates:
        for x in (_iterate(equations, start), start):
            if x is None:
                escaped += 1
                continue
            solution = _newton(equations, x, SCAN_RTOL)
            if solution is not None and not any(_same(solution, other) for other in found):
                found.append(solution)
    notes = [f"searched from {len(candidates)} starts; a solution with a small basin could be missed"]
    if escaped == len(candidates):
        notes.append("every iteration diverged")
    return found, notes


def _iterate(equations: Equations, x: np.ndarray, steps: int = 12) -> np.ndarray | None:
    for _ in range(steps):
        x = equations.complete(x, SCAN_RTOL).image
        if not np.all(np.isfinite(x)) or np.max(np.abs(x)) > LARGEST:
            return None
    return x


def _newton(equations: Equations, x: np.ndarray, rtol: float) -> np.ndarray | None:
    lower = np.where([bool(symbol.is_nonnegative) for symbol in equations.feedback], 0.0, -np.inf)

    def residual(y: np.ndarray) -> np.ndarray:
        inside = np.maximum(y, lower)
        return equations.complete(inside, rtol).image - y

    if np.max(np.abs(residual(x))) < 1e-300:
        return x
    try:
        result = root(residual, x, method="hybr", options={"xtol": max(rtol, 1e-13), "maxfev": 30 * (len(x) + 1)})
    except (ValueError, FloatingPointError):
        return None
    y = np.maximum(result.x, lower)
    scale = np.max(np.abs(y)) + 1e-12
    return y if np.max(np.abs(residual(y))) < max(100 * rtol, 1e-10) * scale else None


def _polish(equations: Equations, x: np.ndarray, tol: float) -> FixedPoint | None:
    better = _chords(equations, x, tol)
    if better is None:
        better = _newton(equations, x, tol)
    return finish(equations, _snapped(equations, x if better is None else better, tol), tol)


def _chords(equations: Equations, x: np.ndarray, tol: float) -> np.ndarray | None:
    """Newton steps with the derivative of the coarse map, corrected by Broyden's rule; None where they do not contract.

    Fine averages in several directions are dear, and the coarse derivative is good to a per mille: a few steps do.
    """
    lower = np.where([bool(symbol.is_nonnegative) for symbol in equations.feedback], 0.0, -np.inf)
    slopes = derivative(equations, x, SCAN_RTOL) - np.eye(len(x))
    if not np.all(np.isfinite(slopes)) or np.linalg.cond(slopes) > 1e8:
        return None
    inverse = np.linalg.inv(slopes)
    step, gap = np.full(len(x), np.inf), np.zeros(len(x))
    for _ in range(12):
        done = equations.complete(x, tol)
        previous_gap, gap = gap, done.image - x
        if not np.all(np.isfinite(gap)):
            return None
        if np.all(np.isfinite(step)):
            moved = inverse @ (gap - previous_gap)
            weight = float(step @ moved)
            if weight != 0.0:
                inverse = inverse + np.outer(step - moved, step @ inverse) / weight
        if np.all(np.abs(gap) <= done.image_error):
            return x
        previous, step = step, np.maximum(x - inverse @ gap, lower) - x
        size, scale = float(np.max(np.abs(step))), float(np.max(np.abs(x)))
        if not size < min(0.2 * scale, 0.9 * float(np.max(np.abs(previous)))):
            return None
        x = x + step
        own = np.where((lower == 0.0) & (np.abs(x) > NEGLIGIBLE * scale), np.abs(x), scale)
        if np.all(np.abs(step) <= 0.03 * tol * own):
            return x
    return None


def _snapped(equations: Equations, x: np.ndarray, tol: float) -> np.ndarray:
    """Unknowns that Newton left at rounding distance from an exact zero of their own equations are set to zero."""
    small = (x != 0) & (np.abs(x) < NEGLIGIBLE * np.max(np.abs(x), initial=0.0))
    if not small.any():
        return x
    trial = np.where(small, 0.0, x)
    image = equations.complete(trial, tol).image
    return trial if np.all(np.abs(image[small]) < 1e-300) else x


def _same(x: np.ndarray, y: np.ndarray) -> bool:
    floor = 0.0 if len(x) == 1 else 1e-12  # one unknown is scanned, and its tiny solutions are real
    return bool(np.max(np.abs(x - y)) <= 1e-5 * (np.max(np.abs(x)) + np.max(np.abs(y))) + floor)


# Both ----------------------------------------------------------------------------------------------------


def derivative(equations: Equations, x: np.ndarray, rtol: float) -> np.ndarray:
    """dG/dx by differences of second order, at steps that balance truncation and quadrature error."""
    columns = []
    for k, symbol in enumerate(equations.feedback):
        h = 1e-3 * max(abs(x[k]), 1e-8)
        shift = np.zeros(len(x))
        shift[k] = h
        ahead = equations.complete(x + shift, rtol).image
        if symbol.is_nonnegative and x[k] < h:
            here, twice = equations.complete(x, rtol).image, equations.complete(x + 2 * shift, rtol).image
            columns.append((-3 * here + 4 * ahead - twice) / (2 * h))
        else:
            columns.append((ahead - equations.complete(x - shift, rtol).image) / (2 * h))
    return np.array(columns).T.reshape(len(x), len(x))


def finish(equations: Equations, x: np.ndarray, tol: float) -> FixedPoint:
    """Evaluate everything at the solution, and turn residual and quadrature error into an error of it."""
    done = equations.complete(x, tol)
    fine = min(tol, 1e-9)
    slopes = derivative(equations, x, fine if not x.any() else SCAN_RTOL)
    if x.any() and _near_fold(slopes):
        slopes = derivative(equations, x, fine)
    gap = np.abs(done.image - x) + done.image_error
    try:
        spread = np.abs(np.linalg.inv(np.eye(len(x)) - slopes)) @ gap
    except np.linalg.LinAlgError:
        spread = np.full(len(x), np.inf)
    largest = float(np.max(np.abs(np.linalg.eigvals(slopes)), initial=0.0)) if np.all(np.isfinite(slopes)) else np.nan
    errors = {symbol: float(error) for symbol, error in zip(equations.feedback, spread, strict=True)}
    share = max(relative_errors(done.values, errors), default=0.0)
    errors |= {s: done.errors[s] + 3 * share * abs(done.values[s]) for s in equations.order}
    residual = float(np.max(np.abs(done.image - x), initial=0.0))
    return FixedPoint(done.values, errors, residual, largest, _verdict(residual, share, tol, largest))


def _near_fold(slopes: np.ndarray) -> bool:
    """Whether errors are magnified so much that the derivative must be known better than coarse averages allow."""
    return bool(np.all(np.isfinite(slopes)) and np.min(np.abs(1.0 - np.linalg.eigvals(slopes)), initial=1.0) < 0.1)


def _verdict(residual: float, share: float, tol: float, slope: float) -> str:
    if not np.isfinite(residual):
        return "not finite: an average diverges; lower the gains, or see whether the activation is bounded"
    if share <= max(100 * tol, 1e-9):
        return CONVERGED
    return (
        f"not converged: residual {residual:.1e}, relative error {share:.1e}, asked {tol:.0e}. "
        f"(a) a fold is near (slope {slope:.6f}): move a parameter a little; "
        "(b) the quadrature ran out of nodes: raise --tol"
    )


def _distinct(equations: Equations, found: list[FixedPoint]) -> list[FixedPoint]:
    kept: list[FixedPoint] = []
    for solution in found:
        x = np.array([solution.values[s] for s in equations.feedback])
        if not any(_same(x, np.array([other.values[s] for s in equations.feedback])) for other in kept):
            kept.append(solution)
    return kept
