r"""Averages in LaTeX: ``\mathbb{E}[f]``, ``\mathbb{E}\,h``, ``\overline{f}``; ``C_{f}`` in a notation that has it."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction

from derive.verify.formula import Binary, Mean, Name, Node, Number, Span
from derive.verify.latex_cursor import Cursor, Factor
from derive.verify.latex_symbols import Key, Symbol, argument, bare, begins_symbol, normal

EXPECTATION = ("E", r"\mathbb{E}")


class Averages(Cursor):
    """Signs of averages and what they are of."""

    @abstractmethod
    def raised(self, base: Node, first: int, last: int, end: int, depth: int) -> Binary:
        """A power whose exponent stands between two tokens."""

    @abstractmethod
    def exponent(self, first: int, last: int, depth: int) -> Node:
        """The tokens from ``first`` to ``last`` as an exponent."""

    @abstractmethod
    def between(self, first: int, last: int, depth: int) -> Node:
        """The expression that fills the tokens from ``first`` to ``last``."""

    @abstractmethod
    def scripts(self, node: Node, depth: int, kind: str = "") -> Factor:
        """A power behind something that is no symbol."""

    @abstractmethod
    def operand(self, head: Span, with_brackets: str, depth: int) -> Node:
        """One factor that a function or average without brackets is of."""

    def clear(self, symbol: Symbol, taken: tuple[str, ...], what: str) -> None:
        """Refuse a symbol that is a name of the cell as well."""
        if taken:
            raise self.names.ambiguous(symbol, (*taken, what))

    def is_expectation(self, symbol: Symbol) -> bool:
        """Whether a letter is the sign of an average."""
        return symbol.plain.base in EXPECTATION or self.vocabulary.notation.mean == Key(symbol.plain.base)

    def expectation(self, symbol: Symbol, depth: int) -> Factor:
        r"""``\mathbb{E}[f]``."""
        if symbol.sup or symbol.primes:
            rule = r"A power stands behind the brackets: \mathbb{E}[f]^2."
            raise self.error("something on the sign of an average", symbol.span, rule)
        self.at = symbol.end
        inner, _, closed = self.averaged(depth)
        return self.scripts(Mean(inner, (symbol.span[0], closed.end)), depth)

    def open_expectation(self, symbol: Symbol, depth: int) -> Factor:
        r"""``\mathbb{E}\,h``: one factor, and nothing behind it."""
        self.at = symbol.end
        self.averages += 1
        inner = self.operand(symbol.span, r"\mathbb{E}[...]", depth)
        self.averages -= 1
        return Factor(Mean(inner, (symbol.span[0], inner.span[1])), "loose")

    def averaged_square(self, symbol: Symbol, sub: tuple[int, int], depth: int) -> Factor:
        r"""``C_{\phi}`` for E[phi^2], in a notation that writes averages of squares so."""
        self.clear(symbol, self.vocabulary.candidates(symbol), "an average of a square")
        self.averages += 1
        inner = self.site_value(*sub, depth)
        self.averages -= 1
        state = isinstance(inner, Name) and inner.name in self.vocabulary.states
        if not (state or self.vocabulary.notation.every):
            rule = f"The states are {', '.join(self.vocabulary.states)}."
            raise self.error(f"`{self.source.shown(symbol.head)}` of no state", symbol.span, rule)
        self.at = symbol.end
        square = Binary("**", inner, Number(Fraction(2), symbol.head), symbol.head)
        return Factor(self.with_power(Mean(square, symbol.head), symbol, depth))

    def site_value(self, first: int, last: int, depth: int) -> Node:
        """A function of the site in a subscript; a function of the cell stands for its value at its own argument."""
        lone = bare(Key(normal(self.source, first, last)), self.source.tokens[first].span, last)
        if last == first + 1 and begins_symbol(self.source, first):
            name = self.names.meaning(lone).name
            if name in self.vocabulary.functions:
                return Name(name, lone.span)
        return self.between(first, last, depth)

    def overlined(self, symbol: Symbol, depth: int) -> Factor:
        r"""``\overline{f}``: an average, where conjugation is not another reading."""
        first, last, end = argument(self.source, self.at + 1, r"`\overline`")
        if Key("\\lambda ") in self.keys(first, last) or self.holds_bound(first, last):
            rule = r"An average is written \langle f\rangle; a bar conjugates \lambda alone."
            raise self.error("an average or a conjugate?", symbol.span, rule)
        self.averages += 1
        inner = self.between(first, last, depth)
        self.averages -= 1
        self.at = symbol.end
        node = Mean(inner, (symbol.span[0], self.source.tokens[end - 1].end))
        return Factor(self.with_power(node, symbol, depth))

    def with_power(self, node: Node, symbol: Symbol, depth: int) -> Node:
        """The node to the power that the symbol has."""
        return self.raised(node, *symbol.power, symbol.end, depth) if symbol.power else node
