"""Perturbations and replicas of a map whose weights are drawn anew: chi1, chi_star, the correlation length."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from derive.write.linear_section import linearisation
from derive.write.presenter import Block, Heading, Presenter, Row
from derive.write.steps import step, theory_step


def propagation_blocks(show: Presenter) -> Iterator[Block]:
    """chi1 and chi_star as spectral radii of linear maps, and the correlation length."""
    theory = show.theory
    if theory.ansatz != "untied":
        return
    yield Heading("Growth of perturbations")
    yield from linearisation(show)
    yield from _carried(show, "perturbations")
    if theory.closure == "sampled":
        yield from _sampled(show)
    elif theory.perturbation is not None:
        yield from _growth(show, theory.perturbation)
    if theory.replicas is not None:
        yield Heading("Correlation of two replicas")
        yield from _carried(show, "two replicas")
        yield from _correlation(show, theory.replicas.perturbation)


def _carried(show: Presenter, rule: str) -> Iterator[Block]:
    for item in show.theory.steps:
        if item.rule == rule:
            yield from theory_step(show, item)


def _growth(show: Presenter, matrix: sp.Matrix) -> Iterator[Block]:
    if matrix.shape == (0, 0):
        return
    yield from step(
        show, "growth per step chi1", _radius(show, "chi1", "M", matrix),
        f"{_which('chi1', 'M', matrix)}; perturbations of random sign grow where chi1 > 1 and decay where chi1 < 1",
    )  # fmt: skip


def _correlation(show: Presenter, matrix: sp.Matrix) -> Iterator[Block]:
    rows = list(_radius(show, "chi_star", "M^*", matrix)) if matrix.shape != (0, 0) else []
    rows.append(Row(show.medium.symbolic("xi"), show.medium.symbolic("-1/ln chi_star")))
    yield from step(
        show, "Correlation length", rows,
        f"{_which('chi_star', 'M^*', matrix)}; deviations of the overlaps from their fixed point shrink by it at every "
        "step, and there is no length where chi_star >= 1",
        "the overlaps are near their fixed point",
    )  # fmt: skip


def _which(name: str, letter: str, matrix: sp.Matrix) -> str:
    if matrix.rows <= 1:
        return f"the linear map of second moments of perturbations has one entry, {name}"
    return (
        f"{name} is the spectral radius of the linear map {letter} of the second moments of perturbations, in the "
        "order of the equations above; its non-zero entries are shown"
    )


def _radius(show: Presenter, name: str, letter: str, matrix: sp.Matrix) -> Iterator[Row]:
    if matrix.shape == (1, 1):
        yield Row(show.medium.symbolic(name), show.show(matrix[0, 0]))
        return
    comma = "," if matrix.rows > 9 else ""
    for i in range(matrix.rows):
        for j in range(matrix.cols):
            if matrix[i, j] != 0:
                head = show.medium.symbolic(f"{letter}_{{{i + 1}{comma}{j + 1}}}")
                yield Row(head, show.show(matrix[i, j]))


def _sampled(show: Presenter) -> Iterator[Block]:
    rows = (
        Row(show.medium.symbolic("P_i"), show.medium.symbolic("L_i P_i L_i^T + sum_{kl} a_k a_l^T Delta_{kl}"), "->"),
        Row(show.medium.symbolic("Delta_{kl}"),
            show.medium.symbolic("sigma^2 (E[b_k P b_l^T] + sum_{mn} E[e_{km} e_{ln}] Delta_{mn})")),
    )  # fmt: skip
    yield from step(
        show, "growth per step chi1", rows,
        "each site carries the second moments P_i of its perturbation along the chain, where the fields of kl, and of "
        "mn, share a matrix; chi1 is the growth of their mean per step",
        "gradient independence, exact here since weights are fresh at every step", sources=("linearisation",),
    )  # fmt: skip
