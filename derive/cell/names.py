"""Names: when two spellings are one name, when a name is allowed, and what was probably meant."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

from derive.cell.functions import BUILTIN_FUNCTIONS, OTHER_SPELLINGS

#: Stands for the prime of ``c'`` inside Python identifiers; hence refused in the user's text.
PRIME = "\u02b9"

MAX_NAME = 100


def normal(name: str) -> str:
    """The spelling under which a name is known: Unicode form NFKC, as in Python."""
    return unicodedata.normalize("NFKC", name)


def objection(name: str) -> tuple[str, str, str] | None:
    """Why ``name`` (in normal form) cannot be declared: what, rule, mend; None when it can."""
    quoted = f"`{name[:40]}`"
    if not name.isidentifier() or PRIME in name:
        return (
            f"{quoted} is not a name",
            "A name consists of letters, digits and underscores and does not begin with a digit.",
            f"Rename it, for example to `{_repaired(name)}`.",
        )
    if keyword.iskeyword(name):
        return f"{quoted} is a keyword of Python", "Keywords cannot be names.", f"Rename it, for example to `{name}_`."
    if name in BUILTIN_FUNCTIONS:
        return (
            f"{quoted} is the name of a function",
            "The names of the elementwise functions are taken.",
            f"Rename it, for example to `{name}_`.",
        )
    if len(name) > MAX_NAME:
        return f"a name of {len(name)} characters", f"A name has at most {MAX_NAME} characters.", "Shorten it."
    return None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """``Did you mean `W_h`?`` for the nearest candidate, or an empty string."""
    known = list(dict.fromkeys(candidates))
    other = OTHER_SPELLINGS.get(name.lower())
    if other in known:
        return f"Did you mean `{other}`?"
    short = name[:MAX_NAME]
    near = get_close_matches(short, known, n=1, cutoff=0.6)
    if not near:
        by_lower = {candidate.lower(): candidate for candidate in known}
        near = [by_lower[match] for match in get_close_matches(short.lower(), by_lower, n=1, cutoff=0.6)]
    return f"Did you mean `{near[0]}`?" if near else ""


def foreign_characters(name: str) -> str:
    """A remark on characters beyond ASCII, which may look like others; empty when there are none."""
    first = next((character for character in name if not character.isascii()), None)
    if first is None:
        return ""
    return f"It contains {describe(first)}, which may look like another letter."


def describe(character: str) -> str:
    """``U+03C3 GREEK SMALL LETTER SIGMA``."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _repaired(name: str) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name[:30]).strip("_")
    return kept if kept.isidentifier() and not keyword.iskeyword(kept) else f"a_{kept}".rstrip("_")
