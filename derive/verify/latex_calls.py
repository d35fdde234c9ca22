r"""Symbols and functions in LaTeX: ``\phi'(x)^2``, ``u'^2``, ``\tanh^2 x``, ``\mathbb{E}[f]``, ``\bar\lambda``."""

from __future__ import annotations

import re
from fractions import Fraction

from derive.cell.functions import BUILTIN_FUNCTIONS, OTHER_SPELLINGS
from derive.verify.formula import (
    Binary,
    Call,
    FormulaError,
    Name,
    Node,
    Number,
    Slope,
    SlopeAt,
    Span,
    walk,
)
from derive.verify.latex_averages import EXPECTATION, Averages
from derive.verify.latex_cursor import FUNCTIONS, Factor
from derive.verify.latex_names import Meaning
from derive.verify.latex_symbols import Key, Symbol, argument, bare, begins_symbol, command, normal, read_symbol
from derive.verify.vocabulary import QUANTITIES

MAX_ORDER = 8
_WORDS = {name: name for name in BUILTIN_FUNCTIONS} | OTHER_SPELLINGS | {"re": "re", "im": "im", "sech": "sech"}
_NOT_DIFFERENTIATED = ("re", "im", "sech", "sqrt")
_LETTERS = {"\\sigma ": "sigmoid", "\\Theta ": "step"}
_STAR_RULE = r"A star marks the fixed point of q, Q and C, and conjugates \lambda."


