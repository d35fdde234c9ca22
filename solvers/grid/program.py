"""Equations as straight-line programs in which every average is the value of a table.

A `Program` is a list of assignments in the order of evaluation; `compile.py` makes functions of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from derive.elementary import X
from derive.gaussian.average import Average, Law
from derive.gaussian.one_direction import StandardAverage, standard_average
from derive.gaussian.safe import Root
from solvers.codegen.emit import compile_function
from solvers.grid.table import Table


class Unsupported(Exception):  # noqa: N818  it is an answer, not an error
    """Why something cannot be had from tables; whoever asks takes the slower way and says so."""


@dataclass(frozen=True)
class Lookup:
    """An average: factor times the value of table number ``table`` at mean and spread; ``constant`` at spread zero."""

    table: int
    factor: sp.Expr
    mean: sp.Expr
    spread: sp.Expr
    constant: sp.Expr


@dataclass
class Tables:
    """The tables of a job, one for each function (and mean, where that is the same number everywhere)."""

    law: Law
    found: list[Table] = field(default_factory=list)
    _numbers: dict[tuple[sp.Expr, float | None], int] = field(default_factory=dict)

    def number(self, integrand: sp.Expr, fixed: float | None) -> int:
        """The table of E[integrand(X)] at a fixed mean, or for all means."""
        key = (integrand, fixed)
        if key not in self._numbers:
            compiled = compile_function((X,), [integrand], self.law.functions)
            self._numbers[key] = len(self.found)
            self.found.append(Table(lambda x: np.asarray(compiled(x)[0], float), fixed))
        return self._numbers[key]


@dataclass
class Program:
    """inputs : symbols given as arrays; steps : symbol and what it is; outputs : what is returned, in the symbols."""

    inputs: tuple[sp.Symbol, ...]
    steps: list[tuple[sp.Symbol, sp.Expr | Lookup]]
    outputs: list[sp.Expr]


class Builder:
    """Writes programs for one law with some parameters known as numbers."""

    def __init__(self, law: Law, known: Mapping[sp.Symbol, float], tables: Tables) -> None:
        self.law, self.tables, self.known_numbers = law, tables, dict(known)
        self.known = {symbol: sp.Float(value, 17) for symbol, value in known.items()}
        self.steps: list[tuple[sp.Symbol, sp.Expr | Lookup]] = []
        self._averages: dict[Average, sp.Expr] = {}

    def assign(self, symbol: sp.Symbol, expression: sp.Expr) -> None:
        """An unknown becomes known as the value of an expression."""
        self.steps.append((symbol, self.expression(expression)))

    def expression(self, expression: sp.Expr) -> sp.Expr:
        """The expression with a symbol for each average; the averages are looked up first.

        Raises Unsupported where an average is not a function of at most two numbers.
        """
        nodes = sorted(expression.atoms(Average), key=sp.default_sort_key)
        plain = expression.xreplace({node: self._average(node) for node in nodes})
        return plain.xreplace(self.known)

    def program(self, inputs: Sequence[sp.Symbol], outputs: Sequence[sp.Expr]) -> Program:
        """What has been written so far, as far as the outputs need it, as a program of these inputs."""
        needed = set().union(*(o.free_symbols for o in outputs)) if outputs else set()
        kept = []
        for symbol, step in reversed(self.steps):
            if symbol in needed:
                kept.append((symbol, step))
                needed |= symbols_of(step)
        return Program(tuple(inputs), kept[::-1], list(outputs))

    def _average(self, node: Average) -> sp.Expr:
        if node not in self._averages:
            self._averages[node] = self._looked_up(node)
        return self._averages[node]

    def _looked_up(self, node: Average) -> sp.Expr:
        if self.law.functions.has_delta(node.integrand):
            raise Unsupported("an average holds the derivative of a jump")
        standard = standard_average(node.integrand, self.law)
        if standard is None:
            raise Unsupported(f"{node} is an average over more than one direction")
        variance = standard.variance.xreplace(self.known)
        constant = self._opened(standard.constant)
        if variance == 0:
            return constant
        symbol = sp.Symbol(f"average[{len(self.steps)}]", real=True)
        mean = standard.mean.xreplace(self.known)
        integrand = self._integrand(standard, node)
        fixed = float(mean) if mean.is_number else None
        if fixed == 0.0 and self.law.functions.parity_of(integrand, frozenset({X})) == -1:
            return sp.S.Zero
        number = self.tables.number(integrand, fixed)
        factor = standard.factor.xreplace(self.known)
        self.steps.append((symbol, Lookup(number, factor, mean, Root(variance), constant)))
        return symbol

    def _integrand(self, standard: StandardAverage, node: Average) -> sp.Expr:
        integrand = standard.integrand.xreplace(self.known)
        left = integrand.free_symbols - {X}
        if left:
            names = ", ".join(sorted(str(s) for s in left))
            raise Unsupported(f"{node} depends on {names} beside the mean and the variance of its argument")
        return integrand

    def _opened(self, expression: sp.Expr) -> sp.Expr:
        return self.law.functions.expand(expression.xreplace(self.known))


def symbols_of(step: sp.Expr | Lookup) -> set[sp.Symbol]:
    """What a step needs."""
    if isinstance(step, Lookup):
        return set().union(*(e.free_symbols for e in (step.factor, step.mean, step.spread, step.constant)))
    return set(step.free_symbols)
