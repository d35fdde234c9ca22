"""Averages to thirty digits and more, for formulas that are to be called equal.

An average is written in as few directions as it has (`derive.gaussian.forms`), and the trapezoidal rule, whose error is
squared whenever its step is halved, is run in balls: rounding is bounded, not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import mpmath as mp
import sympy as sp
from flint import acb, arb, ctx

from derive.elementary import BUILTINS, Fn
from derive.gaussian.average import Average, Law
from derive.gaussian.forms import Form, Reduced, reduce_forms
from derive.stability.spectrum import LAM, LAM_CONJ
from derive.theory import law_symbols
from solvers.budget import check_budget
from solvers.verify.balls import ball, ball_function, number_of, radius_of
from solvers.verify.trapezoid import RADIUS, one_direction, two_directions

DIGITS = 40
"""Working precision of mpmath; results are meant to have thirty."""

BITS = (170, 400, 1200)
"""Precisions of the balls: the next is tried where cancellation leaves too little of the one before."""

ROUNDING = 1e-33
"""Relative radius of a ball that is precise enough."""

NO_WIDTH = 1e-30

Values = Mapping[sp.Symbol, Any]


class PrecisionError(Exception):
    """An average with three or more directions, a kink in two, or a state that is only known as a root."""


class PreciseAverage:
    """E[f] in at most two directions, to thirty digits and more.

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
        self._moments = ball_function(self.parameters, table, law)
        self._free = [form.symbol for form in self.reduced.free]
        self._whole = [form.symbol for form in self.reduced.conditional]
        weights = [weight for form in self.reduced.conditional for weight, _ in form.parts]
        self._weights = ball_function([*self.parameters, *self._free], weights, law)
        self._integrands: dict[frozenset[sp.Symbol], tuple[Callable[..., Any], Callable[..., Any]]] = {}
        self._kinks = _kinks(self.reduced, law)

    def evaluate(self, values: Values, lam: Any = 0) -> tuple[Any, Any]:
        """Value and absolute error, as mpmath numbers."""
        check_budget()
        for bits in BITS:
            with ctx.workprec(bits):
                value, error, size = self._integrated([ball(values[p]) for p in self.parameters], ball(lam))
                if value.is_finite() and radius_of(value) <= ROUNDING * size:
                    return number_of(value), mp.mpf(error) + radius_of(value) + size * mp.mpf(10) ** (3 - DIGITS)
        raise PrecisionError

    def _integrated(self, given: list[Any], lam: Any) -> tuple[Any, Any, Any]:
        """Value, error of the rule, average of the modulus."""
        count, free = len(self._forms), len(self._free)
        moments = self._moments(*given)
        mean = moments[:count]
        covariance = [[moments[count + count * i + j] for j in range(count)] for i in range(count)]
        spread = _cholesky([row[:free] for row in covariance[:free]])
        directions = len(spread[0]) if spread else 0
        dimension = directions + len(self._whole)
        if dimension > 2 or (self._kinks and dimension > 1):
            raise PrecisionError
        line = _Line(self, given, lam, mean, covariance, spread)
        if dimension == 0:
            value = line.along(())(arb(0))
            return value, 0.0, number_of(abs(value))
        if self._kinks:
            breaks = [(kink(*given) - mean[k]) / spread[k][0] for k, kink in self._kinks if spread[k][0] != 0]
            return _panels(line.along(()), [number_of(place) for place in breaks])
        found = one_direction(line.along(())) if dimension == 1 else two_directions(lambda x: line.along((x,)))
        return found.value, found.error, mp.mpf(found.size)

    def integrand(self, inner: frozenset[sp.Symbol]) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """What the inner symbols do not change, and the integrand given that."""
        if inner not in self._integrands:
            rest, held = _split(self.reduced.expressions[0], inner)
            arguments = [*self.parameters, *self._free, LAM, LAM_CONJ]
            outer = ball_function(arguments, list(held.values()), self.law)
            self._integrands[inner] = outer, ball_function([*held, *self._whole, *arguments], rest, self.law)
        return self._integrands[inner]

    def weights(self, given: list[Any], y: list[Any]) -> list[Any]:
        """Coefficients of the parts of the conditional form, given the free ones."""
        found: list[Any] = self._weights(*given, *y)
        return found


