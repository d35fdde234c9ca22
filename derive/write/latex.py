"""A derivation as a complete LaTeX document: article with amsmath, amssymb and geometry."""

from __future__ import annotations

from derive.theory import Theory
from derive.write.content import blocks
from derive.write.layout import row_lines
from derive.write.presenter import Block, Display, Heading, Paragraph, Row, latex_presenter
from derive.write.preset import DEFAULT
from derive.write.steps import step_rows

_PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage[margin=2.2cm]{geometry}
\usepackage{amsmath,amssymb}
\providecommand{\bm}[1]{\boldsymbol{#1}}
\providecommand{\mathscr}[1]{\mathcal{#1}}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\emergencystretch=3em
"""


def document(theory: Theory, notation: str = DEFAULT) -> str:
    """The derivation of a theory, compilable as it stands.

    notation : the name of a shipped notation or the path of a notation file.  Raises NotationError.
    """
    cell, show = theory.site.cell, latex_presenter(theory, notation)
    title = show.medium.escaped(cell.title or cell.name)
    lines = [
        _PREAMBLE + rf"\title{{{title}\\[2pt] \large {show.medium.escaped(theory.ansatz)} mean-field theory}}",
        r"\author{}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
    ]
    if cell.source.strip():
        lines.append(rf"\noindent Source of the cell: {show.medium.escaped(cell.source)}.")
    lines += [_block(item) for item in blocks(show)]
    return "\n\n".join([*lines, r"\end{document}"]) + "\n"


def equations_latex(theory: Theory, notation: str = DEFAULT) -> list[str]:
    """Every equation of the steps, in order, each fit to stand in an ``align`` environment."""
    show = latex_presenter(theory, notation)
    return [_row(row) for step in theory.steps for row in step_rows(show, step)]


def _block(item: Block) -> str:
    match item:
        case Heading(text=text, level=1):
            return rf"\section{{{text}}}"
        case Heading(text=text):
            return rf"\subsection{{{text}}}"
        case Paragraph(text=text, label=""):
            return text
        case Paragraph(text=text, label=label):
            return rf"\textbf{{{label}:}} {text}"
        case Display():
            return _display(item)


def _display(item: Display) -> str:
    """Equations with a label each, which stands in the line that bears the number."""
    name = "align" if item.numbered else "align*"
    labels = [rf" \label{{eq:{equation.label}}}" for equation in item.equations] or [""] * len(item.rows)
    body = " \\\\\n".join(_row(row) + label for row, label in zip(item.rows, labels, strict=True))
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


def _row(row: Row) -> str:
    """left &= right, over as many lines as it takes; only the last one is numbered."""
    return " \\notag\\\\\n".join(f"{left} &{right}" if left else f"&{right}" for left, right in row_lines(row))
