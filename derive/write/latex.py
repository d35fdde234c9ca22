"""A derivation as a complete LaTeX document: article with amsmath, amssymb and geometry."""

from __future__ import annotations

from derive.theory import Theory
from derive.write.box import Box, Piece, break_lines, pieces
from derive.write.content import blocks
from derive.write.derivation_section import step_rows
from derive.write.identifiers import prose_latex
from derive.write.notation import visible_width
from derive.write.presenter import Block, Display, Heading, Paragraph, Row, latex_presenter

LINE = 74.0
"""Width of a displayed line, in letters."""

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

_RELATIONS = {"=": "=", "~": r"\sim", "->": r"\leftarrow"}


def document(theory: Theory) -> str:
    """The derivation of a theory, compilable as it stands."""
    cell = theory.site.cell
    title = prose_latex(cell.title or cell.name)
    lines = [
        _PREAMBLE + rf"\title{{{title}\\[2pt] \large {prose_latex(theory.ansatz)} mean-field theory}}",
        r"\author{}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
    ]
    if cell.source.strip():
        lines.append(rf"\noindent Source of the cell: {prose_latex(cell.source)}.")
    lines += [_block(item) for item in blocks(latex_presenter(theory))]
    return "\n\n".join([*lines, r"\end{document}"]) + "\n"


def equations_latex(theory: Theory) -> list[str]:
    """Every equation of the steps, in order, each fit to stand in an ``align`` environment."""
    show = latex_presenter(theory)
    return [_row(row) for step in theory.steps for row in step_rows(show, step)]


def _block(item: Block) -> str:
    match item:
        case Heading(text=text, level=1):
            return rf"\section{{{prose_latex(text)}}}"
        case Heading(text=text):
            return rf"\subsection{{{text}}}"
        case Paragraph(text=text, label=""):
            return text
        case Paragraph(text=text, label=label):
            return rf"\textbf{{{label}:}} {text}"
        case Display(rows=rows, numbered=numbered):
            return _display(rows, numbered)


def _display(rows: tuple[Row, ...], numbered: bool) -> str:
    name = "align" if numbered else "align*"
    body = " \\\\\n".join(_row(row) for row in rows)
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


def _row(row: Row) -> str:
    """left &= right, over as many lines as it takes; only the last one is numbered."""
    if row.left is None:
        body = _lines(row.right, LINE, 0.0)
        return " \\notag\\\\\n".join([f"&{body[0]}", *(rf"&\quad {line}" for line in body[1:])])
    head, used = _lines(row.left, LINE * 0.6, 0.0), row.left.width + 2.6
    relation = _RELATIONS[row.relation]
    widest = max(width for _, width in _weighed(row.right))
    apart = len(head) > 1 or (used > 12 and used + widest > LINE)
    body = _lines(row.right, LINE, 8.0 if apart else used)
    above = [f"&{line}" for line in head] if apart else []
    first = rf"&\quad {relation} {body[0]}" if apart else f"{head[0]} &{relation} {body[0]}"
    return " \\notag\\\\\n".join([*above, first, *(rf"&\quad {line}" for line in body[1:])])


def _lines(box: Box, width: float, used: float) -> list[str]:
    items = _weighed(box)
    lines = break_lines(items, max(width - used, width / 2), max(width - used, width / 2) - 2)
    return [_line(line, first=number == 0) for number, line in enumerate(lines)]


def _weighed(box: Box) -> list[tuple[Piece, float]]:
    """Pieces with their share of the width."""
    found = pieces(box.text)
    seen = [visible_width(piece.text) for piece in found]
    return [(piece, box.width * width / sum(seen)) for piece, width in zip(found, seen, strict=True)]


def _line(line: list[Piece], *, first: bool) -> str:
    text = "".join(piece.text for piece in line)
    return text if first or not line[0].product else rf"\times {text}"
