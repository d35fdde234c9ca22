"""Averages of two functions of one Gaussian each, where kinks or jumps defeat product rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from derive.elementary import BUILTINS, Fn
from derive.gaussian.average import Law
from derive.gaussian.forms import Reduced
from solvers.codegen.emit import compile_function
from solvers.codegen.pair import Side, pair_average
from solvers.gaussian_geometry import Geometry


class RoughPair:
    """A product of two functions of one form each, with kinks: integrated with the kinks in view."""

    def __init__(self, factors: tuple[sp.Expr, sp.Expr], reduced: Reduced, parameters: Any, law: Law) -> None:
        self.symbols = tuple(form.symbol for form in reduced.free)
        self._functions = [
            compile_function((*parameters, symbol), [factor], law.functions)
            for factor, symbol in zip(factors, self.symbols, strict=True)
        ]
        kinks = [_kinks(factor, symbol, law) for factor, symbol in zip(factors, self.symbols, strict=True)]
        self._kinks = [compile_function(parameters, places, law.functions) for places in kinks]

    @classmethod
    def of(cls, reduced: Reduced, parameters: tuple[sp.Symbol, ...], law: Law) -> RoughPair | None:
        """The pair, if the integrand has this form."""
        if len(reduced.free) != 2 or reduced.conditional:
            return None
        first, second = (form.symbol for form in reduced.free)
        rest, left = reduced.expressions[0].as_independent(first, as_Add=False)
        if left.has(second):
            return None
        return cls((left, rest), reduced, parameters, law)

    def evaluate(self, shape: Geometry, given: list[float], rtol: float) -> tuple[float, float]:
        """Value and absolute error at forms with the law of ``shape``."""
        covariance = shape.spread @ shape.spread.T
        std = np.sqrt(np.diag(covariance))
        sides = [
            Side(
                lambda y, own=own: np.broadcast_to(own(*given, y)[0], y.shape).astype(float),  # type: ignore[misc]
                float(shape.mean[k]),
                float(std[k]),
                [float(x) for x in self._kinks[k](*given) if np.isfinite(x)],
            )
            for k, own in enumerate(self._functions)
        ]
        with np.errstate(all="ignore"):
            return pair_average(sides[0], sides[1], float(covariance[0, 1] / (std[0] * std[1])), rtol)


def _kinks(factor: sp.Expr, symbol: sp.Symbol, law: Law) -> list[sp.Expr]:
    """Where kinks and jumps of functions with arguments affine in ``symbol`` lie."""
    places: list[sp.Expr] = []
    for node in sorted(law.functions.expand(factor).atoms(Fn), key=str):
        slope = node.argument.diff(symbol)
        if slope == 0 or slope.has(symbol):
            continue
        own = BUILTINS[node.name]
        places += [(x - node.argument.xreplace({symbol: sp.S.Zero})) / slope for x in own.kinks + own.jumps]
    return places


def is_rough(integrand: sp.Expr, law: Law) -> bool:
    """Whether a function with kinks or jumps occurs."""
    names = {node.name for node in law.functions.expand(integrand).atoms(Fn)}
    return any(BUILTINS[name].kinks or BUILTINS[name].jumps for name in names)
