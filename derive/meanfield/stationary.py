"""Stationary mean field (dynamical mean field, theory section 2): fields with covariances that depend on the lag."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.errors import AnsatzError
from derive.gaussian.average import Average, Law
from derive.meanfield.filters import NotLinear, filter_site
from derive.meanfield.untied import overlap_symbol
from derive.site import SiteForm
from derive.theory import Closure, Step, System, Theory


def check_inputs(site: SiteForm) -> None:
    """Refuse what has no stationary theory.

    Raises
    ------
    AnsatzError : an input is drawn anew at every step although time is continuous.
    """
    if site.discrete:
        return
    fresh = [item.name for item in site.cell.inputs.values() if item.time == "iid"]
    if fresh:
        raise AnsatzError(
            f"input {', '.join(fresh)} of {site.cell.name} is drawn anew at every step, but time is continuous and "
            f'has no steps. Write  {fresh[0]} = {{ ..., time = "constant" }}  under [inputs], or a cell in discrete '
            "time."
        )


@dataclass(frozen=True)
class Potential:
    """A site of one leaky state and one field, ds/dt = -rate s + drive u with u = W v(s): motion in a potential.

    The covariance Delta of the state obeys  Delta'' = -dV/dDelta = rate^2 Delta - drive^2 c,  c = gain^2 E[v v~], and
    a state that forgets has  V(Delta_0) = V(Delta_f), V'(Delta_f) = 0  (Sompolinsky, Crisanti & Sommers 1988).
    With the primitive P of v, V = -rate^2 Delta^2 / 2 + drive^2 gain^2 (E[P P~] - E[P]^2), for d/dDelta E[P P~] =
    E[v v~] (Price).
    """

    state: sp.Symbol
    rate: sp.Expr
    drive: sp.Expr
    gain: sp.Expr
    v: sp.Expr


def potential_of(site: SiteForm) -> Potential | None:
    """The potential of a site; None where the motion of its covariance has none."""
    if site.discrete or len(site.states) != 1 or len(site.fields) != 1 or site.quenched:
        return None
    (state,), (item,), (F,) = site.states, site.fields, site.F
    slope, drive = sp.expand(F.diff(state)), sp.expand(F.diff(item.symbol))
    random = {state, item.symbol}
    if (slope.free_symbols | drive.free_symbols) & random or item.v.free_symbols & {item.symbol} or slope == 0:
        return None
    if sp.expand(F.xreplace(dict.fromkeys(random, sp.S.Zero))) != 0:
        return None
    return Potential(state, -slope, drive, item.gain, item.v)


def stationary_theory(site: SiteForm) -> Theory:
    """Derive the stationary mean field: covariances at every lag, and where they need no sampling, why.

    Symbols of the second time, a lag tau later, carry the mark of a second replica (``^b``).

    Raises
    ------
    AnsatzError : an input is drawn anew at every step although time is continuous.
    """
    check_inputs(site)
    later = {symbol: sp.Symbol(f"{symbol.name}^b", real=True) for symbol in _moving(site)}
    equations = _covariances(site, later)
    try:
        filter_site(site)
        closure: Closure = "exact"
        steps: tuple[Step, ...] = (_filters(site),)
        notes: tuple[str, ...] = ()
    except NotLinear as reason:
        closure, steps = "sampled", ()
        notes = (f"averages at two times are taken over sampled paths: {_plain(str(reason))}",)
    return Theory(
        site=site,
        ansatz="stationary",
        closure=closure,
        law=_law(site, later),
        system=System({}),
        variances={},
        observables={},
        steps=(
            Step(
                "stationary covariances",
                tuple(equations.items()),
                "C_kl(tau) = sigma^2 E[v_k(t) v_l(t + tau)]: at two times fields of one matrix are jointly Gaussian; "
                "c is their covariance at lag tau and equals q at lag zero",
                "no time is special; weights stay the same at all times",
            ),
            *steps,
        ),
        notes=notes,
    )


def _plain(reason: str) -> str:
    return reason.replace("`", "")


def _moving(site: SiteForm) -> list[sp.Symbol]:
    """What differs at two times: states, fields, and inputs drawn anew at every step."""
    fresh = {item.name for item in site.cell.inputs.values() if item.time == "iid"}
    inputs = [item.symbol for item in site.quenched if item.kind == "input" and item.name in fresh]
    return [*site.states, *(item.symbol for item in site.fields), *inputs]


def _covariances(site: SiteForm, later: dict[sp.Symbol, sp.Symbol]) -> dict[sp.Symbol, sp.Expr]:
    found: dict[sp.Symbol, sp.Expr] = {}
    for members in site.groups.values():
        for position, k in enumerate(members):
            for m in members[position:]:
                left, right = site.fields[k], site.fields[m]
                product = left.v * right.v.xreplace(later)
                found[overlap_symbol(left.name, right.name)] = left.gain**2 * Average(product)
    return found


def _law(site: SiteForm, later: dict[sp.Symbol, sp.Symbol]) -> Law:
    """Which symbols are random; their covariances are functions of the lag and stand in the steps."""
    blocks = {item.symbol: f"weight {item.weight}" for item in site.fields}
    blocks |= {item.symbol: f"{item.kind} {item.name}" for item in site.quenched}
    blocks |= dict.fromkeys(site.states, "states")
    blocks |= {after: blocks[symbol] for symbol, after in later.items()}
    return Law(blocks, unknown=frozenset(site.states), functions=site.functions)


def _filters(site: SiteForm) -> Step:
    return Step(
        "linear filters",
        (),
        "every state is a linear filter of its fields, or of functions of them, and every v is a function of Gaussian "
        "variables at one time: E[v_k(t) v_l(t + tau)] is a series in their correlation at lag tau, with the squared "
        "Hermite coefficients of v, and no path is sampled",
    )
