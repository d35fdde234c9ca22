"""What a derivation produces: named equations, the law of the site they average over, and the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from typing import Literal, TypeVar

import sympy as sp

from derive.gaussian.average import Average, Law
from derive.rich import Rich
from derive.site import SiteForm

Closure = Literal["exact", "implicit", "sampled"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Step(Rich):
    """One line of a derivation.

    rule : name of the rule; equations : (left, right) pairs that the step establishes;
    why : the reason in one line; assumption : what had to be assumed, if anything.
    """

    rule: str
    equations: tuple[tuple[sp.Basic, sp.Basic], ...]
    why: str
    assumption: str = ""


@dataclass(frozen=True)
class System(Rich):
    """Closed scalar equations: each unknown equals an expression in the others and in averages.

    equations : unknown -> right-hand side; names : unknown -> what a user calls it.
    """

    equations: Mapping[sp.Symbol, sp.Expr]
    names: Mapping[sp.Symbol, str] = field(default_factory=dict)

    def dependencies(self, unknown: sp.Symbol, law: Law) -> frozenset[sp.Symbol]:
        """Unknowns that the right-hand side of ``unknown`` needs, also through the laws of its averages."""
        return unknowns_in(self.equations[unknown], law) & frozenset(self.equations)


def unknowns_in(expression: sp.Expr, law: Law) -> frozenset[sp.Symbol]:
    """All non-random symbols an expression needs: its own, and those in the moments of what it averages over."""
    averages = expression.atoms(Average)
    plain = expression.xreplace({node: sp.Dummy() for node in averages})
    found = {symbol for symbol in plain.free_symbols if symbol not in law.blocks}
    for node in averages:
        found |= law_symbols(node.integrand, law)
    return frozenset(found)


def law_symbols(integrand: sp.Expr, law: Law) -> set[sp.Symbol]:
    """Non-random symbols of an integrand and of the means and covariances of its random ones."""
    random = set(law.random(integrand))
    for symbol in tuple(random):
        random |= law.depends.get(symbol, frozenset())
    found = {symbol for symbol in integrand.free_symbols if symbol not in law.blocks}
    for left in random:
        found |= law.mean_of(left).free_symbols
        for right in random:
            if law.blocks[left] == law.blocks[right]:
                found |= law.covariance(left, right).free_symbols
    return found


@dataclass(frozen=True)
class SpectralTheory:
    """Transfer matrix, gain matrix and outlier condition of a fixed point.

    lam : the spectral parameter; fields : numbers of the fields that carry eigenvalues (fed by a state
    and feeding one), in order; T : their transfer matrix b (lam - L)^-1 a + e; K : sigma_k^2 E|T_kl|^2 written
    with lam and its conjugate ``lam_conj``, on ordered pairs of live fields that share a matrix; blocks : its
    irreducible blocks; boundary : X of each block of moderate size, where det(1 - K_block) = 1 - X;
    L, a, b : site derivatives at the fixed point, a and b restricted to ``fields``;
    fixed : numbers of all fields whose matrix feeds a live one, for W v = u holds for each; v : what is multiplied;
    conditions : (l, k), live field k along u_l of the same matrix; response : E[v_m T_kj u_p] on conditions (m, k),
    (p, j); overlap : E[v_l v_m] on ``fixed``; these two make the outliers.
    """

    lam: sp.Symbol
    lam_conj: sp.Symbol
    fields: tuple[int, ...]
    L: sp.Matrix
    a: sp.Matrix
    b: sp.Matrix
    T: sp.Matrix
    pairs: tuple[tuple[int, int], ...]
    K: sp.Matrix
    fixed: tuple[int, ...]
    v: tuple[sp.Expr, ...]
    conditions: tuple[tuple[int, int], ...]
    response: sp.Matrix
    overlap: sp.Matrix
    blocks: tuple[tuple[int, ...], ...]
    boundary: tuple[sp.Expr, ...]


@dataclass(frozen=True)
class Theory(Rich):
    """The theory of one cell under one ansatz.

    site : the site form; closure : "exact", "implicit" (a state is the root of an equation solved per site)
    or "sampled" (the moments do not close; the single-site chain is sampled); law : of the site variables;
    system : closed equations (empty when sampled); variances : field name -> unknown; observables :
    quantity name -> expression in unknowns and averages; implicit : states left as roots and their residuals;
    notes : what a reader must know before trusting a number; steps : the derivation.
    """

    site: SiteForm
    ansatz: str
    closure: Closure
    law: Law
    system: System
    variances: Mapping[str, sp.Symbol]
    observables: Mapping[str, sp.Expr]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    states: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    implicit: tuple[tuple[sp.Symbol, sp.Expr], ...] = ()
    spectrum: SpectralTheory | None = None
    replicas: Replicas | None = None
    perturbation: sp.Matrix | None = None
    missing: tuple[str, ...] = ()


class _Same:
    """A theory, compared by identity: hashing its expressions costs more than it saves."""

    def __init__(self, theory: Theory) -> None:
        self.theory = theory

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.theory is self.theory

    def __hash__(self) -> int:
        return id(self.theory)


def once_per_theory(work: Callable[[Theory], Result]) -> Callable[[Theory], Result]:
    """Work on a theory that is done once for each, however many formats ask for it; the last few are kept."""

    @lru_cache(maxsize=4)
    def kept(same: _Same) -> Result:
        return work(same.theory)

    @wraps(work)
    def once(theory: Theory) -> Result:
        return kept(_Same(theory))

    return once


@dataclass(frozen=True)
class Replicas:
    """Two replicas a, b: their law, the closed equations of their overlaps, and the perturbation map.

    system : overlap unknowns; diagonal : what each is when the replicas coincide (absent where one replica has
    no such moment); covariances : state name -> E[s_a s_b]; perturbation : linear map of pair perturbations
    whose spectral radius is chi_star.
    """

    law: Law
    system: System
    diagonal: Mapping[sp.Symbol, sp.Symbol]
    covariances: Mapping[str, sp.Expr]
    perturbation: sp.Matrix
