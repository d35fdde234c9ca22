"""Closing moment recursions: expand, factorise, and ask whether new moments keep appearing.

Fields, inputs and biases of a step are independent of the states entering it, so the average of a
function of new states is a polynomial in Gaussian averages and in moments of old states, if the function
separates.  A factor that ties a state to a field of the same step does not separate, and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sympy as sp

from derive.errors import ClosureError
from derive.gaussian.average import Average, Law, average

MAX_MOMENTS = 48
"""How many moments a closure may need before it counts as not closing."""


@dataclass
class Closure:
    """Collects the moments that appear and derives an equation for each.

    law : of states (unknown) and Gaussians; advance : moment integrand -> the same function of the new
    states; label : prefix of the moments' symbols; canonical : renames an integrand to its representative.
    """

    law: Law
    advance: Callable[[sp.Expr], sp.Expr]
    label: str = "E"
    canonical: Callable[[sp.Expr], sp.Expr] = lambda integrand: integrand
    owner: Closure | None = None
    owned: Callable[[sp.Expr], bool] = lambda integrand: True
    moments: dict[sp.Expr, sp.Symbol] = field(default_factory=dict)
    equations: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)

    def process(self, expression: sp.Expr) -> sp.Expr:
        """E[expression] in Gaussian averages and moment symbols.

        Raises ClosureError where a factor ties a state to a field of the same step.
        """
        return self.resolve(average(expression, self.law))

    def resolve(self, averaged: sp.Expr) -> sp.Expr:
        """Replace averages over states by moment symbols."""
        names: dict[sp.Expr, sp.Expr] = {}
        for node in sorted(averaged.atoms(Average), key=sp.default_sort_key):
            names[node] = self._resolve_node(node)
        return averaged.xreplace(names)

    def _resolve_node(self, node: Average) -> sp.Expr:
        integrand = self.canonical(node.integrand)
        random = self.law.random(integrand)
        states = random & self.law.unknown
        if not states:
            return Average(integrand)
        if states != random:
            raise ClosureError("the moments do not close", (f"E[{integrand}]",))
        return self.moment(integrand)

    def moment(self, integrand: sp.Expr) -> sp.Symbol:
        """The symbol of E[integrand], asking its owner for moments that belong to a smaller closure."""
        if self.owner is not None and not self.owned(integrand):
            return self.owner.moment(integrand)
        if integrand not in self.moments:
            if len(self.moments) >= MAX_MOMENTS:
                raise ClosureError(
                    f"the moments do not close within {MAX_MOMENTS} of them", (f"E[{integrand}]",)
                )
            square = integrand.is_Pow and integrand.exp.is_even
            kind = {"nonnegative": True} if square else {"real": True}
            self.moments[integrand] = sp.Symbol(f"{self.label}[{integrand}]", **kind)
        return self.moments[integrand]

    def close(self) -> None:
        """Derive an equation for every moment until none is missing.  Raises ClosureError."""
        while waiting := [item for item in self.moments.items() if item[1] not in self.equations]:
            for integrand, symbol in waiting:
                self.equations[symbol] = self.process(self.advance(integrand))

    def solved(self) -> dict[sp.Symbol, sp.Expr]:
        """Stationary equations, each solved for its own moment where it is linear in it."""
        return {symbol: solve_linear(symbol, right) for symbol, right in self.equations.items()}


def solve_linear(symbol: sp.Symbol, right: sp.Expr) -> sp.Expr:
    """m = A m + B becomes m = B/(1 - A); left alone when not linear in m outside of averages."""
    names = {node: sp.Dummy(f"a{number}") for number, node in enumerate(_averages(right))}
    plain = right.xreplace(names)
    slope = plain.diff(symbol)
    if slope == 0 or slope.has(symbol):
        return right
    rest = plain.xreplace({symbol: sp.S.Zero})
    if slope == 1:
        raise ClosureError(f"{symbol} grows without bound: it is carried over undamped", (str(symbol),))
    return (rest / (1 - slope)).xreplace({dummy: node for node, dummy in names.items()})


def _averages(expression: sp.Expr) -> list[Average]:
    return sorted(expression.atoms(Average), key=sp.default_sort_key)


def _constants(expression: sp.Expr) -> list[sp.Expr]:
    """Averages and functions, which hold no perturbation: expanding them would only spoil closed forms."""
    return sorted(expression.atoms(Average) | expression.atoms(sp.Function), key=sp.default_sort_key)


def linear_map(
    rows: Mapping[sp.Symbol, sp.Expr], eliminated: Mapping[sp.Symbol, sp.Expr]
) -> sp.Matrix:
    """Matrix of a linear recursion rows[i] = sum_j M_ij i_j, after substituting ``eliminated`` in order."""
    unknowns = list(rows)
    entries = []
    for right in rows.values():
        for symbol in reversed(list(eliminated)):
            right = right.xreplace({symbol: eliminated[symbol]})
        names = {node: sp.Dummy(f"a{number}") for number, node in enumerate(_constants(right))}
        back = {dummy: node for node, dummy in names.items()}
        plain = sp.expand(right.xreplace(names))
        entries.append([plain.coeff(symbol).xreplace(back) for symbol in unknowns])
    return sp.Matrix(entries) if entries else sp.zeros(0, 0)
