"""Expressions of a theory in the names that formulas use."""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp

from derive.elementary import Fn
from derive.theory import Theory


def readable(expression: sp.Expr, theory: Theory) -> str:
    """An expression in the names of formulas: u for a definition's value, D[u] for its slope, Q[h] for a moment."""
    names: dict[sp.Expr, sp.Expr] = {}
    for item in theory.site.definitions:
        names[item.value] = sp.Symbol(item.name)
        if item.function is not None:
            for order in (1, 2, 3):
                label = f"D[{item.name}]" if order == 1 else f"D[{item.name},{order}]"
                names[Fn(item.function, order, item.argument)] = sp.Symbol(label)
    for state, value in theory.states.items():
        names.setdefault(value, state)
    moments: Mapping[sp.Expr, sp.Expr] = {
        sp.Symbol(f"E[{s**2}]", nonnegative=True): sp.Symbol(f"Q[{s}]") for s in theory.site.states
    }
    shown = str(expression.xreplace(names).xreplace(dict(moments)))
    return shown.replace("conj(lam)[]", "conj(lam)").replace("lam[]", "lam")


def shown_name(symbol: str) -> str:
    """``Q[h]`` for the moment E[h**2], any other name as it is."""
    match = re.fullmatch(r"E\[(\w+)\*\*2\]", symbol)
    return f"Q[{match.group(1)}]" if match else symbol
