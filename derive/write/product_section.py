"""Products of the Jacobians of several untied steps: the closed recursion of their second moments."""

from __future__ import annotations

from collections.abc import Iterator

from derive.gaussian.average import Average
from derive.stability.products import PAIRS, UNITS, ProductTheory, closed_products
from derive.theory import Step
from derive.write.presenter import Block, Heading, Presenter, Row
from derive.write.steps import step, theory_step

MAX_AVERAGES = 20
"""With more averages than this in its equations, the recursion is given by its general formulas alone."""

MOMENTS = ("(1/S) E tr X", "(1/S) (E tr X^2 + sum_{pq} O_{pp,qq})")
PASSED = "M O M^T + 2 sum_{kl} Psi_{kl} E[C_k C_l] + sum_{klmr} Psi_{km} Psi_{lr} E[B_{kl} B_{mr}]"


def product_blocks(show: Presenter) -> Iterator[Block]:
    """Delta, moments of X of one unit, pairs of units, m1 and m2."""
    found = closed_products(show.theory)
    if found is None:
        return
    yield Heading("Products of Jacobians of successive steps")
    long = _averages(found) > MAX_AVERAGES
    for item in found.steps:
        if item.rule in (UNITS, PAIRS):
            rows = _general(show, item.rule) if long else _arrows(show, item, found)
            yield from step(show, item.rule, rows, item.why, item.assumption)
        elif item.equations[0][0] in found.delta:
            yield from theory_step(show, item)
        else:
            rights = (show.medium.symbolic(text) for text in MOMENTS) if long else (
                show.show(right) for _, right in item.equations)  # fmt: skip
            rows = [Row(show.medium.symbolic(name), right) for name, right in zip(("m_1", "m_2"), rights, strict=True)]
            yield from step(show, item.rule, rows, item.why)


def _averages(found: ProductTheory) -> int:
    equations = (*found.units.values(), *found.pairs.values())
    return len(set().union(*(right.atoms(Average) for right in equations)))


def _arrows(show: Presenter, item: Step, found: ProductTheory) -> list[Row]:
    """Constants with an equals sign, the rest with what becomes of it."""
    return [Row(show.show(left), show.show(right), "=" if left in found.psi else "->")
            for left, right in item.equations]  # fmt: skip


def _general(show: Presenter, rule: str) -> list[Row]:
    made = show.medium.symbolic
    if rule == UNITS:
        return [Row(made("X"), made("L X L^T + a Delta a^T"), "->")]
    return [Row(made("O"), made(PASSED), "->")]
