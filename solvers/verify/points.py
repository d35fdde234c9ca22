"""Generic points on the solution manifold, to float64 or to thirty digits.

Parameters and unknowns are tied by the closed equations.  Where an unknown is the square of a gain times an average
(q = sigma^2 E[v^2]), the unknown is drawn and the gain computed from it, and no fixed point has to be found;
what is left over is solved numerically and polished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from derive.cell.parameters import resolve
from derive.errors import GatefieldError
from derive.theory import System
from derive.verify.meaning import Claim
from solvers.equations import Equations, relative_errors
from solvers.fixed_point import solve_all
from solvers.replicas import AT_DIAGONAL, correlation_fixed_point, spectral_radius_of
from solvers.result import FixedPoint
from solvers.verify.draws import draw, draw_parameters
from solvers.verify.evaluate import Numbers
from solvers.verify.precise import PrecisionError

VARIANCES = (0.15, 0.8)
TRIVIAL = 1e-7
ATTEMPTS = 12
TOLERANCE = 1e-12
POLISH_STEPS = 8

Evaluate = Callable[[sp.Expr, Mapping[sp.Symbol, Any]], tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class GenericPoint:
    """Drawn parameters and unknowns (exact), unknowns solved in float64 with their relative error, and lambda.

    dead : variances that vanish at this solution though their equations have others; of them it says nothing.
    """

    drawn: Mapping[sp.Symbol, Fraction]
    solved: Mapping[sp.Symbol, float]
    lam: complex
    error: float = 0.0
    dead: frozenset[sp.Symbol] = frozenset()


class Manifold:
    """The solution manifold of a claim's closed equations, and points on it."""

    def __init__(self, claim: Claim, numbers: Numbers) -> None:
        self.claim, self.numbers, self.theory = claim, numbers, claim.theory
        single = claim.theory.system.equations
        overlaps = claim.theory.replicas.system.equations if claim.theory.replicas else {}
        self.equations = {s: r for s, r in claim.equations.items() if s in single or s not in overlaps}
        self.gains = self._gains()
        self._series: dict[int, tuple[list[GenericPoint], Iterator[GenericPoint]]] = {}
        self._known: dict[GenericPoint, tuple[dict[sp.Symbol, Any], Any]] = {}
        self._evaluator = numbers.evaluator
        rest = {s: right for s, right in self.equations.items() if s not in self.gains}
        self.order = _explicit_order(rest, claim)

    def _gains(self) -> dict[sp.Symbol, sp.Symbol]:
        """Unknown -> the free parameter whose square is a plain factor of its equation and which is in no other."""
        parameters = set(self.theory.site.parameters.values()) - set(self.claim.where)
        found: dict[sp.Symbol, sp.Symbol] = {}
        for symbol, right in self.equations.items():
            if not symbol.is_nonnegative:
                continue
            for factor in sp.Mul.make_args(sp.factor_terms(right)):
                base, power = factor.as_base_exp()
                if power == 2 and base in parameters and self._alone(base, symbol, right / factor):
                    found[symbol] = base
                    break
        return found

    def _alone(self, parameter: sp.Symbol, symbol: sp.Symbol, rest: sp.Expr) -> bool:
        law = self.theory.law
        others = [right for s, right in self.equations.items() if s is not symbol]
        held = [rest, *others, *law.mean.values(), *law.second.values()]
        return not any(parameter in expression.free_symbols for expression in held)

    def points(self, seed: int = 0) -> Iterator[GenericPoint]:
        """Points with a non-trivial solution, without end; stops where none is found.  Each is looked for once."""
        found, fresh = self._series.setdefault(seed, ([], self._fresh(seed)))
        for number in count():
            if number == len(found):
                point = next(fresh, None)
                if point is None:
                    return
                found.append(point)
            yield found[number]

    def _fresh(self, seed: int) -> Iterator[GenericPoint]:
        rng = np.random.default_rng(seed)
        fixed = {str(symbol): Fraction(int(v.p), int(v.q)) for symbol, v in self.claim.where.items()}
        first, content = 0, False
        while True:
            spare: GenericPoint | None = None
            for attempt in (*range(first, ATTEMPTS), *range(first)):
                point = self._draw(fixed, rng, 1.25**attempt)
                if point is not None and (content or not point.dead):
                    first = attempt
                    break
                spare = spare or point
            else:
                if spare is None:
                    return
                point, content = spare, True  # where every solution is partly dead there is no use in looking again
            yield point

    def _draw(self, fixed: Mapping[str, Fraction], rng: np.random.Generator, scale: float) -> GenericPoint | None:
        drawn = draw_parameters(self.theory.site.cell, fixed, rng, scale)
        symbols = {self.theory.site.parameters[name]: value for name, value in drawn.items()}
        angle, size = rng.uniform(0.4, 2.7), rng.uniform(1.2, 1.8)
        discrete = self.theory.site.discrete
        lam = complex(size * np.exp(1j * angle)) if discrete else complex(rng.uniform(0.4, 1.0), 0.8 * size)
        if self.order is not None:
            for unknown, gain in self.gains.items():
                symbols.pop(gain)
                symbols[unknown] = draw(*VARIANCES, rng)
        elif not self._allowed(drawn):
            return None
        point = GenericPoint(symbols, {}, lam)
        if self.order is None:
            found = self._solve(symbols)
            return None if found is None else GenericPoint(symbols, found[0], lam, found[1], self._dead(found[0]))
        values = self._complete(point, self.numbers.rough)
        names = {name: float(values[s]) for name, s in self.theory.site.parameters.items()}
        return point if all(np.isfinite(v) for v in names.values()) and self._allowed(names) else None

    def _allowed(self, parameters: Mapping[str, Any]) -> bool:
        try:
            resolve(self.theory.site.cell, {name: float(value) for name, value in parameters.items()})
        except GatefieldError:
            return False
        return True

    # Values -----------------------------------------------------------------------------------------------------

    def rough(self, point: GenericPoint) -> dict[sp.Symbol, Any]:
        """Parameters and unknowns in float64 accuracy, overlaps of two replicas included where asked for."""
        return dict(self._rough(point)[0])

    def relative_error(self, point: GenericPoint) -> Any:
        """How far the values that `rough` gives may be off, as a sum of relative errors."""
        return self._rough(point)[1]

    def _rough(self, point: GenericPoint) -> tuple[dict[sp.Symbol, Any], Any]:
        """Values and the sum of their relative errors."""
        if point not in self._known:
            if self.order is None:
                values: dict[sp.Symbol, Any] = {s: float(v) for s, v in point.drawn.items()} | dict(point.solved)
                error = mp.mpf(point.error)
            else:
                values = self._complete(point, self.numbers.rough)
                error = self._chained_error(values)
            if self.claim.replicas:
                values, more = self._with_overlaps(values)
                error += more
            self._known[point] = values, error
        return self._known[point]

    def _chained_error(self, values: Mapping[sp.Symbol, Any]) -> Any:
        assert self.order is not None
        chained = [*((s, self.equations[s]) for s in self.order),
                   *((s, self.equations[s] / gain**2) for s, gain in self.gains.items())]  # fmt: skip
        total = mp.mpf(0)
        for _, right in chained:
            value, error = self.numbers.rough(sp.expand(right), values)
            total += error / abs(value) if value else mp.mpf(0)
        return total

    def precise(self, point: GenericPoint) -> dict[sp.Symbol, Any]:
        """The same to thirty digits.

        Raises PrecisionError where an average of the closed equations cannot be had.
        """
        if self.order is None:
            given = {s: mp.mpf(v.numerator) / v.denominator for s, v in point.drawn.items()}
            start = {s: mp.mpf(value) for s, value in point.solved.items()}
            values = self._polish(self._equations(point.drawn), given, start)
        else:
            values = self._complete(point, self.numbers.precise)
        return self._precise_overlaps(point, values) if self.claim.replicas else values

    def _complete(self, point: GenericPoint, evaluate: Evaluate) -> dict[sp.Symbol, Any]:
        """Follow the explicit equations, then compute the gains that make the drawn unknowns right."""
        assert self.order is not None
        values: dict[sp.Symbol, Any] = {s: mp.mpf(v.numerator) / v.denominator for s, v in point.drawn.items()}
        for symbol in self.order:
            values[symbol] = mp.re(evaluate(self.equations[symbol], values)[0])
        for unknown, gain in self.gains.items():
            rest = mp.re(evaluate(sp.expand(self.equations[unknown] / gain**2), values)[0])
            values[gain] = mp.sqrt(values[unknown] / rest) if rest > 0 else mp.nan
        return values

    def _with_overlaps(self, values: dict[sp.Symbol, Any]) -> tuple[dict[sp.Symbol, Any], Any]:
        """With the covariances of two replicas at their fixed point, and the sum of the relative errors of these."""
        theory = self.theory
        assert theory.replicas is not None
        assert theory.perturbation is not None
        plain = {s: float(v) for s, v in values.items()}
        chi1 = spectral_radius_of(theory.perturbation, self._evaluator, plain, 1e-11)
        found = correlation_fixed_point(theory.replicas, plain, self._evaluator, chi1.value, 1e-12)
        if found is None:
            return values, mp.mpf(0)
        error = max(relative_errors(found.values, found.errors), default=0.0)
        return values | dict(found.values), mp.mpf(error)

    def _precise_overlaps(self, point: GenericPoint, values: dict[sp.Symbol, Any]) -> dict[sp.Symbol, Any]:
        """With the covariances of two replicas to thirty digits."""
        replicas = self.theory.replicas
        if replicas is None:
            return values
        rough = self.rough(point)
        start = {s: mp.mpf(rough[s]) for s in replicas.system.equations}
        for symbol, twin in replicas.diagonal.items():
            if abs(start[symbol] - values[twin]) <= AT_DIAGONAL * abs(values[twin]):
                start[symbol] = values[twin]  # equal replicas, and averages over them in half as many directions
        plain = {s: float(v) for s, v in values.items()}
        return self._polish(Equations(replicas.system, replicas.law, self._evaluator, plain), values, start)

    # Where fixed points must be found ---------------------------------------------------------------------------

    def _solve(self, drawn: Mapping[sp.Symbol, Fraction]) -> tuple[dict[sp.Symbol, float], float] | None:
        """All unknowns at the solution of largest activity, and their relative error; None if there is none.

        A solution with fewer dead variances comes first.
        """
        found = [p for p in solve_all(self._equations(drawn), TOLERANCE).solutions if np.isfinite(_activity(p))]
        best = max(found, key=lambda p: (-len(self._dead(p.values)), _activity(p)), default=None)
        if best is None or _activity(best) < TRIVIAL:
            return None
        error = max(relative_errors(best.values, best.errors), default=0.0)
        return {s: v for s, v in best.values.items() if s not in drawn}, error

    def _dead(self, values: Mapping[sp.Symbol, float]) -> frozenset[sp.Symbol]:
        """Variances that vanish at a solution, but not because the fixed parameters make them."""
        fixed = dict(self.claim.where)
        zero = [s for s in self.equations if s.is_nonnegative and values.get(s, 1.0) < TRIVIAL]
        return frozenset(s for s in zero if self.equations[s].xreplace(fixed) != 0)

    def _equations(self, drawn: Mapping[sp.Symbol, Fraction]) -> Equations:
        given = {s: float(v) for s, v in drawn.items()}
        return Equations(System(self.equations), self.theory.law, self._evaluator, given)

    def _polish(
        self, equations: Equations, given: Mapping[sp.Symbol, Any], rough: Mapping[sp.Symbol, Any]
    ) -> dict[sp.Symbol, Any]:
        """From float64 to thirty digits by a quasi-Newton iteration, whose matrix is that of float64.

        given : what the equations take as known, exactly or to thirty digits; rough : their unknowns in float64.
        """
        x = [rough[s] for s in equations.feedback]
        correction = _newton_matrix(equations, [float(value) for value in x])
        tiny = mp.mpf(10) ** -33
        for _ in range(POLISH_STEPS):
            values: dict[sp.Symbol, Any] = dict(given) | dict(zip(equations.feedback, x, strict=True))
            for symbol in equations.order:
                values[symbol] = self.numbers.precise(equations.system.equations[symbol], values)[0]
            image = [self.numbers.precise(equations.system.equations[s], values)[0] for s in equations.feedback]
            residual = [a - b for a, b in zip(image, x, strict=True)]
            if all(abs(r) <= tiny * (abs(v) + mp.mpf("1e-3")) for r, v in zip(residual, x, strict=True)):
                return values
            x = [v + sum(correction[i, j] * residual[j] for j in range(len(x))) for i, v in enumerate(x)]
        raise PrecisionError


def _activity(found: FixedPoint) -> float:
    return float(sum(found.values[s] for s in found.errors if s.is_nonnegative))


def _explicit_order(equations: Mapping[sp.Symbol, sp.Expr], claim: Claim) -> tuple[sp.Symbol, ...] | None:
    """An order in which the equations can be followed one by one; None where they are tied in a circle."""
    system = System(equations)
    needs = {s: system.dependencies(s, claim.theory.law) for s in equations}
    order: list[sp.Symbol] = []
    while len(order) < len(needs):
        ready = [s for s in needs if s not in order and needs[s] <= set(order)]
        if not ready:
            return None
        order += ready
    return tuple(order)


def _newton_matrix(equations: Equations, x: list[float]) -> Any:
    """(1 - dG/dx)^-1 in float64."""
    size = len(x)
    columns = []
    for k in range(size):
        h = 1e-4 * max(abs(x[k]), 1e-4)
        images = [equations.complete(np.array(x) + sign * h * np.eye(size)[k], 1e-12).image for sign in (1, -1)]
        columns.append((images[0] - images[1]) / (2 * h))
    jacobian = np.array(columns).T.reshape(size, size)
    return mp.matrix(np.linalg.inv(np.eye(size) - jacobian).tolist())
