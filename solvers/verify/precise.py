"""Averages to thirty digits and more, for formulas that are to be called equal.

The trapezoidal rule over standard normals: for analytic integrands its error is exp(-2 pi d / h) with d the distance
of the nearest pole, so that halving the step h squares the error, and the last change bounds it safely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import mpmath as mp
import sympy as sp

from derive.elementary import BUILTINS, Fn, X, builtin_derivative
from derive.gaussian.average import Average, Law
from derive.gaussian.forms import Form, Reduced, reduce_forms
from derive.stability.spectrum import LAM, LAM_CONJ
from derive.theory import law_symbols
from solvers.budget import check_budget

DIGITS = 40
"""Working precision; results are meant to have thirty."""

CHANGE = mp.mpf(10) ** -16
RADIUS = {1: 15.0, 2: 12.6}  # the normal density is 1e-49, and 1e-34: room in one direction for growing integrands
COARSEST, HALVINGS = {1: 0.25, 2: 0.5}, {1: 7, 2: 3}
NO_WIDTH = mp.mpf(10) ** -30

Values = Mapping[sp.Symbol, Any]
Point = tuple[Any, ...]


class PrecisionError(Exception):
    """An average with three or more directions, a kink in two, or a state that is only known as a root."""


def mp_function(arguments: Sequence[sp.Symbol], expression: sp.Expr, law: Law) -> Callable[..., Any]:
    """A function of mpmath numbers; ``expression`` may be a list."""
    function: Callable[..., Any] = sp.lambdify(list(arguments), _opened(expression, law), modules="mpmath", cse=True)
    return function


def _opened(expression: Any, law: Law) -> Any:
    if isinstance(expression, list):
        return [_opened(item, law) for item in expression]
    return law.functions.expand(expression).replace(
        lambda node: isinstance(node, Fn),
        lambda node: builtin_derivative(node.name, node.order).subs(X, node.argument),
    )


class PreciseAverage:
    """E[f] in at most two directions, to `DIGITS` digits less rounding.

    Raises PrecisionError, when built or evaluated, where this is not to be had.
    """

    def __init__(self, node: Average, law: Law) -> None:
        if law.random(node.integrand) & set(law.depends) or law.functions.has_delta(node.integrand):
            raise PrecisionError
        self.law = law
        self.reduced: Reduced = reduce_forms((node.integrand,), law)
        if len(self.reduced.conditional) > 1:
            raise PrecisionError
        self.parameters = sorted(law_symbols(node.integrand, law) - {LAM, LAM_CONJ}, key=str)
        inner = [form for outer in self.reduced.conditional for _, form in outer.parts]
        self._forms: list[Form] = [*self.reduced.free, *inner]
        gaussians = sorted({s for form in self._forms for s in form.coefficients}, key=str)
        mean = sp.Matrix([law.mean_of(s) for s in gaussians])
        covariance = sp.Matrix(len(gaussians), len(gaussians), lambda i, j: law.covariance(gaussians[i], gaussians[j]))
        rows = sp.Matrix([[form.coefficients.get(s, sp.S.Zero) for s in gaussians] for form in self._forms])
        table = [*(rows * mean), *(rows * covariance * rows.T)] if gaussians else []
        self._moments = mp_function(self.parameters, table, law)
        free = [form.symbol for form in self.reduced.free]
        weights = [weight for form in self.reduced.conditional for weight, _ in form.parts]
        self._weights = mp_function([*self.parameters, *free], weights, law)
        whole = [form.symbol for form in self.reduced.conditional]
        inner, outer = _split(self.reduced.expressions[0], set(whole))
        self._outer = mp_function([*self.parameters, *free, LAM, LAM_CONJ], list(outer.values()), law)
        self._integrand = mp_function([*outer, *self.parameters, *free, *whole, LAM, LAM_CONJ], inner, law)
        self._kinks = _kinks(self.reduced, law)

    def evaluate(self, values: Values, lam: Any = 0) -> tuple[Any, Any]:
        """Value and absolute error."""
        check_budget()
        given = [values[p] for p in self.parameters]
        count, free = len(self._forms), len(self.reduced.free)
        moments = self._moments(*given)
        mean = moments[:count]
        covariance = [[moments[count + count * i + j] for j in range(count)] for i in range(count)]
        spread = _cholesky([row[:free] for row in covariance[:free]])
        directions = len(spread[0]) if spread and spread[0] else 0
        conditional = any(covariance[k][k] > NO_WIDTH for k in range(free, count))
        dimension = directions + (1 if conditional else 0)
        if self._rough and dimension > 1:
            raise PrecisionError
        lam_conj = mp.conj(lam)

        rows: dict[Point, tuple[Any, ...]] = {}  # what the last coordinate does not change

        def row(xi: Point) -> tuple[Any, ...]:
            y = [mean[i] + sum(spread[i][j] * xi[j] for j in range(directions)) for i in range(free)]
            held = self._outer(*given, *y, lam, lam_conj)
            moments = self._conditional(given, y, mean[free:], covariance, free) if free < count else None
            return y, held, moments

        def integrand(xi: Point) -> Any:
            if conditional:
                if xi[:-1] not in rows:
                    rows.clear()
                    rows[xi[:-1]] = row(xi[:-1])
                y, held, moments = rows[xi[:-1]]
            else:
                y, held, moments = row(xi)
            whole = [] if moments is None else [moments[0] + (moments[1] * xi[-1] if conditional else 0)]
            return self._integrand(*held, *given, *y, *whole, lam, lam_conj)

        if self._rough and dimension == 1:
            breaks = [(kink(*given) - mean[k]) / spread[k][0] for k, kink in self._kinks if spread[k][0] != 0]
            return _panels(integrand, breaks)
        return _trapezoid(integrand, dimension)

    @property
    def _rough(self) -> bool:
        return bool(self._kinks)

    def _conditional(
        self, given: list[Any], y: list[Any], mean: list[Any], covariance: list[list[Any]], free: int
    ) -> tuple[Any, Any]:
        """Mean and standard deviation of the conditional form given the free ones."""
        weights = self._weights(*given, *y)
        n = len(weights)
        centre = sum(w * m for w, m in zip(weights, mean, strict=True))
        variance = sum(
            weights[i] * weights[j] * covariance[free + i][free + j] for i in range(n) for j in range(n)
        )
        return centre, mp.sqrt(variance) if variance > 0 else mp.mpf(0)


def _split(expression: sp.Expr, inner: set[sp.Symbol]) -> tuple[sp.Expr, dict[sp.Symbol, sp.Expr]]:
    """The expression with its largest parts that hold no inner symbol named, and those parts by name."""
    parts: dict[sp.Symbol, sp.Expr] = {}
    if not inner:
        return expression, parts

    def named(node: sp.Expr) -> sp.Expr:
        if not node.free_symbols & inner:
            if node.is_Number or node.is_Symbol:
                return node
            symbol = sp.Symbol(f"held[{len(parts)}]")
            parts[symbol] = node
            return symbol
        if not node.args:
            return node
        return node.func(*(named(part) if isinstance(part, sp.Expr) else part for part in node.args))

    return named(expression), parts


def _kinks(reduced: Reduced, law: Law) -> list[tuple[int, Callable[..., Any]]]:
    """(form, its value) where a function of it alone has a kink or a jump."""
    found: list[tuple[int, Callable[..., Any]]] = []
    symbols = [form.symbol for form in reduced.free]
    for node in sorted(law.functions.expand(reduced.expressions[0]).atoms(Fn), key=str):
        own = BUILTINS[node.name]
        for place in own.kinks + own.jumps:
            inside = [k for k, symbol in enumerate(symbols) if node.argument.has(symbol)]
            if len(inside) != 1 or not node.argument.is_polynomial(symbols[inside[0]]):
                raise PrecisionError
            symbol = symbols[inside[0]]
            slope = node.argument.diff(symbol)
            if slope.has(symbol):
                raise PrecisionError
            value = (place - node.argument.xreplace({symbol: sp.S.Zero})) / slope
            names = sorted(law_symbols(reduced.expressions[0], law) - {LAM, LAM_CONJ}, key=str)
            if value.free_symbols - set(names):
                raise PrecisionError
            found.append((inside[0], mp_function(names, value, law)))
    return found


def _cholesky(covariance: list[list[Any]]) -> list[list[Any]]:
    """B with B B^T = covariance and one column for each direction, largest remaining variance first."""
    size = len(covariance)
    rest = [row[:] for row in covariance]
    scale = max((rest[k][k] for k in range(size)), default=0)
    columns: list[list[Any]] = []
    for _ in range(size):
        pivot = max(range(size), key=lambda k: rest[k][k])
        if not rest[pivot][pivot] > NO_WIDTH * scale:
            break
        root = mp.sqrt(rest[pivot][pivot])
        column = [rest[i][pivot] / root for i in range(size)]
        columns.append(column)
        rest = [[rest[i][j] - column[i] * column[j] for j in range(size)] for i in range(size)]
    return [[column[i] for column in columns] for i in range(size)]


def _weight(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _trapezoid(f: Callable[[Point], Any], dimension: int) -> tuple[Any, Any]:
    if dimension == 0:
        value = f(())
        return value, abs(value) * mp.mpf(10) ** (2 - DIGITS)
    if dimension > 2:
        raise PrecisionError
    step = mp.mpf(COARSEST[dimension])
    value, size = _sum(f, dimension, step, fresh=False)
    change = size
    for _ in range(HALVINGS[dimension]):
        step /= 2
        more, its_size = _sum(f, dimension, step, fresh=True)
        scale = mp.mpf(2) ** -dimension  # the old nodes, in the finer rule
        new, size = value * scale + more, size * scale + its_size
        change, value = abs(new - value), new
        if change <= CHANGE * size:
            break
    floor = size * mp.mpf(10) ** (3 - DIGITS)
    # Halving the step squares the error, if the rule has begun to converge at all.
    error = change * change / size if size > 0 and change < mp.mpf(10) ** -6 * size else change
    return value, error * 10 + floor


def _sum(f: Callable[[Point], Any], dimension: int, step: Any, *, fresh: bool) -> tuple[Any, Any]:
    """The rule's sum and that of moduli; fresh: only over nodes that the rule of twice the step has not."""
    last = int(RADIUS[dimension] / float(step))
    value, size = mp.mpf(0), mp.mpf(0)
    numbers = range(-last, last + 1)
    weights = {k: step * _weight(k * step) for k in range(last + 1)}
    rows = [()] if dimension == 1 else [(k,) for k in numbers]
    for row in rows:
        check_budget()
        outer = weights[abs(row[0])] if row else mp.mpf(1)
        for k in numbers:
            if fresh and k % 2 == 0 and (not row or row[0] % 2 == 0):
                continue
            if row and (row[0] ** 2 + k**2) > last**2:
                continue
            term = outer * weights[abs(k)] * f((*(r * step for r in row), k * step))
            value += term
            size += abs(term)
    return value, size


def _panels(f: Callable[[Point], Any], breaks: list[Any]) -> tuple[Any, Any]:
    """Gauss-Legendre between kinks, one panel for about every unit of the standard normal."""
    inside = sorted({b for b in breaks if abs(b) < RADIUS[1]} | {mp.mpf(k) for k in range(-15, 16)})
    value, error = mp.mpf(0), mp.mpf(0)
    for left, right in pairwise(inside):
        part, its_error = mp.quad(lambda x: f((x,)) * _weight(x), [left, right], error=True, method="gauss-legendre")
        value, error = value + part, error + abs(its_error)
    return value, error
