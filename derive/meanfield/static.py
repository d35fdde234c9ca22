"""Static mean field: fields constant in time, states eliminated, one equation per field covariance.

Solve s = F(s, u) (or F = 0) for s, then close  C_kl = sigma^2 E[v_k v_l].
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.elementary import Fn
from derive.errors import AnsatzError
from derive.gaussian.average import Law, average
from derive.gaussian.rational import opaque, tidy
from derive.site import SiteForm
from derive.theory import Step, System, Theory


@dataclass(frozen=True)
class Elimination:
    """states : closed forms; implicit : (state, residual) pairs that no algebra here solves; loose : (state, calls)
    where a state was divided free of functions that may shut exactly, so that some units may take any value."""

    states: dict[sp.Symbol, sp.Expr]
    implicit: tuple[tuple[sp.Symbol, sp.Expr], ...]
    loose: tuple[tuple[sp.Symbol, tuple[sp.Expr, ...]], ...] = ()


PLATEAUS = {"step": (0, 1), "sign": (-1, 1), "hard_sigmoid": (0, 1), "hard_tanh": (-1, 1), "relu": (0,)}
"""Values that functions take on whole intervals."""


def eliminate(site: SiteForm) -> Elimination:
    """Solve the site's fixed-point equations for the states, one linear equation at a time.

    Raises
    ------
    AnsatzError : an equation fixes no state, so that the fixed-point condition does not determine the site.
    """
    pending = {
        s: without_gates(f - s if site.discrete else f) for s, f in zip(site.states, site.F, strict=True)
    }
    solved: dict[sp.Symbol, sp.Expr] = {}
    loose: list[tuple[sp.Symbol, tuple[sp.Expr, ...]]] = []
    open_states = list(site.states)
    while found := _linear_pair(pending, open_states):
        owner, state, value, slope = found
        if shut := shutting_calls(site.functions.expand(slope)):
            loose.append((state, shut))
        del pending[owner]
        open_states.remove(state)
        solved = {s: tidy(expression.xreplace({state: value})) for s, expression in solved.items()}
        solved[state] = value
        pending = {s: without_gates(expression.xreplace({state: value})) for s, expression in pending.items()}
    for owner, residual in pending.items():
        if not residual.free_symbols & set(open_states):
            raise AnsatzError(
                f"the static ansatz does not determine state `{owner}`: its fixed-point equation reads "
                f"{residual} = 0 and holds no state. Use --ansatz untied, or give the state a leak."
            )
    return Elimination(solved, tuple(zip(open_states, pending.values(), strict=True)), tuple(loose))


def shutting_calls(slope: sp.Expr) -> tuple[sp.Expr, ...]:
    """Calls on whose plateaus a slope vanishes, so that dividing by it is not allowed at every unit."""
    calls = sorted((c for c in slope.atoms(Fn) if c.order == 0 and c.name in PLATEAUS), key=sp.default_sort_key)
    return tuple(c for c in calls if any(sp.expand(slope.xreplace({c: sp.Integer(p)})) == 0 for p in PLATEAUS[c.name]))


def without_gates(residual: sp.Expr) -> sp.Expr:
    """Divide an equation residual = 0 by factors that never vanish: gates, their complements, exponentials."""
    plain, back = opaque(tidy(residual))
    factors = sp.Mul.make_args(sp.factor(plain))
    if len(factors) == 1:
        return plain.xreplace(back)
    return sp.Mul(*[f for f in factors if not _never_zero(f.as_base_exp()[0].xreplace(back))]).xreplace(back)


def _never_zero(expression: sp.Expr) -> bool:
    """Recognises c*sigmoid(x), c*(1 - sigmoid(x)), exp and softplus of finite arguments."""
    constant, rest = expression.as_coeff_Add()
    factor, call = rest.as_coeff_Mul()
    if not isinstance(call, Fn) or call.order != 0:
        return False
    if constant == 0:
        return call.name in ("sigmoid", "exp", "softplus")
    return call.name == "sigmoid" and factor == -constant


def _linear_pair(
    pending: dict[sp.Symbol, sp.Expr], open_states: list[sp.Symbol]
) -> tuple[sp.Symbol, sp.Symbol, sp.Expr, sp.Expr] | None:
    """An equation that is linear in a state, with its solution and slope; a state's own equation first."""
    choices = [(s, s) for s in open_states if s in pending]
    choices += [(owner, s) for owner in pending for s in open_states if owner != s]
    for owner, state in choices:
        slope = tidy(pending[owner].diff(state))
        if slope == 0 or slope.has(state):
            continue
        return owner, state, tidy(-pending[owner].xreplace({state: sp.S.Zero}) / slope), slope
    return None


