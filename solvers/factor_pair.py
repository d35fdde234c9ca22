"""Averages of f(x) g(y), where the Gaussians x appear in one factor and y in the other: replicas, above all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import numpy as np
import sympy as sp

from derive.gaussian.average import Law
from derive.gaussian.forms import Form, affine_forms
from solvers.canonical import Canonical, canonical_directions
from solvers.codegen.emit import compile_function
from solvers.codegen.mehler import MAX_DIMENSION, MehlerAverage, mehler_average
from solvers.form_law import FormLaw

MAX_COMPONENTS = 6

_SAME_LAW = 1e-14


@dataclass(frozen=True)
class _Split:
    """One way to share the factors out: functions of forms number ``left`` and ``right``.

    mirrored: g is f with the forms of ``right`` put for those of ``left``, in this order.
    """

    f: sp.Expr
    g: sp.Expr
    left: tuple[int, ...]
    right: tuple[int, ...]
    mirrored: bool


class FactorPair:
    """A smooth product of two functions of different forms: a Mehler series in the canonical correlations."""

    def __init__(
        self, constant: sp.Expr, splits: Sequence[_Split], forms: Sequence[Form], parameters: Any, law: Law
    ) -> None:
        self.parameters = tuple(parameters)
        self._splits, self._forms, self._functions = tuple(splits), tuple(forms), law.functions
        self._constant = compile_function(self.parameters, [constant], law.functions)
        self._law = FormLaw(forms, self.parameters, law)
        self._compiled: dict[sp.Expr, Callable[..., tuple[Any, ...]]] = {}

    @classmethod
    def of(cls, integrand: sp.Expr, parameters: Sequence[sp.Symbol], law: Law) -> FactorPair | None:
        """The pair, if the integrand is a product of functions without common forms."""
        product, forms = affine_forms(integrand, law)
        if len(forms) < 2:
            return None
        symbols = [form.symbol for form in forms]
        constant, rest = product.as_independent(*symbols, as_Add=False)
        splits = list(_splits(_components(sp.Mul.make_args(rest), symbols), symbols))
        return cls(constant, splits, forms, parameters, law) if splits else None

    def evaluate(
        self, values: Mapping[sp.Symbol, float], directions: int, rtol: float, atol: float
    ) -> MehlerAverage | None:
        """Value and absolute error; None if no split has sides of few enough directions, and fewer than ``directions``,
        the number that quadrature of the whole product needs."""
        limit = min(MAX_DIMENSION, directions - 1)
        mean, covariance = self._law.of_forms(values)
        choices = [(split, self._directions(split, covariance)) for split in self._splits]
        fitting = [choice for choice in choices if 1 <= min(choice[1].ranks) <= max(choice[1].ranks) <= limit]
        if not fitting:
            return None
        # Few directions first; then weak correlation, to a tenth, so that rounding does not decide.
        split, chosen = min(fitting, key=lambda c: (max(c[1].ranks), round(float(np.abs(c[1].correlations).max()), 1)))
        given = [values[p] for p in self.parameters]
        factor = float(self._constant(*given)[0])
        same = split.mirrored and chosen.symmetric and bool(
            np.allclose(mean[list(split.left)], mean[list(split.right)], rtol=_SAME_LAW, atol=0.0)
        )
        f = self._side(split.f, split.left, mean, chosen.left, given)
        g = None if same else self._side(split.g, split.right, mean, chosen.right, given)
        with np.errstate(all="ignore"):
            found = mehler_average(
                f, g, chosen.ranks, chosen.correlations, rtol=rtol, atol=atol / abs(factor) if factor else 0.0
            )
        return MehlerAverage(factor * found.value, abs(factor) * found.error, found.converged, found.evaluations)

    @staticmethod
    def _directions(split: _Split, covariance: np.ndarray) -> Canonical:
        left, right = list(split.left), list(split.right)
        return canonical_directions(
            covariance[np.ix_(left, left)],
            covariance[np.ix_(right, right)],
            covariance[np.ix_(left, right)],
            mirrored=split.mirrored,
        )

    def _side(
        self, side: sp.Expr, numbers: tuple[int, ...], mean: np.ndarray, spread: np.ndarray, given: list[float]
    ) -> Callable[[np.ndarray], np.ndarray]:
        """One factor as a function of its standard normals."""
        if side not in self._compiled:
            symbols = [self._forms[k].symbol for k in numbers]
            self._compiled[side] = compile_function((*self.parameters, *symbols), [side], self._functions)
        function, centre = self._compiled[side], mean[list(numbers)][:, None]

        def values_at(xi: np.ndarray) -> np.ndarray:
            return np.broadcast_to(function(*given, *(centre + spread @ xi))[0], xi.shape[1:]).astype(float)

        return values_at


def _components(factors: Sequence[sp.Expr], symbols: Sequence[sp.Symbol]) -> list[tuple[sp.Expr, frozenset[int]]]:
    """Products of factors that share forms, each with the numbers of its forms."""
    found: list[tuple[sp.Expr, frozenset[int]]] = []
    for factor in factors:
        own = frozenset(k for k, symbol in enumerate(symbols) if factor.has(symbol))
        joined = [item for item in found if item[1] & own]
        found = [item for item in found if not item[1] & own]
        found.append((sp.Mul(factor, *(e for e, _ in joined)), own.union(*(held for _, held in joined))))
    return found


def _splits(components: list[tuple[sp.Expr, frozenset[int]]], symbols: Sequence[sp.Symbol]) -> Iterator[_Split]:
    """Every way to divide the components between two sides."""
    if not 2 <= len(components) <= MAX_COMPONENTS:
        return
    others = range(1, len(components))
    for size in range(len(components) - 1):
        for chosen in combinations(others, size):
            sides = [[0, *chosen], [k for k in others if k not in chosen]]
            f, g = (sp.Mul(*(components[k][0] for k in side)) for side in sides)
            left, right = (tuple(sorted(set().union(*(components[k][1] for k in side)))) for side in sides)
            order = _mirror(f, g, left, right, symbols)
            yield _Split(f, g, left, order or right, order is not None)


def _mirror(
    f: sp.Expr, g: sp.Expr, left: tuple[int, ...], right: tuple[int, ...], symbols: Sequence[sp.Symbol]
) -> tuple[int, ...] | None:
    """An order of ``right`` in which g is f with one form put for the other."""
    if len(left) != len(right) or len(left) > MAX_DIMENSION + 1:
        return None
    for order in permutations(right):
        if g.xreplace({symbols[k]: symbols[m] for k, m in zip(order, left, strict=True)}) == f:
            return order
    return None