class Calls(Averages):
    """What a symbol or function becomes, with everything attached to it."""

    # Symbols -------------------------------------------------------------------------------------------------------

    def symbol(self, depth: int) -> Factor:
        """The factor that starts with the symbol here."""
        symbol = read_symbol(self.source, self.at)
        given = self.names.given(symbol)
        if given is not None and given.name in BUILTIN_FUNCTIONS and not self.names.is_bound(symbol.plain):
            return self.letter_function(given.name, symbol, depth)
        if given is None and not self.names.is_bound(symbol.plain):
            special = self.special(symbol, depth)
            if special is not None:
                return special
        meaning = self.names.meaning(symbol)
        self.at = symbol.end
        if meaning.name in self.vocabulary.functions and not self.names.is_bound(symbol.plain):
            return self.own_function(meaning.name, symbol, depth)
        return self.named(meaning, symbol, depth)

    def lone_symbol(self) -> Node:
        """A symbol of one token, as the argument of a command."""
        token, end = self.peek, self.at + 1
        symbol = bare(Key(normal(self.source, self.at, end)), token.span, end)
        name = self.names.meaning(symbol).name
        if name in self.vocabulary.functions or name in self.vocabulary.matrices:
            raise self.error(f"`{token.text}` as an argument", token.span, "It is no number; use braces.")
        self.at = end
        return self.names.node(name, token.span)

    def special(self, symbol: Symbol, depth: int) -> Factor | None:
        """Averages, functions by letter or word, Euler's number and conjugates; None for names."""
        own = self.names.meanings(symbol)
        taken = (*own[0], *own[1])
        base = symbol.plain.base
        if self.vocabulary.notation.is_square(symbol) and symbol.sub and not self.names.field_in_full(*symbol.sub):
            return self.averaged_square(symbol, symbol.sub, depth)
        if self.is_expectation(symbol) and symbol.sub is None and self.opens_behind(symbol):
            self.clear(symbol, taken, "an average")
            return self.expectation(symbol, depth)
        if base in _LETTERS and symbol.sub is None and self.opens_behind(symbol) and not (taken and symbol.power):
            self.clear(symbol, taken, "a function")
            return self.letter_function(_LETTERS[base], symbol, depth)
        if base == "e" and symbol.sub is None and symbol.power and not symbol.primes and not symbol.star:
            self.clear(symbol, taken, "Euler's number")
            return self.exponential(symbol, depth)
        if taken:
            return None
        if symbol.exact.base == r"\mathbb{E}" and symbol.sub is None and not symbol.sup and not symbol.primes:
            return self.open_expectation(symbol, depth)
        if base in EXPECTATION:
            rule = r"An average is over one site, \mathbb{E}[f] or \langle f\rangle, with nothing attached to the sign."
            raise self.error(f"`{self.source.shown(symbol.span)}` without [...]", symbol.span, rule)
        word = base.lower()
        if word in _WORDS and symbol.exact.base != base and len(base) > 1:
            return self.letter_function(_WORDS[word], symbol, depth)
        return self.accented(symbol, depth)

    def opens_behind(self, symbol: Symbol) -> bool:
        token = self.source.tokens[symbol.end]
        return token.kind == "open" and token.text in ("(", "[", r"\{")

    def exponential(self, symbol: Symbol, depth: int) -> Factor:
        assert symbol.power is not None
        inner = self.exponent(*symbol.power, depth)
        self.at = symbol.end
        return Factor(Call("exp", inner, symbol.span))

    def accented(self, symbol: Symbol, depth: int) -> Factor | None:
        r"""``\bar\lambda`` and averages ``\overline{f}``; other accents are refused."""
        match = re.fullmatch(r"\\(bar|overline|dot|ddot)\{(.*)\}", symbol.plain.base, re.DOTALL)
        if match is None:
            return None
        if match[1] in ("dot", "ddot"):
            raise self.error("a time derivative", symbol.span, "Averages are taken at one time.")
        attached = symbol.sub is not None or symbol.star or symbol.primes > 0
        if match[1] == "overline" and match[2] != "\\lambda " and not attached and not self.averages:
            return self.overlined(symbol, depth)
        if match[2] != "\\lambda " or attached:
            rule = r"A bar conjugates \lambda alone, \bar\lambda; an average is written \langle f\rangle."
            raise self.error("a bar on something else", symbol.span, rule)
        if self.names.meaning(bare(Key("\\lambda "), symbol.span, symbol.end)).name != "lam":
            raise self.error("a bar on something else", symbol.span, "Only the spectral parameter is complex.")
        node = Call("conj", Name("lam", symbol.head), symbol.head)
        self.at = symbol.end
        return Factor(self.with_power(node, symbol, depth))

    # Names ---------------------------------------------------------------------------------------------------------

    def named(self, meaning: Meaning, symbol: Symbol, depth: int) -> Factor:
        """A name that is no function."""
        name, bound = meaning.name, self.names.is_bound(symbol.plain)
        if name in self.vocabulary.matrices and not bound:
            rule = "A formula for one site holds a matrix's gain, and its field as an index: q_{W}."
            raise self.error(f"`{self.source.shown(symbol.head)}` is a matrix", symbol.span, rule)
        node: Node = self.names.node(name, symbol.head)
        if symbol.primes:
            node = self.primed(name, symbol, bound)
        if symbol.star and meaning.star:
            node = self.starred(name, node, symbol, bound)
        self.bracket_behind(name, symbol, bound)
        end = self.at
        if meaning.power and symbol.power:
            node = self.raised(node, *symbol.power, end, depth)
        return self.scripts(node, depth) if symbol.power is None else self.at_most_one_power(node)

    def at_most_one_power(self, node: Node) -> Factor:
        if self.is_sign("^"):
            raise self.error("two powers of one name", self.peek.span, "Write one of them.")
        return Factor(node)

    def primed(self, name: str, symbol: Symbol, bound: bool) -> Slope:
        if name in self.vocabulary.slopes and not bound:
            return Slope(name, self.order(symbol.primes, symbol.span), symbol.span)
        rule = "A prime is the derivative of a function, or of a definition u = f(argument), at its argument."
        if name in self.vocabulary.states and not bound:
            rule += " The next value of a state has no place in an average at one time."
        if name in self.vocabulary.definitions and not bound:
            rule = f"{name} is no single function call, so that u' has no meaning."
        raise self.error("a prime on something that is no definition", symbol.span, rule)

    def order(self, primes: int, span: Span) -> int:
        if primes > MAX_ORDER:
            raise self.error("a derivative of this order", span, f"Orders from 1 to {MAX_ORDER} can be asked for.")
        return primes

    def starred(self, name: str, node: Node, symbol: Symbol, bound: bool) -> Node:
        if not bound and name == "lam":
            return Call("conj", node, symbol.span)
        if not bound and name.startswith(("q[", "Q[", "q_total[", "C_star[")):
            return node
        raise self.error(f"a star on `{self.source.shown(symbol.head)}`", symbol.span, _STAR_RULE)

    def bracket_behind(self, name: str, symbol: Symbol, bound: bool) -> None:
        """Pass over the argument of a definition; refuse brackets that could be an argument or a factor."""
        close = self.source.partner.get(self.at)
        if not self.is_bracket() or close is None:
            return
        inside = (self.at + 1, close)
        definition = name in self.vocabulary.definitions and not bound
        if self.is_own_argument(name, symbol, inside, definition):
            self.at = close + 1
            return
        site = (*self.vocabulary.states, *self.vocabulary.biases, *self.vocabulary.inputs)
        varies = definition or (name in site and not bound)
        doubtful = (
            self.is_lone(*inside)
            or (definition and symbol.primes and symbol.power is None)
            or (varies and (self.holds_bound(*inside) or not self.is_sum(*inside)))
            or (definition and len(symbol.plain.base) > 1 and not self.holds(symbol.plain, *inside))
        )
        if doubtful:
            shown = self.source.shown((symbol.span[0], self.source.tokens[close].end))
            place = (symbol.span[0], self.source.tokens[close].end)
            rule = r"A factor has a sign in front, u\cdot(x), or stands first; a function is called by its name."
            raise self.error(f"`{shown}`: an argument or a factor?", place, rule)

    def is_own_argument(self, name: str, symbol: Symbol, inside: tuple[int, int], definition: bool) -> bool:
        r"""Whether brackets behind a name only say what it depends on: u(h), K_{hr}(\lambda)."""
        if not self.is_lone(*inside) or self.source.tokens[inside[0]].kind == "digit":
            return False
        inner = read_symbol(self.source, inside[0])
        argument_name = self.names.meaning(inner).name
        if inner.primes or inner.sup or self.names.is_bound(inner.plain):
            return False
        if name.startswith("K["):
            return argument_name == "lam"
        if not definition or self.vocabulary.depends.get(name) != argument_name:
            return False
        if symbol.primes and self.vocabulary.exact.get(name) != argument_name:
            shown = self.source.shown(inner.span)
            rule = f"u' is the derivative by the argument of u; by {shown} it has a further factor. Write u' alone."
            raise self.error(f"the derivative by `{shown}`?", symbol.span, rule)
        return True

    # Functions -----------------------------------------------------------------------------------------------------

    def own_function(self, name: str, symbol: Symbol, depth: int) -> Factor:
        """A function of the cell: applied, or bare at the argument that the cell gives it."""
        if symbol.star:
            raise self.error(f"a star on `{self.source.shown(symbol.head)}`", symbol.span, _STAR_RULE)
        if self.is_bracket():
            return self.apply(name, symbol.span, symbol.primes, symbol.power, depth)
        primes = self.order(symbol.primes, symbol.span)
        node: Node = Slope(name, primes, symbol.head) if primes else Name(name, symbol.head)
        return Factor(self.with_power(node, symbol, depth), "word")

    def follows_word(self) -> bool:
        """Whether what comes next can only be a factor, not the argument of a bare function."""
        token = self.peek
        if token.kind == "open" or not begins_symbol(self.source, self.at):
            return token.text == r"\langle" or command(token) == "int"
        symbol = read_symbol(self.source, self.at)
        if self.is_expectation(symbol):
            return True
        return bool(set(self.names.meanings(symbol)[1]) & set(self.vocabulary.functions))

    def letter_function(self, function: str, symbol: Symbol, depth: int) -> Factor:
        r"""``\sigma(x)``, ``\operatorname{erf}(x)``."""
        if symbol.sub is not None or symbol.star:
            raise self.error("a script on a function", symbol.span, "A function takes primes and a power.")
        self.at = symbol.end
        return self.apply(function, symbol.span, symbol.primes, symbol.power, depth)

    def function_command(self, depth: int) -> Factor:
        r"""``\tanh`` and its like, with primes and power."""
        head = self.take()
        primes, power = 0, None
        while self.is_sign("'", "^", "_"):
            sign = self.take()
            if sign.text == "'" and power is None:
                primes += 1
            elif sign.text == "^" and power is None:
                first, last, self.at = argument(self.source, self.at, "`^`")
                while first < last and self.source.tokens[first].text == "'":
                    primes, first = primes + 1, first + 1
                power = (first, last) if first < last else None
            else:
                raise self.error("a script on a function", sign.span, "A function takes primes and one power.")
        return self.apply(FUNCTIONS[command(head)], (head.start, self.before.end), primes, power, depth)

    def real_part(self, depth: int) -> Factor:
        r"""``\Re\lambda``."""
        head = self.take()
        return self.apply(head.text[1:].lower(), head.span, 0, None, depth)

    def apply(self, function: str, head: Span, primes: int, power: tuple[int, int] | None, depth: int) -> Factor:
        """A function of what stands behind it."""
        place = self.at
        exponent = self.whole_power(power, depth) if power else None
        self.at = place
        inner, end, kind = self.applied_to(function, head, depth)
        span = (head[0], end)
        if primes and function in _NOT_DIFFERENTIATED:
            raise self.error(f"a derivative of {function}", head, "Write it out.")
        node: Node = Call(function, inner, span)
        if primes:
            node = self.slope_at(function, self.order(primes, head), inner, span)
        if exponent is None and self.is_sign("^") and kind == "" and function == "sech":
            self.take()
            first, last, end_of_power = argument(self.source, self.at, "`^`")
            exponent, self.at = self.whole_power((first, last), depth), end_of_power
        if function == "sech":
            node, exponent = self.squared_sech(inner, exponent, span)
        if exponent is None:
            return Factor(node, kind) if kind else self.scripts(node, depth)
        if self.is_sign("^"):
            raise self.error("two powers of one function", self.peek.span, "Write one of them.")
        return Factor(Binary("**", node, exponent, span), kind)

    def applied_to(self, function: str, head: Span, depth: int) -> tuple[Node, int, str]:
        """Argument, its end, and whether it stands without brackets."""
        if self.is_bracket():
            inner, _, closed = self.bracket(depth)
            if any(isinstance(node, Name | Slope) and node.name == function for node in walk(inner)):
                rule = r"A factor has a sign in front: \phi\cdot(1 - \phi)."
                raise self.error("an argument or a factor?", (head[0], closed.end), rule)
            return inner, closed.end, ""
        inner = self.operand(head, f"{self.source.shown(head)}(...)", depth)
        return inner, inner.span[1], "loose"

    def operand(self, head: Span, with_brackets: str, depth: int) -> Node:
        """One factor that a function or average without brackets is of."""
        rule = f"Write it in brackets: {with_brackets}."
        if not self.begins_factor():
            raise self.error(f"`{self.source.shown(head)}` without an argument", head, rule)
        factor = self.power(depth + 1)
        if isinstance(factor.node, Binary) and factor.node.op == "**":
            raise self.error("a power of the argument or of the function?", factor.node.span, rule)
        return factor.node

    def whole_power(self, power: tuple[int, int], depth: int) -> Number:
        found = self.exponent(*power, depth)
        if isinstance(found, Number) and found.value.denominator == 1 and found.value >= 1:
            return found
        rule = "The power of a function is a whole number; an inverse is written out: 1/f(x)."
        raise self.error("a power or an inverse?", found.span, rule)

    def slope_at(self, function: str, order: int, inner: Node, span: Span) -> Node:
        """The derivative of a function; at the cell's own argument it is the plain notation's D[f]."""
        if isinstance(inner, Name) and self.vocabulary.exact.get(function) == inner.name:
            return Slope(function, order, span)
        return SlopeAt(function, order, inner, span)

    def squared_sech(self, inner: Node, exponent: Number | None, span: Span) -> tuple[Node, Number | None]:
        """1 - tanh^2, and what is left of the exponent."""
        if exponent is None or exponent.value % 2:
            rule = r"It is read with even powers: \operatorname{sech}^2(x) is 1 - \tanh^2(x)."
            raise self.error("sech is not a function of the cell language", span, rule)
        tanh = Binary("**", Call("tanh", inner, span), Number(Fraction(2), span), span)
        square = Binary("-", Number(Fraction(1), span), tanh, span)
        half = exponent.value / 2
        return square, None if half == 1 else Number(half, exponent.span)

    # Variables of integrals ----------------------------------------------------------------------------------------

    def bind(self, symbol: Symbol) -> str:
        """The name of a variable of integration; refuses names that mean something already."""
        taken = (*self.names.meanings(symbol)[0], *self.names.meanings(symbol)[1])
        base, sub = (re.sub(r"\W+", "", part) for part in (symbol.plain.base, symbol.plain.sub))
        name = f"{base}_{sub}" if sub else base
        if taken or name in (*self.vocabulary.names, *QUANTITIES, "E", "e"):
            raise self.taken(symbol)
        if self.names.is_bound(symbol.plain) or name in self.names.bound.values():
            shown = self.source.shown(symbol.span)
            raise self.error(f"two integrals over `{shown}`", symbol.span, "Each has its own variable.")
        self.names.bound[symbol.plain] = name
        return name

    def taken(self, symbol: Symbol) -> FormulaError:
        """A variable of integration that is the name of something else."""
        shown = self.source.shown(symbol.span)
        return self.error(f"`{shown}` means something already", symbol.span, "Integrate over another letter.")
