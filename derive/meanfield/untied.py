"""Untied mean field (signal propagation): weights, biases and inputs are fresh at every step.

Second moments of the states obey a recursion; `derive.meanfield.closure` finds out whether it closes.
Two replicas that share weights and biases, and whose inputs have E[x_a x_b] = Sigma R, give the correlation
map; pair perturbations give chi1 (one replica) and chi_star (two).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from derive.errors import AnsatzError, ClosureError, SizeError
from derive.gaussian.average import Law
from derive.meanfield.closure import Closure, linear_map
from derive.meanfield.static import covariance_symbol
from derive.site import SiteForm
from derive.theory import Replicas, Step, System, Theory


def untied_theory(site: SiteForm) -> Theory:
    """Derive the untied mean field: closed moment equations, or the reason why the chain must be sampled.

    Raises
    ------
    AnsatzError : the cell is in continuous time, where redrawing weights at every step means nothing.
    """
    if not site.discrete:
        raise AnsatzError(
            f"{site.cell.name} is in continuous time; the untied ansatz redraws weights at every step and exists "
            "only for maps. Use --ansatz static, or write the cell with name' = ... updates."
        )
    try:
        return _closed(site)
    except (ClosureError, SizeError) as reason:
        return _sampled(site, reason)


@dataclass(frozen=True)
class _Names:
    """Symbols of replica b and of perturbations of either replica."""

    to_b: dict[sp.Symbol, sp.Symbol]
    d: tuple[sp.Symbol, ...]
    d_b: tuple[sp.Symbol, ...]
    w: tuple[sp.Symbol, ...]
    w_b: tuple[sp.Symbol, ...]


def _names(site: SiteForm) -> _Names:
    varying = [*site.states, *(item.symbol for item in site.fields)]
    varying += [item.symbol for item in site.quenched if item.kind == "input"]
    to_b = {symbol: sp.Symbol(f"{symbol.name}^b", real=True) for symbol in varying}

    def fresh(prefix: str, symbols: list[sp.Symbol], suffix: str) -> tuple[sp.Symbol, ...]:
        return tuple(sp.Symbol(f"{prefix}[{symbol.name}]{suffix}", real=True) for symbol in symbols)

    states, fields = list(site.states), [item.symbol for item in site.fields]
    return _Names(to_b, fresh("d", states, ""), fresh("d", states, "^b"), fresh("d", fields, ""),
                  fresh("d", fields, "^b"))  # fmt: skip


def overlap_symbol(left: str, right: str) -> sp.Symbol:
    """E[u_left u_right] between replicas a and b."""
    first, second = sorted((left, right))
    return sp.Symbol(f"c[{first}]" if first == second else f"c[{first},{second}]", real=True)


def _untied_law(site: SiteForm, names: _Names) -> Law:
    """Both replicas at once: replica a keeps the plain symbols."""
    blocks: dict[sp.Symbol, str] = {}
    mean: dict[sp.Symbol, sp.Expr] = {}
    second: dict[tuple[sp.Symbol, sp.Symbol], sp.Expr] = {}
    for symbol in (*site.states, *(names.to_b[s] for s in site.states), *names.d, *names.d_b):
        blocks[symbol] = "states"
    for members in site.groups.values():
        for k in members:
            _add_field_pairs(site, names, k, members, blocks, second)
    for item in site.quenched:
        copies = [item.symbol] if item.kind == "bias" else [item.symbol, names.to_b[item.symbol]]
        for copy in copies:
            blocks[copy], mean[copy], second[copy, copy] = f"{item.kind} {item.name}", item.mean, item.second
        if len(copies) == 2:
            second[copies[0], copies[1]] = item.correlation * item.second
    unknown = frozenset(symbol for symbol, block in blocks.items() if block == "states")
    return Law(blocks, mean, second, unknown=unknown, functions=site.functions)


def _add_field_pairs(
    site: SiteForm,
    names: _Names,
    k: int,
    members: tuple[int, ...],
    blocks: dict[sp.Symbol, str],
    second: dict[tuple[sp.Symbol, sp.Symbol], sp.Expr],
) -> None:
    left = site.fields[k]
    blocks[left.symbol] = blocks[names.to_b[left.symbol]] = f"weight {left.weight}"
    blocks[names.w[k]] = blocks[names.w_b[k]] = f"perturbation {left.weight}"
    for m in members:
        right = site.fields[m]
        first, last = site.fields[min(k, m)], site.fields[max(k, m)]
        within = covariance_symbol(first.name, last.name)
        across = overlap_symbol(left.name, right.name)
        second[left.symbol, right.symbol] = within
        second[names.to_b[left.symbol], names.to_b[right.symbol]] = within
        second[left.symbol, names.to_b[right.symbol]] = across
        second[names.w[k], names.w[m]] = _delta(left.name, right.name, "")
        second[names.w[k], names.w_b[m]] = _delta(left.name, right.name, "ab")


def _delta(left: str, right: str, replicas: str) -> sp.Symbol:
    return sp.Symbol(f"Delta{replicas}[{left},{right}]", real=True)


def state_closure(site: SiteForm, law: Law) -> Closure:
    """Moments of the states of one replica, none asked for yet."""
    new = dict(zip(site.states, site.F, strict=True))
    return Closure(law, lambda integrand: integrand.xreplace(new))


def _closed(site: SiteForm) -> Theory:
    names = _names(site)
    law = _untied_law(site, names)
    single = state_closure(site, law)
    covariances = _field_covariances(site, single)
    observables = {f"Q[{state}]": single.moment(state**2) for state in site.states}
    single.close()
    matrix, pairs = _perturbations(site, single, law, names, two=False)
    replicas, overlap_equations = _replicas(site, single, law, names)
    single.close()  # perturbations and replicas may have asked for more moments of one replica
    observables |= _totals(site, single)
    single.close()
    equations = covariances | single.solved()
    return Theory(
        site=site,
        ansatz="untied",
        closure="exact",
        law=law,
        system=System(equations, {symbol: str(symbol.name) for symbol in equations}),
        variances={item.name: covariance_symbol(item.name, item.name) for item in site.fields},
        observables=observables,
        steps=_steps(site, covariances, single, pairs, overlap_equations),
        replicas=replicas,
        perturbation=matrix,
    )


def _field_covariances(site: SiteForm, closure: Closure) -> dict[sp.Symbol, sp.Expr]:
    equations: dict[sp.Symbol, sp.Expr] = {}
    for members in site.groups.values():
        for position, k in enumerate(members):
            for m in members[position:]:
                left, right = site.fields[k], site.fields[m]
                symbol = covariance_symbol(left.name, right.name)
                equations[symbol] = left.gain**2 * closure.process(left.v * right.v)
    return equations


def _totals(site: SiteForm, closure: Closure) -> dict[str, sp.Expr]:
    """Variance of the whole argument of each one-call definition that holds a field."""
    fields = {item.symbol for item in site.fields}
    found: dict[str, sp.Expr] = {}
    for definition in site.definitions:
        argument = definition.argument
        if argument is None or not argument.free_symbols & fields:
            continue
        try:
            found[f"q_total[{definition.name}]"] = closure.process(argument**2) - closure.process(argument) ** 2
        except ClosureError:
            continue  # an argument that mixes states and fields has no closed variance; it is only a by-product
    return found


def _perturbations(
    site: SiteForm, single: Closure, law: Law, names: _Names, *, two: bool
) -> tuple[sp.Matrix, dict[sp.Symbol, sp.Expr]]:
    """The linear map of E[g(s) d_i d_j]; with two replicas of E[g(s_a, s_b) d^a_i d^b_j]."""
    d_a, w_a = names.d, names.w
    d_b, w_b = (names.d_b, names.w_b) if two else (names.d, names.w)
    to_b = names.to_b if two else {}
    new = dict(zip(site.states, site.F, strict=True))
    new_b = {to_b[s]: f.xreplace(to_b) for s, f in new.items()} if two else {}
    moved_a = _moved(site, d_a, w_a, {})
    moved_b = _moved(site, d_b, w_b, to_b)
    step = new | new_b | dict(zip(d_a, moved_a, strict=True)) | dict(zip(d_b, moved_b, strict=True))
    marks = frozenset(d_a) | frozenset(d_b)
    closure = Closure(
        law,
        lambda integrand: integrand.xreplace(step),
        label="P",
        owner=single,
        owned=lambda integrand: bool(integrand.free_symbols & marks),
        canonical=_canonical(names) if two else lambda integrand: integrand,
    )
    deltas = _field_perturbations(site, closure, names, two)
    for left in d_a:
        for right in d_b:
            closure.moment(left * right)
    closure.close()
    return linear_map(closure.equations, deltas), closure.equations | deltas


def _moved(
    site: SiteForm, d: tuple[sp.Symbol, ...], w: tuple[sp.Symbol, ...], to_b: dict[sp.Symbol, sp.Symbol]
) -> list[sp.Expr]:
    """L d + a w for every state."""
    L, a = site.L.xreplace(to_b), site.a.xreplace(to_b)
    return list(L * sp.Matrix(d) + a * sp.Matrix(w)) if w else list(L * sp.Matrix(d))


def _field_perturbations(site: SiteForm, closure: Closure, names: _Names, two: bool) -> dict[sp.Symbol, sp.Expr]:
    """Delta_kl = sigma^2 E[(b_k d + e_k w)(b_l d + e_l w)], in dependency order."""
    to_b = names.to_b if two else {}
    d_b, w_b = (names.d_b, names.w_b) if two else (names.d, names.w)
    b, e = site.b, site.e
    inner_a = [(b.row(k) * sp.Matrix(names.d))[0] + (e.row(k) * sp.Matrix(names.w))[0] for k in range(len(site.fields))]
    inner_b = [
        (b.row(k).xreplace(to_b) * sp.Matrix(d_b))[0] + (e.row(k).xreplace(to_b) * sp.Matrix(w_b))[0]
        for k in range(len(site.fields))
    ]
    found: dict[sp.Symbol, sp.Expr] = {}
    pairs = [(k, m) for members in site.groups.values() for k in members for m in members]
    for k, m in sorted(pairs, key=lambda pair: (max(pair), min(pair))):
        symbol = _delta(site.fields[k].name, site.fields[m].name, "ab" if two else "")
        found[symbol] = site.fields[k].gain ** 2 * closure.process(inner_a[k] * inner_b[m])
    return found


def _canonical(names: _Names) -> Callable[[sp.Expr], sp.Expr]:
    """An average that concerns replica b alone is one of replica a."""
    back = {b: a for a, b in names.to_b.items()}
    copied = frozenset(names.to_b)

    def rename(integrand: sp.Expr) -> sp.Expr:
        symbols = integrand.free_symbols
        return integrand.xreplace(back) if symbols & set(back) and not symbols & copied else integrand

    return rename


def _replicas(
    site: SiteForm, single: Closure, law: Law, names: _Names
) -> tuple[Replicas, dict[sp.Symbol, sp.Expr]]:
    """Overlap equations E[s_a s_b] and c_kl = sigma^2 E[v_k^a v_l^b], and the map behind chi_star."""
    new = dict(zip(site.states, site.F, strict=True))
    step = new | {names.to_b[s]: f.xreplace(names.to_b) for s, f in new.items()}
    b_states = frozenset(names.to_b[s] for s in site.states)
    both = Closure(
        law,
        lambda integrand: integrand.xreplace(step),
        label="C",
        canonical=_canonical(names),
        owner=single,
        owned=lambda integrand: bool(integrand.free_symbols & b_states),
    )
    overlaps: dict[sp.Symbol, sp.Expr] = {}
    for members in site.groups.values():
        for position, k in enumerate(members):
            for m in members[position:]:
                left, right = site.fields[k], site.fields[m]
                product = left.v * right.v.xreplace(names.to_b)
                overlaps[overlap_symbol(left.name, right.name)] = left.gain**2 * both.process(product)
    covariances = {str(s): both.moment(s * names.to_b[s]) for s in site.states}
    both.close()
    matrix, _ = _perturbations(site, both, law, names, two=True)
    both.close()
    equations = overlaps | both.solved()
    system = System(equations, {symbol: str(symbol.name) for symbol in equations})
    diagonal = _diagonal(site, single, both, names)
    return Replicas(law, system, diagonal, covariances, matrix), overlaps | both.equations


def _diagonal(site: SiteForm, single: Closure, both: Closure, names: _Names) -> dict[sp.Symbol, sp.Symbol]:
    """Each overlap where the replicas coincide."""
    back = {b: a for a, b in names.to_b.items()}
    found = {
        symbol: single.moments[integrand.xreplace(back)]
        for integrand, symbol in both.moments.items()
        if integrand.xreplace(back) in single.moments
    }
    for members in site.groups.values():
        for k in members:
            for m in members:
                left, right = site.fields[min(k, m)].name, site.fields[max(k, m)].name
                found[overlap_symbol(left, right)] = covariance_symbol(left, right)
    return found


def _steps(
    site: SiteForm,
    covariances: dict[sp.Symbol, sp.Expr],
    single: Closure,
    pairs: dict[sp.Symbol, sp.Expr],
    overlaps: dict[sp.Symbol, sp.Expr],
) -> tuple[Step, ...]:
    return (
        Step(
            "field covariances",
            tuple(covariances.items()),
            "C_kl = sigma^2 E[v_k v_l]; states entering a step are independent of its fields",
            "weights, inputs and biases are redrawn at every step; self-averaging",
        ),
        Step(
            "moment recursion",
            tuple(single.equations.items()),
            "the new moment is expanded and factorised over independent groups; the set of moments closes",
            "independence of the step's fields from the states entering it",
        ),
        Step(
            "stationary moments",
            tuple(single.solved().items()),
            "each stationary equation is linear in its own moment and is solved for it",
            "stationarity",
        ),
        Step(
            "perturbations",
            tuple(pairs.items()),
            "squares of a perturbation of random sign: ds' = L ds + a du with E[du_k du_l] = Delta_kl; "
            "chi1 is the spectral radius of this linear map",
            "gradient independence, exact here since weights are fresh at every step",
        ),
        Step(
            "two replicas",
            tuple(overlaps.items()),
            "replicas a and b share weights and biases; the fixed point is C*, the largest eigenvalue of the "
            "derivative there is chi_star, and xi = -1/ln chi_star",
            "E[x_a x_b] = Sigma E[x^2]",
        ),
    )


def _sampled(site: SiteForm, reason: ClosureError | SizeError) -> Theory:
    missing = reason.missing if isinstance(reason, ClosureError) else ()
    names = _names(site)
    return Theory(
        site=site,
        ansatz="untied",
        closure="sampled",
        law=_untied_law(site, names),
        system=System({}),
        variances={item.name: covariance_symbol(item.name, item.name) for item in site.fields},
        observables={},
        steps=(
            Step(
                "closure fails",
                (),
                f"{reason}" + (f"; missing: {', '.join(missing)}" if missing else ""),
                "the single-site chain is sampled instead, which is exact up to its stated standard error",
            ),
        ),
        notes=("the moments do not close; the single-site chain is sampled",),
        missing=missing,
    )
