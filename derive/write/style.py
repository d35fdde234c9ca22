"""How fragments are put together: one style for LaTeX, one for a terminal."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

from derive.write.box import ATOM, POWER, PRODUCT, SUM, Box, mark
from derive.write.preset import Symbols

UNBROKEN = 52.0
"""Widest fragment, in letters, that is set without a break inside (a fraction, a bracket that grows)."""


class Style(Protocol):
    """What the typesetter asks of a medium."""

    def integer(self, value: int) -> Box: ...
    def fraction(self, top: Box, bottom: Box) -> Box: ...
    def power(self, base: Box, exponent: Box) -> Box: ...
    def root(self, inner: Box) -> Box: ...
    def bracket(self, inner: Box) -> Box: ...
    def average(self, inner: Box) -> Box: ...
    def modulus(self, inner: Box) -> Box: ...
    def matrix_product(self, matrix: Box, vector: Box) -> Box: ...
    def elementwise(self, left: Box, right: Box) -> Box: ...
    def product(self, factors: list[Box]) -> Box: ...


def total(terms: list[tuple[bool, Box]]) -> Box:
    """A sum of (negative, term), the same in every medium."""
    text, width = "", 0.0
    for number, (negative, term) in enumerate(terms):
        sign = "-" if negative else "+"
        if number:
            text += f" {mark(0)}{sign} {term.text}"
            width += 2.6
        else:
            text += f"-{term.text}" if negative else term.text
            width += 1.5 if negative else 0
        width += term.width
    return Box(text, width, SUM, any(term.tall for _, term in terms))


class LatexStyle:
    """amsmath."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols

    def integer(self, value: int) -> Box:
        return Box(str(value), len(str(value)), ATOM if value >= 0 else SUM)

    def fraction(self, top: Box, bottom: Box) -> Box:
        if bottom.width > UNBROKEN:
            inverse = self.power(self._fence(bottom, "[", "]"), self.integer(-1))
            return inverse if top.text == "1" else self.product([self._within(top, PRODUCT), inverse])
        if top.width > UNBROKEN:
            return self.product([self.fraction(self.integer(1), bottom), self._within(top, PRODUCT)])
        width = max(top.width, bottom.width) + 1
        return Box(rf"\frac{{{top.flat().text}}}{{{bottom.flat().text}}}", width, PRODUCT + 1, True)

    def power(self, base: Box, exponent: Box) -> Box:
        base = self._within(base, ATOM)
        return Box(f"{base.text}^{{{exponent.flat().text}}}", base.width + 0.7 * exponent.width, POWER, base.tall)

    def root(self, inner: Box) -> Box:
        if inner.width > UNBROKEN:
            return self.power(inner, Box("1/2", 3))
        return Box(rf"\sqrt{{{inner.flat().text}}}", inner.width + 2, ATOM, True)

    def bracket(self, inner: Box) -> Box:
        return self._fence(inner, "(", ")")

    def average(self, inner: Box) -> Box:
        head, left, right = self.symbols.average
        gap = " " if head[-1:].isalpha() else ""
        if not left:
            inside = self._within(inner, PRODUCT)
            return Box(head + gap + inside.text, inside.width + 3, SUM, True)
        box = self._fence(inner, left, right)
        return Box(head + gap + box.text, box.width + bool(head), ATOM, box.tall)

    def modulus(self, inner: Box) -> Box:
        return self._fence(inner, r"\lvert", r"\rvert")

    def matrix_product(self, matrix: Box, vector: Box) -> Box:
        inside = self._within(vector, ATOM)
        gap = "" if inside is not vector else r"\,"
        return Box(f"{matrix.text}{gap}{inside.text}", matrix.width + inside.width + 0.5, PRODUCT, inside.tall)

    def elementwise(self, left: Box, right: Box) -> Box:
        left, right = self._within(left, PRODUCT), self._within(right, PRODUCT)
        sign = f" {mark(1)}{self.symbols.elementwise} "
        return Box(left.text + sign + right.text, left.width + right.width + 2.6, PRODUCT, left.tall or right.tall)

    def product(self, factors: list[Box]) -> Box:
        inside = [self._within(factor, PRODUCT) for factor in factors]
        text = inside[0].text
        for previous, factor in pairwise(inside):
            digits = previous.text[-1].isdigit() and factor.text[:1].isdigit()
            text += (r" \cdot " if digits else r"\,") + mark(1, product=True) + factor.text
        width = sum(factor.width for factor in inside) + 0.4 * (len(inside) - 1)
        return Box(text, width, PRODUCT, any(factor.tall for factor in inside))

    def _within(self, box: Box, strength: int) -> Box:
        return box if box.strength >= strength else self.bracket(box)

    def _fence(self, inner: Box, left: str, right: str) -> Box:
        gap = " " if left.startswith("\\") else ""
        if inner.width > UNBROKEN:
            size = ("\\Bigl", "\\Bigr") if inner.tall else ("\\bigl", "\\bigr")
            inner = inner.deeper()
        else:
            size = (r"\left", r"\right") if inner.tall else ("", "")
            inner = inner.flat()
        return Box(f"{size[0]}{left}{gap}{inner.text}{size[1]}{right}{gap}", inner.width + 1.6, ATOM, inner.tall)


