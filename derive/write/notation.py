"""How names print: the cell's own, and the symbols that a derivation introduces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import sympy as sp

from derive.cell.spec import Cell
from derive.elementary import BUILTINS
from derive.write.box import ATOM, POWER, Box
from derive.write.identifiers import identifier_latex, identifier_unicode, prose_latex
from derive.write.nodes import Named
from derive.write.preset import Preset, Symbols

_SIMPLE = re.compile(r"(?:\\[A-Za-z]+|[A-Za-z])(?:_(?:\\[A-Za-z]+|\w|\{[^{}^']*\}))?")
_INTERNAL = re.compile(r"(.*?)\[(.*)\](\^b)?", re.DOTALL)
_SPECTRAL = (r"\lambda", r"\zeta", r"\varpi", r"\Lambda")
_SPECTRAL_TEXT = ("λ", "ζ", "ϖ", "Λ")
"""Letters of the spectral parameter where a cell uses the notation's own."""


class Notation(Protocol):
    """What a medium calls things."""

    @property
    def symbols(self) -> Symbols: ...
    @property
    def moments(self) -> Mapping[str, sp.Expr]: ...

    def symbol(self, symbol: sp.Symbol) -> Box: ...
    def name(self, identifier: str, primes: int = 0, replica: int = 0) -> Box: ...
    def function(self, identifier: str, order: int) -> Box: ...
    def at_step(self, identifier: str, *, before: bool) -> Box: ...
    def flow(self, state: str) -> Box: ...
    def spectral(self) -> str: ...
    def entry(self, head: str, row: tuple[str, ...], column: tuple[str, ...]) -> Box: ...
    def titled(self, pattern: str, base: Box | None) -> Box: ...


def declared_names(cell: Cell) -> tuple[str, ...]:
    """Every name of a cell, in the order of its tables."""
    tables = (cell.states, cell.definitions, cell.weights, cell.biases, cell.inputs, cell.functions, cell.parameters)
    return tuple(dict.fromkeys(name for table in tables for name in table))


def parts_of(name: str) -> tuple[str, str, bool] | None:
    """Head, contents and replica mark of an internal symbol such as ``u[W]^b``; None for plain names."""
    match = _INTERNAL.fullmatch(name)
    return (match[1], match[2], match[3] is not None) if match else None