class _Line:
    """The integrand along the last coordinate, for fixed values of the others."""

    def __init__(
        self, owner: PreciseAverage, given: list[Any], lam: Any,
        mean: list[Any], covariance: list[list[Any]], spread: list[list[Any]],
    ) -> None:  # fmt: skip
        self.owner, self.given, self.mean, self.covariance, self.spread = owner, given, mean, covariance, spread
        self.spectral = (lam, lam.conjugate() if isinstance(lam, acb) else lam)
        whole, free = owner.reduced.conditional, [form.symbol for form in owner.reduced.free]
        last = {symbol for symbol, row in zip(free, spread, strict=True) if row and row[-1] != 0}
        self.slopes = [row[-1] if row else arb(0) for row in spread]
        self.outer, self.inner = owner.integrand(frozenset(form.symbol for form in whole) or frozenset(last))

    def along(self, xi: tuple[Any, ...]) -> Callable[[Any], Any]:
        """A function of the last standard normal, for given values of those before it."""
        y = [
            self.mean[k] + sum((b * x for b, x in zip(row, xi, strict=False)), arb(0))
            for k, row in enumerate(self.spread)
        ]
        held = self.outer(*self.given, *y, *self.spectral)
        inner, given, spectral, slopes = self.inner, self.given, self.spectral, self.slopes
        if self.owner.reduced.conditional:
            centre, width = self._conditional(y)
            return lambda t: inner(*held, centre + width * t, *given, *y, *spectral)
        moving = [(a, None if b == 0 else b) for a, b in zip(y, slopes, strict=True)]
        return lambda t: inner(*held, *given, *[a if b is None else a + b * t for a, b in moving], *spectral)

    def _conditional(self, y: list[Any]) -> tuple[Any, Any]:
        """Mean and standard deviation of the conditional form given the free ones."""
        weights, free = self.owner.weights(self.given, y), len(y)
        places = range(len(weights))
        centre = sum((weights[i] * self.mean[free + i] for i in places), arb(0))
        pairs = ((i, j) for i in places for j in places)
        variance = sum((weights[i] * weights[j] * self.covariance[free + i][free + j] for i, j in pairs), arb(0))
        return centre, variance.sqrt() if variance > 0 else arb(0)


def _split(expression: sp.Expr, inner: frozenset[sp.Symbol]) -> tuple[sp.Expr, dict[sp.Symbol, sp.Expr]]:
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
            found.append((inside[0], ball_function(names, value, law)))
    return found


def _cholesky(covariance: list[list[Any]]) -> list[list[Any]]:
    """B with B B^T = covariance and one column for each direction, largest remaining variance first."""
    size = len(covariance)
    rest = [row[:] for row in covariance]
    scale = max((float(rest[k][k]) for k in range(size)), default=0.0)
    columns: list[list[Any]] = []
    for _ in range(size):
        pivot = max(range(size), key=lambda k: float(rest[k][k]))
        if not rest[pivot][pivot] > NO_WIDTH * scale:
            break
        root = rest[pivot][pivot].sqrt()
        # What is left beside a pivot is zero exactly, not a ball around zero.
        column = [root if i == pivot else rest[i][pivot] / root for i in range(size)]
        columns.append(column)
        rest = [
            [arb(0) if pivot in (i, j) else rest[i][j] - column[i] * column[j] for j in range(size)]
            for i in range(size)
        ]
    return [[column[i] for column in columns] for i in range(size)]


def _panels(f: Callable[[Any], Any], breaks: list[Any]) -> tuple[Any, Any, Any]:
    """Gauss-Legendre between kinks, one panel for about every unit of the standard normal."""
    edge = int(RADIUS[1])
    inside = sorted({b for b in breaks if abs(b) < edge} | {mp.mpf(k) for k in range(-edge, edge + 1)})

    def weighted(x: Any) -> Any:
        return number_of(f(arb(x))) * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)

    value, error, size = mp.mpf(0), mp.mpf(0), mp.mpf(0)
    for left, right in pairwise(inside):
        part, its_error = mp.quad(weighted, [left, right], error=True, method="gauss-legendre")
        value, error, size = value + part, error + abs(its_error), size + abs(part)
    return ball(value), error, size
