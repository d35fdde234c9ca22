"""Perturbations along the untied chain, one matrix Sigma = E[ds_a ds_b^T | its history] per site (theory, section 2):

    Sigma_i <- L_i Sigma_i L_i^T + sum over k, l of one matrix of a_k a_l^T Delta_kl,
    Delta_kl = gain^2 (mean b_k Sigma b_l^T + sum_mn E[e_km e_ln] Delta_mn)

chi is the growth of mean Sigma.  In cells with gates Sigma_i is a product of many L, whose law has a heavy tail: among
sites that stand for the states, ever fewer carry the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from solvers.chain.fields import FieldLaw, draw_quenched, mean_product
from solvers.chain.model import Entries, Local, Model

Array = npt.NDArray[np.float64]

SHARE = 0.5
"""Sites of `Perturbed`, of those in the population: growth rates are more precise than moments, and cost as much."""

FEW = 0.05
"""|mean Sigma|^2 / mean |Sigma|^2 below which few sites carry the mean."""


class Perturbed:
    """Perturbations of one replica, on sites that stand for Sigma: each is met as often as its perturbation is large.

    Each step, old sites (weight tr L Sigma L^T) and new ones that fields have reached (weight tr a a^T Delta) are
    resampled in proportion to their weights, so that a heavy tail of Sigma costs no accuracy.

    Attributes
    ----------
    a : (S, n), states; sigma : (S, S, n), of unit trace at every site
    """

    def __init__(self, model: Model, rng: np.random.Generator, a: Array) -> None:
        self.model, self._rng = model, rng
        self._restart(a)

    def _restart(self, a: Array) -> None:
        count, size = len(a), max(1, round(SHARE * a.shape[1]))
        self.a: Array = a[:, :size].copy()
        self.sigma: Array = np.repeat(np.eye(count)[:, :, None] / count, size, axis=2)

    def lift(self, number: int, factor: float, like: Array) -> None:
        """Scale a state that decays to zero as the population's own was; never beyond the size of the latter."""
        self.a[number] *= factor
        excess = np.mean(self.a[number] ** 2) / np.mean(like**2)
        if excess > 1.0:
            self.a[number] /= np.sqrt(excess)

    def step(self, own: Local, a: Array, law: FieldLaw) -> float:
        """Move on, and return the growth of tr mean Sigma.

        own : local values of the population in this step; a : its next states; law : of this step's fields.
        """
        here = self._local(law)
        delta = _delta(self.model, self.sigma, (here, here), (own, own), a.shape[1])
        old = _transported(here.L, here.L, self.sigma)
        new = _injected(own.a, own.a, delta, self.model.partners, (*old.shape[:2], a.shape[1]))
        before, after = np.trace(self.sigma.mean(axis=2)), np.trace(old.mean(axis=2) + new.mean(axis=2))
        self._resample(old, new, _stacked(here.moved, self.a.shape[1]), a)
        return float(after / before)

    def _local(self, law: FieldLaw) -> Local:
        """Local values at these sites, with biases, inputs and fields drawn afresh."""
        model, size = self.model, self.a.shape[1]
        quenched, _ = draw_quenched(model.site, False, self._rng, self._rng, size)
        return model.local([*self.a, *quenched, *model.constants, *law.draw(self._rng, size)], arguments=False)

    def _resample(self, old: Array, new: Array, moved: Array, a: Array) -> None:
        """As many sites as before in proportion to their weights (systematic resampling), then of equal weight."""
        size = self.a.shape[1]
        weights = np.concatenate([_traces(old) / size, _traces(new) / a.shape[1]])
        reached = np.cumsum(weights)
        total = float(reached[-1])
        if not total > 0.0 or not np.isfinite(total):
            self._restart(a)  # nothing was passed on: the growth stays zero
            return
        points = (np.arange(size) + self._rng.random()) * (total / size)
        chosen = np.searchsorted(reached, points, side="right")  # never a site without weight
        kept, fresh = chosen[chosen < size], chosen[chosen >= size] - size
        sigma = np.concatenate([old[..., kept], new[..., fresh]], axis=-1)
        self.sigma = sigma / _traces(sigma)
        self.a = np.concatenate([moved[:, kept], a[:, fresh]], axis=1)


