"""E[f(x) g(y)] for vectors of Gaussians x and y by Mehler's formula.

Let x and y be standard normal vectors with E[x_i y_j] = rho_i delta_ij (canonical correlations).  Mehler (1866): the
joint density divided by that of the margins is prod_i sum_n rho_i^n h_n(x_i) h_n(y_i), with h_n orthonormal Hermite
polynomials, so that

    E[f(x) g(y)] = sum_n rho^n f_n g_n,      f_n = E[f(x) h_n1(x_1) ... h_np(x_p)]

with multi-indices n.  The coefficients of a side need quadrature in the directions of that side alone: two replicas
with three directions each cost averages in three dimensions instead of six.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from solvers.codegen.axes import AxisRule
from solvers.codegen.factor_table import Factor, FactorTable, resolved_degree, resolving, tabulate
from solvers.codegen.rules import ROUNDOFF
from solvers.codegen.tensor import tensor_average

MAX_DIMENSION = 3
"""Directions of one side."""

_ROUNDS = 12
_FIT_SHARE = 0.25
_LARGEST_TABLE = 6e6
_MAX_RADIUS = 30.0
_START_DEGREE = 60
_FALL = 1.3  # between exp(-n), from the correlation, and exp(-sqrt(n)), from singularities off the real axis
_LEAP = 3.0
_BEYOND = 1e-20  # truncation this far below the norms is not worth another term


@dataclass(frozen=True)
class MehlerAverage:
    """Value, absolute error estimate, whether it meets the tolerance, and points at which f and g were evaluated."""

    value: float
    error: float
    converged: bool
    evaluations: int


@dataclass(frozen=True)
class _Sum:
    """One evaluation of the series, its errors by origin, and what asks for refinement.

    quadrature, marginals: per side and direction; truncation: per correlated direction.
    """

    value: float
    quadrature: list[list[float]]
    marginals: list[list[np.ndarray]]
    truncation: np.ndarray
    shell: float
    rounding: float

    @property
    def error(self) -> float:
        """Sum of all errors; inf where the integrand is not finite."""
        total = sum(map(sum, self.quadrature)) + float(self.truncation.sum()) + self.shell + self.rounding
        return total if np.isfinite(total) and np.isfinite(self.value) else float("inf")


def mehler_average(
    f: Factor,
    g: Factor | None,
    dimensions: tuple[int, int],
    correlations: np.ndarray,
    *,
    rtol: float,
    atol: float = 0.0,
    max_evaluations: float = 3e7,
) -> MehlerAverage:
    """E[f(x) g(y)] where direction i of x has correlation ``correlations[i]`` with direction i of y, and no other.

    f and g map coordinates (p, n) of p standard normals, 1 <= p <= `MAX_DIMENSION`, to (n,); g = None stands for g = f.
    Directions beyond ``len(correlations)`` are uncorrelated.

    Error.  The sum up to degree d_i in direction i misses at most

        sum_i |rho_i|^(d_i + 1) sqrt(tail_i(f) tail_i(g)),    tail_i(f) = E[f^2] - sum of f_n^2 over n_i <= d_i

    (Cauchy-Schwarz and Parseval).  The quadrature of f_n is judged on the integrand it serves, f(x) times the smooth
    sum_n rho^n g_n h_n(x) = E[g | x], direction by direction from its marginals; likewise that of g_n.
    """
    sides = [(f, dimensions[0])] if g is None else [(f, dimensions[0]), (g, dimensions[1])]
    share = _FIT_SHARE * max_evaluations / len(sides)
    started = [_start(function, p, correlations, rtol, share) for function, p in sides]
    rules, radius = [own[0] for own in started], max(own[1] for own in started)
    used = sum(own[2] for own in started)
    best: _Sum | None = None
    for _ in range(_ROUNDS):
        sizes = [float(np.prod([float(rule.nodes.size) for rule in own])) for own in rules]
        if max(sizes) > _LARGEST_TABLE or used + 0.5 * sum(sizes) > max_evaluations:
            break
        tables = [tabulate(function, own, radius) for (function, _), own in zip(sides, rules, strict=True)]
        used += sum(table.evaluations for table in tables)
        found = _summed(tables, correlations)
        if best is None or found.error < best.error:
            best = found
        tolerance = max(atol, rtol * abs(found.value))
        if not np.isfinite(found.error) or found.error <= tolerance:
            break
        refined = [_refined(table, k, found, tolerance) for k, table in enumerate(tables)]
        grow = found.shell > 0.2 * tolerance and radius < _MAX_RADIUS
        if refined == rules and not grow:
            break
        rules = refined
        if grow:
            radius += 1.0
            rules = [[rule.extended(radius) for rule in own] for own in rules]
    if best is None:
        return MehlerAverage(float("nan"), float("inf"), False, used)
    return MehlerAverage(best.value, best.error, best.error <= max(atol, rtol * abs(best.value)), used)


def _start(
    f: Factor, dimension: int, correlations: np.ndarray, rtol: float, limit: float
) -> tuple[list[AxisRule], float, int]:
    """Rules fitted to f^2, which has the transitions of f and whose average the tails need."""
    fitted = tensor_average(lambda x: f(x)[None, :] ** 2, dimension, rtol, 0.0, [None] * dimension, limit)
    rules = list(fitted.rules)
    for axis, rho in enumerate(np.abs(correlations)):
        wanted = _START_DEGREE if rho >= 1 else min(np.log(rtol) / np.log(max(rho, 1e-300)), _START_DEGREE)
        rules[axis] = resolving(rules[axis], int(wanted))
    return rules, fitted.radius, fitted.evaluations


def _summed(tables: Sequence[FactorTable], correlations: np.ndarray) -> _Sum:
    """The series on given tables; a single table stands for both sides."""
    both = (tables[0], tables[-1])
    degrees, truncation = _degrees(both, correlations)
    coefficients = [table.coefficients([*degrees, *[0] * (table.dimension - len(degrees))]) for table in tables]
    powers = np.ones([1] * len(degrees))
    for axis, (rho, degree) in enumerate(zip(correlations, degrees, strict=True)):
        shape = [-1 if k == axis else 1 for k in range(len(degrees))]
        powers = powers * (float(rho) ** np.arange(degree + 1)).reshape(shape)
    own = [c.reshape(powers.shape) for c in coefficients]
    value = float(np.sum(own[0] * own[-1] * powers))
    # Rounding of the coefficients, weighted as they enter.
    size = float(np.sqrt(np.prod([np.sum(c**2 * np.abs(powers)) for c in (own[0], own[-1])])))
    quadrature, marginals, shell = [], [], 0.0
    for table, partner in zip(tables, reversed(own), strict=True):
        grown = (partner * powers).reshape(partner.shape + (1,) * (table.dimension - partner.ndim))
        terms = table.products(grown)
        share = 2.0 / len(tables)
        margins = [_marginal(terms, axis) / rule.weights for axis, rule in enumerate(table.rules)]
        quadrature.append([share * float(r.error(m[None, :])[0]) for r, m in zip(table.rules, margins, strict=True)])
        marginals.append(margins)
        terms = np.abs(terms)
        size = max(size, float(terms.sum()))
        shell += share * float(terms[table.shell()].sum())
    return _Sum(value, quadrature, marginals, truncation, shell, 2.0 * ROUNDOFF * size)


def _marginal(terms: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(terms.sum(axis=tuple(k for k in range(terms.ndim) if k != axis)))


def _degrees(tables: tuple[FactorTable, FactorTable], correlations: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Truncation degree of every correlated direction, and the bound on what it leaves out."""
    degrees, bounds = [], np.zeros(len(correlations))
    scale = np.sqrt(tables[0].norm * tables[1].norm)
    for axis, rho in enumerate(np.abs(correlations)):
        highest = min(table.resolved(axis) for table in tables)
        tails = [table.tails(axis, highest) for table in tables[: 1 if tables[0] is tables[1] else 2]]
        bound = rho ** np.arange(1, highest + 2) * np.sqrt(tails[0] * tails[-1])
        enough = np.nonzero(bound <= _BEYOND * scale)[0]
        degree = int(enough[0]) if enough.size else int(np.argmin(bound))
        degrees.append(degree)
        bounds[axis] = bound[degree]
    return degrees, bounds


def _refined(table: FactorTable, side: int, found: _Sum, tolerance: float) -> list[AxisRule]:
    """Finer rules in the directions whose share of the error is too large."""
    goal = max(tolerance, 2.0 * found.rounding) / (4.0 * table.dimension)
    scale = max(table.norm, 1e-300)
    rules = list(table.rules)
    for axis, rule in enumerate(rules):
        if found.quadrature[side][axis] > goal:
            rules[axis] = rule.refined(found.marginals[side][axis][None, :], np.array([0.5 * goal]))
        if axis < found.truncation.size and found.truncation[axis] > goal:
            degree = _next_degree(resolved_degree(rule), found.truncation[axis], goal, scale)
            rules[axis] = resolving(rules[axis], degree)
    return rules


def _next_degree(degree: int, bound: float, goal: float, scale: float) -> int:
    """Degree expected to bring the truncation down to the goal; coefficients of smooth functions fall exponentially."""
    reached, wanted = np.log(np.clip([bound / scale, goal / scale], 1e-16, 0.5))
    return int(degree * np.clip((wanted / reached) ** _FALL, 1.25, _LEAP)) + 4
