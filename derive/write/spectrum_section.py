"""The spectrum of the Jacobian at a static solution: gain matrix, outliers, stability."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from derive.theory import SpectralTheory
from derive.write.derivation_section import merged
from derive.write.presenter import Block, Display, Heading, Paragraph, Presenter, Row

MAX_SHOWN = 4
"""With more pairs of fields than this, shared matrices' outlier coefficients are defined and not listed."""


def spectrum_blocks(show: Presenter) -> Iterator[Block]:
    """K, the outlier equation and the criterion of stability."""
    spectrum = show.theory.spectrum
    if spectrum is None:
        return
    yield Heading("Spectrum of the Jacobian")
    if spectrum.fields:
        yield from _gain(show, spectrum)
        yield from _outliers(show, spectrum)
    yield from _atoms(show)
    inside = "$|lam| < 1$" if show.theory.site.discrete else "$Re lam < 0$"
    yield Paragraph(show.words(
        f"The solution is stable if and only if support, outliers and exact eigenvalues all lie in {inside}."
    ), "Stability")  # fmt: skip


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
    if _shared(spectrum):
        text = ("A point $lam$ lies in the support where the spectral radius of $K(lam)$ exceeds one. Products share a "
                "matrix, so that $K$ acts on pairs of fields $kl$, $mn$ of one matrix, with the entries")  # fmt: skip
    else:
        text = "A point $lam$ lies in the support where the spectral radius of $K(lam)$ exceeds one; its entries are"
    yield Paragraph(show.words(text))
    entries = []
    for i, row in enumerate(spectrum.pairs):
        for j, column in enumerate(spectrum.pairs):
            if spectrum.K[i, j] != 0:
                head = show.notation.entry(
                    "K", _index(show, spectrum, _live(spectrum, row)), _index(show, spectrum, _live(spectrum, column))
                )
                entries.append((head, spectrum.K[i, j]))
    if entries:
        yield Display(merged(show, entries))
    derived = {right for step in show.theory.steps for _, right in step.equations}
    if set(spectrum.boundary) - derived:
        yield Paragraph(show.words("The boundary of the support, one equation for each irreducible block of $K$, is"))
        yield Display(tuple(Row(show.style.integer(1), show.show(item)) for item in spectrum.boundary))


def _outliers(show: Presenter, spectrum: SpectralTheory) -> Iterator[Block]:
    if _shared(spectrum):
        yield from _shared_outliers(show, spectrum)
        return
    yield Paragraph(show.words("Outside the support there are isolated eigenvalues where"), "Outliers")
    yield Display((
        Row(show.medium.symbolic("det(1 - A(lam))"), show.style.integer(0)),
        Row(show.medium.symbolic("A_{kl}(lam)"), show.medium.symbolic("E[v_k T_{kl} u_l]/E[v_k^2]")),
    ))  # fmt: skip
    entries = []
    for i, row in enumerate(spectrum.conditions):
        for j, column in enumerate(spectrum.conditions):
            top, bottom = spectrum.response[i, j], spectrum.overlap[i, i]
            if top != 0 and bottom != 0:
                head = show.notation.entry("A", _index(show, spectrum, row), _index(show, spectrum, column))
                entries.append((head, top / bottom))
    if entries:
        yield Paragraph(show.words("with the non-zero entries"))
        yield Display(merged(show, entries))
    yield Paragraph(show.words("There are none at a solution where every $v$ vanishes."))


def _shared_outliers(show: Presenter, spectrum: SpectralTheory) -> Iterator[Block]:
    yield Paragraph(show.words(
        "Outside the support there are isolated eigenvalues where the linear map of $m$ has the eigenvalue one; "
        "$l$, $q$ are fields of the matrix of $k$ and $p$ of that of $j$:"
    ), "Outliers")  # fmt: skip
    yield Display((
        Row(show.medium.symbolic("m'_{lk}"), show.medium.symbolic("sum_q (V^-1)_{lq} sum_j sum_p R_{qk,pj} m_{pj}")),
        Row(show.medium.symbolic("R_{qk,pj}"), show.medium.symbolic("E[v_q T_{kj} u_p]")),
        Row(show.medium.symbolic("V_{lq}"), show.medium.symbolic("E[v_l v_q]")),
    ))  # fmt: skip
    if len(spectrum.conditions) > MAX_SHOWN:
        return
    rows = []
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
    yield Display(tuple(rows))


def _atoms(show: Presenter) -> Iterator[Block]:
    spectrum = show.theory.spectrum
    yield Paragraph(show.words(
        "An eigenvalue of a site's $L$ with a left eigenvector orthogonal to $a$ or a right one annihilated by $b$ is "
        "an exact eigenvalue of the Jacobian. At the solution"
    ), "Exact eigenvalues")  # fmt: skip
    if spectrum is None:
        return
    states = [show.plain(state).text for state in show.theory.site.states]
    rows = [
        Row(show.medium.index("L", left, right), show.show(sp.sympify(spectrum.L[i, j])))
        for i, left in enumerate(states) for j, right in enumerate(states)
        if spectrum.L[i, j] != 0 or i == j
    ]  # fmt: skip
    yield Display(tuple(rows))
