"""A typeset fragment with its width, how tightly it binds, and where it may be broken over lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

SUM, PRODUCT, POWER, ATOM = 1, 2, 4, 5
"""Binding strengths, loosest first."""

_BASE = 0xE000
_LEVELS = 0x80
_MARKS = re.compile(f"[{chr(_BASE)}-{chr(_BASE + 2 * _LEVELS - 1)}]")


@dataclass(frozen=True)
class Box:
    """text : with break marks in it; width : in letters; strength : how tightly it binds; tall : taller than a line."""

    text: str
    width: float
    strength: int = ATOM
    tall: bool = False

    def flat(self) -> Box:
        """The same without break marks."""
        return Box(_MARKS.sub("", self.text), self.width, self.strength, self.tall)

    def deeper(self) -> Box:
        """The same inside a bracket: its breaks are less welcome."""
        return Box(_MARKS.sub(_deepen, self.text), self.width, self.strength, self.tall)


def _deepen(match: re.Match[str]) -> str:
    code = ord(match.group()) - _BASE
    level, product = code % _LEVELS, code // _LEVELS
    return mark(level + 2, product=bool(product))


def mark(level: int, *, product: bool = False) -> str:
    """A place where a line may be broken: level 0 between terms, 1 between factors, deeper inside brackets."""
    return chr(_BASE + min(level, _LEVELS - 1) + (_LEVELS if product else 0))


@dataclass(frozen=True)
class Piece:
    """Text between two breaks; level and product describe the break before it."""

    text: str
    level: int
    product: bool


def pieces(text: str) -> list[Piece]:
    """Split at every break mark."""
    found: list[Piece] = []
    start, level, product = 0, 0, False
    for match in _MARKS.finditer(text):
        found.append(Piece(text[start : match.start()], level, product))
        code = ord(match.group()) - _BASE
        start, level, product = match.end(), code % _LEVELS, code >= _LEVELS
    found.append(Piece(text[start:], level, product))
    return found


def break_lines(items: list[tuple[Piece, float]], first: float, rest: float) -> list[list[Piece]]:
    """Fill lines greedily, breaking at the outermost place in the last two thirds of each line.

    items : pieces with their widths; first, rest : widths of the first and of the other lines.
    """
    lines: list[list[Piece]] = []
    pending = list(items)
    limit = first
    while pending:
        count = _fitting(pending, limit)
        lines.append([piece for piece, _ in pending[:count]])
        pending, limit = pending[count:], rest
    return lines


def _fitting(items: list[tuple[Piece, float]], limit: float) -> int:
    """How many pieces to put on the line."""
    total = 0.0
    best: tuple[int, int] | None = None
    for number, (_, width) in enumerate(items):
        if number and total >= 0.3 * limit:
            candidate = (items[number][0].level, -number)
            best = candidate if best is None or candidate < best else best
        total += width
        if total > limit and number:
            return -best[1] if best is not None else number
    return len(items)