@dataclass(frozen=True)
class LatexNotation:
    """LaTeX names of one cell; ``moments`` gives the integrands behind the names of moments."""

    table: Mapping[str, str]
    moments: Mapping[str, sp.Expr]
    symbols: Symbols

    def name(self, identifier: str, primes: int = 0, replica: int = 0) -> Box:
        """A declared name, with primes, and a tilde in replica b."""
        text = self.table.get(identifier) or identifier_latex(identifier)
        if replica:
            text = _tilde(text)
        elif not _SIMPLE.fullmatch(text) and not re.fullmatch(r"[\\{}A-Za-z_0-9]*", text):
            text = f"{{{text}}}"
        return Box(_primed(text, primes), visible_width(text) + 0.4 * primes)

    def function(self, identifier: str, order: int) -> Box:
        """The head of a call."""
        text = self.table.get(identifier)
        if text is None and identifier in _PLAIN_COMMANDS:
            text = f"\\{identifier}"
        if text is None and identifier in BUILTINS:
            text = BUILTINS[identifier].latex or rf"\operatorname{{{prose_latex(identifier)}}}"
        text = text or identifier_latex(identifier)
        return Box(_primed(text, order), visible_width(text) + 0.4 * order)

    def at_step(self, identifier: str, *, before: bool) -> Box:
        """A declared name with the number of the step as an index."""
        text, step = self.name(identifier).text, "t-1" if before else "t"
        match = re.fullmatch(r"(.*)_(\{.*\}|\\?\w+)", text)
        shown = f"{match[1]}_{{{match[2].strip('{}')},{step}}}" if match else f"{text}_{{{step}}}"
        return Box(shown, visible_width(shown))

    def flow(self, state: str) -> Box:
        """The time derivative of a state."""
        return Box(rf"\frac{{d}}{{dt}} {self.name(state).text}", 3, tall=True)

    def spectral(self) -> str:
        """The letter of the spectral parameter: the first that the cell does not use."""
        used = {self.name(identifier).text for identifier in self.table}
        letters = (self.symbols.spectral, *_SPECTRAL)
        return next((letter for letter in letters if letter not in used), letters[-1])

    def symbol(self, symbol: sp.Symbol) -> Box:
        """Any symbol of a theory that is not a moment."""
        if symbol.name == "lam[]":
            return Box(self.spectral(), 1)
        if symbol.name == "chi1[]":
            return Box(self.symbols.chi1, 2, POWER if "^" in self.symbols.chi1 else ATOM)
        if symbol.name == "conj(lam)[]":
            shown = self.symbols.conjugate.replace("@", self.spectral())
            return Box(shown, 1, POWER if "^" in shown else ATOM)
        found = parts_of(symbol.name)
        if found is None:
            plain = symbol.name.removesuffix("^b")
            return self.name(plain, 0, int(plain != symbol.name))
        head, inner, replica = found
        if head == "d":
            return Box(r"\delta " + self._perturbed(inner, replica), 2.5, POWER - 1)
        letter = self.symbols.letters.get(head) or identifier_latex(head or "_")
        replica = replica or head == "Deltaab"
        if head == "T" and inner.count(",") == 1:
            row, column = inner.split(",")
            return self.entry(head, (row,), (column,))
        script = self._script(inner)
        body = _tilde(letter) if replica else letter
        strength = POWER if "^" in letter else ATOM
        return Box(f"{body}_{{{script}}}", visible_width(letter) + 0.7 * visible_width(script), strength)

    def _perturbed(self, inner: str, replica: bool) -> str:
        symbol = sp.Symbol(inner + ("^b" if replica else ""), real=True)
        return self.symbol(symbol).text

    def _script(self, inner: str) -> str:
        """Field names in a subscript; a name given twice is written once."""
        names = [self.field(item) for item in inner.split(",")]
        if len(names) == 2 and names[0] == names[1]:
            names = names[:1]
        return ",".join(names)

    def entry(self, head: str, row: tuple[str, ...], column: tuple[str, ...]) -> Box:
        """An entry of a matrix whose rows and columns are fields, or pairs of fields."""
        scripts = [r"\,".join(self.field(name) for name in dict.fromkeys(index)) for index in (row, column)]
        script = (";\\," if len(row) > 1 else r"\,").join(scripts)
        letter = self.symbols.letters.get(head, head)
        return Box(f"{letter}_{{{script}}}", visible_width(letter) + 0.7 * visible_width(script))

    def titled(self, pattern: str, base: Box | None) -> Box:
        """A name made from a pattern, about ``base``: in place of @, or as an index."""
        inner = base.flat().text if base is not None else ""
        text = pattern.replace("@", inner) if "@" in pattern or base is None else f"{pattern}_{{{inner}}}"
        return Box(text, visible_width(text), POWER if "^" in pattern else ATOM)

    def field(self, name: str) -> str:
        """A field's matrix, numbered from its second product on."""
        weight, dot, number = name.partition(".")
        shown = self.name(weight).text
        if not dot:
            return shown
        return f"{{{shown}}}^{{({number})}}"


