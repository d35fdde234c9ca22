"""Equations over lines: where each is aligned and where a long one is broken, the same for every medium of formulas."""

from __future__ import annotations

from derive.write.box import Box, Piece, break_lines, pieces
from derive.write.notation import visible_width
from derive.write.presenter import Row

LINE = 74.0
"""Width of a displayed line, in letters."""

RELATIONS = {"=": "=", "~": r"\sim", "->": r"\leftarrow"}

Line = tuple[str, str]
"""What stands to the left and to the right of the point of alignment."""


def row_lines(row: Row) -> list[Line]:
    """left | = right, over as many lines as it takes; an equation's number belongs to the last one."""
    if row.left is None:
        first, *more = _lines(row.right, LINE, 0.0)
        return [("", first), *_continued(more)]
    head, used = _lines(row.left, LINE * 0.6, 0.0), row.left.width + 2.6
    relation = RELATIONS[row.relation]
    widest = max(width for _, width in _weighed(row.right))
    apart = len(head) > 1 or (used > 12 and used + widest > LINE)
    first, *more = _lines(row.right, LINE, 8.0 if apart else used)
    if apart:
        return [*(("", line) for line in head), ("", rf"\quad {relation} {first}"), *_continued(more)]
    return [(head[0], f"{relation} {first}"), *_continued(more)]


def _continued(lines: list[str]) -> list[Line]:
    return [("", rf"\quad {line}") for line in lines]


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
    text = "".join(piece.text for piece in line).rstrip()
    return text if first or not line[0].product else rf"\times {text}"
