"""`Average(f)` is E[f] over one site; `Law` says which symbols are random and how they depend on each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from derive.elementary import FunctionTable


class Average(sp.Expr):
    """E[integrand] over one site; real for real integrands."""

    is_commutative = True

    def __new__(cls, integrand: Any) -> Any:
        return sp.Expr.__new__(cls, sp.sympify(integrand))

    @property
    def integrand(self) -> sp.Expr:
        """What is averaged."""
        return self.args[0]

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_real

    def _sympystr(self, printer: Any) -> str:
        return f"E[{printer._print(self.integrand)}]"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"\left\langle {printer._print(self.integrand)}\right\rangle{power}"

    _sympyrepr = _sympystr


@dataclass(frozen=True)
class Law:
    """Joint law of the site variables.

    blocks : symbol -> label; symbols of different blocks are independent
    mean : symbol -> mean (absent: zero); second : (symbol, symbol) -> uncentred second moment E[x y]
    unknown : symbols whose law is not Gaussian (states with no closed form)
    depends : a state defined implicitly -> the Gaussian symbols that determine it
    """

    blocks: Mapping[sp.Symbol, str]
    mean: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    second: Mapping[tuple[sp.Symbol, sp.Symbol], sp.Expr] = field(default_factory=dict)
    unknown: frozenset[sp.Symbol] = frozenset()
    depends: Mapping[sp.Symbol, frozenset[sp.Symbol]] = field(default_factory=dict)
    functions: FunctionTable = field(default_factory=FunctionTable)

    def random(self, expression: sp.Expr) -> frozenset[sp.Symbol]:
        """The random symbols of an expression."""
        return frozenset(symbol for symbol in expression.free_symbols if symbol in self.blocks)

    def mean_of(self, symbol: sp.Symbol) -> sp.Expr:
        """E[x]."""
        return self.mean.get(symbol, sp.S.Zero)

    def second_of(self, left: sp.Symbol, right: sp.Symbol) -> sp.Expr:
        """E[x y], also for independent symbols."""
        for key in ((left, right), (right, left)):
            if key in self.second:
                return self.second[key]
        return self.mean_of(left) * self.mean_of(right)

    def covariance(self, left: sp.Symbol, right: sp.Symbol) -> sp.Expr:
        """E[x y] - E[x] E[y]."""
        return self.second_of(left, right) - self.mean_of(left) * self.mean_of(right)
