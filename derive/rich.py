"""Results that a notebook shows as formulas.

What writes them is told from outside (`derive.write.notebook` does), so that results need no writer and writers may
import results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Writer = Callable[[Any], str]

_WRITERS: dict[type, Writer] = {}


def written_by(kind: type, writer: Writer) -> None:
    """Let ``writer`` make the LaTeX of every object of a kind."""
    _WRITERS[kind] = writer


class Rich:
    """Base of what has a LaTeX form; without a writer there is none, and a notebook shows the plain text."""

    def _repr_latex_(self) -> str | None:
        writer = next((_WRITERS[kind] for kind in type(self).__mro__ if kind in _WRITERS), None)
        return None if writer is None else writer(self)
