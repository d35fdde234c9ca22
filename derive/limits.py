"""Limits in which a theory simplifies, as steps of a derivation.

`RULES` lists them: each is a function from a theory to steps, and a rule added there appears in every document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from derive.closed_limits import closed_forms
from derive.stability.saturation import saturated_gates
from derive.stability.zero_state import zero_state
from derive.theory import Step, Theory

RULES: tuple[Callable[[Theory], Iterable[Step]], ...] = (zero_state, saturated_gates, closed_forms)


@dataclass(frozen=True, eq=False)
class _Same:
    """A theory, compared by identity: one that is written in several formats is worked on once."""

    theory: Theory

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.theory is self.theory

    def __hash__(self) -> int:
        return id(self.theory)


def limits_of(theory: Theory) -> tuple[Step, ...]:
    """Every limit that applies to a theory, in the order of `RULES`."""
    return _limits(_Same(theory))


@lru_cache(maxsize=4)
def _limits(same: _Same) -> tuple[Step, ...]:
    return tuple(step for rule in RULES for step in rule(same.theory))
