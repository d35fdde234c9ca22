"""Results of check and simulate as aligned text, from the same objects that JSON prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from solvers.tables.numbers import compact, plus_minus
from solvers.tables.theory import notes_lines, parameter_lines

Record = Mapping[str, Any]


def check_text(found: Record) -> str:
    """``gatefield check``: one line for each quantity, the verdict last."""
    lines = [_head(found, "theory against"), *parameter_lines(found["parameters"]), *_notes(found)]
    for number, rows in _by_solution(found.get("rows", ())):
        lines += ["", f"solution {number}"] if number is not None else [""]
        lines += columns(["quantity", "theory", "networks", "z", "verdict"], [_check_row(row) for row in rows])
    return "\n".join([*lines, "", f"verdict: {found['verdict']}"]) + "\n"


def simulate_text(found: Record) -> str:
    """``gatefield simulate``: measured means and standard errors."""
    lines = [_head(found, "measured in"), *parameter_lines(found["parameters"]), *_notes(found)]
    for number, rows in _by_solution(found.get("rows", ())):
        lines += ["", f"solution {number}"] if number is not None else [""]
        table = [[row["quantity"], plus_minus(row.get("measured"), row.get("standard_error"))] for row in rows]
        lines += columns(["quantity", "mean ± standard error"], table)
    return "\n".join(lines) + "\n"


def _head(found: Record, what: str) -> str:
    return f"{found['cell']}, {found['ansatz']}: {what} {found['seeds']} networks of N = {found['N']}"


def _notes(found: Record) -> list[str]:
    return notes_lines(found.get("notes") or ())


def _by_solution(rows: Sequence[Record]) -> Iterator[tuple[int | None, list[Record]]]:
    for number in dict.fromkeys(row.get("solution") for row in rows):
        yield number, [row for row in rows if row.get("solution") == number]


def _check_row(row: Record) -> list[str]:
    z = row.get("z")
    measured = plus_minus(row.get("measured"), row.get("standard_error"))
    shown = "—" if z is None else f"{z:+.1f}"
    return [row["quantity"], compact(row.get("theory"), row.get("theory_error")), measured, shown, row["verdict"]]


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Left-aligned columns with a head."""
    table = [list(head), *map(list, rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(head))]
    padded = [[f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)] for row in table]
    return [("  " + "  ".join(row)).rstrip() for row in padded]