@dataclass(frozen=True)
class TextNotation:
    """Unicode names; fields and variances are spelled as a user asks for them."""

    table: Mapping[str, str]
    moments: Mapping[str, sp.Expr]
    symbols: Symbols

    def name(self, identifier: str, primes: int = 0, replica: int = 0) -> Box:
        """A declared name, with primes, and a tilde in replica b."""
        return _plain(self.table.get(identifier, identifier) + "~" * replica + "'" * primes)

    def function(self, identifier: str, order: int) -> Box:
        """The head of a call."""
        shown = {"sigmoid": "σ", "step": "Θ", "pi": "π"}.get(identifier) or self.table.get(identifier, identifier)
        return _plain(shown + "'" * order)

    def at_step(self, identifier: str, *, before: bool) -> Box:
        """A declared name with the number of the step as an index."""
        return _plain(self.name(identifier).text + ("ₜ₋₁" if before else "ₜ"))

    def flow(self, state: str) -> Box:
        """The time derivative of a state."""
        return _plain(f"d{self.name(state).text}/dt")

    def spectral(self) -> str:
        """The letter of the spectral parameter: the first that the cell does not use."""
        used = set(self.table.values())
        letters = (self.symbols.spectral, *_SPECTRAL_TEXT)
        return next((letter for letter in letters if letter not in used), letters[-1])

    def symbol(self, symbol: sp.Symbol) -> Box:
        """Any symbol of a theory that is not a moment."""
        if symbol.name == "lam[]":
            return _plain(self.spectral())
        if symbol.name == "chi1[]":
            return _plain(self.symbols.chi1)
        if symbol.name == "conj(lam)[]":
            return _plain(self.symbols.conjugate.replace("@", self.spectral()))
        found = parts_of(symbol.name)
        if found is None:
            plain = symbol.name.removesuffix("^b")
            return self.name(plain, 0, int(plain != symbol.name))
        head, inner, replica = found
        if head == "d":
            shown = self.symbol(sp.Symbol(inner + ("^b" if replica else ""), real=True)).text
            return Box("δ" + shown, len(shown) + 1, POWER - 1)
        letter = self.symbols.letters.get(head) or identifier_unicode(head)
        replica = replica or head == "Deltaab"
        names = [self.field(item) for item in inner.split(",")]
        if head != "T" and len(names) == 2 and names[0] == names[1]:
            names = names[:1]
        return _plain(f"{letter}{'~' * replica}[{','.join(names)}]")

    def entry(self, head: str, row: tuple[str, ...], column: tuple[str, ...]) -> Box:
        """An entry of a matrix whose rows and columns are fields, or pairs of fields."""
        indices = [" ".join(self.field(name) for name in dict.fromkeys(index)) for index in (row, column)]
        letter = self.symbols.letters.get(head, head)
        return _plain(f"{letter}[{('; ' if len(row) > 1 else ',').join(indices)}]")

    def titled(self, pattern: str, base: Box | None) -> Box:
        """A name made from a pattern, about ``base``: in place of @, or as an index."""
        inner = base.flat().text if base is not None else ""
        return _plain(pattern.replace("@", inner) if "@" in pattern or base is None else f"{pattern}[{inner}]")

    def field(self, name: str) -> str:
        """A field by its matrix, as the cell format calls it."""
        weight, dot, number = name.partition(".")
        return self.name(weight).text + dot + number


def latex_notation(cell: Cell, preset: Preset, moments: Mapping[str, sp.Expr] | None = None) -> LatexNotation:
    """The cell's own LaTeX where it is given, else from the identifiers; no two names print alike."""
    table: dict[str, str] = {}
    taken: set[str] = set()
    for name in declared_names(cell):
        own = cell.latex.get(name, "")
        text = own if own and own.isascii() else identifier_latex(name)
        if text in taken:
            text = rf"\mathtt{{{prose_latex(name)}}}"
        table[name] = text
        taken.add(text)
    return LatexNotation(table, moments or {}, preset.latex)


def text_notation(cell: Cell, preset: Preset, moments: Mapping[str, sp.Expr] | None = None) -> TextNotation:
    """Unicode from the identifiers; no two names print alike."""
    table: dict[str, str] = {}
    for name in declared_names(cell):
        shown = identifier_unicode(name)
        table[name] = name if shown in table.values() else shown
    return TextNotation(table, moments or {}, preset.text)


def named(notation: Notation, node: Named) -> Box:
    """A named value."""
    return notation.name(node.name, node.primes, node.replica)


_PLAIN_COMMANDS = frozenset(("arcsin", "arccos", "max", "min"))
_SPELLED = frozenset(("arcsin", "arccos", "max", "min", "tanh", "exp", "log", "sin", "cos", "arctan"))
_INVISIBLE = frozenset((
    "operatorname", "mathrm", "mathtt", "mathcal", "mathbb", "text", "tilde", "bar", "left", "right", "bigl", "bigr",
    "Bigl", "Bigr", "frac", "quad",
))  # fmt: skip


def visible_width(latex: str) -> float:
    """A rough count of the letters that a short formula shows."""

    def shown(match: re.Match[str]) -> str:
        command = match[0][1:]
        return command if command in _SPELLED else "" if command in _INVISIBLE or not command.isalpha() else "x"

    return float(max(1, len(re.sub(r"\\[A-Za-z]+|[{}_^\\]", shown, latex))))


def _plain(text: str) -> Box:
    return Box(text, len(text), ATOM)


def _tilde(text: str) -> str:
    """A tilde over the letter, not over its scripts."""
    match = re.fullmatch(r"(\\?[A-Za-z]+)((?:[_^].*)?)", text, re.DOTALL)
    return rf"\tilde{{{match[1]}}}{match[2]}" if match else rf"\tilde{{{text}}}"


def _primed(text: str, order: int) -> str:
    """Primes up to the third derivative, a number in brackets from there on."""
    if order > 3:
        return rf"{{{text}^{{({order})}}}}"
    return text + "'" * order
