"""The place a LaTeX reader is at, what it calls its surroundings, and the refusals that more than one part needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from difflib import get_close_matches

from derive.verify.formula import Binary, FormulaError, Node, Span
from derive.verify.latex_names import Names
from derive.verify.latex_symbols import GREEK, Key, begins_symbol, command, read_symbol
from derive.verify.latex_tokens import MAX_DEPTH, Source, Token, tokenize
from derive.verify.vocabulary import Vocabulary

PARTNERS = {"(": ")", "[": "]", r"\{": r"\}", r"\langle": r"\rangle", "{": "}", "|": r"\rvert", r"\|": r"\rVert"}
FUNCTIONS = {"tanh": "tanh", "exp": "exp", "log": "log", "ln": "log", "sin": "sin", "cos": "cos", "arctan": "arctan"}
"""Commands that are functions."""

STRUCTURES = ("frac", "tfrac", "dfrac", "sqrt", "int", "Re", "Im")
PRODUCT_SIGNS = ("*", r"\cdot", r"\times", r"\odot")
_RELATIONS = ("<", ">", "!", ":", r"\approx", r"\equiv", r"\le", r"\leq", r"\ge", r"\geq", r"\sim", r"\simeq", r"\neq",
              r"\propto", r"\coloneqq", r"\triangleq", r"\to", r"\rightarrow", r"\leftarrow")  # fmt: skip
_BOTH = "A formula is one equation: each sign is read by itself."
_ADVICE = {
    r"\over": r"Quotients are written \frac{a}{b}.",
    r"\div": r"Quotients are written \frac{a}{b}.",
    r"\sum": "Sums are written out.",
    r"\prod": "Products are written out.",
    r"\partial": "Derivatives of a definition are written u'.",
    r"\nabla": "Derivatives of a definition are written u'.",
    r"\iint": r"Integrals are written one by one: \int Dz_1\, \int Dz_2\, f.",
    r"\pm": _BOTH,
    r"\mp": _BOTH,
    r"\circ": r"Elementwise products are written \odot.",
    r"\mid": r"Absolute values are written |x| or \lvert x\rvert.",
    r"\middle": r"Absolute values are written |x| or \lvert x\rvert.",
    r"\cosh": "It is not a function of the cell language; write it with \\exp.",
    r"\sinh": "It is not a function of the cell language; write it with \\exp.",
    r"\det": "Write the determinant out.",
    r"\infty": "A formula has finite numbers.",
    "@": "Products with matrices have no place in a formula for one site: name the definition that uses them.",
    '"': "Primes are written u''.",
}
_ADVICE |= dict.fromkeys("<>", r"An average is written \langle f\rangle; a formula is `left = right`.")
for _relation in _RELATIONS:
    _ADVICE.setdefault(_relation, "A formula is `left = right`.")


@dataclass(frozen=True)
class Factor:
    """One factor of a product.  kind : number, loose (a function without brackets), bars, word (a bare function)."""

    node: Node
    kind: str = ""


class Cursor(ABC):
    """Tokens, the place among them, and what is open there."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self.source: Source = tokenize(text)
        self.vocabulary = vocabulary
        self.names = Names(self.source, vocabulary)
        self.at = 0
        self.open: list[str] = []
        self.averages = 0

    @abstractmethod
    def sum(self, depth: int) -> Node:
        """A sum."""

    @abstractmethod
    def power(self, depth: int) -> Factor:
        """A factor with its superscripts."""

    # Tokens --------------------------------------------------------------------------------------------------------

    @property
    def peek(self) -> Token:
        return self.source.tokens[self.at]

    @property
    def before(self) -> Token:
        return self.source.tokens[max(self.at - 1, 0)]

    def take(self) -> Token:
        token = self.peek
        self.at += 1
        return token

    def is_sign(self, *texts: str) -> bool:
        return self.peek.kind in ("sign", "command") and self.peek.text in texts

    def is_bracket(self) -> bool:
        """Whether a bracket opens here that can hold an argument."""
        return self.peek.kind == "open" and self.peek.text in ("(", "[", r"\{")

    def begins_factor(self) -> bool:
        """Whether an operand can start here."""
        token = self.peek
        if token.kind == "bar":
            return not (self.open and self.open[-1] == token.text)
        if token.kind in ("digit", "letter", "open"):
            return True
        if token.kind == "command":
            name = command(token)
            return name in FUNCTIONS or name in STRUCTURES or begins_symbol(self.source, self.at)
        return token.text == "." and self.source.tokens[self.at + 1].kind == "digit"

    # Trees ---------------------------------------------------------------------------------------------------------

    def join(self, op: str, left: Node, right: Node) -> Binary:
        """A binary node over the place of both sides."""
        return Binary(op, left, right, (left.span[0], max(left.span[1], right.span[1])))

    def check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            rule = f"A formula has at most {MAX_DEPTH} levels."
            raise self.error("brackets too deep", self.peek.span, rule)

    # Brackets ------------------------------------------------------------------------------------------------------

    def bracket(self, depth: int) -> tuple[Node, Token, Token]:
        """Contents of the bracket that opens here, with the brackets."""
        opened = self.take()
        self.open.append(opened.text if opened.kind == "bar" else "")
        if self._closes(opened):
            place = (opened.start, self.peek.end)
            raise self.error("nothing between the brackets", place, "Brackets hold an expression.")
        inner = self.sum(depth + 1)
        if not self._closes(opened):
            raise self._unclosed(opened)
        self.open.pop()
        return inner, opened, self.take()

    def averaged(self, depth: int) -> tuple[Node, Token, Token]:
        """The bracket of an average."""
        self.averages += 1
        found = self.bracket(depth)
        self.averages -= 1
        return found

    def _closes(self, opened: Token) -> bool:
        token = self.peek
        kind = "bar" if opened.kind == "bar" else "close"
        return token.kind == kind and token.text == opened.text and token.sized == opened.sized

    def _unclosed(self, opened: Token) -> FormulaError:
        token, shown = self.peek, self.source.shown(opened.span)
        if token.kind in ("end", "close", "bar") or token.text == "=":
            partner = PARTNERS[opened.text] if opened.kind != "bar" else opened.text
            needs = rf"\right{partner}" if opened.sized else partner
            if opened.sized and opened.text in ("|", r"\|"):
                needs = rf"\right{opened.text}"
            return self.error(f"a `{shown}` that is not closed", opened.span, f"It needs its `{needs}`.")
        return self.unexpected(f"`{shown}` has to be closed before.")

    # Errors --------------------------------------------------------------------------------------------------------

    def error(self, what: str, span: Span, rule: str = "") -> FormulaError:
        return self.source.error(what, span, rule)

    def unexpected(self, rule: str) -> FormulaError:
        """What stands here cannot."""
        token = self.peek
        shown = self.source.shown(token.span)
        if token.kind == "end":
            return self.error("the formula ends here", token.span, rule)
        if token.kind == "close":
            return self.error(f"a `{shown}` that closes nothing", token.span, "Brackets come in pairs.")
        if token.text == "=" and not any(earlier.text == "=" for earlier in self.source.tokens[: self.at]):
            return self.error("an expression is missing before `=`", token.span, rule)
        if token.text == "=":
            return self.error("two equals signs", token.span, "A formula is `left = right` and nothing else.")
        if token.text == "'":
            rule = "A prime stands behind a definition or a function, before its power: u'^2."
            return self.error("a prime on something that is no definition", token.span, rule)
        if token.text == "_":
            return self.error("a subscript on something that is no symbol", token.span, "Subscripts are part of names.")
        if token.text == "^":
            return self.error("a superscript on nothing", token.span, "A power stands behind its base.")
        if token.text in _ADVICE:
            return self.error(f"`{shown}` is not read", token.span, _ADVICE[token.text])
        if token.kind == "command" and not self._known(token):
            near = get_close_matches(command(token), [*FUNCTIONS, *STRUCTURES, *GREEK, "langle", "rangle"], n=1)
            hint = f"Did you mean \\{near[0]}?" if near else "Formulas consist of names, numbers, averages, functions."
            return self.error(f"`{shown}` is not read", token.span, hint)
        return self.error(f"`{shown}` cannot stand here", token.span, rule)

    def _known(self, token: Token) -> bool:
        name = command(token)
        return name in FUNCTIONS or name in STRUCTURES or name in GREEK or token.text in PRODUCT_SIGNS

    # What stands between two tokens --------------------------------------------------------------------------------

    def is_lone(self, first: int, last: int) -> bool:
        """One symbol or number."""
        if first < last and begins_symbol(self.source, first):
            return read_symbol(self.source, first).end == last
        return all(token.kind == "digit" or token.text == "." for token in self.source.tokens[first:last])

    def is_sum(self, first: int, last: int) -> bool:
        """Whether a + or - stands outside of inner brackets."""
        at = first
        while at < last:
            token = self.source.tokens[at]
            if token.kind == "sign" and token.text in ("+", "-"):
                return True
            at = self.source.partner.get(at, at) + 1
        return False

    def keys(self, first: int, last: int) -> set[Key]:
        """All symbols, also in inner brackets and behind commands."""
        found = set()
        for at in range(first, last):
            if self.source.tokens[at].kind in ("letter", "command") and begins_symbol(self.source, at):
                found.add(read_symbol(self.source, at).plain)
        return found

    def holds(self, key: Key, first: int, last: int) -> bool:
        return key in self.keys(first, last)

    def holds_bound(self, first: int, last: int) -> bool:
        return any(self.names.is_bound(key) for key in self.keys(first, last))
