"""The joint law of a few Gaussian variables, and what tilting and conditioning make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from derive.gaussian.safe import ratio


@dataclass(frozen=True)
class Joint:
    """mean : of every variable; covariance : of every ordered pair."""

    mean: Mapping[sp.Symbol, sp.Expr]
    covariance: Mapping[tuple[sp.Symbol, sp.Symbol], sp.Expr]

    def of(self, left: sp.Symbol, right: sp.Symbol) -> sp.Expr:
        """Covariance of two variables."""
        return self.covariance[left, right]

    def variance(self, symbol: sp.Symbol) -> sp.Expr:
        """Variance of a variable."""
        return self.covariance[symbol, symbol]

    def tilted(self, curvature: sp.Matrix, slope: sp.Matrix, symbols: tuple[sp.Symbol, ...]) -> Joint:
        """The law with density times exp(slope.x - x.curvature x / 2), normalised.

            C' = C - C A (1 + C A)^-1 C,    m' = m + C (1 + A C)^-1 (b - A m)

        Nothing is divided by a variance, so degenerate laws are no exception.
        """
        own = sp.Matrix([[self.of(s, t) for t in symbols] for s in symbols])
        mean = sp.Matrix([self.mean[s] for s in symbols])
        gain = (sp.eye(len(symbols)) + curvature * own).inv(method="ADJ").applyfunc(sp.factor)
        pull, push = gain * curvature, gain * (slope - curvature * mean)
        rows = {x: sp.Matrix([[self.of(x, s) for s in symbols]]) for x in self.mean}
        new_mean = {x: _short(m + (rows[x] * push)[0]) for x, m in self.mean.items()}
        new = {(x, y): _short(c - (rows[x] * pull * rows[y].T)[0]) for (x, y), c in self.covariance.items()}
        return Joint(new_mean, new)

    def given_zero(self, symbol: sp.Symbol) -> Joint:
        """The law given that a variable is zero; a variable that does not vary tells nothing."""
        variance, own = self.variance(symbol), self.mean[symbol]
        mean = {x: _plus(m, -own, self.of(x, symbol), variance) for x, m in self.mean.items()}
        covariance = {
            (x, y): _plus(c, -self.of(x, symbol), self.of(symbol, y), variance)
            for (x, y), c in self.covariance.items()
        }
        return Joint(mean, covariance)


def _short(expression: sp.Expr) -> sp.Expr:
    """A rational function of moments with its factors in sight."""
    return expression if expression.atoms(sp.Function) else sp.factor(expression)


def _plus(start: sp.Expr, factor: sp.Expr, numerator: sp.Expr, denominator: sp.Expr) -> sp.Expr:
    return sp.expand(start + ratio(factor * numerator, denominator)) if factor != 0 and numerator != 0 else start
