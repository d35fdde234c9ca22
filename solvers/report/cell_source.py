"""The text of a cell file with its names marked: parameters with their values, states, matrices, comments, tables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from derive.cell.names import normal
from derive.cell.spec import Cell
from solvers.report.markup import element, text

_PIECE = re.compile(
    r"""(?P<string>\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')|(?P<comment>\#[^\n]*)"""
    r"|(?P<table>^[ \t]*\[[^\n\]]*\])|(?P<name>[^\W\d]\w*)|(?P<other>.)",
    re.DOTALL | re.MULTILINE,
)
_NAME = re.compile(r"[^\W\d]\w*")


def highlighted(cell: Cell, parameters: Mapping[str, float]) -> str:
    """HTML of the cell's file; it reads as the file does when its tags are taken away."""
    kinds = dict.fromkeys(cell.states, "state") | dict.fromkeys(cell.weights, "matrix")
    return "".join(_piece(match, kinds, parameters) for match in _PIECE.finditer(cell.text))


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
