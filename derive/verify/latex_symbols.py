r"""Symbols in LaTeX: a letter with its subscript, primes, star and power, and a normal form to compare them by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from derive.verify.formula import FormulaError, Span
from derive.verify.latex_tokens import Source, Token, tokenize

_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa varkappa lambda mu nu xi pi varpi "
    "rho varrho sigma varsigma tau upsilon phi varphi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar"
)
_PLAIN_FONTS = (
    "mathrm mathbf mathsf mathit mathtt mathnormal boldsymbol bm text textrm textbf textit texttt textsf mbox "
    "operatorname"
)
_ACCENTS = "hat tilde bar vec dot ddot widehat widetilde overline underline acute grave breve check mathring"
GREEK = frozenset(_GREEK.split())
PLAIN_FONTS = frozenset(_PLAIN_FONTS.split())
OTHER_FONTS = frozenset(("mathcal", "mathfrak", "mathbb", "mathscr"))
ACCENTS = frozenset(_ACCENTS.split())
_WITH_ARGUMENT = PLAIN_FONTS | OTHER_FONTS | ACCENTS


@dataclass(frozen=True)
class Key:
    """A symbol in normal form; equal keys are one symbol."""

    base: str
    sub: str = ""
    sup: str = ""


@dataclass(frozen=True)
class Symbol:
    """A symbol as it stands in a formula.

    exact, plain : with fonts and without; sub : tokens of the subscript; primes, star : marks; power : tokens of the
    rest of the superscript; sup : the whole superscript in normal form; span, head : all of it, and without
    superscripts; end : number of the first token behind it
    """

    exact: Key
    plain: Key
    sub: tuple[int, int] | None
    primes: int
    star: bool
    power: tuple[int, int] | None
    sup: str
    span: Span
    head: Span
    end: int


@dataclass
class _Scripts:
    """What is attached to a base."""

    sub: tuple[int, int] | None = None
    sup: tuple[int, int] | None = None
    primes: int = 0
    star: bool = False
    power: tuple[int, int] | None = None


def bare(key: Key, span: Span, end: int) -> Symbol:
    """A symbol with nothing attached."""
    return Symbol(key, key, None, 0, False, None, "", span, span, end)


def command(token: Token) -> str:
    """The name of a command token, else an empty string."""
    return token.text[1:] if token.kind == "command" else ""


def begins_symbol(source: Source, at: int) -> bool:
    """Whether a symbol starts at this token."""
    token = source.tokens[at]
    if token.text == "{" and token.kind == "open":
        return braced_symbol(source, at)
    return token.kind == "letter" or command(token) in GREEK or command(token) in _WITH_ARGUMENT


def braced_symbol(source: Source, at: int) -> bool:
    """Whether braces hold one symbol and nothing else."""
    close = source.partner[at]
    if at + 1 >= close or not begins_symbol(source, at + 1):
        return False
    try:
        found = read_symbol(source, at + 1)
    except FormulaError:
        return False
    return found.end == close and found.power is None


def argument(source: Source, at: int, what: str) -> tuple[int, int, int]:
    """Tokens of the argument of a command or script that starts at ``at``, and the token behind it."""
    token = source.tokens[at]
    if token.kind == "end" or (token.kind == "close" and token.text == "{"):
        raise source.error(f"{what} has no argument", source.tokens[at - 1].span, "It is followed by {...}.")
    if token.text != "{":
        last = _past_fonts(source, at)
        return at, last, last
    close = source.partner[at]
    if close == at + 1:
        raise source.error("an empty argument", (token.start, source.tokens[close].end), f"{what} needs one.")
    return at + 1, close, close + 1


def _past_fonts(source: Source, at: int) -> int:
    """The token behind an argument without braces: one token, or a font or accent with its own argument."""
    for number in range(at, at + 4):
        if command(source.tokens[number]) not in _WITH_ARGUMENT:
            token = source.tokens[number]
            if number > at and token.text == "{" and token.kind == "open":
                return source.partner[number] + 1
            if number > at and token.kind in ("end", "close"):
                break
            return number + 1
    raise source.error("a font or accent without its letter", source.tokens[at].span, "Write it with braces.")


def read_symbol(source: Source, at: int) -> Symbol:
    """The symbol that starts at token ``at``."""
    scripts = _Scripts()
    token = source.tokens[at]
    if token.text == "{":
        inner = read_symbol(source, at + 1)
        scripts = _Scripts(inner.sub, None, inner.primes, inner.star, inner.power)
        base, plain, end, head = inner.exact.base, inner.plain.base, source.partner[at] + 1, inner.head
    else:
        end = argument(source, at + 1, f"`{token.text}`")[2] if command(token) in _WITH_ARGUMENT else at + 1
        base, plain = normal(source, at, end), normal(source, at, end, plain=True)
        head = (token.start, source.tokens[end - 1].end)
    while source.tokens[end].text in ("_", "'", "^"):
        sub = source.tokens[end].text == "_"
        end = _script(source, end, scripts)
        head = (head[0], source.tokens[end - 1].end) if sub else head
    subs = [normal(source, *scripts.sub, plain=p) if scripts.sub else "" for p in (False, True)]
    sup = normal(source, *scripts.sup) if scripts.sup else "*" if scripts.star else ""
    return Symbol(
        Key(base, subs[0]), Key(plain, subs[1]), scripts.sub, scripts.primes, scripts.star, scripts.power, sup,
        (token.start, source.tokens[end - 1].end), head, end,
    )  # fmt: skip


def _script(source: Source, at: int, scripts: _Scripts) -> int:
    """One subscript, prime or superscript."""
    token = source.tokens[at]
    if token.text == "'":
        if scripts.power is not None or scripts.star:
            raise source.error("a prime after a superscript", token.span, "Primes come first: u'^2.")
        scripts.primes += 1
        return at + 1
    first, last, end = argument(source, at + 1, f"`{token.text}`")
    if token.text == "_":
        if scripts.sub is not None:
            raise source.error("two subscripts", (token.start, source.tokens[end - 1].end), "A symbol has one.")
        scripts.sub = (first, last)
        return end
    if scripts.sup is not None:
        raise source.error("two superscripts", (token.start, source.tokens[end - 1].end), "Use braces: {q^*}^2.")
    scripts.sup = (first, last)
    while first < last and source.tokens[first].text == "'":
        scripts.primes, first = scripts.primes + 1, first + 1
    if first < last and source.tokens[first].text == "*":
        scripts.star, first = True, first + 1
    if first < last:
        scripts.power = (first, last)
    return end


def normal(source: Source, first: int, last: int, *, plain: bool = False) -> str:
    """Tokens as text that is equal for equal symbols; ``plain`` leaves fonts out."""
    parts: list[str] = []
    at = first
    while at < last:
        token = source.tokens[at]
        name = command(token)
        if token.text in ("_", "^") or name in _WITH_ARGUMENT:
            inner_first, inner_last, at = argument(source, at + 1, f"`{token.text}`")
            inner = normal(source, inner_first, min(inner_last, last), plain=plain)
            if name in PLAIN_FONTS and plain:
                parts.append(inner)
            else:
                parts.append(f"{token.text}{{{inner}}}")
            continue
        if token.text == "{":
            close = source.partner[at]
            if token.kind == "open":
                parts.append(normal(source, at + 1, close, plain=plain))
                at = close
        else:
            text = source.text[token.start : token.end] if token.kind == "close" else token.text
            parts.append("_" if text == r"\_" else text + (" " if name else ""))
        at += 1
    return "".join(parts)


def symbols(source: Source, first: int, last: int) -> Iterator[Symbol]:
    """The symbols between two tokens, commas skipped; raises FormulaError where something else stands."""
    at = first
    while at < last:
        if source.tokens[at].text == ",":
            at += 1
            continue
        if not begins_symbol(source, at):
            raise source.error("no symbol in a subscript", source.tokens[at].span, "Subscripts hold names.")
        found = read_symbol(source, at)
        yield found
        at = found.end


def keys_of(latex: str) -> tuple[Key, Key] | None:
    """Normal forms, with fonts and without, of LaTeX that is one symbol; None for anything else."""
    try:
        source = tokenize(latex)
        if not begins_symbol(source, 0):
            return None
        found = read_symbol(source, 0)
    except FormulaError:
        return None
    if source.tokens[found.end].kind != "end" or found.primes:
        return None
    return Key(found.exact.base, found.exact.sub, found.sup), Key(found.plain.base, found.plain.sub, found.sup)
