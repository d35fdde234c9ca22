"""The whole document as blocks, the same in every medium."""

from __future__ import annotations

from collections.abc import Iterator

from derive.write.derivation_section import closing_blocks, propagation_blocks, sampled_blocks, step_blocks
from derive.write.model_section import ansatz_blocks, model_blocks, site_blocks
from derive.write.presenter import Block, Presenter
from derive.write.spectrum_section import spectrum_blocks


def blocks(show: Presenter) -> Iterator[Block]:
    """Model, ansatz, site form, derivation, what follows from it, notes."""
    yield from model_blocks(show)
    yield from ansatz_blocks(show)
    yield from site_blocks(show)
    yield from step_blocks(show)
    yield from sampled_blocks(show)
    yield from propagation_blocks(show)
    yield from spectrum_blocks(show)
    yield from closing_blocks(show)
