"""The joint law of a few Gaussian variables, and what tilting and conditioning make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

    def abstract(self) -> tuple[Joint, dict[sp.Symbol, sp.Expr]]:
        """The same law with a symbol for every sum among its moments, so that algebra stays small; and the way back.

        Sums that are numerical multiples of each other share a symbol: what cancels still cancels.
        """
        names: dict[sp.Expr, sp.Symbol] = {}

        def short(moment: sp.Expr) -> sp.Expr:
            if not isinstance(moment, sp.Add):
                return moment
            first = min(moment.args, key=str)
            content = first.as_independent(*first.free_symbols, as_Add=False)[0]
            core = sp.expand(moment / content)
            if core not in names:
                assumption = {"nonnegative": True} if core.is_nonnegative else {"real": True}
                names[core] = sp.Symbol(f"moment[{len(names)}]", **assumption)
            return content * names[core]

        joint = Joint({s: short(m) for s, m in self.mean.items()}, {k: short(c) for k, c in self.covariance.items()})
        return joint, {name: core for core, name in names.items()}

    def of_these(self, symbols: Iterable[sp.Symbol]) -> Joint:
        """The law of some of the variables."""
        kept = sorted(symbols, key=str)
        return Joint({s: self.mean[s] for s in kept}, {(s, t): self.covariance[s, t] for s in kept for t in kept})

    def tilted(
        self,
        curvature: sp.Matrix,
        slope: sp.Matrix,
        symbols: tuple[sp.Symbol, ...],
        kept: tuple[sp.Symbol, ...],
    ) -> Joint:
        """The law of the ``kept`` variables with density times exp(slope.x - x.curvature x / 2), normalised.

            C' = C - C A (1 + C A)^-1 C,    m' = m + C (1 + A C)^-1 (b - A m)

        Nothing is divided by a variance, so degenerate laws are no exception.
        """
        if not kept:
            return Joint({}, {})
        own = sp.Matrix([[self.of(s, t) for t in symbols] for s in symbols])
        mean = sp.Matrix([self.mean[s] for s in symbols])
        gain = (sp.eye(len(symbols)) + curvature * own).inv(method="ADJ").applyfunc(sp.factor)
        pull, push = gain * curvature, gain * (slope - curvature * mean)
        rows = {x: sp.Matrix([[self.of(x, s) for s in symbols]]) for x in kept}
        mean_of = {x: _short(self.mean[x] + (rows[x] * push)[0]) for x in kept}
        new = {(x, y): _short(self.of(x, y) - (rows[x] * pull * rows[y].T)[0]) for x in kept for y in kept}
        return Joint(mean_of, new)

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
