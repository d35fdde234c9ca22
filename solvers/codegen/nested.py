"""Nested adaptive integration in two dimensions, for transitions that run obliquely to the axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from solvers.codegen.adaptive import AdaptiveIntegrator, panels_from_edges, start_edges

_INNER_SHARE = 0.1  # inner tolerance relative to the outer one


def nested_average(
    f: Callable[[np.ndarray], np.ndarray],
    rtol: float,
    atol: float,
    hints: list[list[tuple[float, float]] | None],
    magnitude: np.ndarray,
    max_evaluations: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Value and error ``(m,)`` and evaluations of nested integration, done in both orders.

    Between two jumps the integrand may be non-zero on a window too narrow for any node at some outer positions; the
    two orders miss different windows, so their disagreement counts as error.  magnitude ``(m,)`` is a rough size of
    the averages, which sets the absolute tolerance of the inner ones.
    """
    first, error, used = _ordered(f, rtol, atol, hints, 0, magnitude, 0.5 * max_evaluations)
    second, other, more = _ordered(f, rtol, atol, hints, 1, magnitude, max_evaluations - used)
    better = other < error
    total = np.where(better, other, error) + np.abs(first - second)
    bad = ~np.isfinite(total)
    return np.where(bad, np.nan, np.where(better, second, first)), np.where(bad, np.inf, total), used + more


def _ordered(
    f: Callable[[np.ndarray], np.ndarray],
    rtol: float,
    atol: float,
    hints: list[list[tuple[float, float]] | None],
    inner: int,
    magnitude: np.ndarray,
    max_evaluations: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Adaptive over one axis, with an adaptive average over the inner axis at each of its nodes."""
    outer = 1 - inner
    m = magnitude.size
    floor = _INNER_SHARE * np.maximum(atol, rtol * magnitude)
    used = 0
    inner_hints = np.asarray(hints[inner] or [], dtype=float).reshape(-1, 2)
    outer_hints = np.asarray(hints[outer] or [], dtype=float).reshape(-1, 2)

    def profile(x: np.ndarray, _: np.ndarray) -> np.ndarray:
        nonlocal used

        def inner_values(y: np.ndarray, index: np.ndarray) -> np.ndarray:
            points = np.empty((2, y.size))
            points[outer], points[inner] = x[index], y
            return np.atleast_2d(f(points))

        repeat = np.ones((x.size, 1))
        start = panels_from_edges(start_edges(0.5, repeat * inner_hints[:, 0], repeat * inner_hints[:, 1]))
        left = max(max_evaluations - used, 0.0)
        result = AdaptiveIntegrator(inner_values, x.size, _INNER_SHARE * rtol, floor[:, None], left).run(start)
        used += result.evaluations
        return np.concatenate([result.value, result.error])

    unbounded = np.full((m, 1), np.inf)
    tolerance = np.concatenate([np.full((m, 1), 0.5 * atol), unbounded])
    edges = start_edges(0.5, outer_hints[None, :, 0], outer_hints[None, :, 1])
    # Outer nodes are few; the cap on evaluations acts through the inner averages, whose errors then grow.
    outer_result = AdaptiveIntegrator(profile, 1, 0.5 * rtol, tolerance, 2e4).run(panels_from_edges(edges))
    value, error = outer_result.value[:, 0], outer_result.error[:, 0]
    total = error[:m] + np.abs(value[m:])
    bad = ~np.isfinite(total) | ~np.isfinite(value[:m])
    return np.where(bad, np.nan, value[:m]), np.where(bad, np.inf, total), used
