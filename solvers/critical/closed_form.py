"""Closed forms of criticality as text, with their numbers where nothing in them is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from derive.errors import GatefieldError
from derive.stability.critical import AT_ZERO, critical_steps
from derive.write.notebook import Formula
from solvers.critical.problem import Space


def closed_forms(space: Space, names: tuple[str, ...], *, zero: bool) -> tuple[dict[str, Any], ...]:
    """What algebra says about each free parameter; ``zero``: whether there is a zero state at these parameters."""
    theory = space.theory
    fixed = {name: space.fixed[s] for name, s in theory.site.parameters.items() if s not in space.free}
    try:
        steps = critical_steps(theory, names, fixed)
    except GatefieldError:  # an average too large to be written down: there is no closed form
        return ()
    return tuple(form for step in steps if zero or step.rule != AT_ZERO for form in _forms(space, step))


def _forms(space: Space, step: Any) -> Iterator[dict[str, Any]]:
    for left, right in step.equations:
        form = {"rule": step.rule, "equation": str(Formula(right, space.theory, left)), "assumption": step.assumption}
        parameters = {s: v for s, v in space.fixed.items() if s not in space.free}
        if step.rule == AT_ZERO and right.free_symbols <= set(parameters):
            value = space.evaluator(right, parameters, 1e-11).value
            power = int(left.as_base_exp()[1])
            if np.isfinite(value) and value >= 0:
                form["value"] = float(value ** (1.0 / power))
        yield form
