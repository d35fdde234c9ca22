"""Averages that depend on the spectral parameter, for many values of it at once.

One direction: integrated adaptively for every lambda.  More: what lambda touches (the denominators) is kept
exact along its own direction, and the rest is averaged out beforehand into a table of coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from derive.gaussian.average import Law
from solvers.averages import CompiledAverage, Values
from solvers.codegen.emit import compile_function
from solvers.codegen.quadrature import gaussian_average_batch
from solvers.codegen.sampling import normal_points
from solvers.spectrum.conditional import ConditionalTable, PoleDirection, conditional_table

LOG2_NODES, LOG2_COARSE, COARSE_RTOL = 15, 10, 1e-4
"""Nodes (as powers of two) of the sampled fallback for integrands with no separable direction."""

CHUNK = 1_000_000

Tables = dict[tuple[tuple[sp.Expr, ...], sp.Expr, tuple[float, ...]], ConditionalTable]


@dataclass(frozen=True)
class Factors:
    """integrand = sum over (p, q) of lam^p conj(lam)^q coefficients[p, q] * pole; ``pole`` holds every denominator."""

    powers: tuple[tuple[int, int], ...]
    coefficients: tuple[sp.Expr, ...]
    pole: sp.Expr


def split_factors(integrand: sp.Expr, lam: sp.Symbol, lam_conj: sp.Symbol) -> Factors:
    """Separate what lambda multiplies from what it divides.

    What lambda does not touch stays as it is written: expanding (1 - f)^2 would lose the digits of a saturated gate.
    """
    front: list[sp.Expr] = []
    above: list[sp.Expr] = []
    below: list[sp.Expr] = []
    for factor in sp.Mul.make_args(integrand):
        touched = factor.free_symbols & {lam, lam_conj}
        polynomial = factor.is_polynomial(lam, lam_conj)
        (front if not touched else above if polynomial else below).append(factor)
    numerator = sp.Poly(sp.Mul(*above), lam, lam_conj)
    powers, coefficients = zip(*numerator.terms(), strict=True)
    return Factors(tuple(powers), tuple(sp.Mul(*front, c) for c in coefficients), sp.Mul(*below))


class LambdaAverage:
    """E[integrand(lam)] at given parameter values, for arrays of lam."""

    def __init__(
        self,
        integrand: sp.Expr,
        law: Law,
        implicit: tuple[tuple[sp.Symbol, sp.Expr], ...],
        lam: sp.Symbol,
        lam_conj: sp.Symbol,
        values: Values,
        tables: Tables | None = None,
        whole: CompiledAverage | None = None,
    ) -> None:
        """``tables`` keeps conditional tables for averages that differ only in how lambda enters; ``whole`` : the
        integrand, where it has been compiled already."""
        self.values = values
        self.whole = whole or CompiledAverage((integrand,), law, implicit, extra=(lam, lam_conj))
        self.dimension = self.whole.geometry(values)[0].dimension
        self._direction: PoleDirection | None = None
        if self.dimension > 1:
            factors = split_factors(integrand, lam, lam_conj)
            direction = PoleDirection(factors.coefficients, factors.pole, law, (lam, lam_conj), values, implicit)
            if direction.separable:
                self._direction, self._powers = direction, factors.powers
                given = tuple(values[p] for p in direction.compiled.parameters)
                key = (factors.coefficients, factors.pole.xreplace({lam_conj: lam}), given)
                known = {} if tables is None else tables
                self._table = known[key] if key in known else known.setdefault(key, conditional_table(direction))
            else:
                self._prepare_sampling(integrand, law, implicit, lam, lam_conj)

    def _prepare_sampling(
        self,
        integrand: sp.Expr,
        law: Law,
        implicit: tuple[tuple[sp.Symbol, sp.Expr], ...],
        lam: sp.Symbol,
        lam_conj: sp.Symbol,
    ) -> None:
        """Everything that does not hold lambda is evaluated once at every point."""
        rewritten, columns = site_columns(integrand, law, frozenset({lam, lam_conj}))
        numbers = {p: sp.Float(self.values[p], 17) for p in rewritten.free_symbols if p in self.values}
        self._columns = CompiledAverage(tuple(columns.values()), law, implicit)
        self._of_columns = compile_function([*columns, lam, lam_conj], [rewritten.xreplace(numbers)], law.functions)
        self._sites: dict[int, np.ndarray] = {}

    def __call__(self, lam: np.ndarray, rtol: float) -> tuple[np.ndarray, np.ndarray]:
        """Values and absolute errors for lam of shape (n,)."""
        if self.dimension == 0:
            value = self.whole.sites(self.values, np.zeros((0, lam.size)), (lam, np.conj(lam)))[0]
            return value, 1e-15 * np.abs(value)
        if self.dimension == 1:
            return self._single(lam, rtol)
        if self._direction is not None:
            return self._tabulated(lam, rtol)
        return self._sampled(lam, rtol)

    def _single(self, lam: np.ndarray, rtol: float) -> tuple[np.ndarray, np.ndarray]:
        def integrand(xi: np.ndarray, index: np.ndarray) -> np.ndarray:
            here = lam[index]
            return self.whole.sites(self.values, xi[None, :], (here, np.conj(here)))

        result = gaussian_average_batch(integrand, lam.size, rtol=rtol, atol=1e-300, start_width=_start_width(rtol))
        return result.value[0], result.error[0]

    def _tabulated(self, lam: np.ndarray, rtol: float) -> tuple[np.ndarray, np.ndarray]:
        direction, table = self._direction, self._table
        assert direction is not None
        monomials = np.array([lam**p * np.conj(lam) ** q for p, q in self._powers])

        def integrand(xi: np.ndarray, index: np.ndarray) -> np.ndarray:
            return np.sum(monomials[:, index] * table(xi), axis=0) * direction.pole(xi, lam[index])

        result = gaussian_average_batch(
            integrand, lam.size, rtol=max(rtol, 1e-12), atol=1e-300, start_width=_start_width(rtol)
        )
        return result.value[0], result.error[0] + table.relative_error * np.abs(result.value[0])

    def _sampled(self, lam: np.ndarray, rtol: float) -> tuple[np.ndarray, np.ndarray]:
        """Plain means over fixed points; the error is the difference of two halves."""
        log2 = LOG2_COARSE if rtol >= COARSE_RTOL else LOG2_NODES
        if log2 not in self._sites:
            points = normal_points(self._columns.geometry(self.values)[0].dimension, log2)
            self._sites[log2] = self._columns.sites(self.values, points)
        sites = self._sites[log2]
        half = sites.shape[1] // 2
        step = max(1, CHUNK // sites.shape[1])
        sums = [self._half_means(lam[k : k + step], sites, half) for k in range(0, lam.size, step)]
        first, second = np.concatenate(sums, axis=1)
        return (first + second) / 2, np.abs(first - second)

    def _half_means(self, lam: np.ndarray, sites: np.ndarray, half: int) -> np.ndarray:
        here = lam[:, None]
        with np.errstate(all="ignore"):
            value = self._of_columns(*(row[None, :] for row in sites), here, np.conj(here))[0]
        value = np.broadcast_to(value, (lam.size, sites.shape[1]))
        return np.array([value[:, :half].mean(axis=1), value[:, half:].mean(axis=1)])


def site_columns(
    expression: sp.Expr, law: Law, lam: frozenset[sp.Symbol]
) -> tuple[sp.Expr, dict[sp.Symbol, sp.Expr]]:
    """Rewrite with one symbol for each maximal part that varies over sites but does not hold lambda."""
    columns: dict[sp.Expr, sp.Symbol] = {}

    def rewrite(node: sp.Expr) -> sp.Expr:
        if not law.random(node):
            return node
        if not node.free_symbols & lam:
            return columns.setdefault(node, sp.Symbol(f"column[{len(columns)}]", real=True))
        if isinstance(node, (sp.Add, sp.Mul)):
            still = [part for part in node.args if not part.free_symbols & lam and law.random(part)]
            moving = [rewrite(part) for part in node.args if part not in still]
            return node.func(rewrite(node.func(*still)), *moving) if still else node.func(*moving)
        return node.func(*(rewrite(part) if isinstance(part, sp.Expr) else part for part in node.args))

    return rewrite(expression), {symbol: node for node, symbol in columns.items()}


def _start_width(rtol: float) -> float:
    """Panels may start wide where little is asked: lambda's poles decay slowly and are found by their flanks."""
    return 1.5 if rtol >= 1e-5 else 0.5
