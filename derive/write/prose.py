"""Sentences with formulas in them, typed in plain characters and set in either medium.

Formulas stand between dollar signs.  Sentences that a derivation carries (reasons, assumptions, notes) have no
dollar signs: `with_formulas` finds what in them is a formula, for example ``K(lam) = sigma^2 E|T|^2``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from derive.write.identifiers import GREEK

_GREEK_WORD = re.compile("lam|chi1|chi_star|" + "|".join(sorted(GREEK - {"nu", "mu"})))
_STRONG = re.compile(r".*[_=^\[\]|*].*|[B-HJ-Z]'?")
_WEAK = re.compile(
    r"[-+/<>]|[-(]*[a-zA-Z0-9.]['(),]*|-?1/ln|\(?[a-zA-Z]\([a-z0-9]+,?|d[a-z]'?|(?:det|ln|exp)(?:\(.*)?|\d+\)?"
)
_ATOM = re.compile(
    r"\s+|E\[|E\||\|\^2|[A-Za-z][A-Za-z0-9]*(?:_(?:\{[^}]*\}|\w+))*|\d+(?:\.\d+)?|\^\{[^}]*\}|\^\*|\^-?\w+|_\{[^}]*\}|<=|>=|->|."
)

_COMMAND_END = re.compile(r"\\[A-Za-z]+$")


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


def translate(text: str, atom: Callable[[str], str]) -> str:
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
    return glued(result)


def glued(parts: list[str]) -> str:
    """Fragments in one, with a space only where a command would run into a letter."""
    text = ""
    for part in parts:
        apart = _COMMAND_END.search(text) is not None and part[:1].isalpha()
        text += f" {part}" if apart else part
    return text
