"""Python identifiers and plain text as LaTeX and as Unicode."""

from __future__ import annotations

import re
import unicodedata

_LOWER = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon "
    "phi chi psi omega"
)
_LATIN = "omicron Alpha Beta Epsilon Zeta Eta Iota Kappa Mu Nu Omicron Rho Tau Chi"
_SHARED = frozenset(_LATIN.split())
GREEK = frozenset(_LOWER.split()) | frozenset(name.capitalize() for name in _LOWER.split())
"""English names of the Greek letters, both cases."""

_ALIASES = {"lam": "lambda", "eps": "epsilon", "sig": "sigma"}
_DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_PUNCTUATION = {
    "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "…": r"\ldots{}", "×": r"$\times$",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}",
    "ı": r"{\i}", "§": r"\S{}", "©": r"\copyright{}", "\u00a0": "~",
}  # fmt: skip
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0328": "k",
}  # fmt: skip


def identifier_latex(name: str) -> str:
    """``sigma_w`` becomes ``\\sigma_{w}``, ``W_h`` ``W_{h}``, ``gate_z`` ``\\mathrm{gate}_{z}``."""
    base, *subscripts = [part for part in name.split("_") if part] or ["_"]
    stem, digits = _trailing_digits(base)
    scripts = ([digits] if digits else []) + [_word_latex(part) for part in subscripts]
    return _word_latex(stem) + (f"_{{{','.join(scripts)}}}" if scripts else "")


def identifier_unicode(name: str) -> str:
    """``sigma_w`` becomes ``σ_w``, ``W1`` ``W₁``."""
    return "_".join(_word_unicode(part) for part in name.split("_"))


def greek_letter(word: str) -> str | None:
    """The Greek letter of an English name: ``sigma`` is σ; None for any other word."""
    word = _ALIASES.get(word, word)
    if word not in GREEK:
        return None
    case = "SMALL" if word.islower() else "CAPITAL"
    spelled = {"lambda": "LAMDA"}.get(word.lower(), word.upper())
    return unicodedata.lookup(f"GREEK {case} LETTER {spelled}")


def prose_latex(text: str) -> str:
    """Plain text as LaTeX that pdflatex can set: special signs escaped, accents composed, the rest by code point."""
    return "".join(_character_latex(character) for character in unicodedata.normalize("NFC", text))


def _trailing_digits(word: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*?[^0-9])([0-9]+)", word)
    return (match[1], match[2]) if match else (word, "")


def _word_latex(word: str) -> str:
    if greek_letter(word) is not None:
        return _greek_latex(_ALIASES.get(word, word))
    if word.isascii():
        if word == "_":
            return r"\mathrm{\_}"
        return word if len(word) == 1 or word.isdigit() else rf"\mathrm{{{word}}}"
    return "".join(_letter_latex(letter) for letter in word)


def _greek_latex(word: str) -> str:
    if word not in _SHARED:
        return "\\" + word
    if word == "omicron":
        return "o"
    latin = {"Eta": "H", "Rho": "P", "Chi": "X"}.get(word, word[0])
    return rf"\mathrm{{{latin}}}"


def _letter_latex(letter: str) -> str:
    if letter.isascii():
        return letter
    name = unicodedata.name(letter, "")
    match = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", name)
    word = match[2].lower().replace("lamda", "lambda") if match else ""
    if match and word in GREEK:
        return "{" + _greek_latex(word if match[1] == "SMALL" else word.capitalize()) + "}"
    return rf"\mathrm{{\text{{{prose_latex(letter)}}}}}"


def _word_unicode(word: str) -> str:
    letter = greek_letter(word)
    if letter is not None:
        return letter
    stem, digits = _trailing_digits(word)
    letter = greek_letter(stem)
    if digits and (letter is not None or len(stem) == 1):
        return (letter or stem) + digits.translate(_DIGITS)
    return word


def _character_latex(character: str) -> str:
    if character in _SPECIAL or character in _PUNCTUATION:
        return _SPECIAL.get(character) or _PUNCTUATION[character]
    if character.isspace():
        return " "
    if character.isascii():
        return character if character.isprintable() else ""
    base, *marks = list(unicodedata.normalize("NFD", character))
    if base.isascii() and marks and all(mark in _ACCENTS for mark in marks):
        inner = {"i": r"\i", "j": r"\j"}.get(base, base)
        for mark in marks:
            inner = rf"\{_ACCENTS[mark]}{{{inner}}}"
        return inner
    if re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER [A-Z]+", unicodedata.name(character, "")):
        shown = _letter_latex(character)
        if r"\text" not in shown:
            return rf"${shown}$"
    return rf"\texttt{{U+{ord(character):04X}}}"
