"""Both sides of a claim as numbers at a point: float64 with an error, or thirty digits by mpmath."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath as mp
import sympy as sp

from derive.gaussian.average import Average
from derive.stability.spectrum import LAM, LAM_CONJ
from derive.verify.meaning import Claim
from solvers.averages import CompiledAverage, Evaluator
from solvers.verify.balls import opened
from solvers.verify.precise import PreciseAverage, PrecisionError

Values = Mapping[sp.Symbol, Any]
RTOL = 1e-12


class Numbers:
    """Evaluates expressions that hold averages, parameters, unknowns and lambda; compiles each average once."""

    def __init__(self, claim: Claim) -> None:
        self.claim, self.law = claim, claim.law
        self.evaluator = Evaluator(claim.law, claim.theory.implicit)
        self._with_lam: dict[Average, CompiledAverage] = {}
        self._precise: dict[Average, PreciseAverage | None] = {}
        self._cache: dict[Any, tuple[Any, Any]] = {}
        self._outer: dict[sp.Expr, tuple[list[Average], list[sp.Symbol], Callable[..., Any]]] = {}

    def rough(
        self, expression: sp.Expr, values: Values, lam: complex = 0.0, rtol: float = RTOL
    ) -> tuple[Any, Any]:
        """Value and absolute error, averages in float64 with relative error ``rtol``."""
        numbers = {s: float(v) for s, v in values.items()}

        def average(node: Average) -> tuple[Any, Any]:
            if not node.has(LAM, LAM_CONJ):
                found = self.evaluator.average(node, numbers, rtol)
                return mp.mpf(found.value), mp.mpf(found.error)
            if node not in self._with_lam:
                extra = (LAM, LAM_CONJ)
                self._with_lam[node] = CompiledAverage((node.integrand,), self.law, self.claim.theory.implicit, extra)
            value, error = self._with_lam[node].evaluate(numbers, rtol, (complex(lam), complex(lam).conjugate()))
            return mp.mpmathify(complex(value[0])), mp.mpf(float(error[0]))

        return self._assemble(expression, values, lam, average)

    def precise(self, expression: sp.Expr, values: Values, lam: Any = 0) -> tuple[Any, Any]:
        """Value and absolute error, averages to thirty digits.  Raises PrecisionError where one cannot be had."""

        def average(node: Average) -> tuple[Any, Any]:
            if node not in self._precise:
                try:
                    self._precise[node] = PreciseAverage(node, self.law)
                except PrecisionError:
                    self._precise[node] = None
            own = self._precise[node]
            if own is None:
                raise PrecisionError
            at = lam if node.has(LAM, LAM_CONJ) else 0
            key = (node, tuple(values[p] for p in own.parameters), at)
            if key not in self._cache:
                self._cache[key] = own.evaluate(values, at)
            return self._cache[key]

        return self._assemble(expression, values, lam, average)

    def at(self, expression: sp.Expr, values: Values, lam: Any, rtol: float | None) -> tuple[Any, Any]:
        """Value and absolute error with averages to ``rtol``, or to thirty digits where that is None."""
        if rtol is None:
            return self.precise(expression, values, lam)
        return self.rough(expression, values, lam, rtol)

    def _assemble(
        self, expression: sp.Expr, values: Values, lam: Any, average: Callable[[Average], tuple[Any, Any]]
    ) -> tuple[Any, Any]:
        """Outer arithmetic, with the error that those of the averages cause."""
        expression = sp.sympify(expression)
        if expression not in self._outer:
            self._outer[expression] = self._compiled(expression)
        nodes, symbols, function = self._outer[expression]
        inner = [average(node) for node in nodes]
        radii = {s: self._radius(s, values, average) for s in symbols if s in self.claim.radii}
        plain = [self._symbol(s, values, lam, radii) for s in symbols]
        numbers = [value for value, _ in inner]
        result = function(*plain, *numbers)
        error = abs(result) * mp.mpf(10) ** (4 - mp.mp.dps)
        for k, (value, own) in enumerate(inner):
            moved = [*numbers[:k], value + own, *numbers[k + 1 :]]
            error += abs(function(*plain, *moved) - result)
        for k, symbol in enumerate(symbols):
            if symbol in radii:
                moved = [*plain[:k], plain[k] + radii[symbol][1], *plain[k + 1 :]]
                error += abs(function(*moved, *numbers) - result)
        return result, error

    def _compiled(self, expression: sp.Expr) -> tuple[list[Average], list[sp.Symbol], Callable[..., Any]]:
        nodes = sorted(_outermost(expression), key=sp.default_sort_key)
        names = [sp.Symbol(f"average[{k}]") for k in range(len(nodes))]
        plain = expression.xreplace(dict(zip(nodes, names, strict=True)))
        symbols = sorted(plain.free_symbols - set(names), key=str)
        function = sp.lambdify([*symbols, *names], opened(plain, self.law), modules="mpmath", cse=True)
        return nodes, symbols, function

    @staticmethod
    def _symbol(symbol: sp.Symbol, values: Values, lam: Any, radii: Mapping[sp.Symbol, tuple[Any, Any]]) -> Any:
        if symbol == LAM:
            return mp.mpmathify(lam)
        if symbol == LAM_CONJ:
            return mp.conj(mp.mpmathify(lam))
        return radii[symbol][0] if symbol in radii else mp.mpmathify(values[symbol])

    def _radius(
        self, symbol: sp.Symbol, values: Values, average: Callable[[Average], tuple[Any, Any]]
    ) -> tuple[Any, Any]:
        """Largest modulus of the eigenvalues of the matrix that a symbol stands for."""
        matrix = self.claim.radii[symbol]
        entries = [self._assemble(entry, values, 0, average) for entry in matrix]
        table = mp.matrix(matrix.rows, matrix.cols)
        for k, (value, _) in enumerate(entries):
            table[k // matrix.cols, k % matrix.cols] = value
        return spectral_radius(table), sum((error for _, error in entries), mp.mpf(0))


def spectral_radius(table: Any) -> Any:
    """Largest modulus of the eigenvalues of an mpmath matrix."""
    if table.rows == 1:
        return abs(table[0, 0])
    return max(abs(value) for value in mp.eig(table, left=False, right=False))


def _outermost(expression: sp.Expr) -> set[Average]:
    if isinstance(expression, Average):
        return {expression}
    return set().union(*(_outermost(part) for part in expression.args)) if expression.args else set()
