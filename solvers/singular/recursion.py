"""The closed recursion for products of untied Jacobians, in numbers.

Every average is a number of its own, evaluated once; a step is then arithmetic.  The error is the sum of what each
number's error makes of the result, all of them followed through the recursion side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy as sp

from derive.elementary import FunctionTable
from derive.gaussian.average import Average
from derive.stability.products import product_theory
from solvers.averages import Estimate
from solvers.budget import check_budget
from solvers.codegen.emit import compile_function
from solvers.singular.one_step import solution_share
from solvers.solution import Solution, Solved
from solvers.spectrum.symbolic_moments import MoreMoments

Array = npt.NDArray[np.float64]
Columns = dict[sp.Symbol, Array]

SHIFT = 1e-5
"""Change by which the influence of a number is measured, relative to it (or to one, if it is smaller)."""

LONGEST, SETTLED = 20_000, 1e-9
"""Steps within which the growth of m2/m1^2 per step must settle, and the relative change at which it has."""

ROUNDING = 1e-14
"""Of every step."""

FIRST, SECOND = sp.Symbol("first[]", real=True), sp.Symbol("second[]", real=True)


@dataclass(frozen=True)
class ProductNumbers:
    """m1, m2 : of the squared singular values of the product; spread : m2/m1^2 - 1; slope : what a step adds to it
    in the long run, None where that does not settle (it grows exponentially)."""

    m1: Estimate
    m2: Estimate
    spread: Estimate
    slope: Estimate | None


class ProductRecursion:
    """The recursion at one untied solution.

    Raises as `derive.stability.products.product_theory`.
    """

    def __init__(self, solved: Solved, solution: Solution, tol: float = 1e-10) -> None:
        theory = solved.theory
        found = product_theory(theory)
        self._degrees, self._pairs = found.degrees, tuple(found.pairs)
        tables = (found.psi, found.delta, found.units, found.pairs, found.start)
        whole = [sp.sympify(e) for table in tables for e in table.values()]
        nodes = sorted(set().union(*(e.atoms(Average) for e in whole)), key=sp.default_sort_key)
        names = {node: sp.Symbol(f"average[{k}]", real=True) for k, node in enumerate(nodes)}
        evaluator = solved.same_evaluator()
        values = {symbol: solved.parameters[name] for name, symbol in theory.site.parameters.items()}
        moments = {s: x for s, x in solution.linearised_at.items() if s not in values}
        moments |= MoreMoments(theory, found.moments, evaluator)(values | moments, tol)
        share = solution_share(solved, solution) + tol
        numbers = {s: Estimate(x, share * abs(x)) for s, x in moments.items()}
        for node, name in names.items():
            estimate = evaluator.average(node, values | moments, tol)
            numbers[name] = Estimate(estimate.value, estimate.error + share * abs(estimate.value))
        self._constants, self._influence = _side_by_side(numbers, values)

        def compiled(table: Mapping[sp.Symbol, sp.Expr], *, chained: bool = False) -> _Compiled:
            plain = {symbol: sp.sympify(e).xreplace(names) for symbol, e in table.items()}
            return _Compiled(plain, theory.law.functions, chained=chained)

        self._constants |= compiled(found.psi, chained=True)(self._constants)
        self._start = compiled(found.start)(self._constants)
        self._deltas = compiled(found.delta, chained=True)
        self._step = compiled({**found.units, **found.pairs})
        self._ends = compiled({FIRST: found.first, SECOND: found.second})

    def run(self, steps: int) -> ProductNumbers:
        """Numbers of the product of ``steps`` Jacobians.  Raises BudgetSpent."""
        walk = _Walk(self)
        for _ in range(steps):
            walk.step()
        with np.errstate(over="ignore"):
            m1, m2 = np.exp(walk.log_size), np.exp(2 * walk.log_size) * walk.ratio
        rounding = ROUNDING * steps
        first, second, spread = (self._estimate(x, rounding) for x in (m1, m2, walk.ratio - 1.0))
        return ProductNumbers(first, second, spread, self._slope(walk))

    def _estimate(self, columns: Array, rounding: float) -> Estimate:
        value = float(columns[0])
        if not np.isfinite(columns).all():
            return Estimate(value, np.inf)
        moved = np.abs(columns[1:] - value) @ self._influence
        return Estimate(value, float(moved + rounding * (1.0 + abs(value))))

    def _slope(self, walk: _Walk) -> Estimate | None:
        """What one more step adds to m2/m1^2, followed until it stays the same."""
        before = np.full_like(walk.ratio, np.nan)
        for _ in range(LONGEST):
            ratio = walk.ratio
            walk.step()
            added = walk.ratio - ratio
            if not np.isfinite(added).all():
                return None
            if np.all(np.abs(added - before) <= SETTLED * (1.0 + np.abs(added))):
                return self._estimate(added, 1e3 * SETTLED)
            before = added
        return None


class _Walk:
    """X of the product so far, divided by its mean trace, for every set of numbers at once.

    log_size : logarithm of m1; ratio : m2/m1^2; both (1 + numbers,)
    """

    def __init__(self, recursion: ProductRecursion) -> None:
        self._of, self._state = recursion, dict(recursion._start)
        width = recursion._influence.size + 1
        self._state |= {symbol: np.zeros(width) for symbol in recursion._pairs}
        self.log_size, self.ratio = np.zeros(width), np.ones(width)

    def step(self) -> None:
        """One more Jacobian."""
        check_budget()
        of = self._of
        known = of._constants | self._state
        with np.errstate(all="ignore"):
            new = of._step(known | of._deltas(known))
            size = of._ends(of._constants | new)[FIRST]
            self._state = {symbol: x / size ** of._degrees.get(symbol, 2) for symbol, x in new.items()}
            self.ratio = of._ends(of._constants | self._state)[SECOND]
            self.log_size = self.log_size + np.log(size)


class _Compiled:
    """Expressions by symbol; ``chained`` : each may need those before it."""

    def __init__(self, table: Mapping[sp.Symbol, sp.Expr], functions: FunctionTable, *, chained: bool) -> None:
        groups = [{symbol: e} for symbol, e in table.items()] if chained else [dict(table)]
        self._parts = []
        for group in groups:
            arguments = sorted(set().union(*(e.free_symbols for e in group.values())), key=str)
            function = compile_function(arguments, list(group.values()), functions)
            self._parts.append((tuple(group), arguments, function))

    def __call__(self, known: Mapping[sp.Symbol, Array]) -> Columns:
        found: Columns = {}
        width = np.size(next(iter(known.values())))
        for symbols, arguments, function in self._parts:
            results = function(*(found[s] if s in found else known[s] for s in arguments))
            found |= {s: np.broadcast_to(np.asarray(x, float), (width,)) for s, x in zip(symbols, results, strict=True)}
        return found


def _side_by_side(
    numbers: Mapping[sp.Symbol, Estimate], fixed: Mapping[sp.Symbol, float]
) -> tuple[Columns, Array]:
    """Columns (1 + n,): every number as it is, then each of the n that have errors moved by a little in turn.

    Returns the columns and the factors (n,) by which a change of the result is multiplied to be an error.
    """
    uncertain = [symbol for symbol, estimate in numbers.items() if estimate.error > 0.0]
    columns = {symbol: np.full(len(uncertain) + 1, estimate.value) for symbol, estimate in numbers.items()}
    columns |= {symbol: np.full(len(uncertain) + 1, value) for symbol, value in fixed.items()}
    influence = np.zeros(len(uncertain))
    for k, symbol in enumerate(uncertain):
        moved = SHIFT * max(abs(numbers[symbol].value), SHIFT)
        columns[symbol][k + 1] += moved
        influence[k] = numbers[symbol].error / moved
    return columns, influence
