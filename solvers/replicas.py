"""Two replicas: the attractor C* of the correlation map that nearly equal replicas reach, and chi_star there."""

from __future__ import annotations

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from derive.theory import Replicas
from solvers.averages import Estimate, Evaluator, Values
from solvers.equations import Equations
from solvers.fixed_point import SCAN_RTOL, finish, polish_from
from solvers.result import FixedPoint

AT_DIAGONAL = 1e-9
FINE_RTOL = 1e-9
SCAN_POINTS = 40
MAX_ITERATIONS = 400


def correlation_fixed_point(
    replicas: Replicas, values: Values, evaluator: Evaluator, chi1: float, tol: float
) -> FixedPoint | None:
    """C* at a given solution of one replica.

    The replicas start nearly equal.  C = Q is a fixed point when they share everything (Sigma = 1, or no input);
    it attracts when chi1 <= 1.  Otherwise the overlap falls to the next fixed point below.  None if none was reached.
    """
    equations = Equations(replicas.system, replicas.law, evaluator, values)
    start = np.array([_at_diagonal(replicas, values, symbol) for symbol in equations.feedback])
    if not len(start):
        return finish(equations, start, tol)
    on_diagonal = _is_fixed(equations, start, tol)
    if on_diagonal and not chi1 > 1.0:
        return finish(equations, start, tol)
    if len(start) == 1:
        return _next_below(equations, float(start[0]), on_diagonal, tol)
    return _descend(equations, start * (1 - 1e-3), tol)


def _at_diagonal(replicas: Replicas, values: Values, symbol: sp.Symbol) -> float:
    twin = replicas.diagonal.get(symbol)
    return float(values[twin]) if twin is not None else 0.0


def _is_fixed(equations: Equations, x: np.ndarray, tol: float) -> bool:
    done = equations.complete(x, max(tol, 1e-11))
    return bool(np.all(np.abs(done.image - x) <= AT_DIAGONAL * np.abs(x) + 3 * done.image_error))


def _next_below(equations: Equations, top: float, on_diagonal: bool, tol: float) -> FixedPoint | None:
    """First fixed point met when the overlap falls from its largest value.

    Near criticality the fall is smaller than the error of coarse averages; the search is then repeated with fine ones.
    """
    if top == 0.0:
        return finish(equations, np.zeros(1), tol)
    for rtol in (SCAN_RTOL, FINE_RTOL):
        if (found := _first_crossing(equations, top, on_diagonal, rtol, tol)) is not None:
            return found
    return None


def _first_crossing(
    equations: Equations, top: float, on_diagonal: bool, rtol: float, tol: float
) -> FixedPoint | None:
    def fall(c: float, accuracy: float) -> float:
        return float(equations.complete([c], accuracy).image[0]) - c

    near = np.logspace(-4, -1.5, 6) if on_diagonal else np.zeros(1)
    depths = np.concatenate([near, np.linspace(0.05, 2.0, SCAN_POINTS)])
    high = top * (1.0 - depths[0])
    for depth in depths[1:]:
        low = top * (1.0 - depth)
        if low <= 0.0 <= high and abs(fall(0.0, tol)) <= 1e-12 * top:
            return finish(equations, np.zeros(1), tol)  # uncorrelated replicas stay so
        if fall(low, rtol) >= 0:
            bracketed = fall(high, rtol) < 0
            coarse = brentq(lambda t: fall(t, rtol), low, high, xtol=1e-300, rtol=1e-8) if bracketed else high
            return polish_from(equations, float(coarse), (low, high), tol)
        high = low
    return None


def _descend(equations: Equations, x: np.ndarray, tol: float) -> FixedPoint | None:
    """Iterate the map until it moves little, then finish by Newton."""
    for _ in range(MAX_ITERATIONS):
        image = equations.complete(x, 1e-7).image
        moved = np.max(np.abs(image - x)) / (np.max(np.abs(image)) + 1e-300)
        x = image
        if not np.all(np.isfinite(x)):
            return None
        if moved < 1e-7:
            break
    return polish_from(equations, x, None, tol)


def spectral_radius_of(matrix: sp.Matrix, evaluator: Evaluator, values: Values, tol: float) -> Estimate:
    """Largest modulus of the eigenvalues of a symbolic linear map, with the error of its entries carried over."""
    entries = [evaluator(entry, values, tol) for entry in matrix]
    numbers = np.array([e.value for e in entries]).reshape(matrix.shape)
    if not numbers.size:
        return Estimate(0.0, 0.0)
    if not np.all(np.isfinite(numbers)):
        return Estimate(float("nan"), float("inf"))
    eigenvalues, right = np.linalg.eig(numbers)
    leading = int(np.argmax(np.abs(eigenvalues)))
    others, left = np.linalg.eig(numbers.T)
    x, y = np.abs(right[:, leading]), left[:, int(np.argmin(np.abs(others - eigenvalues[leading])))]
    overlap = max(abs(complex(y @ right[:, leading])), 1e-6)  # first-order change of one eigenvalue: y dM x / (y x)
    spread = np.array([e.error for e in entries]).reshape(matrix.shape)
    return Estimate(float(np.abs(eigenvalues[leading])), float(np.abs(y) @ spread @ x / overlap))
