"""What a numeric method returns: values, an error for each, and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

CONVERGED = "converged"


@dataclass(frozen=True)
class FixedPoint:
    """One solution of a closed system.

    values, errors : unknown -> number and absolute error estimate; slope : largest modulus of the
    derivative's eigenvalues of the feedback map at the solution (1 at a fold); verdict : "converged", or
    what was reached, why, and what to do.
    """

    values: Mapping[sp.Symbol, float]
    errors: Mapping[sp.Symbol, float]
    residual: float
    slope: float
    verdict: str = CONVERGED


@dataclass(frozen=True)
class FixedPoints:
    """All solutions found, and what a reader must know about the search."""

    solutions: tuple[FixedPoint, ...]
    notes: tuple[str, ...] = field(default=())
    complete: bool = True
