"""The linearised site: L, a, b, e."""

from __future__ import annotations

from collections.abc import Iterator

from derive.write.presenter import Block, Presenter, Row
from derive.write.steps import step


def linearisation(show: Presenter) -> Iterator[Block]:
    """The non-zero derivatives of F and v."""
    if show.theory.site.discrete:
        law = "a perturbation obeys $ds' = L ds + a du$"
    else:
        law = "the rate of change of a perturbation $ds$ is $L ds + a du$,"
    yield from step(
        show, "Linearisation", _derivatives(show),
        f"$F$ and $v$ are differentiated: {law} and $du_k = W_k (b ds + e du)_k$; entries that are not shown vanish",
        "perturbations are small",
    )  # fmt: skip


def _derivatives(show: Presenter) -> Iterator[Row]:
    site = show.theory.site
    states = [show.plain(state).text for state in site.states]
    fields = [show.plain(item.symbol).text for item in site.fields]
    for name, matrix, rows, columns in (
        ("L", site.L, states, states), ("a", site.a, states, fields),
        ("b", site.b, fields, states), ("e", site.e, fields, fields),
    ):  # fmt: skip
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                if matrix[i, j] != 0:
                    head = show.medium.index(name, row, column)
                    yield Row(head, show.show(matrix[i, j], names=show.site_names))
