"""The mean field: fields, states, covariances and moments, step by step."""

from __future__ import annotations

from collections.abc import Iterator

from derive.write.box import Box
from derive.write.moments import read_integrand, split_moment
from derive.write.nodes import Named
from derive.write.presenter import Block, Display, Heading, Paragraph, Presenter, Row, known_symbols
from derive.write.steps import step, theory_step

LATER = frozenset(("transfer matrix", "boundary of the support", "perturbations", "two replicas"))
"""Rules whose steps are shown in sections of their own."""


def mean_field_blocks(show: Presenter) -> Iterator[Block]:
    """Fields, then every step of the derivation that no later section shows."""
    yield Heading("Mean field")
    yield from _fields(show)
    for item in show.theory.steps:
        if item.rule not in LATER:
            yield from theory_step(show, item)
    yield from _sampled(show)


def _fields(show: Presenter) -> Iterator[Block]:
    site = show.theory.site
    rows = [
        Row(show.plain(item.symbol),
            show.style.matrix_product(show.notation.name(item.weight), show.show(item.v, names=show.site_names)))
        for item in site.fields
    ]  # fmt: skip
    for state, value in zip(site.states, site.F, strict=True):
        head = show.notation.name(state.name, 1) if site.discrete else show.notation.flow(state.name)
        rows.append(Row(head, show.show(value, [Named(state.name, 1)], show.site_names)))
    yield from step(
        show, "Fields", rows,
        "every matrix product is a field; a unit feels the others through its fields only, so that one site in its "
        "fields stands for all",
        "Gaussian fields: at each site a field is a sum over many independent weights" if site.fields else "",
    )  # fmt: skip


def _sampled(show: Presenter) -> Iterator[Block]:
    """What is missing, and the recursion of one site that is sampled instead."""
    theory = show.theory
    if theory.closure != "sampled" or theory.ansatz != "untied":
        return
    more: list[Block] = []
    missing = [Row(None, box) for box in (_missing(show, text) for text in theory.missing) if box is not None]
    if missing:
        more = [
            Paragraph(show.words("Closed equations would need these moments, which no finite set determines:")),
            Display(tuple(missing)),
        ]
    rows = (
        Row(show.medium.symbolic("C_{kl}"), show.medium.symbolic("sigma^2 E[v_k v_l]")),
        Row(show.medium.symbolic("s'"), show.medium.symbolic("F(s, u)")),
    )
    yield from step(
        show, "Sampled chain", rows,
        "the chain of a single site is sampled: at every step the fields are drawn from the normal law with covariance "
        "C_kl within each matrix, measured over the sampled sites, and the states are moved",
        "as many sites as the stated standard error needs", more,
    )  # fmt: skip


def _missing(show: Presenter, text: str) -> Box | None:
    parts = split_moment(text)
    integrand = read_integrand(parts[1], known_symbols(show.theory)) if parts else None
    if integrand is None:
        return show.medium.label(text)
    return show.style.average(show.show(integrand))
