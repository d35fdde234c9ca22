"""The derivation on a page: its sections, each of which can be folded away."""

from __future__ import annotations

from derive.write.html import HtmlDerivation, heading
from solvers.report.findings import Findings
from solvers.report.markup import folded, paragraph
from solvers.report.part import Part

MODEL = 1
"""Sections of a derivation that stand under the model."""

SHORT = 6000
"""Characters of HTML up to which a section is open when the page is."""


def derivation_part(found: Findings, shown: HtmlDerivation | None) -> Part:
    """Every step with its rule, reason and assumption; formulas are MathML."""
    if shown is None:
        return Part("derivation", "Derivation", (paragraph("Not reached: the time was over."),))
    asked = found.asked
    intro = (
        f"The {asked.ansatz} mean-field theory, step by step; numbers in brackets are links to the equations that a "
        "step starts from. Sections open and close at their headings; a link into a closed one opens it."
    )
    sections = [
        folded(heading(3, item.number, item.title), item.body, shown=len(item.body) < SHORT)
        for item in shown.sections(level=3)[MODEL:]
    ]
    return Part("derivation", "Derivation", (paragraph(intro), *sections))
