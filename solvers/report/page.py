"""The page of a report: one HTML file with everything inside, no script, nothing from outside."""

from __future__ import annotations

from importlib import resources

from derive.write.html import FORMULA_STYLE, HtmlDerivation
from solvers.report.comparison import comparison_part, verdict_block
from solvers.report.derivation import derivation_part
from solvers.report.findings import Findings
from solvers.report.map_part import map_part
from solvers.report.markup import bullets, element, notes, paragraph, text
from solvers.report.model import model_part
from solvers.report.part import Part
from solvers.report.reproduce import reproduce_part
from solvers.report.solutions import solutions_part
from solvers.report.spectrum import spectrum_part

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def page(found: Findings) -> str:
    """The complete page; the same findings give the same bytes."""
    shown = HtmlDerivation(found.theory) if found.theory is not None else None
    parts = [
        model_part(found, shown),
        derivation_part(found, shown),
        solutions_part(found, shown),
        spectrum_part(found),
        comparison_part(found, shown),
        map_part(found),
        reproduce_part(found),
    ]
    body = [_head(found), verdict_block(found), _contents(parts), element("main", [_section(part) for part in parts])]
    style = resources.files("solvers.report").joinpath("style.css").read_text(encoding="utf-8") + FORMULA_STYLE
    return _PAGE.format(title=text(_title(found)), style=style, body="\n".join(body))


def _title(found: Findings) -> str:
    cell = found.asked.cell
    return " ".join(f"{cell.title or cell.name}: {found.asked.ansatz} mean field".split())


def _head(found: Findings) -> str:
    asked = found.asked
    chosen = [f"{name} = {asked.settings.parameters[name]:.12g}" for name in asked.given]
    words = f"{', '.join(chosen)} (all others as the cell file says)" if chosen else "all as the cell file says"
    lines = [element("h1", text(_title(found)))]
    if asked.cell.source.strip():
        lines.append(paragraph(f"Source of the cell: {' '.join(asked.cell.source.split())}", class_="subtitle"))
    lines.append(paragraph(f"Parameters: {words}.", class_="subtitle"))
    return element("header", [*lines, notes(found.notes)])


def _contents(parts: list[Part]) -> str:
    links = (element("a", text(part.title), href=f"#{part.name}") for part in parts)
    return element("nav", bullets(links), aria_label="Contents")


def _section(part: Part) -> str:
    return element("section", [element("h2", text(part.title), id=part.name), *part.blocks])
