"""Criticality in closed form: chi1 = 1, or the support touching the line of stability, solved for a parameter.

At given moments (q fixed) a criterion is a polynomial in those gains that enter no average; at the zero state the
moments vanish and hardly anything else is left.  Both are found by algebra on the theory of whatever cell there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import sympy as sp

from derive.elementary import Fn, simplify_zero_arguments
from derive.errors import GatefieldError
from derive.gaussian.average import Average, average
from derive.meanfield.closure import linear_map
from derive.stability.zero_state import Values, ZeroState, find_zero_state, limit
from derive.theory import Step, Theory, unknowns_in

LARGEST_MAP, HIGHEST_DEGREE = 10, 4
AT_MOMENTS, AT_ZERO = "criticality at given moments", "criticality of the zero state"


def critical_steps(theory: Theory, free: Iterable[str], values: Mapping[str, float] | None = None) -> tuple[Step, ...]:
    """What a free parameter (or a power of it) is at criticality, for each in ``free`` where algebra can say.

    values : parameters that are fixed; biases and inputs whose deviation vanishes with them are put at their means.
    """
    symbols = [theory.site.parameters[name] for name in free]
    zero = _zero(theory)
    steps: list[Step] = []
    for symbol in symbols:
        for rule, conditions, why in _conditions(theory, zero, values or {}):
            rows = [row for condition in conditions for row in solved_for(symbol, condition, theory)]
            if rows:
                assumption = _assumption(rule, zero)
                steps.append(Step(rule, tuple(dict.fromkeys(rows)), why, assumption))
    return tuple(steps)


def zero_perturbation(theory: Theory) -> sp.Matrix | None:
    """The map of E[d_i d_j] at the zero state of an untied theory whatever its closure; None where there is none.

    There L, a, b and e hold no state and no field, so that they are independent of the perturbation and chi1, the
    spectral radius of this map, is exact.
    """
    zero = _zero(theory)
    if zero is None or theory.ansatz != "untied":
        return None
    if theory.perturbation is not None:
        entries = [limit(entry, theory, zero) for entry in theory.perturbation]
        known = [entry for entry in entries if entry is not None]
        return sp.Matrix(*theory.perturbation.shape, known) if len(known) == len(entries) else None
    return _map_at_zero(theory, zero)


def solved_for(symbol: sp.Symbol, condition: sp.Expr, theory: Theory) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """(power of the symbol, its value) for each way in which condition = 0 is a polynomial of low degree in it."""
    opaque: dict[sp.Basic, sp.Expr] = {}
    for node in sorted(condition.atoms(Average, Fn), key=sp.default_sort_key):
        if symbol not in unknowns_in(sp.sympify(node), theory.law) | node.free_symbols:
            opaque[node] = sp.Dummy("opaque", positive=True)
    back = {dummy: node for node, dummy in opaque.items()}
    numerator = sp.numer(sp.together(condition.xreplace(opaque)))
    if symbol not in numerator.free_symbols or not numerator.is_polynomial(symbol):
        return
    whole = sp.Poly(numerator, symbol)
    factors = [whole] if _is_simple(whole) else [sp.Poly(f, symbol) for f, _ in sp.factor_list(numerator, symbol)[1]]
    for factor in factors:
        if _is_simple(factor):
            yield from ((left, right.xreplace(back)) for left, right in _roots(symbol, factor))


def _step_of(polynomial: sp.Poly) -> int:
    """The greatest common divisor of the powers that occur."""
    powers = [degree for (degree,), _ in polynomial.terms() if degree]
    return int(sp.igcd(*powers)) if len(powers) > 1 else sum(powers)


def _is_simple(polynomial: sp.Poly) -> bool:
    """Whether it is linear or quadratic in a power of its symbol, and not zero with it."""
    step = _step_of(polynomial)
    return 0 < polynomial.degree() <= min(HIGHEST_DEGREE, 2 * step) and polynomial.coeff_monomial(1) != 0


def _roots(symbol: sp.Symbol, polynomial: sp.Poly) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """The polynomial solved for the lowest power of the symbol in which it is one."""
    step, unknown = _step_of(polynomial), sp.Dummy("power")
    lowered = sum(value * unknown ** (degree // step) for (degree,), value in polynomial.terms())
    for root in sp.solve(lowered, unknown):
        if not (root.is_negative and step % 2 == 0):
            yield symbol**step, _tidy(root)


def _tidy(value: sp.Expr) -> sp.Expr:
    """Factors as people write them: 1 - z and not z - 1, and no minus sign in front of a sum."""
    whole = {number: sp.Integer(int(number)) for number in value.atoms(sp.Float) if number == int(number)}
    value = value.xreplace(whole)
    factors = sp.Mul.make_args(sp.factor(value, deep=False) if value.is_rational_function() else value)
    sign, found = sp.S.One, []
    for factor in factors:
        base, exponent = factor.as_base_exp()
        if isinstance(base, sp.Add) and exponent.is_Integer and base.as_coeff_Add()[0].is_negative:
            sign, factor = sign * (-1) ** int(exponent), _opposite(base) ** exponent
        found.append(factor)
    sums = [factor for factor in found if isinstance(factor, sp.Add)]
    if sign * sp.Mul(*(f for f in found if f.is_Number)) < 0 and sums:
        found[found.index(sums[0])], sign = _opposite(sums[0]), -sign
    return sp.Mul(sign, *found)


def _opposite(total: sp.Expr) -> sp.Expr:
    return sp.Add(*(-term for term in total.args))


def _conditions(
    theory: Theory, zero: ZeroState | None, values: Mapping[str, float]
) -> Iterator[tuple[str, list[sp.Expr], str]]:
    """(rule, expressions that vanish at criticality, why)."""
    if theory.ansatz == "untied":
        if theory.perturbation is not None and theory.perturbation.rows <= LARGEST_MAP:
            yield (AT_MOMENTS, [_unit_eigenvalue(theory.perturbation)],
                   "chi1 = 1, solved for the parameter where it enters no average; moments of states and variances "
                   "of fields are held")  # fmt: skip
        matrix = zero_perturbation(theory)
        if matrix is not None and matrix.rows <= LARGEST_MAP:
            plain = matrix.applyfunc(lambda entry: _without_noise(entry, theory, values))
            yield (AT_ZERO, [_unit_eigenvalue(plain)],
                   "chi1 = 1 where all moments vanish: the map of squared perturbations has the eigenvalue one"
                   )  # fmt: skip
        return
    if zero is not None and theory.spectrum is not None:
        line = sp.S.One if theory.site.discrete else sp.S.Zero
        point = {theory.spectrum.lam: line, theory.spectrum.lam_conj: line}
        edges = [limit(item, theory, zero) for item in theory.spectrum.boundary]
        found = [1 - _without_noise(_averaged(item.xreplace(point), theory), theory, values)
                 for item in edges if item is not None]  # fmt: skip
        yield (AT_ZERO, found, f"the boundary of the support passes lam = {line}")


def _assumption(rule: str, zero: ZeroState | None) -> str:
    if rule == AT_MOMENTS:
        return "moments and field variances are those of the critical solution"
    quiet = ", ".join(str(symbol) for symbol in zero.quiet) if zero is not None else ""
    return "all states vanish" + (f", and with them {quiet}" if quiet else "")


def _zero(theory: Theory) -> ZeroState | None:
    try:
        return find_zero_state(theory)
    except GatefieldError:  # a function without a finite value at zero
        return None


def _unit_eigenvalue(matrix: sp.Matrix) -> sp.Expr:
    """det(1 - M), with what is not rational held as symbols."""
    nodes = sorted(matrix.atoms(Average, Fn), key=sp.default_sort_key)
    names = {node: sp.Dummy(f"n{k}") for k, node in enumerate(nodes)}
    value = (sp.eye(matrix.rows) - matrix.xreplace(names)).det(method="berkowitz")
    return sp.factor(value).xreplace({dummy: node for node, dummy in names.items()})


def _averaged(expression: sp.Expr, theory: Theory) -> sp.Expr:
    """Averages whose integrands have become simpler, worked out again."""
    return expression.replace(lambda node: isinstance(node, Average), lambda node: average(node.integrand, theory.law))


def _without_noise(expression: sp.Expr, theory: Theory, values: Mapping[str, float]) -> sp.Expr:
    """Averages over biases and inputs that do not vary at these values become values at their means."""
    numbers = {theory.site.parameters[name]: sp.Float(value) for name, value in values.items()}
    still = {item.symbol: item.mean for item in theory.site.quenched if item.variance.xreplace(numbers).is_zero}
    silent = {item.symbol: sp.S.Zero for item in theory.site.quenched if item.second.xreplace(numbers).is_zero}
    for k in sorted(theory.site.input_fields):
        field = theory.site.fields[k]
        if field.gain.xreplace(numbers).is_zero or _settled(field.v.xreplace(silent), theory) == 0:
            still[field.symbol] = silent[field.symbol] = sp.S.Zero
    found: dict[sp.Basic, sp.Expr] = {}
    for node in expression.atoms(Average):
        random = theory.law.random(node.integrand)
        if random and random <= still.keys():
            found[node] = _settled(node.integrand.xreplace(still), theory)
    return expression.xreplace(found)


def _settled(value: sp.Expr, theory: Theory) -> sp.Expr:
    """Calls at zero evaluated from the inside out."""
    while (simpler := simplify_zero_arguments(value, theory.law.functions)) != value:
        value = simpler
    return value


def _map_at_zero(theory: Theory, zero: ZeroState) -> sp.Matrix | None:
    """Sigma -> E[L Sigma L^T] + sum E[a_k a_l] Delta_kl(Sigma), with the site derivatives at the zero state."""
    site = theory.site
    at: Values = {**zero.zeros, **dict.fromkeys(site.states, sp.S.Zero)}
    if any(theory.law.functions.kinked(call.name) for value in (*site.F, *(k.v for k in site.fields))
           for call in theory.law.functions.expand(value).atoms(Fn)):  # fmt: skip
        return None
    L, a, b, e = (matrix.applyfunc(lambda entry: _settled(entry.xreplace(at), theory))
                  for matrix in (site.L, site.a, site.b, site.e))  # fmt: skip
    if any(entry.has(sp.zoo, sp.nan, sp.oo) for matrix in (L, a, b, e) for entry in matrix):
        return None
    count = len(site.states)
    names = {(i, j): sp.Symbol(f"Sigma[{i},{j}]", real=True) for i in range(count) for j in range(i, count)}
    sigma = sp.Matrix(count, count, lambda i, j: names[min(i, j), max(i, j)])
    delta = sp.zeros(len(site.fields), len(site.fields))
    for k, m in sorted(_pairs(theory), key=lambda pair: (max(pair), min(pair))):
        inside = (b.row(k) * sigma * b.row(m).T + e.row(k) * delta * e.row(m).T)[0]
        delta[k, m] = site.fields[k].gain ** 2 * _mean(inside, theory)
    rows = {names[i, j]: _mean((L.row(i) * sigma * L.row(j).T + a.row(i) * delta * a.row(j).T)[0], theory)
            for i, j in names}  # fmt: skip
    return linear_map(rows, {})


def _pairs(theory: Theory) -> list[tuple[int, int]]:
    return [(k, m) for members in theory.site.groups.values() for k in members for m in members]


def _mean(expression: sp.Expr, theory: Theory) -> sp.Expr:
    """E over biases and inputs, term by term in the perturbation."""
    return average(sp.expand(expression), theory.law) if expression != 0 else sp.S.Zero