class Between:
    """Perturbations between two replicas, on the sites of the population itself.

    Their Sigma has either sign, so that sites cannot stand for it: what cancels in the mean would remain.  Where few
    sites carry the mean, every site is given it, and the correlation of Sigma and state over longer times is lost.

    Attributes
    ----------
    sigma : (S, S, M), with a mean of unit norm; spread : how often every site was given the mean
    """

    def __init__(self, model: Model, size: int) -> None:
        self.model, self.size, self.spread = model, size, 0
        self._restart()

    def _restart(self) -> None:
        count = len(self.model.site.states)
        self.sigma: Array = np.repeat(np.eye(count)[:, :, None], self.size, axis=2)

    def step(self, own: Local, other: Local) -> float:
        """Move on, and return the growth of mean Sigma along itself."""
        before = self.sigma.mean(axis=2)
        if np.sum(before**2) < FEW * np.einsum("ijn,ijn->", self.sigma, self.sigma) / self.size:
            self.spread += 1
            self.sigma = np.repeat(before[:, :, None], self.size, axis=2)
        delta = _delta(self.model, self.sigma, (own, other), (own, other), self.size)
        self.sigma = _transported(own.L, other.L, self.sigma)
        self.sigma += _injected(own.a, other.a, delta, self.model.partners, self.sigma.shape)
        after = self.sigma.mean(axis=2)
        norm = float(np.linalg.norm(after))
        if norm > 0.0 and np.isfinite(norm):
            self.sigma /= norm
        else:
            self._restart()
        return float(np.sum(after * before) / np.sum(before * before))


def _delta(
    model: Model, sigma: Array, at: tuple[Local, Local], population: tuple[Local, Local], size: int
) -> Array:
    """Delta_kl, (K, K), in dependency order; b ``at`` the sites of Sigma, e at the ``size`` of the population."""
    fields, (left, right), (own, other) = model.site.fields, at, population
    delta = np.zeros((len(fields), len(fields)))
    for k, item in enumerate(fields):
        for m in (m for m in model.partners[k] if m <= k):
            for row, column in dict.fromkeys([(k, m), (m, k)]):
                total = _through(left.b, right.b, sigma, row, column)
                for p in range(row):
                    for r in range(column):
                        if delta[p, r] != 0.0 and (row, p) in own.e and (column, r) in other.e:
                            total += mean_product(own.e[row, p], other.e[column, r], size) * delta[p, r]
                delta[row, column] = item.gain**2 * total
    return delta


def _traces(sigma: Array) -> Array:
    return np.asarray(np.einsum("iin->n", sigma))


def _transported(left: Entries, right: Entries, sigma: Array) -> Array:
    """L_a Sigma L_b^T, site by site."""
    half, new = np.zeros_like(sigma), np.zeros_like(sigma)
    for (i, m), value in left.items():
        half[i] += value * sigma[m]
    for (j, n), value in right.items():
        new[:, j] += value * half[:, n]
    return new


def _injected(
    left: Entries, right: Entries, delta: Array, partners: list[list[int]], shape: tuple[int, ...]
) -> Array:
    """sum over k, l of one matrix of a_k a_l^T Delta_kl, site by site."""
    new = np.zeros(shape)
    for (i, k), own in left.items():
        for m in partners[k]:
            if delta[k, m] != 0.0:
                for j in range(shape[0]):
                    if (j, m) in right:
                        new[i, j] += delta[k, m] * (own * right[j, m])
    return new


def _through(left: Entries, right: Entries, sigma: Array, k: int, m: int) -> float:
    """Mean of b_k Sigma b_m^T."""
    total = 0.0
    for i in range(sigma.shape[0]):
        for j in range(sigma.shape[0]):
            if (k, i) in left and (m, j) in right:
                total += mean_product(left[k, i] * sigma[i, j], right[m, j], sigma.shape[2])
    return total


def _stacked(values: Sequence[Any], size: int) -> Array:
    return np.array([np.broadcast_to(value, (size,)) for value in values])
