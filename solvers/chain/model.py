"""The compiled site form of the untied chain: next states, operands and site derivatives on arrays of sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from solvers.chain.streams import CanonicalSite
from solvers.codegen.emit import compile_function

Entries = Mapping[tuple[int, int], Any]


@dataclass(frozen=True)
class Local:
    """The values of one replica at one step: next states and the non-zero entries of L, a, b and e."""

    moved: tuple[Any, ...]
    arguments: tuple[Any, ...]
    L: Entries
    a: Entries
    b: Entries
    e: Entries


class Model:
    """The compiled site form.

    divergent : an entry of L, a, b or e is the derivative of a jump, so that its square has no mean
    """

    def __init__(self, site: CanonicalSite) -> None:
        self.site = site
        leading = [*site.states, *(item.symbol for item in site.draws), *(symbol for symbol, _ in site.constants)]
        fields = [item.symbol for item in site.fields]
        self.constants = [np.float64(value) for _, value in site.constants]
        self.operands = [
            compile_function([*leading, *fields[:k]], [item.v], site.functions) for k, item in enumerate(site.fields)
        ]
        entries = _derivatives(site)
        self.divergent = any(site.functions.has_delta(value) for value in entries.values())
        self.places = () if self.divergent else tuple(entries)
        derivatives = [] if self.divergent else list(entries.values())
        arguments = [argument for _, argument in site.arguments]
        everything = [*leading, *fields]
        self._full = compile_function(everything, [*site.F, *arguments, *derivatives], site.functions)
        self._moved = compile_function(everything, list(site.F), site.functions)
        self._two = compile_function(everything, [*site.F, *derivatives], site.functions)
        numbers = range(len(site.fields))
        self.partners = [[m for m in numbers if site.fields[m].group == site.fields[k].group] for k in numbers]

    def move(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """F alone."""
        return self._moved(*values)

    def local(self, values: Sequence[Any], *, arguments: bool) -> Local:
        """F and the site derivatives, with or without the arguments of the definitions."""
        out = (self._full if arguments else self._two)(*values)
        states = len(self.site.states)
        skip = states + (len(self.site.arguments) if arguments else 0)
        tables: dict[str, dict[tuple[int, int], Any]] = {"L": {}, "a": {}, "b": {}, "e": {}}
        for (kind, row, column), value in zip(self.places, out[skip:], strict=True):
            tables[kind][row, column] = value
        return Local(out[:states], out[states:skip], **tables)


def _derivatives(site: CanonicalSite) -> dict[tuple[str, int, int], sp.Expr]:
    """Non-zero entries of L = dF/ds, a = dF/du, b = dv/ds, e = dv/du (theory, section 1)."""
    fields = [item.symbol for item in site.fields]
    operands = [item.v for item in site.fields]
    found: dict[tuple[str, int, int], sp.Expr] = {}
    for kind, rows, columns in (
        ("L", site.F, site.states),
        ("a", site.F, fields),
        ("b", operands, site.states),
        ("e", operands, fields),
    ):
        for row, expression in enumerate(rows):
            for column, symbol in enumerate(columns):
                value = expression.diff(symbol)
                if value != 0:
                    found[kind, row, column] = value
    return found
