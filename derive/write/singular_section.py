"""Singular values of the Jacobian: the first two moments of their squares."""

from __future__ import annotations

from collections.abc import Iterator

from derive.gaussian.average import Average
from derive.stability.singular import FIRST, SECOND, closed_moments
from derive.write.presenter import Block, Heading, Presenter, Row
from derive.write.steps import step, theory_step

MAX_AVERAGES = 16
"""With more averages than this, the second moment is given by its general formula alone."""


def singular_blocks(show: Presenter) -> Iterator[Block]:
    """Phi and Psi, m1 and m2."""
    found = closed_moments(show.theory)
    if found is None:
        return
    yield Heading("Singular values of the Jacobian")
    long = len(found.m2.atoms(Average)) > MAX_AVERAGES
    for item in found.steps:
        left = item.equations[0][0] if item.equations else None
        if left not in (FIRST, SECOND):
            if not (long and item.rule == "moments of the states"):
                yield from theory_step(show, item)
            continue
        name = "m_1" if left == FIRST else "m_2"
        rows = [Row(show.medium.symbolic(name), show.show(item.equations[0][1]))]
        if left == SECOND and long:
            rows = [Row(show.medium.symbolic(name), show.medium.symbolic(GENERAL))]
        yield from step(show, item.rule, rows, item.why, item.assumption)


GENERAL = "(1/S) E tr((L L^T + a Phi a^T)^2 + 2 Psi C C^T + (Psi B)^2)"
