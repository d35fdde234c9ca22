"""A derivation as one HTML page that needs nothing but itself: native MathML, no script, nothing from outside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from derive.theory import Theory
from derive.write.content import blocks
from derive.write.layout import Line, row_lines
from derive.write.mathml import mathml
from derive.write.medium import LatexMedium
from derive.write.presenter import Block, Display, Heading, Paragraph, latex_presenter
from derive.write.preset import DEFAULT
from derive.write.quantity import quantity_latex

FORMULA_STYLE = """
p.reason, p.assumption, p.from { margin-left: 1.5rem; }
b.label { font-weight: 600; }
span.counter { opacity: .65; margin-right: .6em; }
div.display { overflow: auto hidden; margin: .6rem 0; padding: .1rem 0; }
div.display table { border-collapse: collapse; width: 100%; }
div.display td { padding: .22rem 0; vertical-align: baseline; white-space: nowrap; }
div.display td.left { text-align: right; padding-left: 1.5rem; padding-right: .35em; }
div.display td.right { text-align: left; width: 100%; }
div.display td.number { text-align: right; padding-left: 1rem; opacity: .65; }
math { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", math, serif; font-size: 1.04em; }
"""
"""Of the blocks of a derivation, wherever they stand."""

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 56rem; margin: 2.5rem auto; padding: 0 1.25rem; font: 1.06rem/1.55 "Latin Modern Roman",
  "STIX Two Text", Charter, Georgia, "Times New Roman", serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin-bottom: .3rem; }
h2 { font-size: 1.3rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #8886; padding-bottom: .2rem; }
h3 { font-size: 1.08rem; margin: 1.6rem 0 .4rem; }
p { margin: .5rem 0; }
p.subtitle, nav { color: #666; }
nav ol { padding-left: 1.4em; columns: 2; }
a { color: inherit; text-decoration: none; border-bottom: 1px dotted #888; }
@media print { body { max-width: none; margin: 0; } nav { display: none; } }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


class HtmlMedium(LatexMedium):
    """Sentences in HTML."""

    dash = "–"

    def reference(self, number: int, label: str) -> str:
        """An equation by its number, with a link to it."""
        return f'<a href="#eq{number}">({number})</a>'

    def escaped(self, text: str) -> str:
        """Plain text."""
        return escape("".join(character for character in text if character.isprintable()))

    def code(self, text: str) -> str:
        """Text as it is typed."""
        return f"<code>{self.escaped(text)}</code>"

    def math(self, latex: str) -> str:
        """A formula in a sentence."""
        return mathml(latex)


@dataclass(frozen=True)
class Section:
    """A numbered section of a derivation: title and body are HTML, the body without the section's own heading."""

    number: str
    title: str
    body: str


class HtmlDerivation:
    """A derivation in parts: its sections, and the names of its numbers and parameters as formulas.

    notation : the name of a shipped notation or the path of a notation file.  Raises NotationError.
    """

    def __init__(self, theory: Theory, notation: str = DEFAULT) -> None:
        self.theory = theory
        self._show = latex_presenter(theory, notation, HtmlMedium)

    def escaped(self, text: str) -> str:
        """Plain text as HTML."""
        return self._show.medium.escaped(text)

    def sections(self, level: int = 2) -> tuple[Section, ...]:
        """All sections, in order; level : of their headings, steps being one below."""
        found: list[tuple[Heading, list[str]]] = []
        for item in blocks(self._show):
            if isinstance(item, Heading) and item.level == 1:
                found.append((item, []))
            else:
                found[-1][1].append(_block(item, level))
        return tuple(Section(head.number, head.text, "\n".join(body)) for head, body in found)

    def parameter(self, name: str) -> str:
        """A declared name as a formula."""
        return mathml(self._show.notation.name(name).text)

    def quantity(self, name: str) -> str:
        """A number such as ``q[W]``, ``Q[h]`` or ``chi1`` as a formula; empty where it is called by words."""
        latex = quantity_latex(self._show, name)
        return mathml(latex) if latex else ""


def html(theory: Theory, notation: str = DEFAULT) -> str:
    """The derivation of a theory as a complete HTML page.

    notation : the name of a shipped notation or the path of a notation file.  Raises NotationError.
    """
    cell, derivation = theory.site.cell, HtmlDerivation(theory, notation)
    title = derivation.escaped(cell.title or cell.name)
    body = [f"<h1>{title}</h1>", f'<p class="subtitle">{theory.ansatz} mean-field theory</p>']
    if cell.source.strip():
        body.append(f"<p>Source of the cell: {derivation.escaped(cell.source)}.</p>")
    sections = derivation.sections()
    body.append(_contents(sections))
    for section in sections:
        body += [heading(2, section.number, section.title), section.body]
    style = _STYLE + FORMULA_STYLE
    return _PAGE.format(title=f"{title}: {theory.ansatz} mean-field theory", style=style, body="\n".join(body))


def heading(level: int, number: str, title: str) -> str:
    """A numbered heading that links can go to; title : HTML."""
    return f'<h{level} id="s{number}"><span class="counter">{number}</span>{title}</h{level}>'


def _contents(sections: tuple[Section, ...]) -> str:
    lines = [f'<li><a href="#s{section.number}">{section.title}</a></li>' for section in sections]
    return "\n".join(["<nav><ol>", *lines, "</ol></nav>"])


def _block(item: Block, level: int) -> str:
    match item:
        case Heading(text=text, number=number):
            return heading(level + item.level - 1, number, text)
        case Paragraph(text=text, label=""):
            return f"<p>{text}</p>"
        case Paragraph(text=text, label=label):
            kind = re.sub(r"[^a-z]+", "-", label.lower())
            return f'<p class="{kind}"><b class="label">{label}:</b> {text}</p>'
        case Display():
            return _display(item)


def _display(item: Display) -> str:
    lines = ['<div class="display"><table>']
    for row, tag in zip(item.rows, item.tags(), strict=True):
        parts = row_lines(row)
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            lines.append(_line(part, tag if last else "", continued=place > 0))
    return "\n".join([*lines, "</table></div>"])


def _line(line: Line, tag: str, *, continued: bool) -> str:
    left, right = line
    number = f'<td class="number" id="eq{tag}">({tag})</td>' if tag else '<td class="number"></td>'
    shown = right.removeprefix(r"\quad ") if continued else right
    gap = '<span style="margin-left: 2em"></span>' if shown != right else ""
    before = mathml(left, display=True) if left else ""
    after = mathml(shown, display=True, continued=continued or bool(left))
    return f'<tr><td class="left">{before}</td><td class="right">{gap}{after}</td>{number}</tr>'
