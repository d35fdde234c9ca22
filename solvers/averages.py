"""Numbers for `Average` nodes: from a law and parameter values to quadrature, with an error on each.

An average is compiled once (change of variables, generated code) and evaluated for many parameter values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp

from derive.elementary import BUILTINS, Fn
from derive.gaussian.average import Average, Law
from derive.gaussian.forms import Reduced, reduce_forms
from derive.theory import law_symbols
from solvers.budget import check_budget
from solvers.codegen.emit import broadcast_rows, compile_function
from solvers.codegen.mehler import MehlerAverage
from solvers.codegen.quadrature import Hint, gaussian_average
from solvers.codegen.sampling import normal_points
from solvers.factor_pair import FactorPair
from solvers.form_law import FormLaw
from solvers.gaussian_geometry import Geometry, regressed_spread
from solvers.parity import ParityRule
from solvers.rough_pair import RoughPair, is_rough
from solvers.site_roots import SiteRoots

Values = Mapping[sp.Symbol, float]

COARSE_RTOL = 1e-6
"""Averages in two or more directions asked for no better than this come from a fixed set of points, smoothly."""

LOG2_COARSE = 12

ATTAINABLE = {0: 0.0, 1: 1e-13, 2: 1e-12, 3: 1e-11, 4: 1e-8}
"""Relative accuracy that is worth asking for, by number of directions; what is reached is always reported."""

SERIES_RTOL = 1e-12
"""The same for Mehler series, which need directions of one factor only."""

EVALUATIONS = {4: 2e7, 5: 1e6, 6: 1e6}
"""Nodes an average may use, by number of directions, where that is fewer than the quadrature's own limit."""

ROUGH_EVALUATIONS = 1e6
"""The same for integrands with kinks, jumps or implicit states, which product rules cannot follow."""

CANCELLATION = 1e-2
"""Averages far smaller than their integrand are asked for to this share of the relative accuracy of its modulus."""


@dataclass(frozen=True)
class Estimate:
    """A number and its absolute error estimate."""

    value: float
    error: float


