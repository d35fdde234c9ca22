"""Moments of J_T ... J_1 (J_T ... J_1)^T over T untied steps: X <- J X J^T, in the blocks of units and their pairs.

Every unit carries its block X_ii (S, S); X_ij of different units, whose sums of squares alone matter, are carried as

    O[p, p', q, q'] = (1/N) sum_{i != j} X_{ip,jq} X_{ip',jq'}.

With Delta = sigma^2 (E[b X b^T] + E[e Delta e^T]),  C = b X L^T + e Delta a^T,  B = b X b^T + e Delta e^T  one step is

    X' = L X L^T + a Delta a^T
    O' = (T x T) O + (E[C x C]) spread on one side + (E[B x B]) spread on both,

T : P -> E[L P L^T] + a Delta(P) a^T averaged over units; orthogonal weights take E[B] x E[B] inside each from the last
term.  Averaged over units that do not close on finitely many numbers they are sampled here; where they do,
`derive.stability.products` has the recursion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from derive.cell.parameters import resolve
from derive.errors import AnsatzError, SizeError
from derive.stability.free import require_free_factors
from solvers.averages import Estimate
from solvers.budget import check_budget
from solvers.measure import SiteMeasure
from solvers.measure.site_measure import Array
from solvers.result import CONVERGED
from solvers.singular.one_step import symbolic_moments
from solvers.singular.recursion import ProductRecursion
from solvers.solution import Solution, Solved, plain
from solvers.spectrum.singular_moments import field_covariance, orthogonal_fields
from solvers.untied_sites import UntiedSites

POPULATIONS, UNITS = 12, 4096
FEWEST = 100
"""Of all units so many must carry the sum of X_ii^2; a mean that fewer carry comes out too small."""

FEW_CARRY = (
    "not converged: {:.0f} of {} units carry m2 of the product, whose law has a heavy tail: fewer --steps, or gates "
    "that are less often open"
)
GROWS = "m2/m1^2 of the product grows exponentially with the number of steps: there is no slope"
PAIRS_LEFT_OUT = (
    "product of steps: L or b depends on the state entering; its correlation with entries X_ij of different units is "
    "left out"
)


@dataclass(frozen=True)
class ProductMoments:
    """m1, m2 : of the squared singular values of the product of ``steps`` Jacobians; spread : m2/m1^2 - 1; slope : what
    one more step adds to it in the long run, None where that is unknown or grows; closure : "exact" (the closed
    recursion), "free" (the factors are free, so that the spread of one step adds up) or "sampled" (X_ii carried along
    the chain); verdict, notes : as everywhere.
    """

    steps: int
    m1: Estimate
    m2: Estimate
    spread: Estimate
    slope: Estimate | None
    closure: str
    verdict: str = CONVERGED
    notes: tuple[str, ...] = ()

    def numbers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The JSON object ``product``, and the errors of its numbers."""
        found: dict[str, Any] = {"steps": self.steps, "closure": self.closure}
        errors: dict[str, Any] = {}
        for name in ("m1", "m2", "spread", "slope"):
            item = getattr(self, name)
            found[name], errors[name] = (None, None) if item is None else (item.value, item.error)
        return plain(found), plain(errors)


def product_of(solved: Solved, solution: Solution, steps: int, *, tol: float = 1e-10, seed: int = 0) -> ProductMoments:
    """Moments of the product of ``steps`` independent Jacobians at an untied solution: by the closed recursion; where
    that does not close by freeness, and where the factors are not free from the sampled chain.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    BudgetSpent : the time is over.
    """
    try:
        found = ProductRecursion(solved, solution, tol).run(steps)
    except (AnsatzError, SizeError) as reason:
        try:
            return free_moments(solved, solution, steps, tol)
        except (AnsatzError, SizeError):
            return sampled_product(solved, solution, steps, seed=seed, reason=str(reason))
    notes = () if found.slope is not None else (GROWS,)
    return ProductMoments(steps, found.m1, found.m2, found.spread, found.slope, "exact", CONVERGED, notes)


def free_moments(solved: Solved, solution: Solution, steps: int, tol: float = 1e-10) -> ProductMoments:
    """m1^T, and a spread that is T times that of one step.

    Raises
    ------
    AnsatzError, SizeError : the factors are not free, or m1 and m2 of one step have no expressions.
    """
    require_free_factors(solved.theory)
    one, two = symbolic_moments(solved, solution, tol)
    ratio, share = two.value / one.value**2, one.error / one.value
    slope = Estimate(ratio - 1.0, ratio * (two.error / two.value + 2.0 * share))
    spread = Estimate(steps * slope.value, steps * slope.error)
    with np.errstate(over="ignore"):
        m1 = float(np.float64(one.value) ** steps)
        m2 = float(np.float64(m1) ** 2 * (1.0 + spread.value))
    return ProductMoments(
        steps, Estimate(m1, m1 * steps * share),
        Estimate(m2, m2 * (2.0 * steps * share + spread.error / (1.0 + spread.value))), spread, slope, "free",
    )  # fmt: skip


