"""Which site derivatives are zero, constant or equal to each other: symbols for them, and compiled minors."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from derive.elementary import FunctionTable
from derive.stability.minors import Minor, pencil_minors
from solvers.codegen.emit import broadcast_rows, compile_function
from solvers.measure import SiteMeasure
from solvers.spectrum.density.potential import Array

Names = tuple[str, ...]
"""Entries of one matrix, row by row: "0", "1", "-1" or the name of a symbol."""


@lru_cache(maxsize=64)
def compiled_minors(states: int, fields: int, names: tuple[Names, Names, Names, Names]) -> tuple[
    tuple[Minor, ...], tuple[str, ...], Callable[..., tuple[Any, ...]]
]:  # fmt: skip
    """Minors of L, a, b, e with these entries, the symbols they hold, and a function of these for all coefficients."""
    L, a, b, e = (
        sp.Matrix(rows, columns, [_entry(name) for name in part])
        for part, rows, columns in zip(
            names, (states, states, fields, fields), (states, fields, states, fields), strict=True
        )
    )
    minors = pencil_minors(L, a, b, e)
    coefficients = [c for minor in minors for c in minor.coefficients]
    symbols = sorted(set().union(*(c.free_symbols for c in coefficients)), key=str)
    return minors, tuple(str(s) for s in symbols), compile_function(symbols, coefficients, FunctionTable())


def _entry(name: str) -> sp.Expr:
    return sp.Integer(int(name)) if name in ("0", "1", "-1") else sp.Symbol(name, real=True)


def site_minors(measure: SiteMeasure) -> tuple[tuple[Minor, ...], Array]:
    """The minors of a measure that do not vanish, and their coefficients, one row for each, at the nodes (m, n)."""
    columns: dict[str, Array] = {}
    names = tuple(_names(label, getattr(measure, label), columns) for label in ("L", "a", "b", "e"))
    minors, symbols, function = compiled_minors(measure.states, len(measure.fields), names)
    return minors, broadcast_rows(function(*(columns[name] for name in symbols)), measure.nodes)


def _names(label: str, part: Array, columns: dict[str, Array]) -> Names:
    """A name for every entry; ``columns`` collects the values of new ones."""
    flat = part.reshape(part.shape[0], -1).T
    return tuple(_name(f"{label}{k}", column, columns) for k, column in enumerate(flat))


def _name(fresh: str, column: Array, columns: dict[str, Array]) -> str:
    for number in (0, 1, -1):
        if np.all(column == number):
            return str(number)
    for name, known in columns.items():
        if np.array_equal(known, column):
            return name
    columns[fresh] = np.ascontiguousarray(column)
    return fresh
