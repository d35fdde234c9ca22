"""Moments of the squared singular values of the one-step Jacobian J, for any cell, by expanding its pencil.

Per site, with B = (b, e), M0 = [[L, a], [0, -1]] and Omega = diag(1_S, 0_K), the hermitised resolvent is

    G = [[w Omega - Sigma1, -M0], [-M0^T, w Omega - Sigma2]]^-1,   Sigma1 = alpha on the fields,  Sigma2 = B^T beta B,

with alpha = sigma^2 E[B G22 B^T] and beta = sigma^2 E[G11] on the fields, both kept inside each matrix.  In powers of
1/w the fields can be eliminated: with  alpha = Phi/w + O(w^-3),  beta = Psi/w + O(w^-3),

    Phi = sigma^2 E[b b^T + e Phi e^T]        Psi = sigma^2 E[a^T a + e^T Psi e]        (inside each matrix)

(e is strictly triangular, so that both are explicit) and  G11 = 1/w + Z1/w^3 + (Z3 + Z1^2)/w^5  on the states, where
Z1 = L L^T + a Phi a^T.  The coefficients of tr E G11 are the moments.  What the next order of alpha adds to Z3 is its
source, weighted by Psi (the maps of Phi and Psi are each other's adjoint), so that no third quantity is needed:

    m1 = (1/S) E tr Z1
    m2 = (1/S) { E tr Z1^2 + 2 E tr(Psi C C^T) + E tr(Psi B Psi B) - sum over orthogonal W of tr(Psi E[B] Psi E[B])_W },
    C = b L^T + e Phi a^T,     B = b b^T + e Phi e^T.

For orthogonal weights alpha = sigma^2 (g2^-1 + beta)^-1 loses sigma^2 g2 beta g2 at the order that counts: the last
sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sympy as sp

from derive.errors import AnsatzError, ClosureError, GatefieldError
from derive.gaussian.average import Average, Law, average
from derive.meanfield.closure import Closure
from derive.meanfield.untied import state_closure
from derive.rich import Rich
from derive.site import SiteForm
from derive.stability.spectrum import at_fixed_point
from derive.theory import Step, System, Theory, once_per_theory


@dataclass(frozen=True)
class SingularTheory(Rich):
    """The first two moments of the squared singular values of J, normalised (1/SN) tr.

    gains : Phi and Psi of pairs of fields of one matrix, each in averages and in those before it; m1, m2 : in these
    symbols and averages; moments : equations of moments of the states that the theory itself does not need (untied
    ansatz; empty otherwise); steps : the derivation.
    """

    gains: dict[sp.Symbol, sp.Expr]
    m1: sp.Expr
    m2: sp.Expr
    moments: System
    steps: tuple[Step, ...]

    def in_averages(self, expression: sp.Expr) -> sp.Expr:
        """An expression with every Phi and Psi replaced by what it is."""
        for symbol in reversed(list(self.gains)):
            expression = expression.xreplace({symbol: self.gains[symbol]})
        return expression


@once_per_theory
def singular_theory(theory: Theory) -> SingularTheory:
    """m1 and m2 of a static or untied theory; worked out once for each theory.

    Raises
    ------
    AnsatzError : the moments of the untied theory do not close (they are sampled), or the Jacobian holds a delta
        function (the derivative of a jump), whose square has no mean.
    SizeError : an average expands beyond the stated limit.
    """
    if theory.ansatz == "stationary":
        raise AnsatzError("singular values belong to the Jacobian of a fixed point or of untied steps")
    if theory.closure == "sampled":
        raise AnsatzError("the moments of the states do not close: m1 and m2 are averages over the sampled chain")
    site = theory.site
    matrices = (site.L, site.a, site.b, site.e)
    if theory.ansatz == "static":
        matrices = at_fixed_point(site, dict(theory.states))
    if any(theory.law.functions.has_delta(entry) for matrix in matrices for entry in matrix):
        raise AnsatzError("the Jacobian holds the derivative of a jump, a delta function, and its square has no mean")
    closure = state_closure(site, theory.law) if theory.ansatz == "untied" else None
    pencil = _Pencil(site, theory.law, closure, *matrices)
    try:
        m1, m2 = pencil.m1(), pencil.m2()
        equations = pencil.equations(theory.system)
    except ClosureError as reason:
        raise AnsatzError(f"{reason}: m1 and m2 need moments of the states that do not close") from None
    gains = {symbol: value for symbol, value in pencil.gains.items() if value != 0}
    system = System(equations, {symbol: str(symbol.name) for symbol in equations})
    return SingularTheory(gains, m1, m2, system, _steps(site, gains, m1, m2, equations))


def closed_moments(theory: Theory) -> SingularTheory | None:
    """`singular_theory`, or None where it raises: documents then go without."""
    try:
        return singular_theory(theory)
    except GatefieldError:
        return None


def symbolic_m1(theory: Theory) -> sp.Expr:
    """m1 = (1/SN) E tr J J^T in averages, parameters and unknowns of the theory.  Raises as `singular_theory`."""
    found = singular_theory(theory)
    return found.in_averages(found.m1)


def symbolic_m2(theory: Theory) -> sp.Expr:
    """m2 = (1/SN) E tr (J J^T)^2, as `symbolic_m1`; may hold unknowns of ``singular_theory(theory).moments``."""
    found = singular_theory(theory)
    return found.in_averages(found.m2)


class _Pencil:
    """Phi, Psi and the moments, in averages of the site derivatives L, a, b, e."""

    def __init__(
        self, site: SiteForm, law: Law, closure: Closure | None, L: sp.Matrix, a: sp.Matrix, b: sp.Matrix, e: sp.Matrix
    ) -> None:
        self.site, self.law, self.closure = site, law, closure
        self.L, self.a, self.b, self.e = L, a, b, e
        self.gains: dict[sp.Symbol, sp.Expr] = {}
        self.phi, self.psi = self._phi(), self._psi()

    def mean(self, expression: sp.Expr) -> sp.Expr:
        """E over one site.  Raises ClosureError, SizeError."""
        if expression == 0:
            return sp.S.Zero
        value = average(expression, self.law) if self.closure is None else self.closure.process(expression)
        return value.replace(lambda node: isinstance(node, Average), self._without_gains)

    def _without_gains(self, node: Average) -> sp.Expr:
        """E of a polynomial in Phi and Psi, coefficient by coefficient."""
        return sp.Add(*(gain * Average(rest) for gain, rest in in_powers(node.integrand, tuple(self.gains))))

    def _pairs(self) -> list[tuple[int, int]]:
        fed = [k for k in range(len(self.site.fields)) if k not in self.site.input_fields]
        groups = [[k for k in members if k in fed] for members in self.site.groups.values()]
        return [(k, m) for members in groups for k in members for m in members if k <= m]

    def _phi(self) -> sp.Matrix:
        """Variance of the fields that unit perturbations of all states make, in dependency order."""
        return self._filled("Phi", sorted(self._pairs(), key=lambda pair: (max(pair), min(pair))), self.b, self.e)

    def _psi(self) -> sp.Matrix:
        """The same backwards, where unit perturbations of all next states are handed back."""
        order = sorted(self._pairs(), key=lambda pair: (-min(pair), -max(pair)))
        return self._filled("Psi", order, self.a.T, self.e.T)

    def _filled(self, name: str, order: Iterable[tuple[int, int]], source: sp.Matrix, e: sp.Matrix) -> sp.Matrix:
        count = len(self.site.fields)
        found = sp.zeros(count, count)
        for k, m in order:
            inside = (source.row(k) * source.row(m).T + e.row(k) * found * e.row(m).T)[0]
            value = self.site.fields[k].gain ** 2 * self.mean(inside)
            symbol = sp.Symbol(f"{name}[{self.site.fields[k].name},{self.site.fields[m].name}]", real=True)
            self.gains[symbol] = value
            if value != 0:
                found[k, m] = found[m, k] = symbol
        return found

    def m1(self) -> sp.Expr:
        """(1/S) E tr (L L^T + a Phi a^T)."""
        return self.mean((self.L * self.L.T + self.a * self.phi * self.a.T).trace()) / self.L.rows

    def m2(self) -> sp.Expr:
        """See the module's text."""
        Z = self.L * self.L.T + self.a * self.phi * self.a.T
        B = self.b * self.b.T + self.e * self.phi * self.e.T
        C = self.b * self.L.T + self.e * self.phi * self.a.T
        total = self.mean(_square_sum(Z)) + 2 * self.mean(_quadratic(self.psi, C))
        weighted = self.psi * B
        total += self.mean((weighted * weighted).trace())
        return sp.expand((total - self._orthogonal(B)) / self.L.rows, deep=False)

    def _orthogonal(self, B: sp.Matrix) -> sp.Expr:
        """sum over orthogonal weights of tr (Psi E[B] Psi E[B]) inside each."""
        total = sp.S.Zero
        for weight, members in self.site.groups.items():
            if self.site.cell.weights[weight].ensemble != "haar":
                continue
            chosen = list(members)
            part = self.psi.extract(chosen, chosen) * B.extract(chosen, chosen).applyfunc(self.mean)
            total += (part * part).trace()
        return total

    def equations(self, known: System) -> dict[sp.Symbol, sp.Expr]:
        """Stationary equations of the moments that ``known`` does not hold.  Raises ClosureError."""
        if self.closure is None:
            return {}
        self.closure.close()
        return {symbol: right for symbol, right in self.closure.solved().items() if symbol not in known.equations}