_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class TextStyle:
    """Unicode for a terminal."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols

    def integer(self, value: int) -> Box:
        return _text(str(value), ATOM if value >= 0 else SUM)

    def fraction(self, top: Box, bottom: Box) -> Box:
        top, bottom = self._within(top, PRODUCT), self._within(bottom, POWER)
        return Box(f"{top.text}/{bottom.text}", top.width + bottom.width + 1, PRODUCT)

    def power(self, base: Box, exponent: Box) -> Box:
        base, exponent = self._within(base, ATOM), exponent.flat()
        if exponent.text.lstrip("-").isdigit():
            return Box(base.text + exponent.text.translate(_SUPERSCRIPTS), base.width + len(exponent.text), POWER)
        exponent = self._within(exponent, ATOM)
        return Box(f"{base.text}^{exponent.text}", base.width + exponent.width + 1, POWER)

    def root(self, inner: Box) -> Box:
        inside = self._within(inner, ATOM)
        return Box(f"√{inside.text}", inside.width + 1, ATOM)

    def bracket(self, inner: Box) -> Box:
        return self._fence(inner, "(", ")")

    def average(self, inner: Box) -> Box:
        head, left, right = self.symbols.average
        if not left:
            inside = self._within(inner, PRODUCT)
            return Box(head + inside.text, inside.width + len(head), SUM)
        box = self._fence(inner, left, right)
        return Box(head + box.text, box.width + len(head), ATOM)

    def modulus(self, inner: Box) -> Box:
        return self._fence(inner, "|", "|")

    def matrix_product(self, matrix: Box, vector: Box) -> Box:
        inside = self._within(vector, ATOM)
        gap = "" if inside is not vector else " "
        return Box(f"{matrix.text}{gap}{inside.text}", matrix.width + inside.width + 1, PRODUCT)

    def elementwise(self, left: Box, right: Box) -> Box:
        left, right = self._within(left, PRODUCT), self._within(right, PRODUCT)
        sign = f" {mark(1)}{self.symbols.elementwise} "
        return Box(left.text + sign + right.text, left.width + right.width + 3, PRODUCT)

    def product(self, factors: list[Box]) -> Box:
        inside = [self._within(factor, PRODUCT) for factor in factors]
        text = f" {mark(1, product=True)}".join(factor.text for factor in inside)
        return Box(text, sum(factor.width for factor in inside) + len(inside) - 1, PRODUCT)

    def _within(self, box: Box, strength: int) -> Box:
        return box if box.strength >= strength else self.bracket(box)

    def _fence(self, inner: Box, left: str, right: str) -> Box:
        deeper = inner.deeper()
        return Box(left + deeper.text + right, inner.width + 2, ATOM)


def _text(text: str, strength: int = ATOM) -> Box:
    return Box(text, len(text), strength)
