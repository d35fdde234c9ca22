"""Averages that depend on the spectral parameter, for many values of it at once.

One direction: integrated adaptively for every lambda.  More: what lambda touches (the denominators) is kept
exact along its own direction, and the rest is averaged out beforehand into a table of coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from derive.gaussian.average import Law
from solvers.averages import CompiledAverage, Values
from solvers.codegen.quadrature import gaussian_average_batch
from solvers.codegen.sampling import normal_points
from solvers.spectrum.conditional import PoleDirection, conditional_table

LOG2_NODES = 15
"""Nodes (as a power of two) of the sampled fallback for integrands with no separable direction."""


@dataclass(frozen=True)
class Factors:
    """integrand = sum over (p, q) of lam^p conj(lam)^q coefficients[p, q] * pole; ``pole`` holds every denominator."""

    powers: tuple[tuple[int, int], ...]
    coefficients: tuple[sp.Expr, ...]
    pole: sp.Expr


def split_factors(integrand: sp.Expr, lam: sp.Symbol, lam_conj: sp.Symbol) -> Factors:
    """Separate what lambda multiplies from what it divides."""
    above, below = [], []
    for factor in sp.Mul.make_args(integrand):
        touched = factor.free_symbols & {lam, lam_conj}
        polynomial = factor.is_polynomial(lam, lam_conj)
        (below if touched and not polynomial else above).append(factor)
    numerator = sp.Poly(sp.Mul(*above), lam, lam_conj)
    powers, coefficients = zip(*numerator.terms(), strict=True)
    return Factors(tuple(powers), tuple(coefficients), sp.Mul(*below))


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
    ) -> None:
        self.values = values
        self.whole = CompiledAverage((integrand,), law, implicit, extra=(lam, lam_conj))
        self.dimension = self.whole.geometry(values)[0].dimension
        self._direction: PoleDirection | None = None
        if self.dimension > 1:
            factors = split_factors(integrand, lam, lam_conj)
            direction = PoleDirection(factors.coefficients, factors.pole, law, (lam, lam_conj), values, implicit)
            if direction.separable:
                self._direction, self._powers = direction, factors.powers
                self._table = conditional_table(direction)

    def __call__(self, lam: np.ndarray, rtol: float) -> tuple[np.ndarray, np.ndarray]:
        """Values and absolute errors for lam of shape (n,)."""
        if self.dimension == 0:
            value = self.whole.sites(self.values, np.zeros((0, lam.size)), (lam, np.conj(lam)))[0]
            return value, 1e-15 * np.abs(value)
        if self.dimension == 1:
            return self._single(lam, rtol)
        if self._direction is not None:
            return self._tabulated(lam, rtol)
        return self._sampled(lam)

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

        result = gaussian_average_batch(integrand, lam.size, rtol=max(rtol, 1e-12), atol=1e-300, start_width=_start_width(rtol))
        return result.value[0], result.error[0] + table.relative_error * np.abs(result.value[0])

    def _sampled(self, lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = normal_points(self.dimension, LOG2_NODES)
        half = points.shape[1] // 2
        sums = np.array([self._site_mean(x, points, half) for x in lam])
        return sums.mean(axis=1), np.abs(sums[:, 0] - sums[:, 1])

    def _site_mean(self, lam: complex, points: np.ndarray, half: int) -> Sequence[complex]:
        row = self.whole.sites(self.values, points, (lam, np.conj(lam)))[0]
        return [complex(row[:half].mean()), complex(row[half:].mean())]


def _start_width(rtol: float) -> float:
    """Panels may start wide where little is asked: lambda's poles decay slowly and are found by their flanks."""
    return 1.5 if rtol >= 1e-5 else 0.5
