"""LaTeX formulas as MathML.

Written here, and not left to a converter from elsewhere, because the formulas come from two closed sets, what this
package writes and what a cell's ``[latex]`` table may hold, so that every command can be translated exactly and an
unknown one refused; because fences have to match across lines that are broken; and because what browsers show of
MathML wants letters of special alphabets as characters of their own.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape

from derive.errors import GatefieldError
from derive.write.mathml_symbols import (
    ACCENTS,
    ALPHABETS,
    BIG,
    CLOSING,
    FUNCTIONS,
    LETTERS,
    OPENING,
    OPERATORS,
    SIZES,
    SPACES,
    TEXTS,
    WIDE,
    WORDS,
    in_alphabet,
)  # fmt: skip

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
_COMPOSING = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
              '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "c": "\u0327", "k": "\u0328"}  # fmt: skip
_INFIX = ' form="infix"'
_SIGNS = ("+", "-")
_RELATIONS = frozenset(("=", "<", ">", ",", ";", ":", "sim", "le", "ge", "to", "leftarrow", "rightarrow"))
"""Behind these, and behind an opening bracket, a sign belongs to what follows it."""


class FormulaError(GatefieldError):
    """A formula holds a command that has no translation."""


@dataclass
class _Item:
    """One piece of a formula; kind : "open", "close", "function", "big", "relation" or ""; its scripts are set last."""

    body: str
    kind: str = ""
    below: str = ""
    above: list[str] = field(default_factory=list)
    primes: int = 0

    def __str__(self) -> str:
        if not self.primes:
            return self._scripted()
        # The prime of a font is small and raised as it is: as a superscript it would be a speck.
        inner = replace(self, primes=0, above=[])._scripted()
        primed = f"<mrow>{inner}<mo>{'′' * self.primes}</mo></mrow>"
        return _Item(primed, above=self.above)._scripted()

    def _scripted(self) -> str:
        above = self.above[0] if len(self.above) == 1 else f"<mrow>{''.join(self.above)}</mrow>" if self.above else ""
        names = ("under", "over") if self.kind == "big" else ("sub", "sup")
        tag = "m" + (names[0] if self.below else "") + (names[1] if above else "")
        return f"<{tag}>{self.body}{self.below}{above}</{tag}>" if tag != "m" else self.body


def mathml(latex: str, *, display: bool = False, continued: bool = False) -> str:
    """A ``math`` element.

    display : set as in a display; continued : something stands to the left, so that a sign at the beginning is one
    between two terms.  Raises FormulaError.
    """
    reader = _Reader(latex, continued=continued)
    inner = reader.row("")
    if not reader.at_end():
        raise FormulaError(f"unbalanced braces in the formula {latex[:80]}")
    style = ' displaystyle="true"' if display else ""
    return f"<math{style}>{inner}</math>"


class _Reader:
    """Recursive descent over the tokens of a formula."""

    def __init__(self, latex: str, *, continued: bool) -> None:
        self.tokens = _TOKEN.findall(latex)
        self.position, self.font, self.leading = 0, "", continued

    def at_end(self) -> bool:
        return self.position >= len(self.tokens)

    def _peek(self) -> str:
        return "" if self.at_end() else self.tokens[self.position]

    def _take(self) -> str:
        token = self._peek()
        self.position += 1
        return token

    def _skip_space(self) -> None:
        while self._peek().isspace():
            self.position += 1

    def row(self, end: str) -> str:
        """Everything up to ``end``, as one element."""
        items = self._items(end)
        shown = _spaced(_grouped(items))
        return shown[0] if len(shown) == 1 else f"<mrow>{''.join(shown)}</mrow>"

    def _items(self, end: str) -> list[_Item]:
        items: list[_Item] = []
        while True:
            self._skip_space()
            token = self._peek()
            if token == "" or token == "}" or (end and token == end):
                return items
            if token in ("_", "^", "'"):
                self._script(items)
                continue
            before = next((item for item in reversed(items) if not item.body.startswith("<mspace")), None)
            sign = token in _SIGNS and before is not None and before.kind in ("open", "relation")
            items.append(self._sign() if sign else self._atom())

    def _sign(self) -> _Item:
        """A sign that belongs to what follows, and is not set apart from it."""
        return _Item(f'<mo form="prefix">{OPERATORS[self._take()]}</mo>')

    def _script(self, items: list[_Item]) -> None:
        if not items:
            items.append(_Item("<mrow></mrow>"))
        token = self._take()
        if token == "'":
            items[-1].primes += 1
        elif token == "_":
            items[-1].below += self._argument()
        else:
            items[-1].above.append(self._argument())

    def _argument(self) -> str:
        """A group in braces or one token."""
        self._skip_space()
        if self._peek() == "{":
            self._take()
            inner = self.row("}")
            self._take()
            return inner
        return "<mrow></mrow>" if self._peek() in ("", "}", "_", "^") else str(self._atom(single=True))

    def _atom(self, *, single: bool = False) -> _Item:
        leading, self.leading = self.leading, False
        token = self._take()
        if token == "{":
            inner = self.row("}")
            self._take()
            return _Item(inner)
        if token.startswith("\\"):
            return self._command(token[1:], leading=leading)
        if token in OPENING or token in CLOSING:
            return _fence(token)
        if token == "|":
            return _Item('<mo stretchy="false" lspace="0" rspace="0">|</mo>')
        if token.isdigit():
            return self._number(token, single=single)
        if token in OPERATORS:
            form = ' lspace="0" rspace="0"' if token == "/" else _INFIX if leading else ""
            return _Item(f"<mo{form}>{OPERATORS[token]}</mo>", "relation" if token in _RELATIONS else "")
        return self._letters(token)

    def _number(self, token: str, *, single: bool) -> _Item:
        while not single and (self._peek().isdigit() or self._is_decimal_point()):
            token += self._take()
        if ALPHABETS.get(self.font, ("", ""))[0]:
            token = "".join(in_alphabet(digit, self.font) for digit in token)
        return _Item(f"<mn>{token}</mn>")

    def _is_decimal_point(self) -> bool:
        following = self.tokens[self.position + 1 : self.position + 2]
        return self._peek() == "." and bool(following) and following[0].isdigit()

    def _letters(self, token: str) -> _Item:
        if not self.font:
            return _Item(f"<mi>{escape(token)}</mi>")
        while self.font in WORDS and len(self._peek()) == 1 and self._peek().isalpha():
            token += self._take()
        shown = escape("".join(in_alphabet(letter, self.font) for letter in token))
        upright = ' mathvariant="normal"' if len(shown) == 1 and self.font != "mathit" else ""
        return _Item(f"<mi{upright}>{shown}</mi>")

    def _command(self, name: str, *, leading: bool) -> _Item:
        if name in SPACES:
            return _Item(f'<mspace width="{SPACES[name]}"/>')
        if name in ("left", "right"):
            return self._stretched(name)
        if name in SIZES:
            return _fence(self._fence_name(), SIZES[name])
        if name in OPENING or name in CLOSING:
            return _fence(name)
        if name in LETTERS:
            return self._letter(LETTERS[name])
        if name in FUNCTIONS:
            return _Item(f"<mi>{name}</mi>", "function")
        if name in BIG:
            limits = ' movablelimits="true"' if name == "sum" else ""
            return _Item(f"<mo{limits}>{BIG[name]}</mo>", "big" if name == "sum" else "")
        if name in OPERATORS:
            kind = "relation" if name in _RELATIONS else ""
            return _Item(f"<mo{_INFIX if leading else ''}>{OPERATORS[name]}</mo>", kind)
        return self._structure(name)

    def _letter(self, letter: str) -> _Item:
        if self.font:
            letter = in_alphabet(letter, self.font)
        upright = ' mathvariant="normal"' if letter.isupper() and len(letter) == 1 else ""
        return _Item(f"<mi{upright}>{letter}</mi>")

    def _structure(self, name: str) -> _Item:
        if name == "frac":
            above = self._argument()
            return _Item(f"<mfrac>{above}{self._argument()}</mfrac>")
        if name == "sqrt":
            return _Item(f"<msqrt>{self._argument()}</msqrt>")
        if name in ACCENTS:
            stretchy = "true" if name in WIDE else "false"
            accent = f'<mo stretchy="{stretchy}">{ACCENTS[name]}</mo>'
            return _Item(f'<mover accent="true">{self._argument()}{accent}</mover>')
        if name == "underline":
            return _Item(f'<munder>{self._argument()}<mo stretchy="true">_</mo></munder>')
        if name in TEXTS:
            return _Item(f"<mtext>{escape(plain_text(self._raw_group()))}</mtext>")
        if name in ALPHABETS:
            outer, self.font = self.font, name
            inner = self._argument()
            self.font = outer
            return _Item(inner, "function" if name == "operatorname" else "")
        raise FormulaError(f"a formula holds the command \\{name}, which has no translation")

    def _raw_group(self) -> str:
        """The LaTeX inside a pair of braces, as it is written."""
        self._skip_space()
        if self._peek() != "{":
            return self._take()
        depth, start = 0, self.position + 1
        while not self.at_end():
            depth += {"{": 1, "}": -1}.get(self._take(), 0)
            if depth == 0:
                break
        return "".join(self.tokens[start : self.position - 1])

    def _fence_name(self) -> str:
        self._skip_space()
        return self._take().lstrip("\\")

    def _stretched(self, side: str) -> _Item:
        """``\\left( ... \\right)`` as one item."""
        if side == "right":
            raise FormulaError(r"\right without \left in a formula")
        opened = _stretchy(self._fence_name())
        inner = self._items(r"\right")
        if self._take() != r"\right":
            raise FormulaError(r"\left without \right in a formula")
        closed = _stretchy(self._fence_name())
        return _Item(f"<mrow>{opened}{''.join(_spaced(_grouped(inner)))}{closed}</mrow>")


def _fence(name: str, height: str = "") -> _Item:
    character = OPENING.get(name) or CLOSING.get(name) or name
    kind, form = ("open", "prefix") if name in OPENING else ("close", "postfix")
    size = f'stretchy="true" minsize="{height}" maxsize="{height}"' if height else 'stretchy="false"'
    return _Item(f'<mo form="{form}" {size}>{character}</mo>', kind)


def _stretchy(name: str) -> str:
    character = OPENING.get(name) or CLOSING.get(name) or name
    form = "prefix" if name in OPENING else "postfix"
    return f'<mo form="{form}" stretchy="true">{escape(character)}</mo>'


def _grouped(items: list[_Item]) -> list[_Item]:
    """What stands between matching fences becomes one item, so that scripts belong to the whole of it."""
    stack: list[list[_Item]] = [[]]
    for item in items:
        if item.kind == "open":
            stack.append([item])
        elif item.kind == "close" and len(stack) > 1:
            inside = stack.pop()
            last = _Item(item.body)
            body = f"<mrow>{''.join(_spaced([*inside, last]))}</mrow>"
            whole = _Item(body, "", item.below, item.above, item.primes)
            stack[-1].append(whole)
        else:
            stack[-1].append(item)
    for unmatched in stack[1:]:
        stack[0] += unmatched
    return stack[0]


def _spaced(items: list[_Item]) -> list[str]:
    """The items as XML; a function's name is set apart from an argument without brackets."""
    shown: list[str] = []
    for number, item in enumerate(items):
        shown.append(str(item))
        following = items[number + 1] if number + 1 < len(items) else None
        if item.kind == "function" and following is not None and not re.match("<m(row|o|space)", following.body):
            shown.append('<mspace width="0.167em"/>')
    return shown


def plain_text(latex: str) -> str:
    """LaTeX prose as plain text: accents composed, escapes undone, code points as characters."""
    text = re.sub(r"\\texttt\{U\+([0-9A-F]{4,6})\}", lambda match: chr(int(match[1], 16)), latex)
    text = re.sub(r"\\([`'^~=.\"uHvckr])\{(\\?[A-Za-z])\}", _composed, text)
    text = re.sub(r"\\(ss|ae|AE|o|O|l|L|S)\{\}", lambda match: _NAMED[match[1]], text)
    text = re.sub(r"\\text(?:tt|bf|it|rm)?\{([^{}]*)\}", r"\1", text)
    return re.sub(r"\\([#$%&_{}])", r"\1", text).replace("~", "\u00a0")


_NAMED = {"ss": "ß", "ae": "æ", "AE": "Æ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "S": "§"}


def _composed(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", match[2].lstrip("\\") + _COMPOSING[match[1]])
