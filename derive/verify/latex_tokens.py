r"""LaTeX of one displayed formula as tokens: wrappers, sizes, spaces and labels gone, braces and \left paired.

Every token remembers where it stands in the text as typed, so that errors can point there.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from difflib import get_close_matches

from derive.verify.formula import FormulaError, Span

MAX_LENGTH = 4000
MAX_DEPTH = 60

_IGNORED_WORDS = (
    "quad qquad enspace thinspace medspace thickspace negthinspace displaystyle textstyle limits nolimits nonumber "
    "notag mathstrut strut relax allowbreak nobreak"
)
_IGNORED = frozenset(_IGNORED_WORDS.split())
_SPACES = frozenset(",;:!> /")
_SIZES = frozenset(a + b for a in ("big", "Big", "bigg", "Bigg") for b in ("", "l", "r", "m"))
ENVIRONMENTS = frozenset(
    name + star
    for name in ("equation", "align", "gather", "multline", "displaymath", "math", "aligned", "split", "gathered")
    for star in ("", "*")
)
_OPENING = {"(": "(", "[": "[", r"\{": r"\{", r"\lbrace": r"\{", r"\langle": r"\langle", r"\lvert": "|",
            r"\lVert": r"\|", r"\lbrack": "["}  # fmt: skip
_CLOSING = {")": "(", "]": "[", r"\}": r"\{", r"\rbrace": r"\{", r"\rangle": r"\langle", r"\rvert": "|",
            r"\rVert": r"\|", r"\rbrack": "["}  # fmt: skip
_BARS = {"|": "|", r"\vert": "|", r"\|": r"\|", r"\Vert": r"\|"}
_STARS = frozenset((r"\ast", r"\star"))

_PATTERN = re.compile(
    r"(?P<space>\s+|%[^\n]*(?:\n|\Z)|&|~)"
    r"|(?P<aside>\\(?:label|tag|hspace|vspace)\*?\s*\{[^{}]*\})"
    r"|(?P<line>\\\\\*?(?:\s*\[-?[0-9.]+\s*(?:pt|em|ex|mm|cm)\])?)"
    r"|(?P<environment>\\(?:begin|end)\b)"
    r"|(?P<wrapper>\$\$?|\\[\[\]()])"
    r"|(?P<command>\\[A-Za-z]+|\\.)"
    r"|(?P<digit>[0-9])|(?P<letter>[A-Za-z])"
    r"|(?P<sign>.)",
    re.DOTALL,
)
_UNICODE = {"−": "Write -.", "·": r"Write \cdot.", "×": r"Write \times.", "⟨": r"Write \langle.",
            "⟩": r"Write \rangle.",
            "′": "Write '.", "²": "Write ^2.", "√": r"Write \sqrt{...}.", "∫": r"Write \int.", "⊙": r"Write \odot.",
            "λ": r"Write \lambda."}  # fmt: skip


@dataclass(frozen=True)
class Token:
    r"""A piece of LaTeX.

    kind : letter, digit, command, sign, open, close, bar, end; text : in normal form (an open or close token has the
    opening sign of its pair); sized : comes with \left or \right; broken : a line break stands before it
    """

    kind: str
    text: str
    start: int
    end: int
    sized: bool = False
    broken: bool = False

    @property
    def span(self) -> Span:
        """Its place in the text."""
        return (self.start, self.end)


@dataclass
class Source:
    """The text, its tokens (the last one is the end) and the partner of every brace and bracket that has one."""

    text: str
    tokens: list[Token] = field(default_factory=list)
    partner: dict[int, int] = field(default_factory=dict)

    def error(self, what: str, span: Span, rule: str = "") -> FormulaError:
        """An error that points at a place of this text."""
        return FormulaError(what, self.text, span, rule)

    def shown(self, span: Span) -> str:
        """The text as typed, on one line."""
        return " ".join(self.text[span[0] : span[1]].split())


def tokenize(text: str) -> Source:
    """The tokens of a formula.

    Raises
    ------
    FormulaError : unbalanced braces, \\left without \\right, an unknown environment, signs beyond ASCII, ...
    """
    if len(text) > MAX_LENGTH:
        rule = f"A formula has at most {MAX_LENGTH} characters."
        raise FormulaError(f"a formula of {len(text)} characters", text[:80], (0, 80), rule)
    return _Tokenizer(text).run()


class _Tokenizer:
    """One pass over the text with a stack of what is open."""

    def __init__(self, text: str) -> None:
        self.source = Source(text)
        self.text = text
        self.at = 0
        self.open: list[tuple[str, Span, int]] = []
        self.wrapped = False
        self.broken = False
        self.side = ""

    def run(self) -> Source:
        while self.at < len(self.text):
            match = _PATTERN.match(self.text, self.at)
            assert match is not None  # the last alternative takes any character
            self.at = match.end()
            self.one(str(match.lastgroup), match.group(), match.span())
        if self.open:
            kind, span, _ = self.open[-1]
            raise self.unclosed(kind, span)
        tokens = self.source.tokens
        while tokens and tokens[-1].kind == "sign" and tokens[-1].text in (".", ",", ";"):
            tokens.pop()
        end = len(self.text.rstrip())
        tokens.append(Token("end", "", end, end + 1))
        self.pair_brackets()
        return self.source

    def one(self, kind: str, text: str, span: Span) -> None:
        match kind:
            case "space" | "aside":
                return
            case "line":
                self.broken = True
            case "environment":
                self.environment(text, span)
            case "wrapper":
                self.wrapper(text, span)
            case "command":
                self.command(text, span)
            case _:
                self.character(kind, text, span)

    # Plain characters ----------------------------------------------------------------------------------------------

    def character(self, kind: str, text: str, span: Span) -> None:
        if text == "{":
            self.push("{", span)
            self.add("open", "{", span)
        elif text == "}":
            start = self.pop("{", text, span)
            self.source.partner[start] = len(self.source.tokens)
            self.add("close", "{", span)
        elif not text.isascii() or not text.isprintable():
            raise self.source.error(f"`{text}` cannot be read" if text.isprintable() else "a control character", span,
                                    _advice_unicode(text))  # fmt: skip
        else:
            self.delimiter_or(kind, text, span)

    def delimiter_or(self, kind: str, text: str, span: Span) -> None:
        side, self.side = self.side, ""
        if text in _BARS and side:
            self.add("open" if side == "l" else "close", _BARS[text], span)
        elif text in _BARS:
            self.add("bar", _BARS[text], span)
        elif text in _OPENING:
            self.add("open", _OPENING[text], span)
        elif text in _CLOSING:
            self.add("close", _CLOSING[text], span)
        else:
            self.add(kind, text, span)

    def add(self, kind: str, text: str, span: Span, *, sized: bool = False) -> None:
        if self.wrapped and not self.open and not (kind == "sign" and text in ".,;"):
            raise self.source.error("text after the formula", span, "One formula is read at a time.")
        self.source.tokens.append(Token(kind, text, *span, sized, self.broken))
        self.broken = False

    # Commands ------------------------------------------------------------------------------------------------------

    def command(self, text: str, span: Span) -> None:
        name = text[1:]
        if name in _IGNORED or name in _SPACES:
            return
        if name in _SIZES:
            self.side = name[-1] if name[-1] in "lr" else ""
        elif text in (r"\left", r"\right"):
            self.sized(text, span)
        elif text in _STARS:
            self.add("sign", "*", span)
        elif text == r"\prime":
            self.add("sign", "'", span)
        elif text in ("\\\n", "\\\t", "\\\r"):
            return
        else:
            self.delimiter_or("command", text, span)

    def sized(self, text: str, span: Span) -> None:
        """\\left or \\right with the bracket behind it."""
        match = re.compile(r"\s*(\\[A-Za-z]+|\\.|[^\s\\])", re.DOTALL).match(self.text, self.at)
        sign = match[1] if match else ""
        opening = text == r"\left"
        sign = {"<": r"\langle", ">": r"\rangle"}.get(sign, sign)
        table = _OPENING if opening else _CLOSING
        shown = table.get(sign) or _BARS.get(sign)
        place = (span[0], match.end() if match else span[1])
        if shown is None:
            what = f"`{text}` without a bracket it can size" if sign != "." else f"`{text}.`, an invisible bracket"
            raise self.source.error(what, place, r"It is followed by one of ( [ \{ | \langle or their partners.")
        assert match is not None
        self.at = match.end()
        if opening:
            self.push(r"\left", place)
            self.add("open", shown, place, sized=True)
        else:
            self.pop(r"\left", text, place)
            self.add("close", shown, place, sized=True)

    # Wrappers ------------------------------------------------------------------------------------------------------

    def environment(self, text: str, span: Span) -> None:
        match = re.compile(r"\s*\{([A-Za-z]+\*?)\}").match(self.text, self.at)
        name = match[1] if match else ""
        place = (span[0], match.end() if match else span[1])
        if name not in ENVIRONMENTS or match is None:
            near = get_close_matches(name, sorted(ENVIRONMENTS), n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            rule = f"A formula stands in equation, align, gather or multline.{hint}"
            raise self.source.error(f"the environment `{name}` is not read", place, rule)
        self.at = match.end()
        self.enter(f"\\begin{{{name}}}", place) if text == r"\begin" else self.leave(f"\\begin{{{name}}}", place)

    def wrapper(self, text: str, span: Span) -> None:
        if text in (r"\[", r"\("):
            self.enter(text, span)
        elif text in (r"\]", r"\)"):
            self.leave({r"\]": r"\[", r"\)": r"\("}[text], span)
        elif self.open and self.open[-1][0] == text:
            self.leave(text, span)
        else:
            self.enter(text, span)

    def enter(self, kind: str, span: Span) -> None:
        outer = all(item[0].startswith((r"\begin", "$", r"\[", r"\(")) for item in self.open)
        if self.source.tokens or not outer or self.wrapped:
            raise self.source.error(f"`{kind}` inside a formula", span, "One formula is read at a time.")
        self.push(kind, span)

    def leave(self, kind: str, span: Span) -> None:
        self.pop(kind, self.source.shown(span), span)
        self.wrapped = True

    # The stack -----------------------------------------------------------------------------------------------------

    def push(self, kind: str, span: Span) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise self.source.error("brackets too deep", span, f"A formula has at most {MAX_DEPTH} levels.")
        self.open.append((kind, span, len(self.source.tokens)))

    def pop(self, kind: str, text: str, span: Span) -> int:
        """The number of the token that is closed."""
        if not self.open or (self.open[-1][0] != kind and all(item[0] != kind for item in self.open)):
            missing = r" without `\left`" if kind == r"\left" else " that closes nothing"
            raise self.source.error(f"a `{text}`{missing}", span, "Brackets come in pairs.")
        found, place, number = self.open.pop()
        if found != kind:
            raise self.unclosed(found, place)
        return number

    def unclosed(self, kind: str, span: Span) -> FormulaError:
        if kind == r"\left":
            return self.source.error(r"`\left` without `\right`", span, r"Every \left needs its \right.")
        return self.source.error(f"a `{kind}` that is not closed", span, "Brackets come in pairs.")

    def pair_brackets(self) -> None:
        """Partners of brackets other than braces, where they can be told."""
        stack: list[int] = []
        for number, token in enumerate(self.source.tokens):
            if token.kind == "open":
                stack.append(number)
            elif token.text == "{" and token.kind == "close":
                while self.source.tokens[stack.pop()].text != "{":
                    pass
            elif token.kind == "close" and stack and self.source.tokens[stack[-1]].text == token.text:
                self.source.partner[stack.pop()] = number


def _advice_unicode(text: str) -> str:
    if text in _UNICODE:
        return _UNICODE[text]
    name = unicodedata.name(text, "")
    match = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", name)
    if match:
        word = match[2].lower()
        return rf"Write \{word if match[1] == 'SMALL' else word.capitalize()}."
    return "LaTeX is read in ASCII."
