"""Words and signs of an equation, and the refusal of everything that is not arithmetic.

Most wrong input is refused here, where the exact characters are at hand; the tree is then
built by Python's own parser (`derive.cell.grammar`) from what is left.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from derive.cell.names import MAX_NAME, PRIME, describe, normal
from derive.cell.source import Passage

#: Characters in a literal, and decimal exponent either way.
MAX_LITERAL, MAX_EXPONENT = 60, 300

_PATTERN = re.compile(
    r"(?P<blank>[ \t\r]+|\#[^\n]*)"
    r"|(?P<newline>\n)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>\w+)"
    r"|(?P<sign>\*\*=|//=|<<|>>|->|:=|[-+*/@%&|^=!<>]=|\*\*|//|.)",
    re.DOTALL,
)

ALLOWED_SIGNS = frozenset(["+", "-", "*", "/", "**", "@", "(", ")", "="])

_COMPARISON = (
    "a comparison",
    "An equation is arithmetic; it has no comparisons.",
    "For a switch write step(a - b).",
)
_REFUSED_SIGNS: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), _COMPARISON),
    ".": ("attribute access", "Names have no attributes; functions stand without a library's name.", ""),
    "[": ("a subscript or list", "Quantities have no subscripts: an equation holds for every unit.", "Remove it."),
    "]": ("a subscript or list", "Quantities have no subscripts: an equation holds for every unit.", "Remove it."),
    "{": ("a set or dictionary", "An equation is arithmetic.", "For grouping write round brackets ( )."),
    "}": ("a set or dictionary", "An equation is arithmetic.", "For grouping write round brackets ( )."),
    '"': ("a string", "An equation is arithmetic; it has no strings.", "Remove the quotation marks."),
    "`": ("a back quote", "An equation is arithmetic.", "Remove it."),
    "//": ("integer division", "The operators are + - * / ** and @.", "Write / instead."),
    "%": ("the remainder `%`", "The operators are + - * / ** and @.", "Remove it."),
    "^": ("the sign `^`", "The operators are + - * / ** and @.", "Powers are written a**b."),
    ":=": ("an assignment inside an expression", "A definition stands on a line of its own.", "Write  name = ..."),
    ":": ("a colon", "An equation is arithmetic.", "A definition is written  name = ..."),
    ";": ("a semicolon", "There is one equation per line.", "Begin a new line."),
    "~": ("the operator `~`", "The operators are + - * / ** and @.", "A minus is written -."),
    "!": ("the sign `!`", "The operators are + - * / ** and @.", "Remove it."),
    "\\": ("a backslash", "An open bracket continues an equation on the next line.", "Put the equation in brackets."),
    "\u2212": ("a typographic minus", "The operators are + - * / ** and @.", "Write - (hyphen)."),
    "\u2013": ("a typographic dash", "The operators are + - * / ** and @.", "Write - (hyphen)."),
    "\u00d7": ("the sign `×`", "The operators are + - * / ** and @.", "Write *."),
    "\u00b7": ("the sign `·`", "The operators are + - * / ** and @.", "Write *."),
    "\u2299": ("the sign `⊙`", "Products of names are elementwise.", "Write *."),
    "\u2032": ("a typographic prime", "The new value of a state has an apostrophe.", "Write ' instead."),
    "\u2019": ("a typographic apostrophe", "The new value of a state has an apostrophe.", "Write ' instead."),
}
_UPDATING = ("+=", "-=", "*=", "/=", "**=", "//=", "@=", "%=", "&=", "|=", "^=")


@dataclass(frozen=True)
class Token:
    """One word or sign. ``text`` of a name is its normal form; ``primed`` means ``name'``."""

    kind: Literal["name", "number", "sign", "newline"]
    text: str
    start: int
    end: int
    primed: bool = False

    def is_sign(self, *texts: str) -> bool:
        """Whether this is one of the given signs."""
        return self.kind == "sign" and self.text in texts


def tokenize(passage: Passage) -> list[Token]:
    """All tokens of a passage, without blanks and comments; refuses foreign characters."""
    tokens: list[Token] = []
    at, text = 0, passage.text
    while at < len(text):
        match = _PATTERN.match(text, at)
        if match is None:  # cannot be: the last alternative takes any character
            raise passage.error("a character that cannot be read", at, at + 1)
        at, kind = match.end(), match.lastgroup
        if kind == "newline":
            tokens.append(Token("newline", "\n", match.start(), at))
        elif kind == "number":
            tokens.append(_number(passage, match))
        elif kind == "name":
            token = _name(passage, match)
            tokens.append(token)
            at = token.end
        elif kind == "sign":
            tokens.append(_sign(passage, match, tokens))
    return tokens


