"""What each LaTeX command that can occur means in MathML: characters, accents, alphabets, spaces."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from derive.write.identifiers import greek_letter

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)

LETTERS: Mapping[str, str] = {
    **{name: greek_letter(name) or "" for name in _GREEK.split()},
    "epsilon": "ϵ", "varepsilon": "ε", "vartheta": "ϑ", "varkappa": "ϰ", "varpi": "ϖ", "varrho": "ϱ", "varsigma": "ς",
    "phi": "ϕ", "varphi": "φ", "hbar": "ℏ", "ell": "ℓ", "imath": "ı", "jmath": "ȷ", "infty": "∞", "partial": "∂",
    "nabla": "∇", "Re": "ℜ", "Im": "ℑ",
}  # fmt: skip
"""Commands that are letters."""

OPERATORS: Mapping[str, str] = {
    "star": "⋆", "ast": "∗", "dagger": "†", "ddagger": "‡", "circ": "∘", "bullet": "∙", "oplus": "⊕", "odot": "⊙",
    "otimes": "⊗", "times": "×", "cdot": "⋅", "pm": "±", "mp": "∓", "to": "→", "parallel": "∥", "perp": "⊥",
    "uparrow": "↑", "downarrow": "↓", "leftarrow": "←", "rightarrow": "→", "sim": "∼", "le": "≤", "ge": "≥",
    "backslash": "∖", "prime": "′", "-": "−", "*": "∗", "=": "=", "+": "+", "<": "&lt;", ">": "&gt;", "/": "/",
    ",": ",", ";": ";", ":": ":", ".": ".", "!": "!", "?": "?", "'": "′", "_": "_", "%": "%", "&": "&amp;", "#": "#",
    '"': "″", "`": "‵", "@": "@", "~": "\u00a0",
}  # fmt: skip
"""Commands and characters that are operators, as they stand in XML."""

BIG: Mapping[str, str] = {"sum": "∑", "int": "∫"}
"""Operators that grow; the first takes its limits below and above."""

FUNCTIONS = frozenset("tanh exp log ln sin cos arctan arcsin arccos det max min".split())  # noqa: SIM905
"""Commands that are upright words."""

OPENING: Mapping[str, str] = {"(": "(", "[": "[", "langle": "⟨", "lvert": "|", "lVert": "‖", "{": "{"}
CLOSING: Mapping[str, str] = {")": ")", "]": "]", "rangle": "⟩", "rvert": "|", "rVert": "‖", "}": "}"}
SIZES: Mapping[str, str] = {"bigl": "1.2em", "bigr": "1.2em", "Bigl": "1.8em", "Bigr": "1.8em"}
"""Commands in front of a fence of fixed height."""

SPACES: Mapping[str, str] = {
    ",": "0.167em", ":": "0.222em", ";": "0.278em", "!": "-0.167em", " ": "0.25em", "quad": "1em",
}  # fmt: skip

ACCENTS: Mapping[str, str] = {
    "hat": "^", "widehat": "^", "tilde": "~", "widetilde": "~", "bar": "¯", "overline": "¯", "vec": "→", "dot": "˙",
    "ddot": "¨", "acute": "´", "grave": "`", "breve": "˘", "check": "ˇ",
}  # fmt: skip
WIDE = frozenset(("widehat", "widetilde", "overline"))

ALPHABETS: Mapping[str, tuple[str, str]] = {
    "mathbf": ("MATHEMATICAL BOLD", ""), "textbf": ("MATHEMATICAL BOLD", ""),
    "boldsymbol": ("MATHEMATICAL BOLD ITALIC", ""), "bm": ("MATHEMATICAL BOLD ITALIC", ""),
    "mathsf": ("MATHEMATICAL SANS-SERIF", ""), "mathtt": ("MATHEMATICAL MONOSPACE", ""),
    "mathcal": ("MATHEMATICAL SCRIPT", "SCRIPT"), "mathscr": ("MATHEMATICAL SCRIPT", "SCRIPT"),
    "mathfrak": ("MATHEMATICAL FRAKTUR", "BLACK-LETTER"),
    "mathbb": ("MATHEMATICAL DOUBLE-STRUCK", "DOUBLE-STRUCK"),
    "mathrm": ("", ""), "textrm": ("", ""), "text": ("", ""), "operatorname": ("", ""), "mathit": ("", ""),
    "textit": ("", ""), "texttt": ("", ""),
}  # fmt: skip
"""Font commands: names of the characters' block, and of the few characters that stand outside it."""

WORDS = frozenset(("mathrm", "mathtt", "mathsf", "mathbf", "mathit", "operatorname"))
"""Fonts in which neighbouring letters make one word."""

TEXTS = frozenset(("text", "textrm", "textbf", "textit", "texttt"))
"""Fonts of plain text."""


def in_alphabet(character: str, font: str) -> str:
    """A letter or digit in the alphabet of a font command; the character itself where there is no such letter."""
    block, outside = ALPHABETS[font]
    if not block:
        return character
    name = unicodedata.name(character, "")
    kind = name.replace("LATIN ", "").replace("GREEK ", "").replace("LETTER ", "")
    for prefix in (block, outside):
        try:
            return unicodedata.lookup(f"{prefix} {kind}")
        except KeyError:
            continue
    return character
