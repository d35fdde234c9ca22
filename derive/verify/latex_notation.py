r"""What the symbols of a notation mean in a hand formula.

``gatefield derive --notation NAME`` writes averages, variances and second moments in the symbols of a notation;
`Reading` is the way back: ``\int \mathcal{D}z\, u^2`` is E[u^2], ``C_{\phi}`` is E[phi^2], ``C_{J_h}`` is q[J_h].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from derive.verify.latex_symbols import Key, Symbol, keys_of
from derive.write.preset import Preset, Symbols

_SUBSCRIPTED = re.compile(r"(.+)_\{?@\}?")
_BRACKETS = ("(", "[", r"\{", r"\lbrace", r"\left(", r"\left[")


@dataclass(frozen=True)
class Reading:
    """A notation from the reader's side.

    heads : letter in normal form -> quantity that it names, ``q``, ``K``, ``Q`` or ``C_star``; quantities : LaTeX ->
    ``lam``, ``chi1``, ``chi_star`` or ``xi``; square : letter whose subscript is what is squared and averaged, with
    ``every`` for any function of the site and without it for states; integral : averages are written as an integral
    over a variable that what is averaged need not name; mean : letter in front of the brackets of an average;
    product : letter of a product W v, which has no name in formulas.
    """

    heads: Mapping[Key, str] = field(default_factory=dict)
    quantities: Mapping[str, str] = field(default_factory=dict)
    square: Key | None = None
    every: bool = False
    integral: bool = False
    mean: Key | None = None
    product: Key | None = None

    def head(self, symbol: Symbol) -> str | None:
        """The quantity that a symbol's letter names in this notation."""
        base = symbol.plain.base
        marked = self.heads.get(Key(base, "", "*")) if symbol.star else None
        return marked or self.heads.get(Key(base))

    def is_square(self, symbol: Symbol) -> bool:
        """Whether a symbol is the letter for averages of squares, with what is squared as its subscript."""
        return self.square == Key(symbol.plain.base) and symbol.sub is not None and not (symbol.star or symbol.primes)


PLAIN = Reading()
"""No notation: the symbols that are read in any case."""


def reading(preset: Preset) -> Reading:
    """The notation as a reader sees it; letters that are no single symbols are passed over."""
    symbols = preset.latex
    heads: dict[Key, str] = {}
    for latex, head in ((symbols.variance, "q"), (symbols.gain, "K"), (symbols.overlap, "C_star")):
        _add(heads, latex, head)
    pattern = _SUBSCRIPTED.fullmatch(symbols.square.strip())
    if pattern is None and "@" not in symbols.square:
        _add(heads, symbols.square, "Q")
    quantities = {symbols.spectral: "lam", symbols.chi1: "chi1", symbols.chi_star: "chi_star", symbols.xi: "xi"}
    return Reading(
        heads=heads,
        quantities={latex: name for latex, name in quantities.items() if keys_of(latex) is not None},
        square=_letter(pattern[1]) if pattern is not None else None,
        every=symbols.squares == "all",
        integral=symbols.average[0].strip().startswith(r"\int"),
        mean=_mean(symbols),
        product=_letter(symbols.field),
    )


def _add(heads: dict[Key, str], latex: str, head: str) -> None:
    letter = _letter(latex)
    if letter is not None:
        heads[letter] = head


def _letter(latex: str) -> Key | None:
    r"""``q^{*}`` and ``\eta`` in normal form; a letter with a subscript of its own leaves no place for an index."""
    keys = keys_of(latex.strip())
    return None if keys is None or keys[1].sub else keys[1]


def _mean(symbols: Symbols) -> Key | None:
    """The letter of an average; one without a letter in front of plain brackets cannot be told from brackets."""
    head, left, _ = symbols.average
    return _letter(head) if left.strip() in _BRACKETS else None
