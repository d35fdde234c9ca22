"""The steps of a derivation, one by one, and what remains to be said after them."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from derive.theory import Step
from derive.write.box import Box, mark
from derive.write.moments import read_integrand, split_moment
from derive.write.nodes import Named
from derive.write.presenter import Block, Display, Heading, Paragraph, Presenter, Row, known_symbols


def step_blocks(show: Presenter) -> Iterator[Block]:
    """Every step: rule, equations, reason, assumption."""
    yield Heading("Derivation")
    for step in show.theory.steps:
        yield Heading(show.sentence(step.rule[:1].upper() + step.rule[1:]), level=2)
        rows = tuple(step_rows(show, step))
        if rows:
            yield Display(rows)
        yield Paragraph(show.sentence(_reason(show, step)), "Reason")
        if step.assumption:
            yield Paragraph(show.sentence(step.assumption), "Assumption")


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


def propagation_blocks(show: Presenter) -> Iterator[Block]:
    """chi1 and chi_star as spectral radii of the maps derived above, and the correlation length."""
    theory = show.theory
    if theory.perturbation is not None:
        yield Heading("Growth of perturbations")
        yield from _radius(show, "chi1", "M", theory.perturbation, "")
        yield Paragraph(show.words("Perturbations of random sign grow where $chi1 > 1$ and decay where $chi1 < 1$."))
    if theory.replicas is not None:
        yield Heading("Correlation of two replicas")
        yield from _radius(show, "chi_star", "M", theory.replicas.perturbation, "^*")
        yield Paragraph(show.words("At the fixed point of the overlaps, the correlation length in steps is"))
        yield Display((Row(show.medium.symbolic("xi"), show.medium.symbolic("-1/ln chi_star")),))
        yield Paragraph(show.words("and there is none where $chi_star >= 1$."))


def _radius(show: Presenter, name: str, letter: str, matrix: sp.Matrix, mark_text: str) -> Iterator[Block]:
    head = show.medium.symbolic(name)
    if matrix.shape == (0, 0):
        return
    if matrix.shape == (1, 1):
        yield Paragraph(show.words(f"The map of second moments of perturbations has one entry, ${name}$:"))
        yield Display((Row(head, show.show(matrix[0, 0])),))
        return
    yield Paragraph(show.words(
        f"${name}$ is the spectral radius of the linear map ${letter}{mark_text}$ of the second moments of "
        "perturbations, in the order of the step above; its non-zero entries are"
    ))  # fmt: skip
    yield Display(tuple(
        Row(show.medium.symbolic(f"{letter}{mark_text}_{{{i + 1}{',' if matrix.rows > 9 else ''}{j + 1}}}"),
            show.show(matrix[i, j]))
        for i in range(matrix.rows) for j in range(matrix.cols) if matrix[i, j] != 0
    ))  # fmt: skip


def sampled_blocks(show: Presenter) -> Iterator[Block]:
    """What is missing, and the recursion of one site that is sampled instead."""
    theory = show.theory
    if theory.closure != "sampled":
        return
    yield Heading("Sampled chain")
    rows = [Row(None, box) for box in (_missing(show, text) for text in theory.missing) if box is not None]
    if rows:
        yield Paragraph(show.words("The equations would need these moments, which no finite set determines:"))
        yield Display(tuple(rows))
    yield Paragraph(show.words(
        "Instead the chain of a single site is sampled. At every step the fields are drawn from the normal law with "
        "covariance $C_{kl}$ within each matrix, measured over the sampled sites, and the states are moved:"
    ))  # fmt: skip
    yield Display((
        Row(show.medium.symbolic("C_{kl}"), show.medium.symbolic("sigma^2 E[v_k v_l]")),
        Row(show.medium.symbolic("s'"), show.medium.symbolic("F(s, u)")),
    ))  # fmt: skip
    yield Paragraph(show.words(
        "Each site $i$ carries the second moments $P_i$ of its perturbation along the chain, where $k$, $l$ (and $m$, "
        "$n$) share a matrix; $chi1$ is the growth of their mean per step:"
    ))  # fmt: skip
    yield Display((
        Row(show.medium.symbolic("P_i"), show.medium.symbolic("L_i P_i L_i^T + sum_{kl} a_k a_l^T Delta_{kl}"), "->"),
        Row(show.medium.symbolic("Delta_{kl}"),
            show.medium.symbolic("sigma^2 (E[b_k P b_l^T] + sum_{mn} E[e_{km} e_{ln}] Delta_{mn})")),
    ))  # fmt: skip


def _missing(show: Presenter, text: str) -> Box | None:
    parts = split_moment(text)
    integrand = read_integrand(parts[1], known_symbols(show.theory)) if parts else None
    if integrand is None:
        return show.medium.label(text)
    return show.style.average(show.show(integrand))


def closing_blocks(show: Presenter) -> Iterator[Block]:
    """Quantities that follow, closure and notes."""
    theory = show.theory
    if theory.observables:
        yield Heading("Quantities that follow")
        rows = [Row(_observable(show, name), show.show(value)) for name, value in theory.observables.items()]
        yield Display(tuple(rows))
    yield Heading("Closure and notes")
    yield Paragraph(show.sentence({
        "exact": "exact: the equations above determine every average (in the limit of many units)",
        "implicit": "implicit: a state is the root of an equation that is solved numerically at every site",
        "sampled": "sampled: the moments do not close, so that numbers carry a standard error",
    }[theory.closure]), "Closure")  # fmt: skip
    for _, residual in theory.implicit:
        yield Paragraph(show.words("solved at every site,"), "Implicit state")
        yield Display((Row(show.style.integer(0), show.show(residual)),))
    for note in theory.notes:
        yield Paragraph(show.sentence(note), "Note")


def _observable(show: Presenter, name: str) -> Box:
    """``Q[h]`` and ``q_total[z]``."""
    parts = split_moment(name.replace("q_total", "qtotal"))
    if parts is None:
        return show.medium.label(name)
    shown = show.notation.name(parts[1])
    return show.medium.observable({"qtotal": "q_total"}.get(parts[0], parts[0]), shown)
