"""Expressions that exist only on paper: a named value, and the square of a modulus."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.core.symbol import Str


class Named(sp.Expr):
    """A value called by its name: a definition, a state's solution or a state's next value.

    args: (Str name, Integer primes, Integer replica); replica 1 is replica b.
    """

    is_commutative = True
    is_real = True
    is_extended_real = True

    def __new__(cls, name: Any, primes: Any = 0, replica: Any = 0) -> Any:
        label = name if isinstance(name, Str) else Str(str(name))
        return sp.Expr.__new__(cls, label, sp.Integer(primes), sp.Integer(replica))

    @property
    def name(self) -> str:
        """What the value is called in the cell."""
        return str(self.args[0].name)

    @property
    def primes(self) -> int:
        """Order of differentiation, or 1 for the next value of a state."""
        return int(self.args[1])

    @property
    def replica(self) -> int:
        """0 for replica a, 1 for replica b."""
        return int(self.args[2])

    def _sympystr(self, printer: Any) -> str:
        return f"<{self.name}{chr(39) * self.primes}{'^b' * self.replica}>"

    _sympyrepr = _sympystr


class Modulus2(sp.Expr):
    """|f|^2 = f times f with the spectral parameter conjugated."""

    is_commutative = True
    is_real = True
    is_nonnegative = True

    def __new__(cls, inner: Any) -> Any:
        return sp.Expr.__new__(cls, sp.sympify(inner))

    @property
    def inner(self) -> sp.Expr:
        """What stands between the bars."""
        return self.args[0]

    def _sympystr(self, printer: Any) -> str:
        return f"|{printer._print(self.inner)}|^2"

    _sympyrepr = _sympystr
