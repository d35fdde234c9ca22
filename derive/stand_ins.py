"""Functions without closed averages, and what may take their place.

A sigmoidal f gives way to an error function of the same symmetry about zero, the same slope there and the same limits.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from derive.elementary import Fn, X


def _erf(argument: sp.Expr) -> sp.Expr:
    return Fn("erf", 0, argument)


_GATE = (1 + _erf(sp.sqrt(sp.pi) * X / 4)) / 2
ERF: Mapping[str, sp.Expr] = {
    "tanh": _erf(sp.sqrt(sp.pi) * X / 2),
    "softsign": _erf(sp.sqrt(sp.pi) * X / 2),
    "arctan": sp.pi / 2 * _erf(X / sp.sqrt(sp.pi)),
    "sigmoid": _GATE,
}
"""Function without closed averages -> what takes its place, in `X`."""

SAYS = {
    "tanh": "$erf(pi^{1/2} x/2)$ for $tanh(x)$",
    "softsign": "$erf(pi^{1/2} x/2)$ for $softsign(x)$",
    "arctan": "$pi/2 erf(x/pi^{1/2})$ for $arctan(x)$",
    "sigmoid": "$(1 + erf(pi^{1/2} x/4))/2$ for $sigma(x)$",
}
"""The same in words, formulas between dollar signs."""

ODD = frozenset(("tanh", "softsign", "arctan"))
"""Those that ReLU may stand for: activations, not gates."""
