"""The map on a page: regimes, branches or critical curves over parameters of the cell."""

from __future__ import annotations

from solvers.report.axes import NEAR, RULE, WIDE
from solvers.report.figures import MAP
from solvers.report.findings import Findings
from solvers.report.markup import folded, listing, paragraph, text
from solvers.report.part import Part, figures

STATIC_ALONE = (
    "Regimes are told apart by static solutions alone, so that the map is affordable: where states that fluctuate may "
    "exist instead of stable ones or beside them, the area is hatched and called undecided. With --map full, such "
    "states are looked for."
)


def map_part(found: Findings) -> Part:
    """The figure with its numbers, how its axes were chosen, and what it may take; or why there is none."""
    chart, asked = found.chart, found.asked
    if chart is None:
        return Part("map", "Map", (paragraph(found.missing.get("map", "Not reached: the time was over.")),))
    chosen = asked.x is None and asked.y is None
    blocks = [*figures(found.of(MAP)), paragraph(f"Verdict of the map: {chart.verdict}.")]
    if "--static" in chart.command():
        blocks.append(paragraph(STATIC_ALONE))
    blocks.append(folded(text("Numbers of the map"), listing(chart.text(), "Numbers of the map"),
                         shown=not found.of(MAP)))  # fmt: skip
    rule = RULE + (WIDE if asked.ansatz == "untied" else NEAR)
    how = f"Chosen by this rule: {rule}. " if chosen else ""
    blocks.append(paragraph(f"{how}The map may take {asked.map_seconds:g} s.", class_="small"))
    return Part("map", chart.title, tuple(blocks))
