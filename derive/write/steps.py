"""Steps: a rule, the equations it gives, the reason in one line, and what had to be assumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sympy as sp

from derive.theory import Step
from derive.write.box import Box, mark
from derive.write.nodes import Named
from derive.write.presenter import Block, Display, Heading, Paragraph, Presenter, Row
from derive.write.references import sources_of


def step(
    show: Presenter, rule: str, rows: Iterable[Row], why: str, assumption: str = "", more: Iterable[Block] = (),
    sources: tuple[str, ...] = (),
) -> Iterator[Block]:  # fmt: skip
    """A step; formulas in its sentences stand between dollar signs, or are found by themselves where there are none.

    more : blocks between the equations and the reason; sources : rules whose equations the step starts from, where
    they are not those of every step with this rule.
    """
    yield Heading(show.sentence(rule[:1].upper() + rule[1:]), level=2, rule=rule[:1].lower() + rule[1:])
    if shown := tuple(rows):
        yield Display(shown)
    yield from more
    if starts := sources or sources_of(rule[:1].lower() + rule[1:]):
        yield Paragraph("", "From", starts)
    for label, text in (("Reason", why), ("Assumption", assumption)):
        if text:
            yield Paragraph(show.words(text) if "$" in text else show.sentence(text), label)


def theory_step(show: Presenter, item: Step) -> Iterator[Block]:
    """A step that a derivation carries."""
    return step(show, item.rule, step_rows(show, item), _reason(show, item), item.assumption)


def step_rows(show: Presenter, step: Step) -> Iterator[Row]:
    """Equations of a step; unknowns with equal right-hand sides share one, those that vanish come first."""
    zeros = {left: sp.S.Zero for left, right in step.equations if right == 0 and isinstance(left, sp.Symbol)}
    by_right: dict[sp.Basic, list[sp.Basic]] = {}
    if zeros:
        by_right[sp.S.Zero] = list(zeros)
    for left, right in step.equations:
        if left not in zeros:
            by_right.setdefault(right.xreplace(zeros), []).append(left)
    for right, lefts in by_right.items():
        yield Row(_chain([_left(show, left) for left in lefts]), _right(show, lefts, right))


def merged(show: Presenter, entries: list[tuple[Box, sp.Expr]]) -> tuple[Row, ...]:
    """Equations with equal right-hand sides in one."""
    by_right: dict[sp.Expr, list[Box]] = {}
    for left, right in entries:
        by_right.setdefault(right, []).append(left)
    return tuple(Row(_chain(lefts), show.show(right)) for right, lefts in by_right.items())


def _left(show: Presenter, left: sp.Basic) -> Box:
    return show.plain(left) if isinstance(left, sp.Symbol) else show.show(left)


def _right(show: Presenter, lefts: list[sp.Basic], right: sp.Basic) -> Box:
    """The right-hand side; where renaming leads back to the left-hand side, it is spelled out."""
    return show.show(right, [Named(left.name) for left in lefts if isinstance(left, sp.Symbol)])


def _chain(boxes: list[Box]) -> Box:
    """a = b = c, breakable."""
    text = f" {mark(0)}= ".join(box.text for box in boxes)
    return Box(text, sum(box.width for box in boxes) + 2.6 * (len(boxes) - 1), 0)


def _reason(show: Presenter, step: Step) -> str:
    """The reason without the raw list of missing moments, which is set as formulas further down."""
    missing = show.theory.missing
    return step.why.removesuffix(f"; missing: {', '.join(missing)}") if missing else step.why
