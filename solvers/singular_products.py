"""Moments of J_T ... J_1 (J_T ... J_1)^T over T untied steps: X <- J X J^T, in the blocks of units and their pairs.

Every unit carries its block X_ii (S, S); X_ij of different units, whose sums of squares alone matter, are carried as

    O[p, p', q, q'] = (1/N) sum_{i != j} X_{ip,jq} X_{ip',jq'}.

With Delta = sigma^2 (E[b X b^T] + E[e Delta e^T]),  C = b X L^T + e Delta a^T,  B = b X b^T + e Delta e^T  one step is

    X' = L X L^T + a Delta a^T
    O' = (T x T) O + (E[C x C]) spread on one side + (E[B x B]) spread on both,

T : P -> E[L P L^T] + a Delta(P) a^T averaged over units; orthogonal weights take E[B] x E[B] inside each from the last
term (theory, section 4; for one state and independent X it is the recursion in tau, d and o given there).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from derive.cell.parameters import resolve
from solvers.averages import Estimate
from solvers.budget import check_budget
from solvers.measure import SiteMeasure
from solvers.measure.site_measure import Array
from solvers.solution import Solution, Solved, plain
from solvers.spectrum.singular_moments import field_covariance, orthogonal_fields
from solvers.threads import one_thread
from solvers.untied_sites import UntiedSites

POPULATIONS, UNITS = 12, 4096
PAIRS_LEFT_OUT = (
    "product of steps: L or b depends on the state entering; its correlation with entries X_ij of different units is "
    "left out"
)


@dataclass(frozen=True)
class ProductMoments:
    """m1, m2 : of the squared singular values of the product of ``steps`` Jacobians; notes : what was left out."""

    steps: int
    m1: Estimate
    m2: Estimate
    notes: tuple[str, ...] = ()

    def numbers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The JSON object ``product``, and the errors of its numbers."""
        found = {"steps": self.steps, "m1": self.m1.value, "m2": self.m2.value}
        return plain(found), plain({"steps": 0, "m1": self.m1.error, "m2": self.m2.error})


@one_thread
def product_of(solved: Solved, solution: Solution, steps: int, *, seed: int = 0) -> ProductMoments:
    """Moments of the product of ``steps`` independent Jacobians at an untied solution, X_ii carried along the chain.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    BudgetSpent : the time is over.
    """
    site = solved.theory.site
    sites = UntiedSites(solved, solution, resolve(site.cell, solved.parameters))
    table = np.array([product_moments(sites.walk(UNITS, k, seed), steps) for k in range(POPULATIONS)])
    value, error = table.mean(axis=0), 2.0 * table.std(axis=0, ddof=1) / np.sqrt(POPULATIONS)
    states = set(site.states)
    dependent = any(entry.free_symbols & states for matrix in (site.L, site.b) for entry in matrix)
    notes = (PAIRS_LEFT_OUT,) if dependent else ()
    return ProductMoments(
        steps, Estimate(float(value[0]), float(error[0])), Estimate(float(value[1]), float(error[1])), notes
    )


def product_moments(walk: Iterator[SiteMeasure], steps: int) -> tuple[float, float]:
    """m1 and m2 after ``steps`` measures of the same units, one after the other."""
    X: Array | None = None
    for _ in range(steps):
        check_budget()
        measure = next(walk)
        if X is None:
            S = measure.states
            X, pairs = np.broadcast_to(np.eye(S), (measure.nodes, S, S)), np.zeros((S,) * 4)
        X, pairs = step(measure, X, pairs)
    assert X is not None
    own = measure.mean(np.einsum("nij,nij->n", X, X))
    return float(measure.mean(np.einsum("nii->n", X))) / S, float(own + np.einsum("aabb", pairs)) / S


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
