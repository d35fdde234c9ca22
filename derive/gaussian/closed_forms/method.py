"""What a method of this package is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.closed_forms.term import Term

Expect = Callable[[Term, Joint], sp.Expr | None]
"""E[term] under a law, by whatever method fits; None where no closed form is known."""


@dataclass(frozen=True)
class Method:
    """name; applies : whether a term is its business; value : E[term], by way of simpler terms."""

    name: str
    applies: Callable[[Term, Joint], bool]
    value: Callable[[Term, Joint, Expect], sp.Expr | None]
