"""The whole document as blocks, the same in every medium."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from derive.write.closing_section import closing_blocks
from derive.write.limits_section import limit_blocks
from derive.write.mean_field_section import mean_field_blocks
from derive.write.medium import Medium
from derive.write.model_section import ansatz_blocks, model_blocks
from derive.write.presenter import Block, Display, Heading, Paragraph, Presenter
from derive.write.product_section import product_blocks
from derive.write.propagation_section import propagation_blocks
from derive.write.references import Register
from derive.write.singular_section import singular_blocks
from derive.write.spectrum_section import spectrum_blocks
from derive.write.stationary_section import stationary_blocks


def blocks(show: Presenter) -> Iterator[Block]:
    """Model, assumptions, mean field, perturbations or spectrum, limits, notes; headings and equations numbered."""
    yield from _numbered(_unnumbered(show), show.medium)


def _unnumbered(show: Presenter) -> Iterator[Block]:
    yield from model_blocks(show)
    yield from ansatz_blocks(show)
    yield from mean_field_blocks(show)
    yield from propagation_blocks(show)
    yield from stationary_blocks(show)
    yield from spectrum_blocks(show)
    yield from singular_blocks(show)
    yield from product_blocks(show)
    yield from limit_blocks(show)
    yield from closing_blocks(show)


def _numbered(items: Iterable[Block], medium: Medium) -> Iterator[Block]:
    """Sections 1, 2, ..., steps 3.1, 3.2, ... and equations (1), (2), ..., as LaTeX counts them; then references."""
    section = step = 0
    register, rule = Register(), ""
    for item in items:
        match item:
            case Heading(level=1):
                section, step, rule = section + 1, 0, item.text
                yield replace(item, number=str(section))
            case Heading():
                step, rule = step + 1, item.rule
                yield replace(item, number=f"{section}.{step}")
            case Display(numbered=True):
                yield replace(item, equations=register.add(rule, len(item.rows)))
            case Paragraph(sources=(_, *_) as sources):
                if cited := register.cite(sources, medium):
                    yield replace(item, text=cited)
            case _:
                yield item
