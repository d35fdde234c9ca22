"""Mean field of gradients under untied weights: the adjoint of the perturbation, carried back through single sites.

A gradient w over the states of a unit and the products that it feeds obey

    w(t) = L^T w(t+1) + sum_k b_k^T eta_k,    psi_k = a_k^T w(t+1) + sum_m e_mk eta_m,    eta_k = W_k^T psi_k

(theory, section 5: L to its transpose, a against b^T, e against e^T).  With a random readout the eta are Gaussian with
covariance Gamma_kl = sigma^2 E[psi_k psi_l] for products of one matrix, and independent of the forward pass, so that

    G <- L^T G L + sum_kl Gamma_kl b_k^T b_l,    G = E[w w^T] given the path of the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from derive.cell.parameters import resolve
from solvers.averages import Estimate
from solvers.budget import BudgetSpent, check_budget
from solvers.measure import SiteMeasure
from solvers.measure.site_measure import Array
from solvers.solution import Solution, Solved
from solvers.spectrum.singular_moments import adjoint_covariance
from solvers.untied_sites import UntiedSites

LOG2_UNITS, POPULATIONS = 14, 4
LEAST_LAGS = 32
"""Lags over which gradients are followed even if fewer are asked for: the slowest mode is alone only in the end."""

STUDENT = {2: 12.7, 3: 4.31, 4: 3.2}
"""The 95 % points of Student's t, by the number of populations."""


@dataclass(frozen=True)
class AdjointNorms:
    """squares, errors : (n,) |gradient|^2 at each lag relative to lag 0 and its error (95 %); settled : whether the
    populations stopped drifting; growth : of the square for each lag, at the longest ones; stopped : why there are
    fewer populations than planned, "" where there are not."""

    squares: Array
    errors: Array
    settled: bool
    growth: Estimate
    stopped: str = ""


def adjoint_norms(solved: Solved, solution: Solution, lags: int, seed: int = 0) -> AdjointNorms:
    """Squared gradients at lags 0 ... ``lags`` from the readout, for a readout of random sign on every state.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    BudgetSpent : the time is over before two populations, the least that have an error, are done.
    """
    sites = UntiedSites(solved, solution, resolve(solved.theory.site.cell, solved.parameters))
    table: list[Array] = []
    stopped = ""
    try:
        for number in range(POPULATIONS):
            path = list(islice(sites.walk(2**LOG2_UNITS, number, seed), max(lags, LEAST_LAGS)))
            table.append(carried_back(path))
    except BudgetSpent as spent:
        if len(table) < min(STUDENT):
            raise
        stopped = f"{spent}: {len(table)} of {POPULATIONS} populations of sampled units"
    squares = np.array(table)
    asked = squares[:, : lags + 1]
    return AdjointNorms(asked.mean(axis=0), _spread(asked), sites.settled, _late_growth(squares), stopped)


def _late_growth(squares: Array) -> Estimate:
    """Growth over the later half of the lags; its two quarters differ where the lags are too few for one mode."""
    lags = squares.shape[1] - 1
    half, third = lags // 2, (lags // 2 + lags) // 2

    def growth(first: int, last: int) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray((squares[:, last] / squares[:, first]) ** (1.0 / (last - first)))

    rates = growth(half, lags)
    transient = abs(float(np.mean(growth(half, third) - growth(third, lags)))) if half < third < lags else 0.0
    return Estimate(float(rates.mean()), float(_spread(rates)) + transient)


def carried_back(path: Sequence[SiteMeasure]) -> Array:
    """(len(path) + 1,): |gradient|^2 at each lag; path holds the same units at successive steps."""
    last = path[-1]
    G = np.broadcast_to(np.eye(last.states), (last.nodes, last.states, last.states))
    found = [1.0]
    for step in reversed(path):
        check_budget()
        G = pulled(step, G)
        found.append(float(step.weights @ np.trace(G, axis1=1, axis2=2)) / step.states)
    return np.array(found)


def pulled(step: SiteMeasure, G: Array) -> Array:
    """Covariance of the gradient (n, S, S) one step before."""
    gamma = field_gradients(step, G)
    own = np.swapaxes(step.L, 1, 2) @ G @ step.L
    return np.asarray(own + np.swapaxes(step.b, 1, 2) @ gamma @ step.b)


def field_gradients(step: SiteMeasure, G: Array) -> Array:
    """Gamma (K, K) of what the products pass back, zero between different matrices."""
    return adjoint_covariance(step, step.mean(np.swapaxes(step.a, 1, 2) @ G @ step.a))


def _spread(values: Array) -> Array:
    return np.asarray(STUDENT[len(values)] * values.std(axis=0, ddof=1) / np.sqrt(len(values)))
