"""Gradients against lag as aligned text, from the same object that JSON prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from solvers.tables.comparison import columns
from solvers.tables.numbers import compact, plus_minus
from solvers.tables.theory import notes_lines, parameter_lines

MOST_ROWS = 12


def gradient_text(found: Mapping[str, Any]) -> str:
    """``gatefield gradient``: growth, then norms at some of the lags."""
    networks = f" against {found['seeds']} networks of N = {found['N']}" if "N" in found else ""
    head = f"{found['cell']}, {found['ansatz']}: gradients{networks}"
    lines = [head, *parameter_lines(found["parameters"]), *notes_lines(found["notes"]), ""]
    rows = [["growth", compact(found["growth"], found["growth_error"]),
             plus_minus(found.get("measured_growth"), found.get("measured_growth_error"))]]  # fmt: skip
    if "adjoint_growth" in found:
        rows.append(["growth of the adjoint", compact(found["adjoint_growth"], found["adjoint_growth_error"]), ""])
    count, log = len(found["lags"]), found["ansatz"] == "stationary"
    for k in sorted({round(j * (count - 1) / (MOST_ROWS - 1)) for j in range(MOST_ROWS)}):
        label = f"{'ln ' if log else ''}norm at lag {found['lags'][k]:g}"
        rows.append([label, compact(*_at(found, "norm", k, log)), plus_minus(*_at(found, "measured_norm", k, log))])
    lines += columns(["quantity", "theory", "networks"], rows)
    return "\n".join([*lines, "", f"verdict: {found['verdict']}"]) + "\n"


def _at(found: Mapping[str, Any], name: str, k: int, log: bool) -> tuple[float | None, float | None]:
    """A norm and its error, or those of its logarithm."""
    values, errors = found.get(name), found.get(f"{name}_error")
    value = None if values is None else values[k]
    error = None if errors is None else errors[k]
    if not log or not value:
        return value, error
    return math.log(value), None if error is None else error / value
