"""A phase diagram as text, from the same object that JSON prints."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from solvers.tables.numbers import compact
from solvers.tables.theory import WIDTH, notes_lines, parameter_lines


def phase_text(found: Mapping[str, Any]) -> str:
    """Regimes with their share of the grid, curves with their ends, special points, and where regimes were found."""
    x, y = found["x"], found["y"]
    lines = [f"{found['cell']}: {x['name']} from {x['values'][0]:g} to {x['values'][-1]:g}, "
             f"{y['name']} from {y['values'][0]:g} to {y['values'][-1]:g}"]  # fmt: skip
    lines += [*parameter_lines(found["parameters"]), *notes_lines(found["notes"]), ""]
    counts = Counter(name for row in found["regimes"] for name in row)
    total = sum(counts.values())
    lines += [f"{100 * count / total:5.1f} %  {name}" for name, count in counts.most_common()]
    lines += [""] if found["curves"] else ["", "no boundary in this box"]
    for curve in found["curves"]:
        ends = (f"({_rounded(curve['x'][k], x)}, {_rounded(curve['y'][k], y)})" for k in (0, -1))
        text = f"{curve['kind']}: {' to '.join(ends)}, {_how(curve, x, y)}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    for point in found["points"]:
        place = ", ".join(f"{axis['name']} = {compact(point[key], error)}"
                          for axis, key, error in zip((x, y), "xy", point["error"], strict=True))  # fmt: skip
        lines.append(f"{point['kind']} point: {place}")
    lines.append("")
    for probe in found["representatives"]:
        lines += textwrap.wrap(_probe(probe, x["name"], y["name"]), WIDTH, subsequent_indent="  ")
    return "\n".join([*lines, "", *textwrap.wrap(f"verdict: {found['verdict']}", WIDTH, subsequent_indent="  ")]) + "\n"


def _width(axis: Mapping[str, Any]) -> float:
    return float(axis["values"][-1] - axis["values"][0])


def _rounded(value: float, axis: Mapping[str, Any]) -> str:
    """To a part in 10^5 of the axis."""
    return f"{round(value / _width(axis), 5) * _width(axis) + 0.0:.5g}"


def _how(curve: Mapping[str, Any], x: Mapping[str, Any], y: Mapping[str, Any]) -> str:
    """Where a curve comes from, and how far off it may be in parts of the axes, to a power of ten."""
    shares = [(np.inf if error is None else error) / _width(axis) for error, axis in
              zip(curve["error"], (x, y), strict=True)]  # fmt: skip
    largest = max(shares)
    if not np.isfinite(largest):
        return "error unknown"
    if curve["computed"]:
        return f"error below {10.0 ** max(np.ceil(np.log10(max(largest, 1e-12))), -6):g} of the axes"
    return f"by bisection, to {largest:.2g} of the axes"


def _probe(probe: Mapping[str, Any], x: str, y: str) -> str:
    solutions = ", ".join(f"{s['state']} {s['stability']}" for s in probe["static_solutions"]) or "none"
    text = f"region {probe['region']}, {x} = {probe[x]:.6g}, {y} = {probe[y]:.6g}: {probe['regime']}; "
    text += f"static solutions: {solutions}"
    pairs = zip(probe["lyapunov_max"], probe["lyapunov_error"], strict=True)
    text += "".join(f"; lyapunov_max {compact(value, error)}" for value, error in pairs)
    return text
