"""Lyapunov exponents as aligned text, from the same object that JSON prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solvers.tables.comparison import columns
from solvers.tables.numbers import compact, plus_minus
from solvers.tables.theory import notes_lines, parameter_lines


def lyapunov_text(found: Mapping[str, Any]) -> str:
    """``gatefield lyapunov``: one line for each exponent, then what follows from them."""
    networks = f"{found['seeds']} networks of N = {found['N']}"
    head = f"{found['cell']}, Lyapunov exponents per {_UNITS[found['unit']]}: {networks}"
    lines = [head, *parameter_lines(found["parameters"]), *notes_lines(found["notes"]), ""]
    pairs = enumerate(zip(found["measured"], found["standard_error"], strict=True))
    rows = [[f"lyapunov[{k + 1}]", _theory(found) if k == 0 else "", plus_minus(*pair)] for k, pair in pairs]
    rows.insert(1, ["extrapolated", "", plus_minus(found["extrapolated"], found["extrapolated_error"])])
    rows += [[name, "", plus_minus(found[name], found[f"{name}_error"])] for name in ("kaplan_yorke", "entropy_rate")]
    lines += columns(["quantity", "theory", "networks"], rows)
    return "\n".join([*lines, "", f"verdict: {found['verdict']}"]) + "\n"


_UNITS = {"step": "step", "time": "unit of time"}


def _theory(found: Mapping[str, Any]) -> str:
    return compact(found["theory"], found["theory_error"])
