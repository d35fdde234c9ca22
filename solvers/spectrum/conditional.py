"""Conditional means of coefficients given the one direction that lambda's denominators see.

E[c(y) p(lam, y_0)] = E_0[ E[c | y_0] p(lam, y_0) ]: the inner average is smooth and does not know lambda, so it is
computed once, on panels of Legendre nodes, and the near-singular factor stays exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp
from numpy.polynomial import legendre

from derive.gaussian.average import Law
from solvers.averages import CompiledAverage, Values
from solvers.budget import check_budget
from solvers.codegen.emit import broadcast_rows, compile_function
from solvers.codegen.product_nodes import product_nodes
from solvers.gaussian_geometry import Geometry, pivoted_cholesky

DEGREE = 16
REACH = 9.0
CHUNK = 1_500_000
WIDE = 1e-6
"""Error of the nodes from which on panels may start twice as wide."""

MOST = 5e7
"""Evaluations beyond which panels are not halved any more; what they miss is part of the error."""


class ConditionalTable:
    """Coefficients (m, n) at standard normals xi (n,) of the pole's direction, by Legendre series on panels."""

    def __init__(self, edges: np.ndarray, series: np.ndarray, relative_error: float) -> None:
        self.edges, self.series, self.relative_error = edges, series, relative_error

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        clipped = np.clip(xi, self.edges[0], self.edges[-1])
        panel = np.clip(np.searchsorted(self.edges, clipped, side="right") - 1, 0, len(self.edges) - 2)
        left, right = self.edges[panel], self.edges[panel + 1]
        basis = legendre.legvander(2.0 * (clipped - left) / (right - left) - 1.0, DEGREE - 1)
        return np.einsum("mnd,nd->mn", self.series[:, panel, :], basis)


class PoleDirection:
    """Coefficients and pole in coordinates whose first one is all that the pole depends on."""

    def __init__(
        self,
        coefficients: Sequence[sp.Expr],
        pole: sp.Expr,
        law: Law,
        lam: tuple[sp.Symbol, sp.Symbol],
        values: Values,
        implicit: tuple[tuple[sp.Symbol, sp.Expr], ...],
    ) -> None:
        self.values = values
        self.compiled = CompiledAverage((*coefficients, pole), law, implicit, extra=lam)
        self.count = len(coefficients)
        reduced = self.compiled.reduced
        whole = reduced.expressions[self.count]
        self._given = [values[p] for p in self.compiled.parameters]
        self._seen = [k for k, form in enumerate(reduced.free) if form.symbol in whole.free_symbols]
        hidden = {form.symbol for form in reduced.conditional} | {state for state, _ in self.compiled.implicit}
        self.separable = len(self._seen) == 1 and not whole.free_symbols & hidden and not self.compiled.implicit
        if self.separable:
            self._shape = self._rotate()
            symbol = reduced.free[self._seen[0]].symbol
            self._pole = compile_function((*self.compiled.parameters, symbol, *lam), [whole], law.functions)

    def _rotate(self) -> Geometry:
        """Standard normals with the pole's direction first."""
        shape, _, _ = self.compiled.geometry(self.values)
        covariance = shape.spread @ shape.spread.T
        first = self._seen[0]
        if not covariance[first, first] > 0:
            self.separable = False
            return shape
        lead = covariance[:, first] / np.sqrt(covariance[first, first])
        rest = pivoted_cholesky(covariance - np.outer(lead, lead))
        return Geometry(shape.mean, np.column_stack([lead, rest]), shape.conditional)

    @property
    def others(self) -> int:
        """Directions besides the pole's."""
        return self._shape.dimension - 1

    def pole(self, xi: np.ndarray, lam: np.ndarray) -> np.ndarray:
        """The pole factor at the pole's coordinate xi (n,) and lam (n,)."""
        y = self._shape.mean[self._seen[0]] + self._shape.spread[self._seen[0], 0] * xi
        return broadcast_rows(self._pole(*self._given, y, lam, np.conj(lam)), xi.size)[0]

    def coefficients(self, xi: np.ndarray) -> np.ndarray:
        """The coefficients (m, n) at all standard normals xi (d, n)."""
        return self.compiled.sites(self.values, xi, (1.0, 1.0), shape=self._shape)[: self.count]


def conditional_table(direction: PoleDirection, rtol: float = 1e-9) -> ConditionalTable:
    """Average everything but the pole's direction away."""
    probes = np.array([-3.3, -1.4, 0.3, 1.6, 3.1])  # not symmetric: nothing vanishes by accident

    def probed(rest: np.ndarray) -> np.ndarray:
        rows = [direction.coefficients(np.vstack([np.full((1, rest.shape[1]), p), rest])) for p in probes]
        return np.concatenate(rows)

    nodes, weights, error = product_nodes(probed, direction.others, rtol)
    width = 1.5 if error < WIDE else 3.0
    while True:
        edges = np.arange(-REACH, REACH + width / 2, width)
        series = _series(direction, edges, nodes, weights)
        size = np.abs(series).max(axis=(1, 2), keepdims=True) + 1e-300
        tail = float(np.max(np.abs(series[:, :, -2:]) / size))
        dear = 2 * DEGREE * len(edges) * weights.size > MOST
        if tail < max(1e-8, 0.1 * error) or width < 0.1 or dear:
            return ConditionalTable(edges, series, error + tail)
        width /= 2


def _series(direction: PoleDirection, edges: np.ndarray, nodes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Legendre coefficients (m, panels, degree) of the conditional means."""
    x, w = legendre.leggauss(DEGREE)
    centre, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    points = (centre[:, None] + half[:, None] * x).ravel()
    means = np.empty((direction.count, points.size))
    step = max(1, CHUNK // weights.size)
    for start in range(0, points.size, step):
        check_budget()
        some = points[start : start + step]
        xi = np.vstack([np.repeat(some, weights.size)[None, :], np.tile(nodes, (1, some.size))])
        values = direction.coefficients(xi).reshape(direction.count, some.size, weights.size)
        means[:, start : start + step] = values @ weights
    projection = legendre.legvander(x, DEGREE - 1) * w[:, None] * (2 * np.arange(DEGREE) + 1) / 2
    return means.reshape(direction.count, len(centre), DEGREE) @ projection
