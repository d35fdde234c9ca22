"""Verdicts on hand formulas as text."""

from __future__ import annotations

from typing import Any

from solvers.verify.verdict import Checked


def verdict_line(number: int, found: Checked) -> str:
    """One line of a file's results."""
    hint = found.evidence.missing or found.evidence.holds_when
    more = ""
    if found.verdict == "differs" and hint:
        more = f"   ({found.evidence.missing})" if found.evidence.missing else f"   (holds when {hint})"
    return f"{number:4d}  {found.verdict:9s}  {found.formula}{more}"


def verdict_text(found: Checked) -> str:
    """The verdict with its evidence, for a terminal."""
    lines = [f"{found.cell}, {found.ansatz}: {found.formula}", f"verdict: {found.verdict}"]
    lines += [f"  {step}" for step in found.steps]
    evidence = found.evidence
    if evidence.point and found.verdict != "agrees":
        values = ", ".join(f"{name} = {value:.6g}" for name, value in evidence.point.items())
        lines.append(f"  at {values}")
        lines += [f"  left   {_shown(evidence.left)}", f"  right  {_shown(evidence.right)}"]
        if evidence.ratio is not None:
            lines.append(f"  ratio  {_shown(evidence.ratio)}")
    if evidence.missing:
        lines.append(f"  {evidence.missing}")
    if evidence.holds_when:
        lines.append(f"  it would hold when {evidence.holds_when}")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{value[0]:.15g} {value[1]:+.15g}i"
    return f"{value:.15g}"
