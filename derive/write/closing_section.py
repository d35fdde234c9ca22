"""The end of a document: quantities that follow, states left as roots, and notes."""

from __future__ import annotations

from collections.abc import Iterator

from derive.write.box import Box
from derive.write.moments import split_moment
from derive.write.presenter import Block, Display, Heading, Paragraph, Presenter, Row


def closing_blocks(show: Presenter) -> Iterator[Block]:
    """Quantities that follow, and notes."""
    theory = show.theory
    if theory.observables:
        yield Heading("Quantities that follow")
        rows = [Row(_observable(show, name), show.show(value)) for name, value in theory.observables.items()]
        yield Display(tuple(rows))
    if theory.notes or theory.implicit:
        yield Heading("Notes")
    for _, residual in theory.implicit:
        yield Paragraph(show.words("solved at every site,"), "Implicit state")
        yield Display((Row(show.style.integer(0), show.show(residual)),))
    for note in theory.notes:
        yield Paragraph(show.sentence(note), "Note")


def _observable(show: Presenter, name: str) -> Box:
    """``Q[h]`` and ``q_total[z]``."""
    parts = split_moment(name.replace("q_total", "qtotal"))
    if parts is None:
        return show.medium.label(name)
    shown = show.notation.name(parts[1])
    return show.medium.observable({"qtotal": "q_total"}.get(parts[0], parts[0]), shown)
