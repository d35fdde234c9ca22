"""Stationary covariances as motion in a potential, and perturbations that grow along them."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from derive.elementary import Fn
from derive.gaussian.average import Average
from derive.meanfield.stationary import Potential, potential_of
from derive.meanfield.untied import overlap_symbol
from derive.write.linear_section import linearisation
from derive.write.notation import declared_names
from derive.write.presenter import Block, Heading, Presenter, Row
from derive.write.steps import step


def stationary_blocks(show: Presenter) -> Iterator[Block]:
    """The potential where there is one; the perturbation equation and the maximal Lyapunov exponent."""
    if show.theory.ansatz != "stationary":
        return
    found = potential_of(show.theory.site)
    if found is not None:
        yield Heading("Potential of the covariance")
        yield from _potential(show, found)
    yield Heading("Growth of perturbations")
    yield from linearisation(show)
    yield from _tilted(show)


def _potential(show: Presenter, found: Potential) -> Iterator[Block]:
    site = show.theory.site
    delta = sp.Symbol(f"Delta[{found.state},{found.state}]", real=True)
    field = site.fields[0]
    primitive = next(name for name in ("P", "H", "G", "primitive") if name not in declared_names(site.cell))
    here = Fn(primitive, 0, found.state)
    later = Fn(primitive, 0, sp.Symbol(f"{found.state.name}^b", real=True))
    work = found.drive**2 * found.gain**2 * (Average(here * later) - Average(here) ** 2)
    rows = (
        Row(show.medium.symbolic("Delta''"),
            show.show(found.rate**2 * delta - found.drive**2 * overlap_symbol(field.name, field.name))),
        Row(show.medium.symbolic("V(Delta)"), show.show(-(found.rate**2) * delta**2 / 2 + work)),
        Row(show.medium.symbolic("V(Delta_0)"), show.medium.symbolic("V(Delta_f)")),
    )  # fmt: skip
    yield from step(
        show, "Motion in a potential", rows,
        f"the state is a leaky integral of its field, so that its covariance $Delta$ at lag $tau$ obeys Newton's "
        f"equation in $-V$ with $tau$ as time; ${primitive}$ is a primitive of $v$, and the derivative of its average "
        "in $Delta$ is that of $v$ (Price). A state that forgets comes to rest at $Delta_f$, where the force "
        "vanishes; it starts at rest at $Delta_0$, the variance of the state, and energy is conserved",
        "the covariance is smooth at lag zero",
    )  # fmt: skip


def _tilted(show: Presenter) -> Iterator[Block]:
    symbolic = show.medium.symbolic
    if show.theory.site.discrete:
        law = Row(symbolic("p(t + 1)"), symbolic("exp(-Lambda) (L p + a eta)"))
    else:
        law = Row(show.notation.flow("p"), symbolic("(L - Lambda) p + a eta"))
    rows = (law, Row(symbolic("y"), symbolic("b p + e eta")))
    yield from step(
        show, "Tilted dynamics", rows,
        "perturbation fields are Gaussian with covariance $exp(Lambda (t + t')) D(t - t')$; $eta$ is drawn from $D$, "
        "and $p$ and $y$ are the perturbations of the states and of what is multiplied, with their growth taken out",
        "perturbation fields are independent of the trajectory: the direction of a perturbation is random",
    )  # fmt: skip
    yield from step(
        show, "Maximal Lyapunov exponent",
        (Row(symbolic("D_{kl}(tau)"), symbolic("sigma^2 E[y_k(t) y_l(t + tau)]")),),
        "the right-hand side is linear in $D$; the exponent is the $Lambda$ at which this map has the leading "
        "eigenvalue 1, or the growth of $p$ without fields where the eigenvalue is below 1 above it",
    )  # fmt: skip
