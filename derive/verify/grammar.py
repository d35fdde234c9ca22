"""Hand formulas in plain text: ``chi1 = E[u**2] + sigma_w**2*(Q[h] + R)*E[D[u]**2]``.

    formula  := sum "=" sum
    sum      := product (("+" | "-") product)*
    product  := unary (("*" | "/") unary)*
    unary    := ("+" | "-") unary | power
    power    := atom ["**" unary]
    atom     := number | name | name "(" sum ")" | "E[" sum "]" | "D[" name ["," order] "]" | name "[" names "]"
              | "(" sum ")"

Nothing is guessed: what does not fit is refused with its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from derive.verify.formula import Binary, Call, Formula, FormulaError, Indexed, Mean, Name, Negate, Node, Number, Slope

MAX_LENGTH = 4000
MAX_DEPTH = 60
MAX_DIGITS = 60

_PATTERN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)"
    r"|(?P<name>[^\W\d]\w*(?:\.[0-9]+)?)"
    r"|(?P<sign>\*\*|==|[-+*/()\[\],=])"
    r"|(?P<other>\S))"
)
_ADVICE = {
    "^": "Powers are written a**b.",
    "'": "The derivative of a definition is written D[u].",
    "{": "For grouping write round brackets; LaTeX is read with --latex.",
    "\\": "LaTeX is read with --latex.",
    "<": "An average is written E[...].",
    "⟨": "An average is written E[...].",
    "²": "Powers are written a**2.",
    "·": "Products are written with *.",
    "@": "Products with matrices have no place in a formula for one site: name the definition that uses them.",
}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def read_formula(text: str) -> Formula:
    """The tree of one formula ``left = right``.

    Raises
    ------
    FormulaError : with the place and the rule
    """
    reader = _Reader(text)
    left = reader.sum(0)
    sign = reader.peek
    if sign.text == "==":
        raise reader.error("a comparison", sign, "A formula has a single `=`.")
    if sign.text != "=":
        raise reader.unexpected("A formula is `left = right`.")
    reader.take()
    right = reader.sum(0)
    if reader.peek.kind != "end":
        raise reader.unexpected("A formula is `left = right` and nothing else.")
    return Formula(text, left, right)


class _Reader:
    """Recursive descent over tokens."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise FormulaError(f"a formula of {len(text)} characters", text[:80], (0, 80),
                               f"A formula has at most {MAX_LENGTH} characters.")  # fmt: skip
        self.text = text
        self.tokens = list(self._tokens())
        self.at = 0

    def _tokens(self):  # type: ignore[no-untyped-def]
        at, end = 0, len(self.text.rstrip())
        while at < end:
            match = _PATTERN.match(self.text, at)
            assert match is not None  # the last alternative takes any character
            kind = str(match.lastgroup)
            token = _Token(kind, match.group(kind), match.start(kind), match.end(kind))
            if kind == "other":
                raise self.error(f"`{token.text}` cannot be read", token, _ADVICE.get(token.text, ""))
            yield token
            at = match.end()
        yield _Token("end", "", end, end + 1)

    @property
    def peek(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def error(self, what: str, token: _Token, rule: str = "") -> FormulaError:
        return FormulaError(what, self.text, (token.start, token.end), rule)

    def unexpected(self, rule: str) -> FormulaError:
        token = self.peek
        if token.kind == "end":
            return self.error("the formula ends here", token, rule)
        if token.text in (")", "]"):
            return self.error(f"a `{token.text}` that closes nothing", token, rule)
        before = self.tokens[self.at - 1] if self.at else token
        if token.kind in ("name", "number") or token.text == "(":
            both = f"`{before.text} {token.text}`"
            return self.error(f"{both} has no sign between", token, "Products are written with *.")
        return self.error(f"`{token.text}` cannot stand here", token, rule)

    def expect(self, sign: str, opened: _Token) -> _Token:
        if self.peek.text == sign and self.peek.kind == "sign":
            return self.take()
        if self.peek.kind == "end" or self.peek.text in (")", "]", "="):
            raise self.error(f"a `{opened.text}` that is not closed", opened, f"It needs its `{sign}`.")
        raise self.unexpected(f"A `{sign}` is expected here.")

    def sum(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.error("brackets too deep", self.peek, f"A formula has at most {MAX_DEPTH} levels.")
        node = self.product(depth)
        while self.peek.text in ("+", "-") and self.peek.kind == "sign":
            sign = self.take().text
            right = self.product(depth)
            node = Binary(sign, node, right, (node.span[0], right.span[1]))
        return node

    def product(self, depth: int) -> Node:
        node = self.unary(depth)
        while self.peek.text in ("*", "/") and self.peek.kind == "sign":
            sign = self.take().text
            right = self.unary(depth)
            node = Binary(sign, node, right, (node.span[0], right.span[1]))
        return node

    def unary(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.error("signs or powers too deep", self.peek, f"A formula has at most {MAX_DEPTH} levels.")
        if self.peek.kind == "sign" and self.peek.text in ("+", "-"):
            sign = self.take()
            inner = self.unary(depth + 1)
            return Negate(inner, (sign.start, inner.span[1])) if sign.text == "-" else inner
        base = self.atom(depth)
        if self.peek.text == "**":
            self.take()
            exponent = self.unary(depth + 1)
            return Binary("**", base, exponent, (base.span[0], exponent.span[1]))
        return base

    def atom(self, depth: int) -> Node:
        token = self.peek
        if token.kind == "number":
            self.take()
            if len(token.text) > MAX_DIGITS:
                raise self.error("a number too long", token, f"A number has at most {MAX_DIGITS} characters.")
            return Number(Fraction(token.text), (token.start, token.end))
        if token.kind == "name":
            return self.named(depth)
        if token.text == "(":
            opened = self.take()
            inner = self.sum(depth + 1)
            self.expect(")", opened)
            return inner
        raise self.unexpected("A number, a name or a bracket is expected here.")

    def named(self, depth: int) -> Node:
        name, following = self.take(), self.peek
        if following.text == "(":
            opened = self.take()
            if name.text in ("E", "D", "q", "Q", "K", "q_total", "C_star"):
                raise self.error(f"`{name.text}(`", opened, f"{name.text} takes square brackets: {name.text}[...].")
            operand = self.sum(depth + 1)
            if self.peek.text == ",":
                raise self.error("a second argument", self.peek, "Functions have one argument.")
            closed = self.expect(")", opened)
            return Call(name.text, operand, (name.start, closed.end))
        if following.text != "[":
            return Name(name.text, (name.start, name.end))
        opened = self.take()
        if name.text == "E":
            operand = self.sum(depth + 1)
            closed = self.expect("]", opened)
            return Mean(operand, (name.start, closed.end))
        indices = self.indices(opened)
        closed = self.expect("]", opened)
        span = (name.start, closed.end)
        if name.text == "D":
            return self.slope(indices, span)
        return Indexed(name.text, tuple(index.text for index in indices), span)

    def indices(self, opened: _Token) -> list[_Token]:
        found: list[_Token] = []
        while True:
            if self.peek.kind not in ("name", "number"):
                rule = "Square brackets hold names: q[W_z], K[W_h,W_r]."
                raise self.error("no name in the brackets", self.peek, rule)
            found.append(self.take())
            if self.peek.text != ",":
                return found
            self.take()

    def slope(self, indices: list[_Token], span: tuple[int, int]) -> Slope:
        name = indices[0]
        if name.kind != "name" or len(indices) > 2 or (len(indices) == 2 and not indices[1].text.isdecimal()):
            rule = "D[u] is the derivative of a definition u by its argument, D[u,2] the second."
            raise FormulaError("D of something else", self.text, span, rule)
        order = int(indices[1].text) if len(indices) == 2 else 1
        if not 1 <= order <= 8:
            raise FormulaError("a derivative of this order", self.text, span, "Orders from 1 to 8 can be asked for.")
        return Slope(name.text, order, span)
