"""The summary of a sweep as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any


def sweep_text(found: Mapping[str, Any]) -> str:
    """What was swept, how many points have which verdict, and the first reasons."""
    over = ", ".join(f"{name} = {text}" for name, text in found["over"].items())
    lines = [f"{found['cell']}, {found['ansatz']}: {found['points']} points over {over}"]
    if found["parameters"]:
        text = ", ".join(f"{name} = {value:.12g}" for name, value in found["parameters"].items())
        lines += textwrap.wrap(f"parameters: {text}", 100, subsequent_indent="  ")
    for note in found["notes"]:
        lines += textwrap.wrap(f"note: {note}", 100, subsequent_indent="  ")
    lines += ["", f"{found['store']}: {', '.join(found['quantities'])}"]
    lines.append(f"  computed now   {found['computed']}")
    if found["resumed"]:
        lines.append(f"  there before   {found['resumed']}")
    missing = found["points"] - found["computed"] - found["resumed"]
    if missing:
        lines.append(f"  still to come  {missing}  (the same command goes on from here)")
    lines.append("")
    width = max((len(name) for name in found["verdicts"]), default=0)
    lines += [f"  {name.replace('_', ' '):<{width}}  {n}" for name, n in found["verdicts"].items()]
    for item in found["reasons"]:
        place = ", ".join(f"{name} = {value:.12g}" for name, value in item["point"].items())
        lines += textwrap.wrap(f"{place}: {item['reason']}", 100, initial_indent="  ", subsequent_indent="    ")
    lines += ["", f"verdict: {_verdict(found)}"]
    return "\n".join(lines) + "\n"


def _verdict(found: Mapping[str, Any]) -> str:
    if not found["complete"]:
        return "not finished: stopped by the time budget"
    good = {"converged", "no_further_solution"}
    if set(found["verdicts"]) <= good:
        return "converged"
    return "some points did not converge; the variable `reason` says why"
