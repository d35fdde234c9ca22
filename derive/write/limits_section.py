"""Limits in which a theory simplifies."""

from __future__ import annotations

from collections.abc import Iterator

from derive.write.presenter import Block, Heading, Presenter
from derive.write.steps import theory_step


def limit_blocks(show: Presenter) -> Iterator[Block]:
    """Every limit as a step."""
    if not show.limits:
        return
    yield Heading("Limits")
    for item in show.limits:
        yield from theory_step(show, item)
