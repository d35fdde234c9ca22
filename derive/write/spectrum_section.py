"""The spectrum of the Jacobian at a static solution: gain matrix, outliers, stability."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from derive.theory import SpectralTheory
from derive.write.linear_section import linearisation
from derive.write.presenter import Block, Display, Heading, Paragraph, Presenter, Row
from derive.write.steps import merged, step, theory_step

MAX_SHOWN = 4
"""With more pairs of fields than this, shared matrices' outlier coefficients are defined and not listed."""


def spectrum_blocks(show: Presenter) -> Iterator[Block]:
    """K, the outlier equation and the criterion of stability."""
    spectrum = show.theory.spectrum
    if spectrum is None:
        return
    yield Heading("Spectrum of the Jacobian")
    yield from linearisation(show)
    for item in show.theory.steps:
        if item.rule == "boundary of the support":
            yield from _gain(show, spectrum)
        if item.rule in ("transfer matrix", "boundary of the support"):
            yield from theory_step(show, item)
    if spectrum.fields:
        yield from _outliers(show, spectrum)
    yield from _eigenvalues(show, spectrum)
    inside = "|lam| < 1" if show.theory.site.discrete else "Re lam < 0"
    yield from step(
        show, "Stability", (),
        f"the solution is stable if and only if support, outliers and exact eigenvalues all lie in {inside}, for every "
        "eigenvalue of the Jacobian is in one of them",
    )  # fmt: skip


def _shared(spectrum: SpectralTheory) -> bool:
    return any(k != m for k, m in spectrum.conditions)


def _index(show: Presenter, spectrum: SpectralTheory, pair: tuple[int, int]) -> tuple[str, ...]:
    """Names of a pair of fields of one matrix, given by their numbers; one name where nothing is shared."""
    names = tuple(show.field(k) for k in pair)
    return names if _shared(spectrum) else names[:1]


def _live(spectrum: SpectralTheory, pair: tuple[int, int]) -> tuple[int, int]:
    """Field numbers of a pair given by positions among the live fields."""
    return spectrum.fields[pair[0]], spectrum.fields[pair[1]]


def _gain(show: Presenter, spectrum: SpectralTheory) -> Iterator[Block]:
    entries = []
    for i, row in enumerate(spectrum.pairs):
        for j, column in enumerate(spectrum.pairs):
            if spectrum.K[i, j] != 0:
                head = show.notation.entry(
                    "K", _index(show, spectrum, _live(spectrum, row)), _index(show, spectrum, _live(spectrum, column))
                )
                entries.append((head, spectrum.K[i, j]))
    what = (
        "products share a matrix, so that K acts on pairs of fields kl, mn of one matrix with the entries "
        "sigma_k^2 E[T_{km} T^*_{ln}]"
        if _shared(spectrum) else "K_{kl} = sigma_k^2 E|T_{kl}|^2"
    )  # fmt: skip
    yield from step(
        show, "Gain matrix", merged(show, entries),
        f"{what}; a point lam lies in the support where the spectral radius of K(lam) exceeds one",
        "self-averaging and gradient independence: the weights of the Jacobian are independent of the site's state",
    )  # fmt: skip


def _outliers(show: Presenter, spectrum: SpectralTheory) -> Iterator[Block]:
    what = ""
    if _shared(spectrum):
        rows, more = _shared_outliers(show, spectrum)
        what = ("the linear map of $m$ has the eigenvalue one there, where $l$, $q$ are fields of the matrix of $k$ "
                "and $p$ of that of $j$; ")  # fmt: skip
    else:
        rows, more = _plain_outliers(show, spectrum)
    yield from step(
        show, "Outliers", rows,
        f"{what}$W v = u$ holds exactly at a fixed point, so that isolated eigenvalues remain outside the support; "
        "there are none at a solution where every $v$ vanishes",
        "the solution is a fixed point of the network, and lam lies outside the support", more,
    )  # fmt: skip


def _plain_outliers(show: Presenter, spectrum: SpectralTheory) -> tuple[list[Row], list[Block]]:
    rows = [
        Row(show.medium.symbolic("det(1 - A(lam))"), show.style.integer(0)),
        Row(show.medium.symbolic("A_{kl}(lam)"), show.medium.symbolic("E[v_k T_{kl} u_l]/E[v_k^2]")),
    ]
    entries = []
    for i, row in enumerate(spectrum.conditions):
        for j, column in enumerate(spectrum.conditions):
            top, bottom = spectrum.response[i, j], spectrum.overlap[i, i]
            if top != 0 and bottom != 0:
                head = show.notation.entry("A", _index(show, spectrum, row), _index(show, spectrum, column))
                entries.append((head, top / bottom))
    if not entries:
        return rows, []
    return rows, [Paragraph(show.words("with the non-zero entries")), Display(merged(show, entries))]


def _shared_outliers(show: Presenter, spectrum: SpectralTheory) -> tuple[list[Row], list[Block]]:
    given = [
        Row(show.medium.symbolic("m_{lk}"), show.medium.symbolic("sum_q (V^-1)_{lq} sum_j sum_p R_{qk,pj} m_{pj}")),
        Row(show.medium.symbolic("R_{qk,pj}"), show.medium.symbolic("E[v_q T_{kj} u_p]")),
        Row(show.medium.symbolic("V_{lq}"), show.medium.symbolic("E[v_l v_q]")),
    ]
    if len(spectrum.conditions) > MAX_SHOWN:
        return given, []
    rows: list[Row] = []
    for i, left in enumerate(spectrum.fixed):
        for j, right in enumerate(spectrum.fixed[i:], i):
            if spectrum.overlap[i, j] != 0:
                head = show.notation.entry("V", (show.field(left),), (show.field(right),))
                rows.append(Row(head, show.show(spectrum.overlap[i, j])))
    for i, row in enumerate(spectrum.conditions):
        for j, column in enumerate(spectrum.conditions):
            if spectrum.response[i, j] != 0:
                name = show.notation.entry("R", _index(show, spectrum, row), _index(show, spectrum, column))
                rows.append(Row(name, show.show(spectrum.response[i, j])))
    return given, [Paragraph(show.words("with the entries")), Display(tuple(rows))] if rows else []


def _eigenvalues(show: Presenter, spectrum: SpectralTheory) -> Iterator[Block]:
    states = [show.plain(state).text for state in show.theory.site.states]
    rows = [
        Row(show.medium.index("L", left, right), show.show(sp.sympify(spectrum.L[i, j])))
        for i, left in enumerate(states) for j, right in enumerate(states)
        if spectrum.L[i, j] != 0 or i == j
    ]  # fmt: skip
    yield from step(
        show, "Exact eigenvalues", rows,
        "an eigenvalue of a site's $L$, shown at the solution, with a left eigenvector orthogonal to $a$ or a right "
        "one annihilated by $b$ is an exact eigenvalue of the Jacobian, for no field reaches or reads it",
    )  # fmt: skip
