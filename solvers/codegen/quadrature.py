"""Gaussian averages E[f(xi_1, ..., xi_d)] over independent standard normals, with an error estimate.

One dimension is integrated adaptively, two to four by products of one-dimensional rules fitted to the transitions of
the integrand (with nested adaptive integration in reserve for two), more by scrambled Sobol points.  The error is an
estimate meant to bound the true one; when it does not meet the tolerance the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from solvers.codegen.adaptive import AdaptiveIntegrator, panels_from_edges, start_edges
from solvers.codegen.nested import nested_average
from solvers.codegen.rules import ROUNDOFF
from solvers.codegen.sampling import sobol_average
from solvers.codegen.tensor import tensor_average

Hint = tuple[float, float]
"""(centre, scale) of a transition in xi; scale 0 marks a kink or a jump."""

BatchHint = tuple[np.ndarray | float, np.ndarray | float]

_FINE = 0.0625  # start panels of a single integral: 23 nodes each see unhinted peaks of width 1e-3
_COARSE = 0.5  # start panels of a batch, where nodes are dear
_SAMPLES = 4_000_000  # Sobol points are capped lower than tensor nodes: more would not reach the tolerance either
_TENSOR_SHARE = 0.2  # share of the evaluations the product rule may use in two dimensions before nesting takes over


@dataclass(frozen=True)
class Average:
    """Gaussian averages of m integrands.

    value: ``(m,)`` float or complex; error: ``(m,)`` absolute error estimates, never below a roundoff floor;
    converged: every error is within max(atol, rtol * abs(value)); evaluations: points at which f was evaluated;
    method: "exact" (d = 0), "adaptive" (d = 1, or nested for d = 2), "tensor" or "qmc".
    A non-finite integrand gives value nan and error inf.
    """

    value: np.ndarray
    error: np.ndarray
    converged: bool
    evaluations: int
    method: str


@dataclass(frozen=True)
class BatchAverage:
    """One-dimensional averages for a batch: value and error ``(m, n_batch)``, converged ``(n_batch,)``."""

    value: np.ndarray
    error: np.ndarray
    converged: np.ndarray
    evaluations: int


def gaussian_average(
    f: Callable[[np.ndarray], np.ndarray],
    dimension: int,
    *,
    rtol: float = 1e-11,
    atol: float = 0.0,
    hints: Sequence[Sequence[Hint] | None] | None = None,
    max_evaluations: float = 6e7,
) -> Average:
    """Average m integrands at once over ``dimension`` independent standard normals.

    f maps coordinates ``(dimension, n)`` to values ``(m, n)``, or ``(n,)`` for m = 1, real or complex.
    hints: for each dimension None or a list of (centre, scale).  Without hints, features narrower than about 1e-3
    that leave no trace outside themselves can be missed.  Averages that vanish by cancellation can only converge
    with ``atol`` > 0.  Raises ValueError for a negative dimension or tolerance, or hints or values of wrong shape.
    """
    _check(dimension, rtol, atol, hints)
    if dimension == 0:
        return _constant(f, rtol, atol)
    if dimension == 1:
        return _single(f, rtol, atol, _hints_of(hints, 0), max_evaluations)
    if dimension <= 4:
        return _product(f, dimension, rtol, atol, [_hints_of(hints, i) for i in range(dimension)], max_evaluations)
    value, error, used = sobol_average(f, dimension, rtol, atol, min(max_evaluations, _SAMPLES))
    return _average(value, error, rtol, atol, used, "qmc")


def gaussian_average_batch(
    f: Callable[[np.ndarray, np.ndarray], np.ndarray],
    n_batch: int,
    *,
    rtol: float = 1e-11,
    atol: float | np.ndarray = 0.0,
    hints: Sequence[BatchHint] | None = None,
    max_evaluations: float | None = None,
    start_width: float = _COARSE,
) -> BatchAverage:
    """Average over one standard normal for ``n_batch`` parameter values, each with its own adaptive nodes.

    f(xi, index) takes nodes and the batch member of each node, both ``(n,)``, and returns ``(m, n)``.
    hints: (centre, scale) pairs, each a number or an array ``(n_batch,)``.  atol broadcasts to ``(m, n_batch)``.
    start_width: width of the first panels (23 nodes each); features much narrower than a twentieth of it must either
    have slowly decaying flanks or be hinted.  max_evaluations defaults to 40000 per member (at least 1e6).
    Raises ValueError for a negative batch size or tolerance.
    """
    if n_batch < 0 or rtol < 0 or np.any(np.asarray(atol) < 0) or not start_width > 0:
        raise ValueError("n_batch, rtol and atol must not be negative, start_width must be positive")
    limit = max(1e6, 4e4 * n_batch) if max_evaluations is None else max_evaluations
    pairs = list(hints or [])
    centres = np.zeros((n_batch, len(pairs)))
    scales = np.zeros((n_batch, len(pairs)))
    for k, (centre, scale) in enumerate(pairs):
        centres[:, k], scales[:, k] = centre, scale
    start = panels_from_edges(start_edges(start_width, centres, np.abs(scales)))
    result = AdaptiveIntegrator(f, n_batch, rtol, atol, limit).run(start)
    return BatchAverage(result.value, result.error, np.asarray(result.converged.all(axis=0)), result.evaluations)


def _check(dimension: int, rtol: float, atol: float, hints: Sequence[Sequence[Hint] | None] | None) -> None:
    if dimension < 0:
        raise ValueError(f"dimension must not be negative, got {dimension}")
    if not (rtol >= 0 and atol >= 0):
        raise ValueError(f"tolerances must not be negative, got rtol={rtol}, atol={atol}")
    if hints is not None and len(hints) != dimension:
        raise ValueError(f"hints need one entry (a list or None) per dimension: got {len(hints)} for {dimension}")


def _hints_of(hints: Sequence[Sequence[Hint] | None] | None, axis: int) -> list[Hint] | None:
    chosen = None if hints is None else hints[axis]
    return None if chosen is None else [(float(centre), abs(float(scale))) for centre, scale in chosen]


def _average(value: np.ndarray, error: np.ndarray, rtol: float, atol: float, used: int, method: str) -> Average:
    converged = bool(np.all(error <= np.maximum(atol, rtol * np.abs(value))))
    return Average(value, error, converged, used, method)


def _constant(f: Callable[[np.ndarray], np.ndarray], rtol: float, atol: float) -> Average:
    with np.errstate(all="ignore"):
        value = np.atleast_2d(f(np.zeros((0, 1))))[:, 0]
    if value.dtype.kind not in "fc":
        value = value.astype(float)
    bad = ~np.isfinite(value)
    error = np.where(bad, np.inf, ROUNDOFF * np.abs(value))
    return _average(np.where(bad, np.nan, value), error, rtol, atol, 1, "exact")


def _single(
    f: Callable[[np.ndarray], np.ndarray], rtol: float, atol: float, hints: list[Hint] | None, limit: float
) -> Average:
    pairs = np.asarray(hints or [], dtype=float).reshape(-1, 2)
    start = panels_from_edges(start_edges(_FINE, pairs[None, :, 0], pairs[None, :, 1]))
    result = AdaptiveIntegrator(lambda x, _: f(x[None]), 1, rtol, atol, min(limit, 2e6)).run(start)
    return _average(result.value[:, 0], result.error[:, 0], rtol, atol, result.evaluations, "adaptive")


def _product(
    f: Callable[[np.ndarray], np.ndarray],
    dimension: int,
    rtol: float,
    atol: float,
    hints: list[list[Hint] | None],
    limit: float,
) -> Average:
    """Product rule first; if it fails, nested adaptive integration (d = 2) or Sobol points, whichever errs less."""
    share = _TENSOR_SHARE if dimension == 2 else 1.0
    fitted = tensor_average(f, dimension, rtol, atol, hints, share * limit)
    used = fitted.evaluations
    best = _average(fitted.value, fitted.error, rtol, atol, used, "tensor")
    if best.converged or not np.all(np.isfinite(best.value)):
        return best
    if dimension == 2:
        value, error, more = nested_average(f, rtol, atol, hints, np.abs(best.value), limit - used)
        other = _average(value, error, rtol, atol, used + more, "adaptive")
    else:
        value, error, more = sobol_average(f, dimension, rtol, atol, min(limit - used, _SAMPLES))
        # A rare peak hides from the scatter of the scrambles, but not from a comparison with the product rule.
        error = np.maximum(error, np.abs(value - best.value) - best.error)
        other = _average(value, error, rtol, atol, used + more, "qmc")
    better = other.converged or np.sum(other.error) < np.sum(best.error)
    return other if better else Average(best.value, best.error, False, other.evaluations, best.method)
