"""Limits in which a theory simplifies, as steps of a derivation.

`RULES` lists them: each is a function from a theory to steps, and a rule added there appears in every document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from derive.closed_limits import closed_forms
from derive.stability.saturation import saturated_gates
from derive.stability.zero_state import zero_state
from derive.theory import Step, Theory, once_per_theory

RULES: tuple[Callable[[Theory], Iterable[Step]], ...] = (zero_state, saturated_gates, closed_forms)


@once_per_theory
def limits_of(theory: Theory) -> tuple[Step, ...]:
    """Every limit that applies to a theory, in the order of `RULES`."""
    if theory.ansatz == "stationary":  # the rules know moments at one time only
        return ()
    return tuple(step for rule in RULES for step in rule(theory))
