"""The trapezoidal rule over standard normals, in balls.

For analytic integrands its error is exp(-2 pi d / h) with d the distance of the nearest pole, so that halving the step
h squares the error, and the last change bounds it safely.  In two directions one rule runs inside the other, and
each halves its step as often as its own direction needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, isfinite, sqrt
from typing import Any

from flint import arb, ctx

from solvers.budget import check_budget

RADIUS = {1: 15.0, 2: 12.8}  # the normal density is 1e-49, and 1e-36: room in one direction for growing integrands
COARSEST, FINEST = 1, {1: 8, 2: 6}
"""Steps are 2^-1, the first to be tried, to 2^-8 or 2^-6 in each of two directions."""

TOLERANCE = 1e-35
BEGUN = 1e-6
"""A change from which on halving squares the error."""

Function = Callable[[Any], Any]


@dataclass
class Sum:
    """Integral of f times the normal density: value (a ball), error of the rule, integral of the modulus."""

    value: Any
    error: float
    size: float


def one_direction(f: Function) -> Sum:
    """E[f(x)], x standard normal."""
    return _line(lambda x: (f(x), 0.0, None), RADIUS[1], TOLERANCE, FINEST[1])


def two_directions(f: Callable[[Any], Function]) -> Sum:
    """E[f(x)(y)], x and y independent standard normals; f(x) is computed once for each x."""

    def inner(x: Any) -> tuple[Any, float, float | None]:
        check_budget()
        own = f(x)
        far = float(x) ** 2
        # What is far out counts little and may be less precise; its error is added up all the same.
        radius, tolerance = sqrt(max(RADIUS[2] ** 2 - far, 1.0)), TOLERANCE * exp(far / 4)
        found = _line(lambda y: (own(y), 0.0, None), radius, tolerance, FINEST[2])
        return found.value, found.error, found.size

    return _line(inner, RADIUS[2], TOLERANCE, FINEST[2])


def _line(f: Callable[[Any], tuple[Any, float, float | None]], radius: float, tolerance: float, finest: int) -> Sum:
    """One direction; f gives (value, error, size) where it is itself an integral, with size None for the modulus."""
    total, size, error, edge = arb(0), 0.0, 0.0, 0.0
    change, before = inf, None
    for level in range(COARSEST, finest + 1):
        for far, x, weight in _nodes(level, ctx.prec):
            if far > radius:
                break
            value, own_error, own_size = f(x)
            term = weight * value
            total += term
            modulus = float(abs(term)) if own_size is None else float(weight) * own_size
            size += modulus
            error += float(weight) * own_error
            if level == COARSEST and far > radius - 2.0**-COARSEST:
                edge = max(edge, modulus)
        step = 2.0**-level
        now = total / 2**level
        if before is not None:
            change = float(abs((now - before).mid()))
            if _remaining(change, size * step) <= tolerance * size * step:
                break
        before = now
    rule = _remaining(change, size * step)
    return Sum(now, 10 * rule + error * step + edge, size * step)


def _remaining(change: float, size: float) -> float:
    """The error after a change: its square, if the rule has begun to converge at all."""
    if not (isfinite(change) and isfinite(size)):
        return inf
    return change * (change / size) if size > 0 and change < BEGUN * size else change


@lru_cache(maxsize=64)
def _nodes(level: int, bits: int) -> tuple[tuple[float, Any, Any], ...]:
    """(x, x and density as balls) of the nodes that the rule of twice the step 2^-level has not, from the middle."""
    norm = 1 / (2 * arb.pi()).sqrt()
    found: list[tuple[float, Any, Any]] = []
    for k in range(int(RADIUS[1] * 2**level) + 1):
        if level > COARSEST and k % 2 == 0:
            continue
        x = arb(k) / 2**level
        weight = norm * (-x * x / 2).exp()
        found += [(k / 2**level, side, weight) for side in ((x, -x) if k else (x,))]
    return tuple(found)
