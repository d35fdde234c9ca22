"""How words and formulas inside sentences look in each medium."""

from __future__ import annotations

import re
from typing import Protocol

from derive.write.box import ATOM, PRODUCT, Box
from derive.write.identifiers import GREEK, greek_letter, identifier_latex, prose_latex
from derive.write.notation import LatexNotation, TextNotation, visible_width
from derive.write.prose import glued, translate

_FUNCTIONS = {
    "det": r"\det", "ln": r"\ln", "exp": r"\exp", "max": r"\max", "min": r"\min",
    "Re": r"\operatorname{Re}", "Im": r"\operatorname{Im}",
}  # fmt: skip


class Medium(Protocol):
    """How words and formulas look; dash : stands between the first and the last of several."""

    dash: str

    def reference(self, number: int, label: str) -> str: ...
    def escaped(self, text: str) -> str: ...
    def math(self, latex: str) -> str: ...
    def words(self, text: str) -> str: ...
    def formula(self, text: str) -> str: ...
    def symbolic(self, text: str) -> Box: ...
    def index(self, head: str, row: str, column: str) -> Box: ...
    def label(self, text: str) -> Box: ...
    def entries(self, matrix: Box) -> Box: ...
    def normal(self, mean: Box, variance: Box) -> Box: ...
    def inline(self, shown: Box, default: str) -> str: ...
    def observable(self, head: str, name: Box) -> Box: ...


def set_prose(text: str, medium: Medium) -> str:
    """A sentence with formulas between dollar signs, in a medium."""
    parts = text.split("$")
    return "".join(medium.formula(part) if number % 2 else medium.words(part) for number, part in enumerate(parts))


def _letter(notation: LatexNotation | TextNotation, base: str, script: str) -> str | None:
    """The notation's own letter for a field, a variance and their like; a bare C is no covariance."""
    return notation.symbols.letters.get(base) if script or base == "u" else None


class LatexMedium:
    """Inline LaTeX."""

    dash = "--"

    def __init__(self, notation: LatexNotation) -> None:
        self.notation = notation

    def reference(self, number: int, label: str) -> str:
        """An equation by its label; LaTeX puts the number."""
        return rf"\eqref{{eq:{label}}}"

    def escaped(self, text: str) -> str:
        """Plain text."""
        return prose_latex(text)

    def code(self, text: str) -> str:
        """Text as it is typed."""
        return rf"\texttt{{{prose_latex(text)}}}"

    def math(self, latex: str) -> str:
        """A formula in a sentence."""
        return f"${latex}$"

    def words(self, text: str) -> str:
        """Text in which backticks mark what is typed."""
        pieces = text.split("`")
        return "".join(
            self.code(piece) if number % 2 and number < len(pieces) - 1 else self.escaped(piece)
            for number, piece in enumerate(pieces)
        )

    def formula(self, text: str) -> str:
        """A formula typed in plain characters."""
        return self.math(self.symbolic(text).text)

    def symbolic(self, text: str) -> Box:
        """A formula to stand in a display."""
        tight = re.sub(r"\s*([-=+/<>,;])\s*", r"\1", text)
        shown = translate(tight, self._atom)
        return Box(shown, visible_width(shown), ATOM if text.isalnum() else PRODUCT)

    def index(self, head: str, row: str, column: str) -> Box:
        """An entry of a matrix, called by what stands beside and above it."""
        script = rf"{row},\,{column}"
        return Box(f"{head}_{{{script}}}", 1 + 0.7 * visible_width(script))

    def observable(self, head: str, name: Box) -> Box:
        """Q of a state, q_total of a definition."""
        letter, _, word = head.partition("_")
        total = rf"^{{\mathrm{{{word}}}}}" if word else ""
        return Box(f"{letter}{total}_{{{name.text}}}", 3 + name.width)

    def label(self, text: str) -> Box:
        """Words in a display."""
        return Box(rf"\text{{{prose_latex(text)}}}", len(text))

    def entries(self, matrix: Box) -> Box:
        """The entries of a matrix."""
        return Box(rf"({matrix.text})_{{ij}}", matrix.width + 2.5)

    def normal(self, mean: Box, variance: Box) -> Box:
        """The normal law."""
        inside = f"{mean.text},\\,{variance.text}"
        fence = (r"\left(", r"\right)") if mean.tall or variance.tall else ("(", ")")
        return Box(rf"\mathcal{{N}}{fence[0]}{inside}{fence[1]}", mean.width + variance.width + 4)

    def inline(self, shown: Box, default: str) -> str:
        """A parameter with its default."""
        required = default == "required"
        return f"{self.math(shown.text)} (required)" if required else self.math(f"{shown.text} = {default}")

    def _atom(self, atom: str) -> str:
        symbols = self.notation.symbols
        head, left, right = symbols.average
        fixed = {
            "E[": glued([head, left or "["]), "]": right or "]", "<=": r"\le", ">=": r"\ge", "->": r"\to", "|": "|",
            "|^2": "|^{2}", "*": "^{*}", "^*": "^{*}", "~": r"\sim", "chi1": symbols.chi1,
            "chi_star": symbols.chi_star, "xi": symbols.xi, "sum": r"\sum", "lam": self.notation.spectral(),
            "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#", "\\": r"\backslash", "`": "",
        }  # fmt: skip
        if atom in fixed:
            return fixed[atom]
        if atom.startswith("_{"):
            return f"_{{{translate(atom[2:-1], self._atom)}}}"
        if atom.startswith("^"):
            return f"^{{{translate(atom[1:].strip('{}'), self._atom)}}}"
        if atom in _FUNCTIONS:
            return _FUNCTIONS[atom]
        if re.fullmatch(r"d[a-z](_\w+)?", atom) and atom != "dt":
            return glued([r"\delta", self._word(atom[1:])])
        return self._word(atom) if atom[:1].isalpha() else r"\," if atom.isspace() else atom

    def _word(self, word: str) -> str:
        if self._declared(word):
            return self.notation.name(word).text
        base, _, script = word.partition("_")
        inner = script.strip("{}")
        if base in ("sum", "q") or len(base) == 1 or base in GREEK:
            letter = r"\sum" if base == "sum" else _letter(self.notation, base, script) or identifier_latex(base)
            shown = inner if inner.isalnum() else translate(inner, self._atom)
            return f"{letter}_{{{shown}}}" if script else letter
        return identifier_latex(word)

    def _declared(self, word: str) -> bool:
        return "_" in word and word in self.notation.table


