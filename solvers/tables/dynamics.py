"""Results of ``gatefield dynamics`` as text, from the same object that JSON prints."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from solvers.tables.numbers import compact
from solvers.tables.theory import WIDTH, Rows, aligned, notes_lines, parameter_lines

Record = Mapping[str, Any]
SHOWN_LAGS = 8


def dynamics_text(found: Record) -> str:
    """All stationary states with their numbers, and a few lags of their covariances."""
    lines = [f"{found['cell']}, stationary mean field", *parameter_lines(found["parameters"])]
    lines += notes_lines(found.get("notes", ()))
    if not found["solutions"]:
        lines += ["", "no stationary state"]
    for number, record in enumerate(found["solutions"]):
        kind = "fixed point" if record["dt"] is None else "fluctuates in time"
        lines += ["", *textwrap.wrap(f"solution {number}: {kind}, {record['verdict']}", WIDTH, subsequent_indent="  ")]
        lines += aligned(_rows(record, found["time"]))
        lines += _lags(record) + notes_lines(record.get("notes", ()))
    return "\n".join(lines) + "\n"


def _rows(record: Record, time: str) -> Rows:
    error = record["error"]
    unit = " per step" if time == "discrete" else ""
    rows: Rows = [(f"{kind}[{name}]", compact(value, error[kind][name]))
                  for kind in ("q", "Q") for name, value in record[kind].items()]  # fmt: skip
    if record["correlation_time"] is not None:
        steps = " steps" if time == "discrete" else ""
        rows.append(("correlation time", compact(record["correlation_time"], error["correlation_time"]) + steps))
    exponent = record["lyapunov_max"]
    rows.append(("lyapunov_max", "unknown" if exponent is None else compact(exponent, error["lyapunov_max"]) + unit))
    rows.append(("method", record["method"]))
    return rows


def _lags(record: Record) -> list[str]:
    """C at a few lags, evenly spread up to where it has decayed."""
    lags: Sequence[float] = record["lags"]
    if len(lags) < 2:
        return []
    chosen = sorted({round(k * (len(lags) - 1) / (SHOWN_LAGS - 1)) for k in range(SHOWN_LAGS)})
    width = max(len(f"C[{name}]") for name in record["C"])
    lines = ["  " + f"{'lag':<{width}}" + "".join(f"  {lags[k]:>9.4g}" for k in chosen)]
    for name, values in record["C"].items():
        lines.append("  " + f"{f'C[{name}]':<{width}}" + "".join(f"  {values[k]:>9.4g}" for k in chosen))
    return lines