def _number(passage: Passage, match: re.Match[str]) -> Token:
    literal, start, end = match.group(), match.start(), match.end()
    following = re.compile(r"\w+").match(passage.text, end)
    if following:
        mend = f"Write {literal[:20]}*{following.group()[:20]} if a product is meant."
        if re.match(r"_|[xob][0-9]", following.group(), re.IGNORECASE):
            mend = "Write it in decimal digits without separators."
        raise passage.error(
            f"`{literal[:20]}{following.group()[:20]}` is neither a number nor a name",
            start,
            following.end(),
            "Numbers are decimal, such as 2, 0.5 or 1e-3, and a product needs its sign.",
            mend,
        )
    if len(literal) > MAX_LITERAL:
        raise passage.error(
            f"a number of {len(literal)} characters",
            start,
            end,
            f"A number has at most {MAX_LITERAL} characters.",
            "Round it; double precision has 16 digits.",
        )
    digits, _, exponent = literal.lower().partition("e")
    if abs(int(exponent or "0")) > MAX_EXPONENT:
        raise passage.error(
            f"the number {literal} is out of range",
            start,
            end,
            f"Numbers lie between 1e-{MAX_EXPONENT} and 1e{MAX_EXPONENT}.",
            "Absorb the scale in a parameter.",
        )
    if len(digits) > 1 and digits.isdecimal() and digits[0] == "0" and not exponent:
        raise passage.error(
            f"the number {literal} begins with 0",
            start,
            end,
            "Whole numbers do not begin with a zero.",
            f"Write {literal.lstrip('0') or '0'}.",
        )
    return Token("number", literal, start, end)


def _name(passage: Passage, match: re.Match[str]) -> Token:
    raw, start, end = match.group(), match.start(), match.end()
    name = normal(raw)
    if not raw.isidentifier() or not name.isidentifier() or PRIME in name:
        wrong = next((c for c in raw if not ("a" + c).isidentifier() or PRIME in normal(c)), raw[0])
        raise passage.error(
            f"`{raw[:40]}` is not a name",
            start,
            end,
            f"Names are Python identifiers; {describe(wrong)} cannot stand there.",
            "Powers are written a**2, the new value of a state c'.",
        )
    if len(name) > MAX_NAME:
        raise passage.error(
            f"a name of {len(name)} characters", start, end, f"A name has at most {MAX_NAME} characters.", "Shorten it."
        )
    if keyword.iskeyword(name):
        raise passage.error(f"`{name}` is a keyword of Python", start, end, *_keyword_advice(name))
    if passage.text.startswith("'", end):
        following = re.compile(r"'|\w").match(passage.text, end + 1)
        if following:
            raise passage.error(
                "a string or a double prime",
                end,
                following.end(),
                "An apostrophe stands behind the name of a state for its new value, and only once.",
                f"Write {name}'.",
            )
        return Token("name", name, start, end + 1, primed=True)
    return Token("name", name, start, end)


def _keyword_advice(name: str) -> tuple[str, str]:
    if name == "lambda":
        mend = 'Write the function under [functions], as  phi = "tanh(x)"; for a name write lambda_.'
        return "An equation has no lambdas.", mend
    if name in ("for", "while", "in", "async", "await", "yield"):
        return "An equation has no loops or comprehensions; it holds for every unit.", "Remove it."
    if name in ("if", "else", "elif"):
        return "An equation has no conditions.", "For a switch write step(...) as a factor."
    if name in ("and", "or", "not", "is", "True", "False", "None"):
        return "An equation has no logic; it is arithmetic.", "Write numbers, and * for `and`."
    return "Keywords cannot be names.", f"Rename it, for example to `{name}_`."


def _sign(passage: Passage, match: re.Match[str], before: Sequence[Token]) -> Token:
    sign, start, end = match.group(), match.start(), match.end()
    if sign in ALLOWED_SIGNS:
        return Token("sign", sign, start, end)
    if sign == ",":
        return Token("sign", sign, start, end)  # refused where the name of the function is known
    if sign == "'":
        behind_bracket = bool(before) and before[-1].is_sign(")")
        what = "a prime behind a bracket" if behind_bracket else "a string or a stray apostrophe"
        mend = "Write c', without a blank, for the new value of state c; an equation has no strings."
        raise passage.error(what, start, end, "An apostrophe stands directly behind the name of a state.", mend)
    if sign == ".":
        raise _attribute(passage, start, before)
    if sign in _UPDATING:
        operator = sign[:-1]
        mend = f"Write it out:  a = a {operator} ... with a new name on the left."
        raise passage.error(f"the operator `{sign}`", start, end, "An equation has a plain `=`.", mend)
    what, rule, mend = _REFUSED_SIGNS.get(
        sign,
        (f"the character {describe(sign[0])}", "Equations are names, numbers, ( ) and + - * / ** @.", "Remove it."),
    )
    raise passage.error(f"{what} in an equation", start, end, rule, mend)


def _attribute(passage: Passage, dot: int, before: Sequence[Token]) -> Exception:
    what, rule, _ = _REFUSED_SIGNS["."]
    following = re.compile(r"\s*(\w+)").match(passage.text, dot + 1)
    attribute = following.group(1)[:40] if following else ""
    if attribute in ("T", "transpose"):
        rule = "A matrix and its transpose are not independent; a cell has no transposes."
        mend = "Declare a second weight."
    elif attribute and following and passage.text.startswith("(", following.end()):
        mend = f"Write {attribute}(...)."
    else:
        mend = "Remove the dot, or write an underscore for it."
    start = before[-1].start if before and before[-1].kind == "name" else dot
    end = following.end() if following else dot + 1
    return passage.error(f"{what} in an equation", start, end, rule, mend)
