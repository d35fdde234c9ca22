"""Moments of the product of T untied Jacobians, by a closed recursion: X <- J X J^T in units and pairs of units.

A unit carries its block X_i = X_ii, (S, S); with B = b X b^T + e Delta e^T and C = b X L^T + e Delta a^T one step is

    Delta = sigma^2 E[b X b^T + e Delta e^T]   (inside each matrix)          X' = L X L^T + a Delta a^T

so that E[X], E[X X] and, where a, b or e hold the state that enters, moments such as E[X s^2] obey a recursion.  It
closes where the same expansion closes as for the states alone: products of X and states are further moments.  Pairs
of units enter by  O_{pq,rs} = (1/N) sum_{i != j} X_{ip,jr} X_{iq,js},  which one step maps to

    O' = (M x M) O + sum Psi_kl (x) E[C_k C_l] (both ways round) + sum Psi_km (x) Psi_lr E[B_kl B_mr]

M : P -> E[L P L^T] + Psi(b P b^T),  Psi_kl = what a unit product on fields k, l adds to E[X']; orthogonal weights take
E[B] E[B] inside each from the last sum.  Where no site derivative holds the state and S = 1 three numbers remain:
tau = E[X], d = E[X^2] and o.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import sympy as sp

from derive.errors import AnsatzError, ClosureError, GatefieldError
from derive.gaussian.average import Law
from derive.meanfield.closure import Closure
from derive.meanfield.untied import state_closure
from derive.rich import Rich
from derive.site import SiteForm
from derive.stability.singular import FIRST, SECOND, in_powers
from derive.theory import Step, System, Theory, once_per_theory

MOST_STATES = 3
"""Beyond it pairs of units take thousands of averages; the sampled chain is cheaper."""


@dataclass(frozen=True)
class ProductTheory(Rich):
    """The recursion of one step; unprimed symbols are of the product so far, right-hand sides of the next one.

    delta : Delta of pairs of fields of one matrix, each in unit moments and those before it; psi : Psi_kl on entries
    of states, constants, each in averages and those before it; units : moments of X_i and states; pairs : the O;
    start : units at X = 1 (every O starts at zero); first, second : m1 and m2 in units and pairs; moments : equations
    of moments of the states that the theory itself does not need; simple : whether units are E[X] and E[X X] alone;
    degrees : of units in X; steps : the derivation.
    """

    delta: dict[sp.Symbol, sp.Expr]
    psi: dict[sp.Symbol, sp.Expr]
    units: dict[sp.Symbol, sp.Expr]
    pairs: dict[sp.Symbol, sp.Expr]
    start: dict[sp.Symbol, sp.Expr]
    first: sp.Expr
    second: sp.Expr
    moments: System
    simple: bool
    degrees: dict[sp.Symbol, int]
    steps: tuple[Step, ...]


@once_per_theory
def product_theory(theory: Theory) -> ProductTheory:
    """The recursion of an untied theory; worked out once for each theory.

    Raises
    ------
    AnsatzError : the theory is not untied; its moments or those of X with the states do not close; L or b holds the
        state that enters, so that X_ij of different units is correlated with it; the Jacobian holds a delta function.
    SizeError : an average expands beyond the stated limit.
    """
    site = theory.site
    if theory.ansatz != "untied":
        raise AnsatzError("steps have independent Jacobians only where weights are redrawn: use --ansatz untied")
    if theory.closure == "sampled":
        raise AnsatzError("the moments of the states do not close")
    states = set(site.states)
    if any(entry.free_symbols & states for matrix in (site.L, site.b) for entry in matrix):
        raise AnsatzError("L or b holds the state that enters a step, which X_ij of different units knows of")
    if len(site.states) > MOST_STATES:
        raise AnsatzError(f"{len(site.states)} states (limit {MOST_STATES})")
    if any(theory.law.functions.has_delta(entry) for matrix in (site.L, site.a, site.b, site.e) for entry in matrix):
        raise AnsatzError("the Jacobian holds the derivative of a jump, a delta function, and its square has no mean")
    try:
        return _Recursion(site, theory.law).theory(theory.system)
    except ClosureError as reason:
        raise AnsatzError(f"{reason}: moments of X_ii together with the states do not close") from None


def closed_products(theory: Theory) -> ProductTheory | None:
    """`product_theory`, or None where it raises: documents then go without."""
    try:
        return product_theory(theory)
    except GatefieldError:
        return None


def block_symbols(site: SiteForm) -> sp.Matrix:
    """X_ii as a symmetric matrix of symbols, (S, S)."""
    names = [str(state) for state in site.states]

    def symbol(i: int, j: int) -> sp.Symbol:
        return sp.Symbol(f"X[{names[min(i, j)]},{names[max(i, j)]}]", real=True)

    return sp.Matrix(len(names), len(names), symbol)


class _Units(Closure):
    """Moments of X_i and the states; Delta are numbers of the step, kept in front of every average."""

    numbers: tuple[sp.Symbol, ...] = ()

    def process(self, expression: sp.Expr) -> sp.Expr:
        """E over one site.  Raises ClosureError, SizeError."""
        whole = super().process
        return sp.Add(*(gain * whole(rest) for gain, rest in in_powers(expression, self.numbers)))


class _Recursion:
    def __init__(self, site: SiteForm, law: Law) -> None:
        self.site, self.S, self.K = site, len(site.states), len(site.fields)
        self.X = block_symbols(site)
        marks = frozenset(self.X)
        law = replace(law, blocks={**law.blocks, **dict.fromkeys(marks, "states")}, unknown=law.unknown | marks)
        self.states = state_closure(site, law)
        self.alike = [
            (k, m) for members in site.groups.values() for k in members for m in members
            if not {k, m} & site.input_fields
        ]  # fmt: skip
        self.delta = self._table("Delta", self.alike)
        new = dict(zip(site.states, site.F, strict=True))
        moved = site.L * self.X * site.L.T + site.a * self.delta * site.a.T
        new |= {self.X[i, j]: moved[i, j] for i in range(self.S) for j in range(i, self.S)}
        self.units = _Units(
            law, lambda integrand: integrand.xreplace(new), label="P", owner=self.states,
            owned=lambda integrand: bool(integrand.free_symbols & marks),
        )  # fmt: skip
        self.units.numbers = tuple(dict.fromkeys(s for s in self.delta if s != 0))

    def _table(self, head: str, pairs: Sequence[tuple[int, int]], tail: str = "") -> sp.Matrix:
        """Symbols on pairs of fields, the same for (k, l) and (l, k), zero elsewhere."""
        table = sp.zeros(self.K, self.K)
        for k, m in pairs:
            first, last = self.site.fields[min(k, m)].name, self.site.fields[max(k, m)].name
            table[k, m] = sp.Symbol(f"{head}[{first},{last}{tail}]", real=True)
        return table

    def theory(self, known: System) -> ProductTheory:
        site, units = self.site, self.units
        deltas = self._deltas()
        first = sum((units.moment(self.X[i, i]) for i in range(self.S)), sp.S.Zero) / self.S
        own = [units.moment(self.X[i, j] ** 2) for i in range(self.S) for j in range(self.S)]
        psi, pairs, traced = self._pairs()
        units.close()
        start = {symbol: self._at_start(integrand) for integrand, symbol in units.moments.items()}
        self.states.close()
        second = (sp.Add(*own) + traced) / self.S
        more = {s: right for s, right in self.states.solved().items() if s not in known.equations}
        states = set(site.states)
        return ProductTheory(
            deltas, psi, dict(units.equations), pairs, start, first, second,
            System(more, {symbol: str(symbol.name) for symbol in more}),
            simple=not any(integrand.free_symbols & states for integrand in units.moments),
            degrees={symbol: self._degree(integrand) for integrand, symbol in units.moments.items()},
            steps=_steps(self.site, deltas, dict(units.equations), psi if self.S > 1 else {}, pairs, first, second),
        )  # fmt: skip

    def _degree(self, integrand: sp.Expr) -> int:
        return int(sp.Poly(integrand, *dict.fromkeys(self.X)).total_degree())

    def _at_start(self, integrand: sp.Expr) -> sp.Expr:
        one = {self.X[i, j]: sp.Integer(i == j) for i in range(self.S) for j in range(self.S)}
        value = integrand.xreplace(one)
        return self.states.moment(value) if value.free_symbols else value

    def _deltas(self) -> dict[sp.Symbol, sp.Expr]:
        """Delta in dependency order."""
        found: dict[sp.Symbol, sp.Expr] = {}
        b, e = self.site.b, self.site.e
        for k, m in sorted(self.alike, key=lambda pair: (max(pair), min(pair))):
            inside = (b.row(k) * self.X * b.row(m).T + e.row(k) * self.delta * e.row(m).T)[0]
            found[self.delta[k, m]] = self.site.fields[k].gain ** 2 * self.units.process(inside)
        return found

    def _pairs(self) -> tuple[dict[sp.Symbol, sp.Expr], dict[sp.Symbol, sp.Expr], sp.Expr]:
        """Psi, the equations of O, and sum O_{aa,bb}."""
        psi, values = self._psi()
        transfer = self._transfer(psi)
        index = list(product(range(self.S), repeat=4))
        names = {place: self._pair_symbol(*place) for place in index}
        passed = {
            (p, q, r, s): sp.Add(*(
                transfer[a, b, p, q] * names[a, b, c, d] * transfer[c, d, r, s]
                for a, b, c, d in index if transfer[a, b, p, q] != 0 and transfer[c, d, r, s] != 0))
            for p, q, r, s in index
        }  # fmt: skip
        one, both = self._one_sided(psi), self._two_sided(psi)
        rows: dict[sp.Symbol, sp.Expr] = {}
        for p, q, r, s in index:
            if names[p, q, r, s] not in rows:
                source = one.get((p, q, r, s), 0) + one.get((r, s, p, q), 0) + both.get((p, q, r, s), 0)
                rows[names[p, q, r, s]] = sp.collect(sp.expand(passed[p, q, r, s], deep=False), set(names.values()))
                rows[names[p, q, r, s]] += source
        traced = sp.Add(*(names[a, a, b, b] for a in range(self.S) for b in range(self.S)))
        return values, rows, traced

    def _pair_symbol(self, p: int, q: int, r: int, s: int) -> sp.Symbol:
        """O of the smallest of the places that are equal, since X is symmetric."""
        least = min((p, q, r, s), (q, p, s, r), (r, s, p, q), (s, r, q, p))
        places = least[: 1 if self.S == 1 else 4]
        return sp.Symbol(f"O[{','.join(str(self.site.states[i]) for i in places)}]", real=True)

    def _psi(self) -> tuple[dict[tuple[int, int], sp.Matrix], dict[sp.Symbol, sp.Expr]]:
        """Psi_kl (S, S) of every pair of fields, and what its entries are, backwards through the fields."""
        a, e = self.site.a, self.site.e
        found: dict[tuple[int, int], sp.Matrix] = {}
        values: dict[sp.Symbol, sp.Expr] = {}
        for k, m in sorted(self.alike, key=lambda pair: (-min(pair), -max(pair))):
            gain = self.site.fields[k].gain ** 2
            table = sp.zeros(self.S, self.S)
            for p, q in product(range(self.S), repeat=2):
                inside = a[p, k] * a[q, m]
                inside += sp.Add(*(e[x, k] * e[y, m] * weight[p, q] for (x, y), weight in found.items()))
                value = gain * self._with_numbers(inside, values)
                tail = "" if self.S == 1 else f",{self.site.states[p]},{self.site.states[q]}"
                name = sp.Symbol(f"Psi[{self.site.fields[k].name},{self.site.fields[m].name}{tail}]", real=True)
                if value != 0:
                    values[name], table[p, q] = value, name
            found[k, m] = table
        return found, values

    def _with_numbers(self, expression: sp.Expr, numbers: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
        """E of an expression that is a polynomial in numbers of the recursion."""
        return sp.Add(*(gain * self.units.process(rest) for gain, rest in in_powers(expression, tuple(numbers))))

    def _transfer(self, psi: dict[tuple[int, int], sp.Matrix]) -> dict[tuple[int, int, int, int], sp.Expr]:
        """M: entry (a, b, p, q) is what P_ab adds to entry pq."""
        L, b = self.site.L, self.site.b
        found: dict[tuple[int, int, int, int], sp.Expr] = {}
        for a, c, p, q in product(range(self.S), repeat=4):
            terms = [self.units.process(L[p, a] * L[q, c])]
            terms += [self.units.process(b[k, a] * b[m, c]) * table[p, q] for (k, m), table in psi.items()
                      if b[k, a] != 0 and b[m, c] != 0 and table[p, q] != 0]  # fmt: skip
            found[a, c, p, q] = sp.Add(*terms)
        return found

    def _one_sided(self, psi: dict[tuple[int, int], sp.Matrix]) -> dict[tuple[int, ...], sp.Expr]:
        """sum_kl Psi_kl (r, s) E[C_kp C_lq] at (p, q, r, s)."""
        site = self.site
        C = site.b * self.X * site.L.T + site.e * self.delta * site.a.T
        found: dict[tuple[int, ...], sp.Expr] = {}
        for (k, m), table in psi.items():
            for p, q in product(range(self.S), repeat=2):
                if C[k, p] == 0 or C[m, q] == 0 or table.is_zero_matrix:
                    continue
                mean = self.units.process(C[k, p] * C[m, q])
                for r, s in product(range(self.S), repeat=2):
                    found[p, q, r, s] = found.get((p, q, r, s), sp.S.Zero) + table[r, s] * mean
        return found

    def _two_sided(self, psi: dict[tuple[int, int], sp.Matrix]) -> dict[tuple[int, ...], sp.Expr]:
        """sum Psi_km (p, q) Psi_lr (r, s) E[B_kl B_mr], and what orthogonal weights take from it."""
        site = self.site
        B = site.b * self.X * site.b.T + site.e * self.delta * site.e.T
        found: dict[tuple[int, ...], sp.Expr] = {}
        for ((k, m), left), ((x, y), right) in product(psi.items(), repeat=2):
            if left.is_zero_matrix or right.is_zero_matrix or B[k, x] == 0 or B[m, y] == 0:
                continue
            mean = self.units.process(B[k, x] * B[m, y])
            weight = site.fields[k].weight
            if weight == site.fields[x].weight and site.cell.weights[weight].ensemble == "haar":
                mean -= self.units.process(B[k, x]) * self.units.process(B[m, y])
            for p, q, r, s in self._places():
                found[p, q, r, s] = found.get((p, q, r, s), sp.S.Zero) + left[p, q] * right[r, s] * mean
        return found

    def _places(self) -> Iterator[tuple[int, ...]]:
        return product(range(self.S), repeat=4)


UNITS, PAIRS = "units of a product of steps", "pairs of units of a product of steps"
"""Rules whose equations say what becomes of their left-hand side in one more step."""


def _steps(
    site: SiteForm, delta: dict[sp.Symbol, sp.Expr], units: dict[sp.Symbol, sp.Expr], psi: dict[sp.Symbol, sp.Expr],
    pairs: dict[sp.Symbol, sp.Expr], first: sp.Expr, second: sp.Expr,
) -> tuple[Step, ...]:  # fmt: skip
    haar = [name for name in site.groups if site.cell.weights[name].ensemble == "haar"]
    lowered = f"; orthogonal weights ({', '.join(haar)}) take E[B_kk]^2 from the squares of B" if haar else ""
    steps = [
        Step(
            "fields of a product of steps", tuple(delta.items()),
            "X is the product of the Jacobians of all steps so far, times its transpose, and "
            "Delta_kl = sigma^2 E[b_k X b_l^T + (e Delta e^T)_kl]",
        ),
        Step(
            UNITS, tuple(units.items()),
            "the block of a unit goes over into L X L^T + a Delta a^T; its moments, with those of the states that it "
            "depends on, are expanded and factorised, and at the first step X = 1",
            "independence of the step's fields from the states entering it",
        ),
        Step(
            PAIRS, (*psi.items(), *pairs.items()),
            "O is the sum of squares of entries of X between different units, divided by N, and vanishes at the first "
            "step; what a pair receives comes from pairs, from one of its units by C = b X L^T + e Delta a^T, or from "
            "a third unit by B = b X b^T + e Delta e^T" + lowered,
            "the state that enters a step is in neither of L and b, as is the case here",
        ),
        Step(
            "moments of a product of steps", ((FIRST, first), (SECOND, second)),
            "m_1 = (1/SN) tr X and m_2 = (1/SN) tr X^2",
        ),
    ]  # fmt: skip
    return tuple(steps)
