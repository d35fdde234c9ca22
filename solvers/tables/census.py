"""Fixed points of finite networks as aligned text, from the same object that JSON prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solvers.tables.comparison import columns
from solvers.tables.numbers import compact, plus_minus, short
from solvers.tables.theory import notes_lines, parameter_lines


def census_text(found: Mapping[str, Any]) -> str:
    """``gatefield fixed-points --simulate``: one column for each size, then what follows from both."""
    lines = [f"{found['cell']}, fixed points of finite networks", *parameter_lines(found["parameters"])]
    lines += [*notes_lines(found["notes"]), ""]
    sizes = found["sizes"]
    head = ["", *(f"N = {size['N']}" for size in sizes)]
    rows = [
        ["networks", *(str(size["networks"]) for size in sizes)],
        ["starts, lost", *(f"{sum(size['starts'])}, {sum(size['lost'])}" for size in sizes)],
        ["mean found", *(short(size["mean_found"]) for size in sizes)],
        ["mean estimated", *(plus_minus(size["mean_estimated"], size["mean_error"]) for size in sizes)],
        *([f"mean Q[{state}]", *(short(size["Q"].get(state)) for size in sizes)] for state in _states(sizes)),
        ["unstable directions", *(_histogram(size["unstable"]) for size in sizes)],
    ]
    lines += columns(head, rows)
    lines += ["", f"growth of ln (mean number) per unit  {plus_minus(found['growth'], found['growth_error'])}",
              f"complexity, theory                   {compact(found['complexity'], found['complexity_error'])}",
              found["bound"]]  # fmt: skip
    return "\n".join([*lines, "", f"verdict: {found['verdict']}"]) + "\n"


def _states(sizes: list[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(state for size in sizes for state in size["Q"]))


def _histogram(unstable: Mapping[str, int]) -> str:
    """Directions and number of fixed points with so many."""
    return " ".join(f"{directions}:{count}" for directions, count in unstable.items()) or "—"
