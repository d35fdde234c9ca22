"""What `solve` returns: numbers by the names a user knows them by, with an error and a verdict each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from derive.theory import Theory
from solvers.averages import Evaluator
from solvers.result import CONVERGED


@dataclass(frozen=True)
class Solution:
    """One fixed point.

    numbers, errors : the same nested keys, as in the JSON output (q, q_total, Q, and chi1, chi_star, xi, C_star
    or spectral_radius, spectral_abscissa, filament, outliers, atoms, eta); None where a number does not exist;
    stable : whether small perturbations die out; verdict : "converged" or what went wrong and what to do;
    values : every unknown of the theory, for further work with it; off_kink : the unknowns at which derivatives are
    taken where the state is zero and sits on a kink (empty otherwise); marginal : not stable because exact eigenvalues
    lie on the line of stability, and nothing beyond it.
    """

    numbers: Mapping[str, Any]
    errors: Mapping[str, Any]
    stable: bool | None
    verdict: str
    values: Mapping[sp.Symbol, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    off_kink: Mapping[sp.Symbol, float] = field(default_factory=dict)
    marginal: bool = False

    @property
    def linearised_at(self) -> Mapping[sp.Symbol, float]:
        """The unknowns of the law over which derivatives are averaged."""
        return self.off_kink or self.values

    @property
    def converged(self) -> bool:
        """Whether every number met its tolerance."""
        return self.verdict == CONVERGED

    def __getitem__(self, quantity: str) -> float | None:
        """A number by its flat name: ``q[W_z]``, ``Q[h]``, ``chi1``."""
        name, _, rest = quantity.partition("[")
        value = self.numbers[name]
        return value[rest.rstrip("]")] if rest else value

    def error(self, quantity: str) -> float:
        """Absolute error of a number, by the same flat name."""
        name, _, rest = quantity.partition("[")
        value = self.errors[name]
        return float(value[rest.rstrip("]")] if rest else value)

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of this solution; what is not finite is None."""
        found = {key: plain(value) for key, value in self.numbers.items()}
        if self.stable is not None:
            found["stable"] = self.stable
        if self.marginal:
            found["marginal"] = True
        found["error"] = {key: plain(value) for key, value in self.errors.items()}
        found["verdict"] = self.verdict
        if self.notes:
            found["notes"] = list(self.notes)
        return found


@dataclass(frozen=True)
class Solved:
    """All solutions of a cell at given parameters, ascending by Q of the first state in the file."""

    theory: Theory
    parameters: Mapping[str, float]
    solutions: tuple[Solution, ...]
    notes: tuple[str, ...] = ()
    complete: bool = True
    evaluator: Evaluator | None = field(default=None, compare=False, repr=False)

    def same_evaluator(self) -> Evaluator:
        """The evaluator that solved this, with all averages it knows; a new one where there is none."""
        return self.evaluator or Evaluator(self.theory.law, self.theory.implicit)

    @property
    def converged(self) -> bool:
        """Whether there is a solution and every one of them converged."""
        return self.complete and bool(self.solutions) and all(s.converged for s in self.solutions)

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield solve``."""
        found: dict[str, Any] = {
            "cell": self.theory.site.cell.name,
            "ansatz": self.theory.ansatz,
            "parameters": dict(self.parameters),
            "closure": self.theory.closure,
            "solutions": [solution.as_dict() for solution in self.solutions],
        }
        if self.notes:
            found["notes"] = list(self.notes)
        return found


def plain(value: Any) -> Any:
    """Numbers that JSON can hold: None for what is not finite, [re, im] for complex ones."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, complex):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
