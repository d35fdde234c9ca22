"""Sentences with formulas in them, typed in plain characters and set in either medium.

Formulas stand between dollar signs.  Sentences that a derivation carries (reasons, assumptions, notes) have no
dollar signs: `with_formulas` finds what in them is a formula, for example ``K(lam) = sigma^2 E|T|^2``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from derive.write.box import ATOM, PRODUCT, Box
from derive.write.identifiers import GREEK, greek_letter, identifier_latex, prose_latex
from derive.write.notation import LatexNotation, TextNotation, visible_width

_FUNCTIONS = ("det", "ln", "exp", "max", "min", "Re", "Im")
_GREEK_WORD = re.compile("lam|chi1|chi_star|" + "|".join(sorted(GREEK - {"nu", "mu"})))
_STRONG = re.compile(r".*[_=^\[\]|*].*|[B-HJ-Z]'?")
_WEAK = re.compile(
    r"[-+/<>]|[-(]*[a-zA-Z0-9.]['(),]*|-?1/ln|\(?[a-zA-Z]\([a-z0-9]+,?|d[a-z]'?|(?:det|ln|exp)(?:\(.*)?|\d+\)?"
)
_ATOM = re.compile(
    r"\s+|E\[|E\||\|\^2|[A-Za-z][A-Za-z0-9]*(?:_(?:\{[^}]*\}|\w+))*|\d+(?:\.\d+)?|\^\{[^}]*\}|\^\*|\^-?\w+|_\{[^}]*\}|<=|>=|->|."
)


def with_formulas(sentence: str) -> str:
    """Put dollar signs around the formulas of a sentence."""
    result: list[str] = []
    run: list[str] = []
    for word in sentence.split():
        body = word.rstrip(".,;:")
        depth = sum(item.count("(") + item.count("[") - item.count(")") - item.count("]") for item in run)
        if _is_formula(body) or (run and depth > 0) or _is_part(body):
            run.append(word)
            depth += word.count("(") + word.count("[") - word.count(")") - word.count("]")
            if body != word and depth <= 0:
                result += _closed(run)
                run = []
            continue
        result += [*_closed(run), word]
        run = []
    return " ".join(result + _closed(run))


def _is_formula(word: str) -> bool:
    return bool(_STRONG.fullmatch(word) or _GREEK_WORD.fullmatch(word) or re.fullmatch(r"\w+\(lam\)", word)
                ) and not word.startswith(("`", "--"))  # fmt: skip


def _is_part(word: str) -> bool:
    return bool(_WEAK.fullmatch(word)) or word.startswith("(lam")


def _closed(run: list[str]) -> list[str]:
    """The words of a run, as one formula if one of them is unmistakably part of one."""
    if not run:
        return []
    operators = ("+", "-", "=", "/", "<", ">")
    if run[0] == "a" and len(run) > 1 and run[1] not in operators:
        return ["a", *_closed(run[1:])]
    if not any(_is_formula(word.rstrip(".,;:")) for word in run):
        return run
    text = " ".join(run)
    body = text.rstrip(".,;:")
    if body.count("(") < body.count(")") and body.endswith(")"):
        body = body[:-1]
    return [f"${body}${text[len(body) :]}"]


class Medium(Protocol):
    """How words and formulas look."""

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


class LatexMedium:
    """Inline LaTeX."""

    def __init__(self, notation: LatexNotation) -> None:
        self.notation = notation

    def words(self, text: str) -> str:
        pieces = text.split("`")
        return "".join(
            rf"\texttt{{{prose_latex(piece)}}}" if number % 2 and number < len(pieces) - 1 else prose_latex(piece)
            for number, piece in enumerate(pieces)
        )

    def formula(self, text: str) -> str:
        return f"${self.symbolic(text).text}$"

    def symbolic(self, text: str) -> Box:
        """A formula to stand in a display."""
        tight = re.sub(r"\s*([-=+/<>,;])\s*", r"\1", text)
        shown = _translate(tight, self._atom)
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
        return f"${shown.text} = {default}$" if default != "required" else f"${shown.text}$ (required)"

    def _atom(self, atom: str) -> str:
        fixed = {
            "E[": r"\langle ", "]": r"\rangle ", "<=": r"\le ", ">=": r"\ge ", "->": r"\to ", "|": "|",
            "|^2": "|^{2}", "*": "^{*}", "^*": "^{*}", "~": r"\sim ", "chi1": r"\chi_{1}", "chi_star": r"\chi_{*}",
            "sum": r"\sum ",
            "lam": self.notation.spectral() + " ", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#",
            "\\": r"\backslash ", "`": "",
        }  # fmt: skip
        if atom in fixed:
            return fixed[atom]
        if atom.startswith("_{"):
            return f"_{{{_translate(atom[2:-1], self._atom)}}}"
        if atom.startswith("^"):
            return f"^{{{_translate(atom[1:].strip('{}'), self._atom)}}}"
        if atom in _FUNCTIONS:
            return rf"\operatorname{{{atom}}}"
        if re.fullmatch(r"d[a-z](_\w+)?", atom) and atom != "dt":
            return r"\delta " + self._word(atom[1:])
        return self._word(atom) if atom[:1].isalpha() else "\\," if atom.isspace() else atom

    def _word(self, word: str) -> str:
        if self._declared(word):
            return self.notation.name(word).text
        base, _, script = word.partition("_")
        inner = script.strip("{}")
        if base in ("sum", "q") or len(base) == 1 or base in GREEK:
            letter = r"\sum" if base == "sum" else identifier_latex(base)
            shown = inner if inner.isalnum() else _translate(inner, self._atom)
            return f"{letter}_{{{shown}}}" if script else f"{letter} "
        return identifier_latex(word)

    def _declared(self, word: str) -> bool:
        return "_" in word and word in self.notation.table


class TextMedium:
    """Unicode."""

    def __init__(self, notation: TextNotation) -> None:
        self.notation = notation

    def words(self, text: str) -> str:
        return text

    def formula(self, text: str) -> str:
        return self.symbolic(text).text

    def symbolic(self, text: str) -> Box:
        """A formula to stand in a display."""
        shown = _translate(re.sub(r"_\{(\w+)\}", r"_\1", text), self._atom)
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
        return self._box(f"{matrix.text}_ij")

    def normal(self, mean: Box, variance: Box) -> Box:
        """The normal law."""
        return self._box(f"N({mean.text}, {variance.text})")

    def inline(self, shown: Box, default: str) -> str:
        """A parameter with its default."""
        return f"{shown.text} = {default}" if default != "required" else f"{shown.text} (required)"

    def _box(self, text: str) -> Box:
        return Box(text, len(text))

    def _atom(self, atom: str) -> str:
        fixed = {
            "E[": "⟨", "]": "⟩", "<=": "≤", ">=": "≥", "->": "→", "|^2": "|²", "chi1": "χ₁", "chi_star": "χ_*",
            "lam": self.notation.spectral(),
        }  # fmt: skip
        if atom in fixed:
            return fixed[atom]
        if atom.startswith("^"):
            inner = atom[1:].strip("{}")
            simple = re.fullmatch(r"-?\d+", inner)
            return inner.translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")) if simple else f"^{inner}"
        if re.fullmatch(r"d[a-z](_\w+)?", atom) and atom != "dt":
            return "δ" + atom[1:]
        if atom[:1].isalpha():
            base, mark, script = atom.partition("_")
            return (greek_letter(base) or base) + mark + script.strip("{}")
        return atom


def _translate(text: str, atom: Callable[[str], str]) -> str:
    """Every token in turn; ``E|T|^2`` is the average of a modulus."""
    result: list[str] = []
    moduli: list[bool] = []
    for match in _ATOM.finditer(text):
        token = match.group()
        if token == "E|":
            moduli.append(True)
            result.append(atom("E[") + atom("|"))
        elif token == "|^2" and moduli:
            moduli.pop()
            result.append(atom("|^2") + atom("]"))
        else:
            result.append(atom(token))
    return "".join(result)
