"""A derivation as Markdown, with formulas between dollar signs as most renderers read them."""

from __future__ import annotations

import re

from derive.theory import Theory
from derive.write.content import blocks
from derive.write.layout import Line, row_lines
from derive.write.medium import LatexMedium
from derive.write.presenter import Block, Display, Heading, Paragraph, latex_presenter
from derive.write.preset import DEFAULT

_SPELLED = {
    r"\,": r"\thinspace ", r"\;": r"\thickspace ", r"\{": r"\lbrace ", r"\}": r"\rbrace ", r"\_": r"\text{-}",
    "<": r"\lt ", ">": r"\gt ", "*": r"\ast ",
}  # fmt: skip
_SIGN = re.compile(r"\\operatorname\{([A-Za-z]+)\}|\\[A-Za-z]+|\\.|[<>*]", re.DOTALL)


class MarkdownMedium(LatexMedium):
    """Sentences in Markdown."""

    dash = "–"

    def reference(self, number: int, label: str) -> str:
        """An equation by its number: renderers make no anchors of tags."""
        return f"({number})"

    def escaped(self, text: str) -> str:
        """Plain text: what Markdown would read as markup gets a backslash."""
        return re.sub(r"([\\`*_{}\[\]<>#$|~])", r"\\\1", text)

    def code(self, text: str) -> str:
        """Text as it is typed."""
        return f"`{text}`"

    def math(self, latex: str) -> str:
        """A formula in a sentence."""
        return f"${formula(latex)}$"


def formula(latex: str) -> str:
    """LaTeX that survives Markdown: no sign is escaped by a backslash, and nothing looks like a tag or emphasis."""
    return _SIGN.sub(_spelled, latex).strip()


def _spelled(match: re.Match[str]) -> str:
    if match[1]:
        return rf"\mathop{{\mathrm{{{match[1]}}}}}"
    return _SPELLED.get(match[0], match[0])


def markdown(theory: Theory, notation: str = DEFAULT) -> str:
    """The derivation of a theory as a Markdown document.

    notation : the name of a shipped notation or the path of a notation file.  Raises NotationError.
    """
    cell, show = theory.site.cell, latex_presenter(theory, notation, MarkdownMedium)
    parts = [f"# {show.medium.escaped(cell.title or cell.name)}: {theory.ansatz} mean-field theory"]
    if cell.source.strip():
        parts.append(f"Source of the cell: {show.medium.escaped(cell.source)}.")
    return "\n\n".join([*parts, *(_block(item) for item in blocks(show))]) + "\n"


def _block(item: Block) -> str:
    match item:
        case Heading(text=text, level=level, number=number):
            return f"{'#' * (level + 1)} {number} {text}"
        case Paragraph(text=text, label=label):
            return f"**{label}:** {text}" if label else text
        case Display():
            return _display(item)


def _display(item: Display) -> str:
    rows = [row_lines(row) for row in item.rows]
    if not item.numbered:
        return _equation([line for row in rows for line in row], "")
    return "\n\n".join(_equation(lines, tag) for lines, tag in zip(rows, item.tags(), strict=True))


def _equation(lines: list[Line], tag: str) -> str:
    number = rf" \tag{{{tag}}}" if tag else ""
    if len(lines) == 1:
        left, right = lines[0]
        return f"$$\n{formula(f'{left} {right}')}{number}\n$$"
    body = " \\\\\n".join(formula(f"{left} &{right}") for left, right in lines)
    return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}{number}\n$$"
