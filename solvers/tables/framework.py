"""Default initialisers as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from derive.frameworks import Framework
from solvers.tables.theory import solved_text


def framework_text(found: Mapping[str, Any], title: str) -> str:
    """A layer's default initialiser and its theory, from the object that JSON prints."""
    inputs = "no inputs" if found["input"] is None else f"{found['input']} inputs"
    options = "".join(f", {name} = {value}" for name, value in found["options"].items())
    head = [f"{found['framework']}, {found['hidden']} units, {inputs}{options}", title]
    return "\n".join(head) + "\n\n" + solved_text(found)


def list_text(initialisers: Iterable[Framework]) -> str:
    """One layer a line, with its cell."""
    chosen = list(initialisers)
    width = max(len(item.name) for item in chosen)
    cells = max(len(item.cell) for item in chosen)
    return "".join(f"{item.name:<{width}}  {item.cell:<{cells}}  {item.title}\n" for item in chosen)