def static_law(site: SiteForm, elimination: Elimination) -> Law:
    """Gaussian fields with unknown covariance inside each matrix, quenched biases and inputs."""
    blocks: dict[sp.Symbol, str] = {}
    mean: dict[sp.Symbol, sp.Expr] = {}
    second: dict[tuple[sp.Symbol, sp.Symbol], sp.Expr] = {}
    for item in site.fields:
        blocks[item.symbol] = f"weight {item.weight}"
    for members in site.groups.values():
        for position, k in enumerate(members):
            for m in members[position:]:
                left, right = site.fields[k], site.fields[m]
                second[left.symbol, right.symbol] = covariance_symbol(left.name, right.name)
    for variable in site.quenched:
        blocks[variable.symbol] = f"{variable.kind} {variable.name}"
        mean[variable.symbol] = variable.mean
        second[variable.symbol, variable.symbol] = variable.second
    gaussian = frozenset(blocks)
    depends = {state: gaussian_needed(elimination, gaussian) for state, _ in elimination.implicit}
    for state in depends:
        blocks[state] = f"state {state}"
    return Law(blocks, mean, second, depends=depends, functions=site.functions)


def gaussian_needed(elimination: Elimination, gaussian: frozenset[sp.Symbol]) -> frozenset[sp.Symbol]:
    """The Gaussian variables that the implicit site equations hold."""
    held: set[sp.Symbol] = set()
    for _, residual in elimination.implicit:
        held |= residual.free_symbols & gaussian
    return frozenset(held)


def covariance_symbol(left: str, right: str) -> sp.Symbol:
    """The unknown E[u_left u_right]; a variance is called q."""
    name = f"q[{left}]" if left == right else f"C[{left},{right}]"
    return sp.Symbol(name, nonnegative=True) if left == right else sp.Symbol(name, real=True)


def static_theory(site: SiteForm) -> Theory:
    """Derive the static mean field of a site (without its spectrum).

    Raises
    ------
    AnsatzError : the fixed-point condition does not determine the site.
    SizeError : an average expands beyond the stated limit.
    """
    elimination = eliminate(site)
    law = static_law(site, elimination)
    v = [tidy(item.v.xreplace(elimination.states)) for item in site.fields]
    equations, names = _covariance_equations(site, law, v)
    system = System(equations, names)
    return Theory(
        site=site,
        ansatz="static",
        closure="implicit" if elimination.implicit else "exact",
        law=law,
        system=system,
        variances={item.name: covariance_symbol(item.name, item.name) for item in site.fields},
        observables=static_observables(site, law, elimination),
        steps=_steps(site, elimination, equations),
        notes=_notes(elimination),
        states=elimination.states,
        implicit=elimination.implicit,
    )


def _covariance_equations(
    site: SiteForm, law: Law, v: list[sp.Expr]
) -> tuple[dict[sp.Symbol, sp.Expr], dict[sp.Symbol, str]]:
    equations: dict[sp.Symbol, sp.Expr] = {}
    names: dict[sp.Symbol, str] = {}
    for members in site.groups.values():
        for position, k in enumerate(members):
            for m in members[position:]:
                symbol = covariance_symbol(site.fields[k].name, site.fields[m].name)
                equations[symbol] = site.fields[k].gain ** 2 * average(v[k] * v[m], law)
                names[symbol] = str(symbol.name)
    return equations, names


def static_observables(site: SiteForm, law: Law, elimination: Elimination) -> dict[str, sp.Expr]:
    """Q[state] = E[s^2], and q_total[definition], the variance of the argument of a one-call definition."""
    found: dict[str, sp.Expr] = {}
    for state in site.states:
        found[f"Q[{state}]"] = average(elimination.states.get(state, state) ** 2, law)
    fields = {item.symbol for item in site.fields}
    for definition in site.definitions:
        if definition.argument is None:
            continue
        argument = tidy(definition.argument.xreplace(elimination.states))
        if argument.free_symbols & (fields | set(law.depends)):
            found[f"q_total[{definition.name}]"] = average(argument**2, law) - average(argument, law) ** 2
    return found


def _notes(elimination: Elimination) -> tuple[str, ...]:
    notes = tuple(
        f"units at which {' or '.join(sorted({call.name for call in calls}))} shuts exactly keep any value of {state}:"
        " of this continuum of fixed points the one is described where they obey the same equation as all others"
        for state, calls in elimination.loose
    )
    if not elimination.implicit:
        return notes
    held = ", ".join(str(state) for state, _ in elimination.implicit)
    return (f"no closed form for {held}: the fixed-point equation is solved at every site", *notes)


def _steps(site: SiteForm, elimination: Elimination, equations: dict[sp.Symbol, sp.Expr]) -> tuple[Step, ...]:
    steps = []
    condition = "s = F(s, u)" if site.discrete else "F(s, u) = 0"
    if elimination.states:
        steps.append(
            Step(
                "eliminate states",
                tuple(elimination.states.items()),
                f"the fixed-point condition {condition} is solved for the states",
                "fields, inputs and biases are constant in time",
            )
        )
    if elimination.implicit:
        steps.append(
            Step(
                "implicit states",
                tuple((residual, sp.S.Zero) for _, residual in elimination.implicit),
                "no algebraic solution: the root is found numerically at every site",
                "of several roots, the one reached by the dynamics from s = 0 is taken",
            )
        )
    steps.append(
        Step(
            "close field covariances",
            tuple(equations.items()),
            "C_kl = sigma^2 E[v_k v_l]: a sum over N independent weights; averages factorise over independent fields",
            "self-averaging; fields of one site are Gaussian and fields of different matrices independent",
        )
    )
    return tuple(steps)
