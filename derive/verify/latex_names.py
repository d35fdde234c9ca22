r"""What a LaTeX symbol names: a name of the cell, or a quantity such as q_{W_h}, Q_h, C^*_h, K_{hr}, \chi_1.

Nothing is guessed: a symbol with two meanings is refused with both, one without a meaning with the nearest ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from derive.verify.formula import (
    Binary,
    Call,
    FormulaError,
    GaussianIntegral,
    Indexed,
    Mean,
    Name,
    Negate,
    Node,
    Number,
    Slope,
    SlopeAt,
    Span,
)
from derive.verify.grammar import read_formula
from derive.verify.latex_symbols import Key, Symbol, normal, read_symbol, symbols
from derive.verify.latex_tokens import Source
from derive.verify.vocabulary import QUANTITIES, Vocabulary

_INDEXED = re.compile(r"(\w+)\[([^\[\]]+)\]")
_TOTAL = ("total", "tot")
_HEADS = {"Q": "Q", "q": "q", "K": "K"}
_ADVICE = {
    "C": "The covariance of two replicas at the fixed point is written C^*_h.",
    "c": "The covariance of two replicas at the fixed point is written C^*_h; their correlation is C^*_h/Q_h.",
    "\\chi ": r"There are \chi_1 and \chi_*.",
    "K": "K has two fields as indices, K_{W_h W_r}.",
    "E": r"An average is written \mathbb{E}[...] or \langle...\rangle.",
    r"\mathcal{D}": r"A Gaussian integral is written \int Dz\, f.",
    "\\delta ": "Perturbations have no place in a formula of averages.",
}


@dataclass(frozen=True)
class Meaning:
    """The one name of a symbol, in the plain notation; power: whether its superscript is not part of the name."""

    name: str
    power: bool = True
    star: bool = True


@dataclass
class Names:
    """Looks up symbols of one formula; ``bound`` holds the variables of the integrals around the place."""

    source: Source
    vocabulary: Vocabulary
    bound: dict[Key, str] = field(default_factory=dict)

    def meaning(self, symbol: Symbol) -> Meaning:
        """The one meaning of a symbol; raises FormulaError where it has none or several."""
        if symbol.plain in self.bound:
            return Meaning(self.bound[symbol.plain])
        given = self.given(symbol)
        if given is not None:
            return given
        with_sup, without = self.meanings(symbol)
        could_be_power = symbol.power is not None and not symbol.sup.startswith("(")
        found = (*with_sup, *without) if could_be_power or not with_sup else with_sup
        if not found:
            raise self.unknown(symbol)
        if len(set(found)) > 1:
            raise self.ambiguous(symbol, found)
        whole = bool(with_sup)
        return Meaning(found[0], power=not whole, star=not whole)

    def given(self, symbol: Symbol) -> Meaning | None:
        """What the writer of the formula says that a symbol stands for."""
        whole = self.vocabulary.given(symbol, symbol.sup) if symbol.sup else None
        if whole is not None:
            return Meaning(whole, power=False, star=False)
        alone = self.vocabulary.given(symbol)
        return None if alone is None else Meaning(alone, star=symbol.plain.base not in ("q", "Q"))

    def meanings(self, symbol: Symbol) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """All meanings with the superscript as part of the name, and all without it."""
        with_sup = self.vocabulary.candidates(symbol, symbol.sup) if symbol.sup else ()
        if self._head(symbol) == "q" and self._says_total(symbol):
            with_sup = (*with_sup, *(f"q_total[{d}]" for d in self._indices(symbol.sub, self.vocabulary.slopes)))
        return with_sup, (*self.vocabulary.candidates(symbol), *self._quantities(symbol))

    def is_bound(self, key: Key) -> bool:
        """Whether a symbol is the variable of an integral around this place."""
        return key in self.bound

    def node(self, name: str, span: Span) -> Node:
        """The leaf for a name in the plain notation, or the tree for an expression."""
        match = _INDEXED.fullmatch(name)
        if match:
            return Indexed(match[1], tuple(part.strip() for part in match[2].split(",")), span)
        if name.isidentifier():
            return Name(name, span)
        return placed(read_formula(f"1 = {name}").right, span)

    # Quantities ----------------------------------------------------------------------------------------------------

    def _quantities(self, symbol: Symbol) -> list[str]:
        match self._head(symbol):
            case "Q":
                return [f"Q[{s}]" for s in self._indices(symbol.sub, self.vocabulary.states)]
            case "C_star":
                return [f"C_star[{s}]" for s in self._indices(symbol.sub, self.vocabulary.states)]
            case "q" if not self._says_total(symbol):
                return self._variances(symbol.sub)
            case "K" if symbol.sub is not None:
                return self._gain_entries(symbol.sub)
        return []

    def _head(self, symbol: Symbol) -> str | None:
        """The quantity that a letter stands for: the notation's own letters come first."""
        base = symbol.plain.base
        return self.vocabulary.notation.head(symbol) or ("C_star" if base == "C" and symbol.star else _HEADS.get(base))

    def _says_total(self, symbol: Symbol) -> bool:
        return symbol.power is not None and normal(self.source, *symbol.power, plain=True) in _TOTAL

    def _indices(self, tokens: tuple[int, int] | None, allowed: Sequence[str]) -> list[str]:
        """The allowed names that an index spells; all of them where there is no index."""
        if tokens is None:
            return list(allowed)
        found = self._symbols(*tokens)
        if len(found) != 1:
            return []
        names = (*self.vocabulary.candidates(found[0], found[0].sup), *self.vocabulary.candidates(found[0]))
        return [name for name in dict.fromkeys(names) if name in allowed]

    def _symbols(self, first: int, last: int) -> list[Symbol]:
        try:
            return list(symbols(self.source, first, last))
        except FormulaError:
            return []

    def _variances(self, tokens: tuple[int, int] | None) -> list[str]:
        """``q`` of fields, ``q_total`` of definitions; an index that is a field in full names it alone."""
        if tokens is None:
            return [*(f"q[{f}]" for f in self.vocabulary.fields), *(f"q_total[{d}]" for d in self.vocabulary.slopes)]
        fields = self._fields(*tokens, self.vocabulary.fields)
        if self.field_in_full(*tokens):
            return [f"q[{f}]" for f in fields]
        return [
            *(f"q[{f}]" for f in fields),
            *(f"q_total[{d}]" for d in self._indices(tokens, self.vocabulary.slopes)),
        ]

    def field_in_full(self, first: int, last: int) -> bool:
        """Whether a matrix is named, not only its subscript."""
        found = self._symbols(first, last)
        return len(found) == 1 and bool(set(self.vocabulary.candidates(found[0])) & set(self.vocabulary.matrices))

    def _fields(self, first: int, last: int, allowed: Sequence[str]) -> list[str]:
        """Fields with this name, else those of matrices with this subscript."""
        found = self._symbols(first, last)
        if len(found) == 1 and found[0].primes == 0:
            symbol = found[0]
            number = symbol.sup.strip("{}()") if symbol.sup else ""
            names = set(self.vocabulary.candidates(symbol)) & set(self.vocabulary.matrices)
            wanted = {f"{name}.{number}" if number and number != "1" else name for name in names}
            if names:
                return [f for f in allowed if f in wanted]
        sub = normal(self.source, first, last, plain=True)
        return [f for f in allowed if self._subscript(f.partition(".")[0]) == sub]

    def _subscript(self, matrix: str) -> str | None:
        latex = self.vocabulary.shown.get(matrix, matrix)
        return self.vocabulary.subscripts.get(latex)

    def _gain_entries(self, tokens: tuple[int, int]) -> list[str]:
        ranges = self._pair(*tokens)
        if len(ranges) != 2:
            return []
        rows, columns = (self._fields(*item, self.vocabulary.fed) for item in ranges)
        return [f"K[{row},{column}]" for row in rows for column in columns]

    def _pair(self, first: int, last: int) -> list[tuple[int, int]]:
        """The two indices, with a comma between or without."""
        found: list[tuple[int, int]] = []
        at = first
        try:
            while at < last:
                if self.source.tokens[at].text == ",":
                    at += 1
                    continue
                end = read_symbol(self.source, at).end
                found.append((at, end))
                at = end
        except FormulaError:
            return []
        return found

    # Errors --------------------------------------------------------------------------------------------------------

    def ambiguous(self, symbol: Symbol, found: Sequence[str]) -> FormulaError:
        """A symbol with several meanings."""
        listed = list(dict.fromkeys(found))
        shown = self.source.shown(symbol.span)
        rule = r"Say which one: by its full index, as in q_{W_h} and q^{\mathrm{total}}_u, or by name: \mathtt{...}."
        return self.source.error(f"`{shown}` could be {', '.join(listed[:-1])} or {listed[-1]}", symbol.span, rule)

    def unknown(self, symbol: Symbol) -> FormulaError:
        """A symbol with no meaning."""
        shown = self.source.shown(symbol.head)
        base = symbol.plain.base
        near = get_close_matches(shown, list(self.spellings()), n=3, cutoff=0.6)
        hint = f"Did you mean {' or '.join(f'`{item}`' for item in near)}?" if near else ""
        advice = _ADVICE.get(base) or _ADVICE.get(symbol.exact.base, "")
        if self.vocabulary.notation.product == Key(base):
            advice = "A product of a matrix has no name in formulas; name the state or definition that it enters."
        if base == "q":
            advice = "The variances are " + ", ".join(f"q[{f}]" for f in self.vocabulary.fields) + "."
        if base == "Q":
            advice = "The second moments are " + ", ".join(f"Q[{s}]" for s in self.vocabulary.states) + "."
        rule = " ".join(part for part in (advice, hint) if part)
        if not rule:
            rule = "The cell has " + ", ".join(self.vocabulary.shown[name] for name in self.vocabulary.names[:12]) + "."
        return self.source.error(f"`{shown}` is not known here", symbol.span, rule)

    def spellings(self) -> list[str]:
        """LaTeX of everything that can be named, for suggestions."""
        shown = self.vocabulary.shown
        own = [shown[name] for name in (*self.vocabulary.names, *QUANTITIES) if name in shown]
        moments = [f"Q_{{{shown[s]}}}" if len(shown[s]) > 1 else f"Q_{shown[s]}" for s in self.vocabulary.states]
        return [*own, *moments, *(f"q_{{{shown[f]}}}" for f in self.vocabulary.matrices)]


def placed(node: Node, span: Span) -> Node:
    """A tree as if all of it stood at one place."""
    match node:
        case Number() | Name() | Indexed():
            return replace(node, span=span)
        case Binary(left=left, right=right):
            return replace(node, left=placed(left, span), right=placed(right, span), span=span)
        case Slope():
            return replace(node, span=span)
        case Negate() | Mean() | Call() | GaussianIntegral() | SlopeAt():
            return replace(node, operand=placed(node.operand, span), span=span)
