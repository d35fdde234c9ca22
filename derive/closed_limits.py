"""Equations in closed form where a function without closed averages gives way to one that has them.

The error function takes the place of a sigmoidal f with the same slope at zero and the same limits, for example
erf(sqrt(pi) x/2) that of tanh(x) and (1 + erf(sqrt(pi) x/4))/2 that of the logistic function: with it averages are
arcsines and roots of variances (Williams 1998, Neural Comput. 10, 1203).  In a second step ReLU takes the place of
odd functions, whose averages then are polynomials in variances (Cho & Saul 2009, NIPS 22).

f and its stand-in share their symmetry about zero, so that what vanishes by parity vanishes in either, and every line
of the derivation that names f holds for the stand-in too.  ReLU has no such symmetry: its theory is derived anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from derive.elementary import Fn, FunctionTable, X
from derive.errors import GatefieldError
from derive.gaussian.average import Average, Law, average
from derive.meanfield.static import static_theory
from derive.meanfield.untied import untied_theory
from derive.site import SiteForm
from derive.stability.spectrum import LAM, LAM_CONJ, spectral_theory
from derive.stand_ins import ERF, ODD, SAYS
from derive.theory import Step, Theory

Equations = list[tuple[sp.Basic, sp.Expr]]
Zeros = Mapping[sp.Symbol, sp.Expr]

MAX_OPERATIONS = 45
"""An equation with more operations is not written out; the averages in it are listed instead."""

MAX_WITH_GATES = 60
"""The same for an equation that keeps averages of gates, unless the equation it comes from is longer."""

MAX_AVERAGES = 16
"""Longer lists of averages are left out."""

_CENTRED = "the arguments of these functions have mean zero"


@dataclass(frozen=True)
class _Closed:
    """Averages in closed form; zeros : means that have to vanish for it; functions : what was replaced."""

    values: Mapping[Average, sp.Expr]
    zeros: Zeros
    functions: frozenset[str]


def closed_forms(theory: Theory) -> Iterator[Step]:
    """The equations with erf, then with ReLU, if that leaves no average but those that depend on lambda."""
    if theory.implicit or not theory.system.equations:
        return
    try:
        equations = _equations(theory)
        closed = _close(theory, equations)
        if closed is None or not closed.functions:
            return
        step = _erf_step(equations, closed)
        if step is None:
            return
        yield step
        broken = any(value == 0 for value in closed.values.values())
        second = None if broken else _relu_step(theory, closed)
    except GatefieldError:  # too large an expansion, or a function without a value where it is needed
        return
    if second is not None:
        yield second


def _equations(theory: Theory) -> Equations:
    """What determines a solution, its boundary, its growth of perturbations and its overlaps."""
    found: Equations = list(theory.system.equations.items())
    if theory.spectrum is not None:
        found += [(sp.S.One, item) for item in theory.spectrum.boundary]
    if theory.perturbation is not None and theory.perturbation.rows == 1:
        found.append((sp.Symbol("chi1[]"), theory.perturbation[0, 0]))
    if theory.replicas is not None:
        found += theory.replicas.system.equations.items()
    return found


def _close(theory: Theory, equations: Equations) -> _Closed | None:
    """All averages that do not depend on lambda, at vanishing means: beyond them erf^2 has no closed average."""
    nodes = _fixed_averages(equations)
    zeros = _means(theory, nodes, frozenset(ERF))
    if not nodes or zeros is None:
        return None
    law = at_zeros(theory.law, zeros)
    values = {}
    for node in nodes:
        value = average(_with_erf(node.integrand, law).xreplace(dict(zeros)), law)
        if value.has(Average):
            return None
        values[node] = tidy_arcsines(value)
    calls = (call for node in nodes for call in law.functions.expand(node.integrand).atoms(Fn))
    return _Closed(values, zeros, frozenset(call.name for call in calls) & frozenset(ERF))


def _fixed_averages(equations: Equations) -> list[Average]:
    """In the order of their first equation, so that texts are the same every time."""
    found: dict[Average, None] = {}
    for _, right in equations:
        for node in sorted(right.atoms(Average), key=sp.default_sort_key):
            if not node.free_symbols & {LAM, LAM_CONJ}:
                found[node] = None
    return list(found)


def _with_erf(expression: sp.Expr, law: Law) -> sp.Expr:
    return FunctionTable(ERF).expand(law.functions.expand(expression))


def _means(theory: Theory, nodes: list[Average], names: frozenset[str]) -> Zeros | None:
    """The parameters whose vanishing centres the arguments of these functions; None where none can do it alone."""
    parameters = frozenset(theory.site.parameters.values())
    chosen: set[sp.Symbol] = set()
    for node in nodes:
        for call in theory.law.functions.expand(node.integrand).atoms(Fn):
            if call.name not in names:
                continue
            mean = call.argument.xreplace({s: theory.law.mean_of(s) for s in theory.law.random(call.argument)})
            symbols = mean.free_symbols
            if not symbols <= parameters or not _affine(mean) or mean.xreplace(dict.fromkeys(symbols, sp.S.Zero)) != 0:
                return None  # of a product of parameters it is not ours to say which one vanishes
            chosen |= symbols
    return dict.fromkeys(sorted(chosen, key=str), sp.S.Zero)


def _affine(mean: sp.Expr) -> bool:
    symbols = sorted(mean.free_symbols, key=str)
    if not symbols:
        return True
    return mean.is_polynomial(*symbols) and sp.Poly(mean, *symbols).total_degree() == 1


def at_zeros(law: Law, zeros: Zeros) -> Law:
    """The law where some parameters vanish."""
    mean = {symbol: sp.sympify(value).xreplace(dict(zeros)) for symbol, value in law.mean.items()}
    second = {pair: sp.sympify(value).xreplace(dict(zeros)) for pair, value in law.second.items()}
    return replace(law, mean=mean, second=second)


def tidy_arcsines(value: sp.Expr) -> sp.Expr:
    """Arguments of arcsines as one quotient."""
    return value.replace(lambda node: isinstance(node, sp.asin), lambda node: sp.asin(sp.together(node.args[0])))


def _erf_step(equations: Equations, closed: _Closed) -> Step | None:
    """The equations themselves where all of them are short, else the averages in them."""
    left_over, vanish = _without_zeros(equations, closed)
    changed = [(left, right.xreplace(dict(closed.values)).xreplace(dict(closed.zeros)))
               for left, right in left_over if right.has(Average)]  # fmt: skip
    written = all(sp.count_ops(right) <= MAX_OPERATIONS and not right.has(Average) for _, right in changed)
    rows = changed if written else [(node, closed.values[node]) for node in _fixed_averages(left_over)]
    if len(rows) > MAX_AVERAGES or any(sp.count_ops(right) > MAX_OPERATIONS for _, right in rows):
        return None
    says = " and ".join(dict.fromkeys(SAYS[name] for name in sorted(closed.functions, key=list(ERF).index)))
    listed = "" if written else "; the averages of the equations above are listed"
    listed += ", except those that depend on $lam$" if listed and any(right.has(LAM) for _, right in equations) else ""
    return Step(
        "closed forms: error function",
        (*closed.zeros.items(), *vanish, *rows),
        f"the error function is put in place of functions without closed averages, {says}, with the same slope at zero "
        f"and the same limits; averages of it are arcsines and roots of variances{listed}",
        _CENTRED if closed.zeros else "",
    )


def _without_zeros(equations: Equations, closed: _Closed) -> tuple[Equations, Equations]:
    """What is left of the equations where averages vanish, and with them unknowns; and what vanishes."""
    zeros: dict[sp.Basic, sp.Expr] = {node: value for node, value in closed.values.items() if value == 0}
    found = list(equations)
    while True:
        found = [(left, right.xreplace(zeros)) for left, right in found if left not in zeros]
        new = {left: sp.S.Zero for left, right in found if right == 0 and isinstance(left, sp.Symbol)}
        if not new:
            return found, list(zeros.items())
        zeros |= new


def _relu_step(theory: Theory, closed: _Closed) -> Step | None:
    """The theory derived anew with ReLU in place of odd functions; averages of gates stay.

    Not called where averages vanish by a symmetry that ReLU does not have: there it makes the equations longer.
    """
    odd = closed.functions & ODD
    if not odd:
        return None
    table = FunctionTable({name: Fn("relu", 0, X) for name in odd})
    before = _equations(theory)
    zeros = _means(theory, _fixed_averages(before), odd)
    if zeros is None:
        return None
    other = _derived(_replaced(theory.site, table, zeros), theory.ansatz)
    if set(other.system.equations) - set(theory.system.equations):
        return None  # moments that vanished by symmetry: with ReLU the theory is larger
    known = set(closed.values)
    longest = max(MAX_WITH_GATES, *(sp.count_ops(right) for _, right in before))
    overlaps = theory.replicas.system.equations if theory.replicas is not None else {}
    rows = []
    for left, right in _equations(other):
        if (left, right) in before or (left in overlaps and sp.count_ops(right) > MAX_OPERATIONS):
            continue
        if sp.count_ops(right) > longest or not _readable(right, known):
            return None
        rows.append((left, sp.factor_terms(right)))
    if not rows:
        return None
    names = " and ".join(f"${name}(x)$" for name in sorted(odd))
    gates = "; averages of gates are left" if any(right.has(Average) for _, right in rows) else ""
    return Step(
        "closed forms: ReLU",
        (*zeros.items(), *rows),
        f"$max(0, x)$ is put in place of {names}; its averages are powers of variances and angles{gates}",
        _CENTRED if zeros else "",
    )


def _readable(right: sp.Expr, known: set[Average]) -> bool:
    """Whether the averages in it are known ones or depend on lambda."""
    return all(node in known or node.free_symbols & {LAM, LAM_CONJ} for node in right.atoms(Average))


def _derived(site: SiteForm, ansatz: str) -> Theory:
    if ansatz == "untied":
        return untied_theory(site)
    theory = static_theory(site)
    return replace(theory, spectrum=spectral_theory(theory)[0])


def _replaced(site: SiteForm, table: FunctionTable, zeros: Zeros) -> SiteForm:
    """The site with other functions, where some parameters vanish."""

    def put(expression: sp.Expr) -> sp.Expr:
        return table.expand(sp.sympify(expression)).xreplace(dict(zeros))

    return replace(
        site,
        fields=tuple(replace(item, v=put(item.v), gain=put(item.gain)) for item in site.fields),
        F=tuple(put(item) for item in site.F),
        quenched=tuple(replace(item, mean=put(item.mean), second=put(item.second)) for item in site.quenched),
        definitions=tuple(
            replace(item, value=put(item.value), argument=None if item.argument is None else put(item.argument))
            for item in site.definitions
        ),
        functions=FunctionTable({name: put(body) for name, body in site.functions.own.items()}),
    )
