r"""Hand formulas in LaTeX: ``\chi_1 = \langle u^2\rangle + \sigma_w^2 (Q_h + R)\,\langle u'^2\rangle``.

    formula  := sum "=" sum
    sum      := product (("+" | "-") product)*
    product  := unary ((\cdot | \times | \odot | "/" | nothing) unary)*
    unary    := ("+" | "-") unary | power
    power    := atom ["^" script]
    atom     := number | symbol | function | bracket | |sum| | \langle sum \rangle | \mathbb{E}[sum]
              | \frac{sum}{sum} | \sqrt{sum} | \int Dz product

It builds the tree that the plain notation builds.  Nothing is guessed: what could be read in two ways is refused.
"""

from __future__ import annotations

from fractions import Fraction

from derive.verify.formula import (
    Binary,
    Call,
    Formula,
    GaussianIntegral,
    Mean,
    Name,
    Negate,
    Node,
    Number,
    Slope,
    children,
    walk,
)
from derive.verify.latex_calls import Calls
from derive.verify.latex_cursor import FUNCTIONS, PRODUCT_SIGNS, Factor
from derive.verify.latex_symbols import Symbol, argument, begins_symbol, command, normal, read_symbol
from derive.verify.latex_tokens import Token
from derive.verify.vocabulary import Vocabulary, vocabulary

__all__ = ["Vocabulary", "read_latex", "vocabulary"]

MAX_DIGITS = 60
MAX_TREE = 200
"""How deep a tree may be; a sum of n terms is n deep."""


def read_latex(text: str, vocabulary: Vocabulary) -> Formula:
    """The tree of one formula ``left = right`` in LaTeX, in the names of one cell.

    Raises
    ------
    FormulaError : with the place and the rule
    """
    reader = _Reader(text, vocabulary)
    left = reader.sum(0)
    if not reader.is_sign("="):
        raise reader.unexpected("A formula is `left = right`.")
    reader.take()
    right = reader.sum(0)
    if reader.peek.kind != "end":
        raise reader.unexpected("A formula is `left = right` and nothing else.")
    for side in (left, right):
        if _depth(side) > MAX_TREE:
            rule = f"At most {MAX_TREE} terms or factors can stand in a row."
            raise reader.error("a formula with too many terms", side.span, rule)
    return Formula(text, left, right)


def _depth(node: Node) -> int:
    level, depth = [node], 0
    while level:
        level, depth = [child for item in level for child in children(item)], depth + 1
    return depth


