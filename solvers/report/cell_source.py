"""The text of a cell file with its names marked: parameters with their values, states, matrices, comments, tables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from derive.cell.names import normal
from derive.cell.reader import parse_cell
from derive.cell.spec import Cell
from derive.errors import CellError, GatefieldError
from derive.write.cell_file import cell_file
from derive.write.cell_text import cell_text
from solvers.report.markup import element, text

_PIECE = re.compile(
    r"""(?P<string>\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')|(?P<comment>\#[^\n]*)"""
    r"|(?P<table>^[ \t]*\[[^\n\]]*\])|(?P<name>[^\W\d]\w*)|(?P<other>.)",
    re.DOTALL | re.MULTILINE,
)
_NAME = re.compile(r"[^\W\d]\w*")


def is_changed(cell: Cell) -> bool:
    """Whether the cell is another one than its file says."""
    try:
        return parse_cell(cell.text, cell.path) != cell
    except CellError:
        return True


def source_of(cell: Cell) -> str:
    """The text of a file that gives this cell: its own, or one that is written where it was changed after reading.

    Where the format has no words for what it became, its equations and declarations as text.
    """
    if not is_changed(cell):
        return cell.text
    try:
        return cell_file(cell)
    except GatefieldError:
        return cell_text(cell)


def highlighted(cell: Cell, source: str, parameters: Mapping[str, float]) -> str:
    """HTML of a cell's file; it reads as ``source`` does when its tags are taken away."""
    kinds = dict.fromkeys(cell.states, "state") | dict.fromkeys(cell.weights, "matrix")
    return "".join(_piece(match, kinds, parameters) for match in _PIECE.finditer(source))


def _piece(match: re.Match[str], kinds: Mapping[str, str], parameters: Mapping[str, float]) -> str:
    kind, piece = str(match.lastgroup), match[0]
    if kind in ("comment", "table"):
        return element("span", text(piece), class_=kind)
    if kind == "other":
        return text(piece)
    found, end = [], 0
    for name in _NAME.finditer(piece):
        found += [text(piece[end : name.start()]), _name(name[0], kinds, parameters)]
        end = name.end()
    return "".join([*found, text(piece[end:])])


def _name(word: str, kinds: Mapping[str, str], parameters: Mapping[str, float]) -> str:
    plain = normal(word)
    if plain in parameters:
        return element("span", text(word), class_="parameter", title=f"{plain} = {parameters[plain]:.12g}")
    return element("span", text(word), class_=kinds[plain]) if plain in kinds else text(word)