class CompiledAverage:
    """E[f_1], ..., E[f_m] for integrands that share their random variables.

    extra : symbols that stay free (such as a spectral parameter) and are given at evaluation.
    """

    def __init__(
        self,
        integrands: Sequence[sp.Expr],
        law: Law,
        implicit: tuple[tuple[sp.Symbol, sp.Expr], ...] = (),
        extra: Sequence[sp.Symbol] = (),
    ) -> None:
        self.law = law
        self.divergent = any(law.functions.has_delta(f) for f in integrands)
        self.rough = bool(implicit) or any(is_rough(f, law) for f in integrands)
        held = set().union(*(f.free_symbols for f in integrands)) & {state for state, _ in implicit}
        self.implicit = implicit if held else ()
        residuals = tuple(residual for _, residual in self.implicit)
        self.reduced: Reduced = reduce_forms((*integrands, *residuals), law)
        self.extra = tuple(extra)
        needed = law_symbols(sp.Tuple(*integrands, *residuals), law)
        self.parameters = tuple(sorted(needed - set(extra), key=str))
        self._last: tuple[tuple[float, ...], tuple[Geometry, np.ndarray, np.ndarray]] | None = None
        self.count = len(integrands)
        self._compile(self.count)
        alone = self.count == 1 and not self.implicit and not self.extra
        self._pair = RoughPair.of(self.reduced, self.parameters, law) if alone and self.rough else None
        self._factors = FactorPair.of(integrands[0], self.parameters, law) if alone and not self.rough else None
        self._parity = ParityRule(integrands[0], self._law.symbols, law.functions) if alone else None

    def _compile(self, count: int) -> None:
        functions, reduced = self.law.functions, self.reduced
        self._law = FormLaw(self._base_forms(), self.parameters, self.law)
        free = tuple(form.symbol for form in reduced.free)
        self._factor = next((k for k, s in enumerate(free) if _only_a_factor(reduced, s)), None)
        whole = tuple(form.symbol for form in reduced.conditional)
        weights = [weight for form in reduced.conditional for weight, _ in form.parts]
        ends = np.cumsum([0, *(len(form.parts) for form in reduced.conditional)])
        self._parts = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self._weights = compile_function((*self.parameters, *free), weights, functions)
        states = tuple(state for state, _ in self.implicit)
        arguments = (*self.parameters, *free, *whole, *states, *self.extra)
        self._integrands = compile_function(arguments, reduced.expressions[:count], functions)
        self._roots = (
            SiteRoots(states, reduced.expressions[count:], (*self.parameters, *free, *whole), functions)
            if states
            else None
        )

    def _base_forms(self):  # type: ignore[no-untyped-def]
        inner = [form for outer in self.reduced.conditional for _, form in outer.parts]
        return [*self.reduced.free, *inner]

    def _geometry(self, values: Values) -> tuple[Geometry, np.ndarray, np.ndarray]:
        """`geometry`, kept for the last parameter values."""
        key = tuple(values[p] for p in self.parameters)
        if self._last is None or self._last[0] != key:
            self._last = key, self.geometry(values)
        return self._last[1]

    def geometry(self, values: Values) -> tuple[Geometry, np.ndarray, np.ndarray]:
        """Means and spreads of the free forms; means and covariance of the inner forms of conditional ones."""
        mean, covariance = self._law.of_forms(values)
        free = len(self.reduced.free)
        conditional = len(self._parts) if np.any(np.diag(covariance)[free:] > 0) else 0
        spread = regressed_spread(covariance[:free, :free], self._factor)
        return Geometry(mean[:free], spread, conditional), mean[free:], covariance[free:, free:]

    def evaluate(self, values: Values, rtol: float, extra: Sequence[complex] = ()) -> tuple[np.ndarray, np.ndarray]:
        """Values and absolute errors, each of shape (m,).

        A delta function (the derivative of a jump) has no value at nodes: nan, with infinite error.
        """
        check_budget()
        if self.divergent:
            return np.full(self.count, np.nan), np.full(self.count, np.inf)
        if self._parity is not None and self._parity.vanishes(*self._law.of_symbols(values)):
            return np.zeros(1), np.zeros(1)
        shape, _, _ = self._geometry(values)

        def integrand(xi: np.ndarray) -> np.ndarray:
            return self.sites(values, xi, extra)

        if shape.dimension > 1 and rtol >= COARSE_RTOL:
            return self._coarse(values, shape.dimension, extra)
        if self._pair is not None and shape.dimension == 2:
            value, error = self._pair.evaluate(shape, [values[p] for p in self.parameters], max(rtol, 1e-11))
            return np.array([value]), np.array([error])
        hints = self._hints(values, shape) if shape.dimension == 1 else None
        with np.errstate(all="ignore"):
            attainable, limit = self._effort(rtol, shape.dimension)
            size = CANCELLATION * self._typical_size(integrand, shape.dimension)
            series = self._series(values, shape, rtol, size)
            if series is not None and series.converged:
                return np.array([series.value]), np.array([series.error])
            result = gaussian_average(
                integrand, shape.dimension, rtol=attainable, atol=attainable * size, hints=hints, max_evaluations=limit
            )
        if series is not None and series.error < result.error[0]:
            return np.array([series.value]), np.array([series.error])
        return result.value, result.error

    def _series(self, values: Values, shape: Geometry, rtol: float, size: float) -> MehlerAverage | None:
        """The Mehler series, where the integrand is a product of two factors and quadrature of it all would be dear."""
        if self._factors is None or shape.dimension < 2:
            return None
        wanted = max(0.1 * rtol, SERIES_RTOL)
        return self._factors.evaluate(values, shape.dimension, wanted, wanted * size)

    def _effort(self, rtol: float, dimension: int) -> tuple[float, float]:
        """Relative accuracy to ask for and nodes to spend, by directions and smoothness."""
        attainable, limit = max(rtol, ATTAINABLE.get(dimension, 1e-5)), EVALUATIONS.get(dimension, 6e7)
        if dimension > 1 and self.rough:
            return max(attainable, 1e-7), min(limit, ROUGH_EVALUATIONS)
        return attainable, limit

    @staticmethod
    def _typical_size(integrand: Callable[[np.ndarray], np.ndarray], dimension: int) -> float:
        """Mean modulus of the integrands, roughly: what an average that nearly cancels is measured against."""
        if dimension == 0:
            return 0.0
        size = np.abs(integrand(normal_points(dimension, 6))).mean(axis=1).min()
        return float(size) if np.isfinite(size) else 0.0

    def _coarse(self, values: Values, dimension: int, extra: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Symmetrised Sobol points, the same for all parameter values: a smooth function of them, to about 1e-3."""
        points = normal_points(dimension, LOG2_COARSE)
        rows = self.sites(values, np.concatenate([points, -points], axis=1), extra)
        mean = rows.mean(axis=1)
        return mean, 5e-3 * np.abs(mean)

    def sites(
        self, values: Values, xi: np.ndarray, extra: Sequence[Any] = (), shape: Geometry | None = None
    ) -> np.ndarray:
        """The integrands at given standard normals xi (d, n) with d = ``geometry(values).dimension``; (m, n).

        ``shape`` replaces the geometry by another one of the same law (rotated coordinates).
        """
        given = [values[p] for p in self.parameters]
        own, inner_mean, inner_covariance = self._geometry(values)
        shape = own if shape is None else shape
        y = shape.mean[:, None] + shape.spread @ xi[: shape.spread.shape[1]]
        whole = self._conditional(given, y, xi[shape.spread.shape[1] :], inner_mean, inner_covariance)
        states = self._roots.solve([*given, *y, *whole], xi.shape[1]) if self._roots else ()
        with np.errstate(all="ignore"):
            return broadcast_rows(self._integrands(*given, *y, *whole, *states, *extra), xi.shape[1])

    def _conditional(
        self, given: list[float], y: np.ndarray, xi: np.ndarray, mean: np.ndarray, covariance: np.ndarray
    ) -> list[np.ndarray]:
        """Sums of Gaussians with site-dependent weights: jointly Gaussian given the other forms."""
        weights = np.array([np.broadcast_to(np.asarray(w, float), y.shape[1:]) for w in self._weights(*given, *y)])
        found: list[np.ndarray] = []
        columns: list[list[np.ndarray]] = []  # Cholesky factor, row by row, for every node
        for k, part in enumerate(self._parts):
            value = mean[part] @ weights[part] if weights.size else np.zeros(y.shape[1])
            row: list[np.ndarray] = []
            for m in range(k + 1):
                other = self._parts[m]
                shared = np.einsum("in,ij,jn->n", weights[part], covariance[part, other], weights[other])
                shared = shared - sum(row[j] * columns[m][j] for j in range(m)) if m < k else shared - sum(
                    x**2 for x in row)  # fmt: skip
                if m < k:
                    with np.errstate(all="ignore"):
                        row.append(np.where(columns[m][m] > 0, shared / columns[m][m], 0.0))
                else:
                    row.append(np.sqrt(np.maximum(shared, 0.0)))
            columns.append(row)
            found.append(value + sum(row[j] * xi[j] for j in range(k + 1)) if xi.shape[0] > 0 else value)
        return found

    def _hints(self, values: Values, shape: Geometry) -> list[list[Hint]] | None:
        """Centres of transitions of functions whose argument is affine in the one direction there is."""
        if shape.conditional or self._roots:
            return None
        hints: list[Hint] = []
        columns = {form.symbol: k for k, form in enumerate(self.reduced.free)}
        substitution = {p: values[p] for p in self.parameters}
        for node in sorted(self.reduced.expressions[0].atoms(Fn), key=str):
            symbols = [s for s in node.argument.free_symbols if s in columns]
            if len(symbols) != 1 or not node.argument.is_polynomial(symbols[0]):
                continue
            line = sp.Poly(node.argument, symbols[0])
            if line.degree() != 1:
                continue
            slope, shift = (complex(sp.sympify(c.xreplace(substitution)).evalf()) for c in line.all_coeffs())
            row = columns[symbols[0]]
            speed = slope.real * shape.spread[row, 0]
            if abs(speed) < np.finfo(float).tiny or not np.isfinite(speed):  # below it 1 / speed overflows
                continue
            offset = shift.real + slope.real * shape.mean[row]
            own = BUILTINS.get(node.name)
            breaks = [float(x) for x in (own.kinks + own.jumps)] if own else []
            hints += [((x - offset) / speed, 0.0) for x in breaks]
            hints.append((-offset / speed, abs(1.0 / speed)))
        return [hints] if hints else None


def _only_a_factor(reduced: Reduced, symbol: sp.Symbol) -> bool:
    """Whether a form enters every expression as a plain factor, or not at all."""
    inner = [weight for form in reduced.conditional for weight, _ in form.parts]
    if any(weight.has(symbol) for weight in inner):
        return False
    return all(e.as_independent(symbol, as_Add=False)[1] in (symbol, sp.S.One) for e in reduced.expressions)


class Evaluator:
    """Evaluates expressions that hold `Average` nodes, compiling each node once and caching its values."""

    def __init__(self, law: Law, implicit: tuple[tuple[sp.Symbol, sp.Expr], ...] = ()) -> None:
        self.law, self.implicit = law, implicit
        self._nodes: dict[Average, CompiledAverage] = {}
        self._forms: dict[sp.Expr, _CompiledExpression] = {}
        self._cache: dict[tuple[Average, tuple[float, ...], float], Estimate] = {}

    def average(self, node: Average, values: Values, rtol: float) -> Estimate:
        """E of one node.  The error is an absolute estimate; inf where quadrature failed."""
        if node not in self._nodes:
            self._nodes[node] = CompiledAverage((node.integrand,), self.law, self.implicit)
        compiled = self._nodes[node]
        key = (node, tuple(values[p] for p in compiled.parameters), rtol)
        if key not in self._cache:
            value, error = compiled.evaluate(values, rtol)
            self._cache[key] = Estimate(float(value[0].real), float(error[0]))
        return self._cache[key]

    def __call__(self, expression: sp.Expr, values: Values, rtol: float = 1e-11) -> Estimate:
        """Value and first-order error of an expression in parameters, unknowns and averages."""
        if expression not in self._forms:
            self._forms[expression] = _CompiledExpression(expression, self.law)
        form = self._forms[expression]
        inner = [self.average(node, values, rtol) for node in form.nodes]
        return form.evaluate(values, inner)


class _CompiledExpression:
    """Outer arithmetic over averages, with the derivative in each of them for the error."""

    def __init__(self, expression: sp.Expr, law: Law) -> None:
        self.nodes = sorted(expression.atoms(Average), key=sp.default_sort_key)
        dummies = [sp.Symbol(f"average[{k}]", real=True) for k in range(len(self.nodes))]
        plain = expression.xreplace(dict(zip(self.nodes, dummies, strict=True)))
        self.symbols = sorted(plain.free_symbols - set(dummies), key=str)
        outputs = [plain, _size(plain), *(plain.diff(d) for d in dummies)]
        self._function = compile_function((*self.symbols, *dummies), outputs, law.functions)

    def evaluate(self, values: Values, inner: Sequence[Estimate]) -> Estimate:
        arguments = [np.float64(values[s]) for s in self.symbols] + [np.float64(x.value) for x in inner]
        with np.errstate(all="ignore"):
            value, size, *slopes = self._function(*arguments)
        error = sum(abs(float(s)) * x.error for s, x in zip(slopes, inner, strict=True))
        return Estimate(float(value), float(error + 4e-16 * float(size)))


def _size(expression: sp.Expr) -> sp.Expr:
    """What rounding is measured against: the modulus, or where closed forms are summed, that of their terms."""
    if not expression.atoms(sp.Function):
        return sp.Abs(expression)
    if isinstance(expression, sp.Add):
        return sp.Add(*(_size(term) for term in expression.args))
    if isinstance(expression, sp.Mul):
        return sp.Mul(*(_size(factor) for factor in expression.args))
    return sp.Abs(expression) * 4
