"""Static solutions over a parameter range as aligned text, from the same object that JSON prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solvers.tables.comparison import columns
from solvers.tables.numbers import compact, short
from solvers.tables.theory import notes_lines, parameter_lines

_STABLE = {True: "stable", False: "unstable", None: "—"}


def fixed_points_text(found: Mapping[str, Any]) -> str:
    """``gatefield fixed-points``: a table for each branch, then the folds."""
    name, values = found["over"]["name"], found["over"]["values"]
    span = f"{len(values)} values of {name} from {values[0]:g} to {values[-1]:g}"
    lines = [f"{found['cell']}, static solutions at {span}", *parameter_lines(found["parameters"])]
    lines += notes_lines(found["notes"])
    for number, branch in enumerate(found["branches"]):
        lines += ["", f"branch {number} ({branch['state']}): {branch['ends'][0]} … {branch['ends'][1]}"]
        head = [name, *(f"Q[{state}]" for state in branch["Q"]), "", "complexity"]
        rows = [
            [f"{value:.6g}", *(short(own[k]) for own in branch["Q"].values()), _STABLE[branch["stable"][k]],
             compact(branch["complexity"][k], branch["error"]["complexity"][k])]
            for k, value in enumerate(branch[name])
        ]  # fmt: skip
        lines += columns(head, rows) if rows else ["  holds none of these values"]
    lines += [""] if found["folds"] else []
    for fold, error in zip(found["fold_points"], found["fold_error"], strict=True):
        first, second = fold["branches"]
        lines.append(f"fold of branches {first} and {second} at {name} = {compact(fold[name], error)}")
    return "\n".join([*lines, "", f"verdict: {found['verdict']}"]) + "\n"
