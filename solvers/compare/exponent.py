"""The theory's maximal Lyapunov exponent for the state in which networks were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from derive.cell.spec import Cell
from derive.errors import AnsatzError
from solvers.dynamics import dynamics
from solvers.result import CONVERGED

FAR = 0.3
"""Relative difference of root mean squares above which no state of the theory is the one that was measured."""


@dataclass(frozen=True)
class MaximalExponent:
    """value, error : per step or unit of time, None where theory has none; notes : why, or which state it is of;
    converged : whether the theory met its tolerance."""

    value: float | None
    error: float | None
    notes: tuple[str, ...] = ()
    converged: bool = True

    @property
    def verdict(self) -> str:
        """ "converged", or that the theory did not."""
        return CONVERGED if self.converged else "not converged: the theory's exponent, see notes"


def maximal_exponent(
    cell: Cell, parameters: Mapping[str, object] | None, measured: Sequence[Mapping[str, float]]
) -> MaximalExponent:
    """Of the stationary state nearest in Q to those ``measured`` (mean square by state, for each network)."""
    try:
        found = dynamics(cell, parameters)
    except AnsatzError as reason:
        return MaximalExponent(None, None, (f"no theory of the exponent: {reason}",))
    known = [state for state in found.solutions if state.lyapunov_max is not None]
    Q = {name: float(np.mean([own[name] for own in measured])) for name in measured[0]} if measured else {}
    notes = list(found.notes)
    if not known:
        return MaximalExponent(None, None, (*notes, "no theory of the exponent at these parameters"), found.complete)
    nearest = min(known, key=lambda state: distance(state.Q, Q)) if Q else known[-1]
    if len(known) > 1:
        levels = ", ".join(f"{name} = {value:.4g}" for name, value in nearest.Q.items())
        notes.append(f"theory has {len(known)} stationary states; its exponent is that of the one with Q {levels}")
    if Q and distance(nearest.Q, Q) > FAR * sum(np.sqrt(value) for value in Q.values()) + FAR:
        notes.append("no stationary state of the theory is near the one in which the networks were found")
        return MaximalExponent(None, None, tuple(notes), found.complete)
    error = nearest.error.get("lyapunov_max")
    converged = found.complete and nearest.converged
    if not converged:
        notes.append(nearest.verdict)
    return MaximalExponent(nearest.lyapunov_max, error, tuple(notes), converged)


def distance(theory: Mapping[str, float], measured: Mapping[str, float]) -> float:
    """Between two sets of mean squares by state: the sum of the differences of their roots."""
    return float(sum(abs(np.sqrt(theory[name]) - np.sqrt(value)) for name, value in measured.items()))