class _Reader(Calls):
    """Recursive descent over tokens."""

    def sum(self, depth: int) -> Node:
        self.check_depth(depth)
        node = self.product(depth)
        while self.is_sign("+", "-"):
            sign = self.take().text
            node = self.join(sign, node, self.product(depth))
        return node

    # Products ------------------------------------------------------------------------------------------------------

    def product(self, depth: int) -> Node:
        factor = self.unary(depth)
        node, slash, bars = factor.node, False, False
        while True:
            explicit = self.is_sign(*PRODUCT_SIGNS, "/")
            if not explicit and not self.begins_factor():
                return node
            self.refuse_loose(factor)
            if explicit:
                sign = self.take().text
                slash = sign == "/"
                factor = self.unary(depth)
                node = self.join("/" if slash else "*", node, factor.node)
                continue
            self.check_juxtaposed(factor, slash, bars)
            bars = bars or (factor.kind == "bars" and self.peek.kind != "bar")
            factor = self.power(depth)
            node = self.join("*", node, factor.node)

    def check_juxtaposed(self, factor: Factor, slash: bool, bars: bool) -> None:
        """Refuse products without a sign that could be read otherwise."""
        token = self.peek
        if token.broken:
            rule = r"A product that goes on in the next line has its sign: \times."
            raise self.error("a line break between two factors", token.span, rule)
        if slash:
            rule = r"a/b c can be a/(b c) or (a/b) c: write \frac{a}{b} or brackets."
            raise self.error("a factor behind a quotient", token.span, rule)
        if token.kind == "digit" or token.text == ".":
            shown = self.source.shown((self.before.start, token.end))
            rule = r"A number stands first, or behind \cdot; a power is written x^2."
            raise self.error(f"`{shown}` has no sign between", token.span, rule)
        if bars and token.kind == "bar":
            rule = r"Write \lvert...\rvert or \left|...\right|."
            raise self.error("bars that can be paired in two ways", token.span, rule)
        if factor.kind == "word" and not self.follows_word():
            rule = r"Write its argument in brackets, \phi(x), or a sign between: \phi\cdot x."
            raise self.error("an argument or a factor?", token.span, rule)

    def refuse_loose(self, factor: Factor) -> None:
        if factor.kind == "loose":
            rule = r"Write the argument in brackets: \tanh(x)."
            raise self.error("how far does the argument reach?", factor.node.span, rule)

    def unary(self, depth: int) -> Factor:
        self.check_depth(depth)
        if not self.is_sign("+", "-"):
            return self.power(depth)
        sign = self.take()
        inner = self.unary(depth + 1)
        return Factor(Negate(inner.node, (sign.start, inner.node.span[1])), inner.kind) if sign.text == "-" else inner

    # Powers --------------------------------------------------------------------------------------------------------

    def power(self, depth: int) -> Factor:
        self.check_depth(depth)
        token = self.peek
        name = command(token)
        if name == "int":
            return Factor(self.integral(depth))
        if name in FUNCTIONS:
            return self.function_command(depth)
        if name in ("Re", "Im"):
            return self.real_part(depth)
        if begins_symbol(self.source, self.at):
            return self.symbol(depth)
        kind = "bars" if token.kind == "bar" else "number" if token.kind == "digit" else ""
        return self.scripts(self.atom(depth), depth, kind)

    def scripts(self, node: Node, depth: int, kind: str = "") -> Factor:
        """A power behind something that is no symbol."""
        if self.is_sign("^"):
            self.take()
            first, last, end = argument(self.source, self.at, "`^`")
            node, kind = self.raised(node, first, last, end, depth), ""
            if self.is_sign("^"):
                raise self.error("two superscripts", self.peek.span, "Use braces: {x^2}^2.")
        if self.is_sign("_", "'"):
            raise self.unexpected("")
        return Factor(node, kind)

    def raised(self, base: Node, first: int, last: int, end: int, depth: int) -> Binary:
        """A power; the reader goes on at ``end``."""
        exponent = self.exponent(first, last, depth)
        self.at = end
        return Binary("**", base, exponent, (base.span[0], self.source.tokens[end - 1].end))

    def exponent(self, first: int, last: int, depth: int) -> Node:
        """The tokens from ``first`` to ``last`` as an exponent."""
        token, following = self.source.tokens[first], self.source.tokens[last]
        if token.text in ("*", "'"):
            what = "a star" if token.text == "*" else "a prime"
            rule = r"A star marks the fixed point of q, Q and C, or conjugates \lambda; a prime needs a definition."
            raise self.error(f"{what} on something that is no symbol", token.span, rule)
        if self.source.partner.get(first) == last - 1 and token.text == "(":
            rule = "A number in brackets can be a power or a derivative: write ^2 or u''."
            raise self.error("a superscript in brackets", (token.start, self.source.tokens[last - 1].end), rule)
        if self.source.tokens[first - 1].text == "^":
            if token.kind == following.kind == "digit" and following.start == token.end:
                raise self.error("a power of several digits", (token.start, following.end), "Write it in braces.")
            if token.kind != "digit" and not begins_symbol(self.source, first):
                raise self.error("a power that needs braces", token.span, "Write it in braces: x^{-1}.")
        return self.between(first, last, depth)

    def between(self, first: int, last: int, depth: int) -> Node:
        """The expression that fills the tokens from ``first`` to ``last``: one token, or the contents of braces."""
        self.at = first
        following = self.source.tokens[last]
        if last == first + 1 and (following.kind, following.text) != ("close", "{"):
            return self.single(depth)
        self.open.append("")
        found = self.sum(depth + 1)
        self.open.pop()
        if self.at != last:
            raise self.unexpected("The braces hold one expression.")
        return found

    # Atoms ---------------------------------------------------------------------------------------------------------

    def atom(self, depth: int) -> Node:
        token = self.peek
        if token.kind == "digit" or (token.text == "." and self.begins_factor()):
            return self.number()
        if token.kind == "bar" or (token.kind == "open" and token.text in ("|", r"\|")):
            inner, opened, closed = self.bracket(depth)
            return Call("abs", inner, (opened.start, closed.end))
        if token.kind == "open" and token.text == r"\langle":
            inner, opened, closed = self.averaged(depth)
            return Mean(inner, (opened.start, closed.end))
        if token.kind == "open":
            return self.bracket(depth)[0]
        name = command(token)
        if name in ("frac", "tfrac", "dfrac"):
            return self.fraction(depth)
        if name == "sqrt":
            return self.root(depth)
        raise self.unexpected("A number, a name or a bracket is expected here.")

    def number(self) -> Number:
        start, end = self.peek.start, self.peek.start
        dots = 0
        while (self.peek.kind == "digit" or (self.peek.text == "." and not dots)) and self.peek.start == end:
            if self.peek.text == "." and self.source.tokens[self.at + 1].start != self.peek.end:
                break
            if self.peek.text == "." and self.source.tokens[self.at + 1].kind != "digit":
                break
            dots += self.peek.text == "."
            end = self.take().end
        if end - start > MAX_DIGITS:
            raise self.error("a number too long", (start, end), f"A number has at most {MAX_DIGITS} characters.")
        return Number(Fraction(self.source.text[start:end]), (start, end))

    def fraction(self, depth: int) -> Node:
        mark = self.take()
        above, below = self.group(mark, depth), self.group(mark, depth)
        return Binary("/", above, below, (mark.start, self.before.end))

    def root(self, depth: int) -> Call:
        mark = self.take()
        if self.peek.text == "[" and self.peek.kind == "open":
            raise self.error("a root with an index", self.peek.span, r"Other roots are written x^{\frac{1}{3}}.")
        inner = self.group(mark, depth)
        return Call("sqrt", inner, (mark.start, self.before.end))

    def group(self, mark: Token, depth: int) -> Node:
        """The argument of a command: braces, or one token."""
        first, last, end = argument(self.source, self.at, f"`{mark.text}`")
        found = self.between(first, last, depth)
        self.at = end
        return found

    def single(self, depth: int) -> Node:
        """An argument of one token."""
        token = self.peek
        if token.kind == "digit":
            self.take()
            return Number(Fraction(token.text), token.span)
        if token.kind != "open" and begins_symbol(self.source, self.at):
            return self.lone_symbol()
        raise self.error(f"`{self.source.shown(token.span)}` as an argument", token.span, "Write it in braces.")

    # Gaussian integrals --------------------------------------------------------------------------------------------

    def integral(self, depth: int) -> Node:
        r"""``\int Dz\, product``: the integrand ends at the next + or -."""
        if self.at and self.before.text == "/":
            raise self.error("an integral behind /", self.peek.span, r"Write \frac{a}{\int Dz\, f}.")
        mark = self.take()
        self.limits()
        variables = [self.measure(mark)]
        while self.at_measure():
            variables.append(self.measure(mark))
        if self.is_sign("+", "-", "="):
            rule = r"The integrand stands behind the measure: \int Dz\, f; a sign needs brackets."
            raise self.error("no integrand", self.peek.span, rule)
        inner = self.product(depth + 1)
        span = (mark.start, inner.span[1])
        for symbol, _ in variables:
            self.names.bound.pop(symbol.plain, None)
        if self.vocabulary.notation.integral and not self.names_any(inner, variables):
            return Mean(inner, span)
        for symbol, name in reversed(variables):
            if name is None:
                raise self.taken(symbol)
            inner = GaussianIntegral(name, inner, span)
        return inner

    def names_any(self, node: Node, variables: list[tuple[Symbol, str | None]]) -> bool:
        """Whether a variable of integration, or what else its letter means in the cell, is in a tree."""
        names = {name for _, name in variables}
        for symbol, own in variables:
            names |= set() if own else {name for table in self.names.meanings(symbol) for name in table}
        return any(isinstance(item, Name | Slope) and item.name in names for item in walk(node))

    def limits(self) -> None:
        r"""``_{-\infty}^{\infty}`` or nothing."""
        while self.is_sign("_", "^"):
            sign = self.take()
            first, last, end = argument(self.source, self.at, f"`{sign.text}`")
            shown = normal(self.source, first, last).replace(" ", "")
            if shown not in (r"-\infty", r"\infty", r"+\infty", r"\mathbb{R}"):
                place = (sign.start, self.source.tokens[end - 1].end)
                raise self.error("limits of an integral", place, "The integral is over the whole line.")
            self.at = end

    def at_measure(self) -> bool:
        """Whether a further measure stands here."""
        if not begins_symbol(self.source, self.at):
            return False
        symbol = read_symbol(self.source, self.at)
        script = symbol.exact.base == r"\mathcal{D}"
        return (script or symbol.plain.base == "D") and not self.names.meanings(symbol)[1] and symbol.sub is None

    def measure(self, mark: Token) -> tuple[Symbol, str | None]:
        r"""``Dz`` or ``\mathcal{D}z``; binds the variable.

        None for a letter that means something already, in a notation whose sign of an average this is.
        """
        head = read_symbol(self.source, self.at) if begins_symbol(self.source, self.at) else None
        if head is None or head.plain.base not in ("D", r"\mathcal{D}", r"\mathscr{D}") or head.sub or head.sup:
            place = head.span if head else mark.span
            raise self.error("an integral without Dz", place, r"A standard Gaussian is integrated by \int Dz\, f.")
        self.at = head.end
        if not begins_symbol(self.source, self.at):
            raise self.error("a measure without a variable", head.span, r"It is followed by its variable: \int Dz\, f.")
        symbol = read_symbol(self.source, self.at)
        if symbol.primes or symbol.sup:
            raise self.error("a variable with a superscript", symbol.span, "A variable is a letter, with a subscript.")
        self.at = symbol.end
        names_something = any(self.names.meanings(symbol)) and self.vocabulary.notation.integral
        return symbol, None if names_something else self.bind(symbol)
