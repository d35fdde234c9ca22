"""A derivation for a terminal: Unicode, numbered steps and equations, at most 100 columns."""

from __future__ import annotations

import textwrap

from derive.theory import Theory
from derive.write.box import Box, break_lines, pieces
from derive.write.cell_text import cell_text
from derive.write.content import blocks
from derive.write.presenter import Display, Heading, Paragraph, Row, text_presenter
from derive.write.preset import DEFAULT

__all__ = ["cell_text", "derivation_text"]

WIDTH = 100
_INDENT, _HANG = 4, 8
_RELATIONS = {"=": "=", "~": "~", "->": "←"}


def derivation_text(theory: Theory, notation: str = DEFAULT) -> str:
    """The derivation of a theory, step by step, in a shipped notation or one from a file."""
    cell = theory.site.cell
    lines = _paragraph(f"{cell.title or cell.name} — {theory.ansatz} mean-field theory", 0)
    if cell.source.strip():
        lines += _paragraph(f"Source of the cell: {cell.source}", 0)
    for item in blocks(text_presenter(theory, notation)):
        match item:
            case Heading(text=text, level=1, number=number):
                title = f"{number}  {text}"
                lines += ["", title, "─" * len(title)]
            case Heading(text=text, number=number):
                lines += ["", f"{number}  {text}"]
            case Paragraph(text=text, label=label):
                lines += _paragraph(f"{label}: {text}" if label else text, 2)
            case Display(rows=rows):
                for row, tag in zip(rows, item.tags(), strict=True):
                    lines += _row(row, f"({tag})" if tag else "")
    return "\n".join(lines) + "\n"


def _paragraph(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _row(row: Row, number: str) -> list[str]:
    """One equation, its number at the right margin of its last line."""
    if row.left is None:
        lines = _lines("", row.right)
    else:
        head = _lines("", row.left)
        lines = [*head[:-1], *_lines(f"{head[-1].strip()} {_RELATIONS[row.relation]} ", row.right)]
    if not number:
        return lines
    room = WIDTH - len(lines[-1]) - len(number)
    return [*lines[:-1], lines[-1] + " " * room + number] if room > 0 else [*lines, number.rjust(WIDTH)]


def _lines(head: str, box: Box) -> list[str]:
    items = [(piece, float(len(piece.text))) for piece in pieces(box.text)]
    parts = break_lines(items, max(WIDTH - _INDENT - len(head), 30), WIDTH - _HANG)
    texts = ["".join(piece.text for piece in part).rstrip() for part in parts]
    return [" " * _INDENT + head + texts[0], *(" " * _HANG + text for text in texts[1:])]