class TextMedium:
    """Unicode."""

    dash = "–"

    def __init__(self, notation: TextNotation) -> None:
        self.notation = notation

    def reference(self, number: int, label: str) -> str:
        """An equation by its number."""
        return f"({number})"

    def escaped(self, text: str) -> str:
        """Plain text."""
        return text

    def math(self, latex: str) -> str:
        """A formula in a sentence."""
        return latex

    def words(self, text: str) -> str:
        return text

    def formula(self, text: str) -> str:
        return self.symbolic(text).text

    def symbolic(self, text: str) -> Box:
        """A formula to stand in a display."""
        shown = translate(re.sub(r"_\{(\w+)\}", r"_\1", text), self._atom)
        return Box(shown, len(shown), ATOM if text.isalnum() else PRODUCT)

    def index(self, head: str, row: str, column: str) -> Box:
        """An entry of a matrix, called by what stands beside and above it."""
        return self._box(f"{head}[{row}, {column}]")

    def observable(self, head: str, name: Box) -> Box:
        """Q of a state, q_total of a definition."""
        return self._box(f"{head}[{name.text}]")

    def label(self, text: str) -> Box:
        """Words in a display."""
        return self._box(text)

    def entries(self, matrix: Box) -> Box:
        """The entries of a matrix."""
        return self._box(f"({matrix.text})_ij")

    def normal(self, mean: Box, variance: Box) -> Box:
        """The normal law."""
        return self._box(f"N({mean.text}, {variance.text})")

    def inline(self, shown: Box, default: str) -> str:
        """A parameter with its default."""
        return f"{shown.text} = {default}" if default != "required" else f"{shown.text} (required)"

    def _box(self, text: str) -> Box:
        return Box(text, len(text))

    def _atom(self, atom: str) -> str:
        symbols = self.notation.symbols
        head, left, right = symbols.average
        fixed = {
            "E[": head + (left or "["), "]": right or "]", "<=": "≤", ">=": "≥", "->": "→", "|^2": "|²",
            "chi1": symbols.chi1, "chi_star": symbols.chi_star, "xi": symbols.xi, "lam": self.notation.spectral(),
        }  # fmt: skip
        if atom in fixed:
            return fixed[atom]
        if atom.startswith("^"):
            inner = atom[1:].strip("{}")
            if re.fullmatch(r"-?\d+", inner):
                return inner.translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
            return f"^{inner}" if len(inner) < 2 else f"^({inner})"
        if re.fullmatch(r"d[a-z](_\w+)?", atom) and atom != "dt":
            return "δ" + self._atom(atom[1:])
        if atom[:1].isalpha():
            base, mark, script = atom.partition("_")
            letter = "∑" if base == "sum" else _letter(self.notation, base, script)
            return (letter or greek_letter(base) or base) + mark + script.strip("{}")
        return atom