def sampled_product(
    solved: Solved, solution: Solution, steps: int, *, seed: int = 0, reason: str = ""
) -> ProductMoments:
    """The same from sampled units alone; errors are two standard errors.  Raises as `product_of`."""
    site = solved.theory.site
    sites = UntiedSites(solved, solution, resolve(site.cell, solved.parameters))
    runs = [product_moments(sites.walk(UNITS, k, seed), steps) for k in range(POPULATIONS)]
    table = np.array([[m1, m2] for m1, m2, _ in runs])
    (m1, m2), (first, second) = table.mean(axis=0), 2.0 * table.std(axis=0, ddof=1) / np.sqrt(POPULATIONS)
    halves = [np.delete(table, k, axis=0).mean(axis=0) for k in range(POPULATIONS)]
    left_out = np.array([b / a**2 for a, b in halves])
    spread = 2.0 * left_out.std() * np.sqrt(POPULATIONS - 1)
    states = set(site.states)
    dependent = any(entry.free_symbols & states for matrix in (site.L, site.b) for entry in matrix)
    notes = (f"product of steps: X_ii is carried along the sampled chain ({reason})",) if reason else ()
    carried = sum(share for _, _, share in runs)
    return ProductMoments(
        steps, Estimate(float(m1), float(first)), Estimate(float(m2), float(second)),
        Estimate(float(m2 / m1**2 - 1.0), float(spread)), None, "sampled",
        CONVERGED if carried >= FEWEST else FEW_CARRY.format(carried, POPULATIONS * UNITS),
        (*notes, PAIRS_LEFT_OUT) if dependent else notes,
    )  # fmt: skip


def product_moments(walk: Iterator[SiteMeasure], steps: int) -> tuple[float, float, float]:
    """m1, m2 and how many units carry sum X_ii^2, after ``steps`` measures of the same units."""
    X: Array | None = None
    for _ in range(steps):
        check_budget()
        measure = next(walk)
        if X is None:
            S = measure.states
            X, pairs = np.broadcast_to(np.eye(S), (measure.nodes, S, S)), np.zeros((S,) * 4)
        X, pairs = step(measure, X, pairs)
    assert X is not None
    squares = np.einsum("nij,nij->n", X, X)
    own, carried = measure.mean(squares), squares.sum() ** 2 / max(float(np.sum(squares**2)), 1e-300)
    return float(measure.mean(np.einsum("nii->n", X))) / S, float(own + np.einsum("aabb", pairs)) / S, float(carried)


def step(measure: SiteMeasure, X: Array, pairs: Array) -> tuple[Array, Array]:
    """X_ii (n, S, S) and the sums over pairs O (S, S, S, S) after one step."""
    L, a, b, e = measure.L, measure.a, measure.b, measure.e
    Lt, at, bt, et = (matrix.swapaxes(1, 2) for matrix in (L, a, b, e))
    delta = field_covariance(measure, measure.mean(b @ X @ bt))
    C, B = b @ X @ Lt + e @ delta @ at, b @ X @ bt + e @ delta @ et
    spread, transfer = _maps(measure)
    CC = np.einsum("n,nkp,nlq->klpq", measure.weights, C, C, optimize=True)
    one = np.einsum("klpq,klrs->pqrs", CC, spread)
    BB = np.einsum("n,nkl,nmr->kmlr", measure.weights, B, B, optimize=True)
    mean = measure.mean(B)
    for fields in orthogonal_fields(measure):
        chosen = np.ix_(fields, fields, fields, fields)
        inside = mean[np.ix_(fields, fields)]
        BB[chosen] -= np.einsum("kl,mr->kmlr", inside, inside)
    both = np.einsum("kmlr,kmpq,lrst->pqst", BB, spread, spread, optimize=True)
    passed = np.einsum("abpq,abcd,cdrs->pqrs", transfer, pairs, transfer, optimize=True)
    return L @ X @ Lt + a @ delta @ at, passed + one + one.transpose(2, 3, 0, 1) + both


def _maps(measure: SiteMeasure) -> tuple[Array, Array]:
    """spread (K, K, S, S): what a unit product emitted on fields k, l adds to E[X_ii] in one step;
    transfer (S, S, S, S): the same for a unit product on states."""
    S, K = measure.states, len(measure.fields)
    a, b, L = measure.a, measure.b, measure.L
    spread = np.zeros((K, K, S, S))
    for k, m in product(range(K), repeat=2):
        source = np.zeros((K, K))
        source[k, m] = 1.0
        delta = field_covariance(measure, source)
        spread[k, m] = measure.mean(a @ delta @ a.swapaxes(1, 2))
    transfer = np.einsum("n,npa,nqb->abpq", measure.weights, L, L, optimize=True)
    emitted = np.einsum("n,nka,nlb->abkl", measure.weights, b, b, optimize=True)
    return spread, transfer + np.einsum("abkl,klpq->abpq", emitted, spread)