def in_powers(expression: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """(monomial, coefficient) of a polynomial in some of its symbols, by its derivatives at zero."""
    held = [symbol for symbol in symbols if expression.has(symbol)]
    if not held:
        yield sp.S.One, expression
        return
    symbol, power = held[0], 0
    while expression != 0:
        coefficient = expression.xreplace({symbol: sp.S.Zero})
        if coefficient != 0:
            for monomial, rest in in_powers(coefficient, symbols):
                yield monomial * symbol**power / sp.factorial(power), rest
        expression, power = expression.diff(symbol), power + 1


def _square_sum(symmetric: sp.Matrix) -> sp.Expr:
    return sp.Add(*(entry**2 for entry in symmetric))


def _quadratic(weight: sp.Matrix, C: sp.Matrix) -> sp.Expr:
    """tr (weight C C^T)."""
    return (weight * C * C.T).trace()


def _steps(
    site: SiteForm, gains: dict[sp.Symbol, sp.Expr], m1: sp.Expr, m2: sp.Expr, moments: dict[sp.Symbol, sp.Expr]
) -> tuple[Step, ...]:
    haar = [name for name in site.groups if site.cell.weights[name].ensemble == "haar"]
    lowered = f"; orthogonal weights ({', '.join(haar)}) lower m_2 and leave m_1" if haar else ""
    steps = [
        Step(
            "perturbations that fields carry",
            tuple(gains.items()),
            "Phi_kl = sigma^2 E[b_k b_l^T + (e Phi e^T)_kl] is the covariance of du_k and du_l for unit perturbations "
            "of all states, and Psi_kl = sigma^2 E[a_k^T a_l + (e^T Psi e)_kl] the same for the transpose of J",
            "gradient independence: the Jacobian's weights are independent of the site's state",
        ),
        Step(
            "first moment of the squared singular values", ((FIRST, m1),),
            "coefficient of w^-3 in the resolvent of the pencil of J, m_1 = (1/SN) tr J J^T = (1/S) E tr(L L^T + a Phi "
            "a^T)",
        ),
        Step(
            "second moment of the squared singular values", ((SECOND, m2),),
            "coefficient of w^-5, m_2 = (1/SN) tr (J J^T)^2: paths that meet again at a unit, with "
            "B = b b^T + e Phi e^T and C = b L^T + e Phi a^T" + lowered,
        ),
    ]  # fmt: skip
    if moments:
        steps.append(
            Step("moments of the states", tuple(moments.items()),
                 "the average of a function of new states, expanded and factorised; each equation is solved for its "
                 "own moment", "stationarity")
        )  # fmt: skip
    return tuple(steps)


FIRST, SECOND = sp.Symbol("m1[]", real=True), sp.Symbol("m2[]", real=True)
"""The moments as symbols."""

