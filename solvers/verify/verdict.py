"""The verdict on a hand formula, with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROVED, AGREES, DIFFERS, UNDECIDED = "proved", "agrees", "differs", "undecided"


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on.

    point : parameters and unknowns at the point shown; left, right : values there (complex as [re, im]); ratio :
    left / right; digits : decimal digits in which the sides agree at every point (numerical agreement only);
    holds_when : a condition under which the formula would hold; missing : a term or factor that would mend it.
    """

    point: Mapping[str, float] = field(default_factory=dict)
    left: Any = None
    right: Any = None
    ratio: Any = None
    digits: float | None = None
    points: int = 0
    holds_when: str | None = None
    missing: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of the evidence."""
        return {
            "point": dict(self.point),
            "left": self.left,
            "right": self.right,
            "ratio": self.ratio,
            "digits": self.digits,
            "holds_when": self.holds_when,
            "missing": self.missing,
        }


@dataclass(frozen=True)
class Checked:
    """One formula and its verdict: "proved", "agrees" (numerically), "differs" or "undecided".

    steps : lines of the proof, or how the numbers were had; notes : why something was left undecided.
    """

    cell: str
    ansatz: str
    formula: str
    verdict: str
    steps: tuple[str, ...]
    evidence: Evidence

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield verify``."""
        return {
            "cell": self.cell,
            "ansatz": self.ansatz,
            "formula": self.formula,
            "verdict": self.verdict,
            "steps": list(self.steps),
            "evidence": self.evidence.as_dict(),
        }
