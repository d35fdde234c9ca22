"""Phi by Cauchy-Binet: sums of squared minors, where every field has a matrix of its own.

    F = |det(lam - L)|^2 det(1 + P T^dagger Q T) = sum_{I, J} exp(sum_I s + sum_J t) |m_JI(lam)|^2,  P = e^s, Q = e^t

|m|^2 is a real combination of products of coefficients of m, which do not know lam: with these products in the columns
of B, F = B f(lam, s, t), and everything for many lam at once is a product of B with a few vectors.  theta = (s, t).
"""

from __future__ import annotations

import numpy as np

from derive.stability.minors import Minor
from solvers.measure import SiteMeasure
from solvers.spectrum.density.coupling import Coupling
from solvers.spectrum.density.pattern import site_minors
from solvers.spectrum.density.potential import Array, ComplexArray, Slopes

LONGEST_STEP = 2.0
LOWEST, HIGHEST = -80.0, 80.0


class MinorPotential:
    """Phi of one component without shared matrices."""

    def __init__(self, measure: SiteMeasure) -> None:
        minors, coefficients = site_minors(measure)
        self.fields = len(measure.fields)
        self.parameters = 2 * self.fields
        self._weights = measure.weights
        self._coupling = Coupling(measure.gains, measure.ensembles)
        self._terms = _Terms(minors, coefficients, self.fields)

    def log_radius(self, lam: ComplexArray) -> Array:
        K = self._gain(lam)
        finite = np.asarray(np.isfinite(K).all(axis=(1, 2)))
        radius = np.abs(np.linalg.eigvals(np.where(finite[:, None, None], K, 0.0))).max(axis=1)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.where(finite, radius, np.inf)))

    def _gain(self, lam: ComplexArray) -> Array:
        """K_kl = sigma_k^2 E|T_kl|^2, (m, K, K)."""
        terms = self._terms
        alone, pairs = terms.of_no_field(lam), terms.of_pairs(lam)
        with np.errstate(all="ignore"):
            share = self._weights / alone
            means = np.einsum("mn,mkn->mk", share, pairs)
        K = np.zeros((lam.size, self.fields, self.fields))
        for column, (driven, driving) in enumerate(terms.pairs):
            K[:, driven, driving] = means[:, column]
        return self._coupling.variances[:, None] * K

    def outside(self, lam: ComplexArray) -> tuple[Array, ComplexArray]:
        F, F_lam = self._terms.of_no_field(lam), self._terms.of_no_field_slope(lam)
        with np.errstate(all="ignore"):
            return np.log(F) @ self._weights, (F_lam / F) @ self._weights

    def start(self, lam: ComplexArray) -> Array:
        """Eigenvectors of K, with the amplitude at which their own equation holds."""
        K = np.nan_to_num(self._gain(lam), posinf=1e12)
        K += 1e-6 * np.abs(K).max(axis=(1, 2), keepdims=True)  # positive eigenvectors, also where entries are tiny
        P, Q = (_leading(matrix) for matrix in (K, K.transpose(0, 2, 1)))
        shape = np.log(np.concatenate([P, Q * self._coupling.variances], axis=1))
        low, high = np.full(lam.size, -40.0), np.full(lam.size, 20.0)
        for _ in range(24):
            middle = 0.5 * (low + high)
            theta = shape + middle[:, None]
            rising = (self._occupied(lam, theta) - self._coupling.logarithmic(theta)[1]).sum(axis=1) > 0
            low, high = np.where(rising, middle, low), np.where(rising, high, middle)
        return shape + 0.5 * (low + high)[:, None]

    def _occupied(self, lam: ComplexArray, theta: Array) -> Array:
        """The derivative of E log F in theta (m, p): how much of each field's P and Q the sites take up."""
        f = self._terms.combined(lam, theta)[0][:, : 1 + self.parameters]
        Z = f @ self._terms.columns.T
        return np.asarray(np.einsum("mn,mqn->mq", self._weights / Z[:, 0], Z[:, 1:]))

    def slopes(self, lam: ComplexArray, theta: Array) -> Slopes:
        terms, p = self._terms, self.parameters
        f, factors = terms.combined(lam, theta)  # (m, 1 + p + 2, r)
        Z = f @ terms.columns.T  # (m, 1 + p + 2, n)
        F = Z[:, 0]
        with np.errstate(all="ignore"):
            share = self._weights / F
            value = np.log(F) @ self._weights
            first = np.einsum("mn,mqn->mq", share, Z[:, 1:])
            scaled = Z[:, 1:] * (np.sqrt(self._weights) / F)[:, None, :]
        second = -scaled @ scaled.transpose(0, 2, 1)
        means = (share @ terms.columns)[:, terms.column]  # (m, terms)
        curved, mixed_in, laplacian = terms.second(means, factors, lam)
        C, _, C2 = self._coupling.logarithmic(theta)
        taken = second[:, :p, :p] + curved
        equations, jacobian = self._coupling.equations(first[:, :p], taken, theta)
        G = 0.5 * (first[:, p] - 1j * first[:, p + 1])
        mixed = 0.5 * (second[:, :p, p] - 1j * second[:, :p, p + 1]) + mixed_in
        curvature = laplacian + 0.25 * (second[:, p, p] + second[:, p + 1, p + 1])
        return Slopes(value - C, equations, jacobian, taken - C2, G, mixed, curvature)

    def iterated(self, lam: ComplexArray, theta: Array) -> Array:
        new = self._coupling.iterated(self._occupied(lam, theta), theta)
        K = self.fields
        tilt = 0.5 * ((new[:, :K] - theta[:, :K]).mean(axis=1) - (new[:, K:] - theta[:, K:]).mean(axis=1))
        new[:, :K] -= tilt[:, None]
        new[:, K:] += tilt[:, None]
        return np.clip(0.5 * (new + theta), LOWEST, HIGHEST)

    def moved(self, theta: Array, step: Array) -> Array:
        longest = np.abs(step).max(axis=1, keepdims=True)
        with np.errstate(all="ignore"):
            scale = np.minimum(1.0, LONGEST_STEP / longest)
        return np.clip(theta + np.nan_to_num(scale * step), LOWEST, HIGHEST)

    def gauge(self, theta: Array) -> Array:
        direction = np.concatenate([np.ones(self.fields), -np.ones(self.fields)]) / np.sqrt(self.parameters)
        return np.broadcast_to(direction, theta.shape)


def _leading(matrices: Array) -> Array:
    """Positive leading eigenvectors (m, K) of positive matrices, by squaring."""
    power = matrices / matrices.max(axis=(1, 2), keepdims=True)
    for _ in range(6):
        power = power @ power
        power = power / power.max(axis=(1, 2), keepdims=True)
    vector = power.sum(axis=2)
    return np.asarray(np.maximum(vector / vector.max(axis=1, keepdims=True), 1e-12))


class _Terms:
    """The terms c_j c_k Re(lam^j conj(lam)^k) of all |m|^2, with equal columns c_j c_k held once.

    columns : (n, r); column : (terms,) which of them a term multiplies; pairs : (driven, driving) of the minors of one
    field each.
    """

    def __init__(self, minors: tuple[Minor, ...], coefficients: Array, fields: int) -> None:
        known: dict[bytes, int] = {}
        columns: list[Array] = []
        where: list[tuple[int, int, int, int]] = []  # minor, j, k, column
        start = 0
        for number, minor in enumerate(minors):
            own = coefficients[start : start + len(minor.coefficients)]
            start += len(minor.coefficients)
            for j in range(len(own)):
                for k in range(j, len(own)):
                    product = own[j] * own[k]
                    if not product.any():
                        continue
                    key = product.tobytes()
                    if key not in known:
                        known[key] = len(columns)
                        columns.append(product)
                    where.append((number, j, k, known[key]))
        self.columns = np.ascontiguousarray(np.array(columns).T)
        table = np.array(where)
        self.minor, self.j, self.k, self.column = table.T
        self._double = np.where(self.j < self.k, 2.0, 1.0)
        self._in = np.zeros((len(minors), 2 * fields))
        for number, minor in enumerate(minors):
            self._in[number, list(minor.driving)] = 1.0
            self._in[number, [fields + k for k in minor.driven]] = 1.0
        self._assign = np.zeros((table.shape[0], self.columns.shape[1]))
        self._assign[np.arange(table.shape[0]), self.column] = 1.0
        self._member = self._in[self.minor]  # (terms, p)
        self._empty = self._member.sum(axis=1) == 0
        single = [n for n, minor in enumerate(minors) if len(minor.driving) == 1]
        self.pairs = [(minors[n].driven[0], minors[n].driving[0]) for n in single]
        self._single = np.array([self.minor == n for n in single]).reshape(len(single), -1)

    def _powers(self, lam: ComplexArray) -> Array:
        """Re(lam^j conj(lam)^k), doubled where j < k; (m, terms)."""
        top = int(self.k.max(initial=0))
        powers = lam[:, None] ** np.arange(top + 1)
        return np.asarray((powers[:, self.j] * powers[:, self.k].conj()).real * self._double)

    def _power_slopes(self, lam: ComplexArray) -> ComplexArray:
        """d/dlam of the same."""
        j, k = self.j, self.k
        powers = lam[:, None] ** np.arange(int(k.max(initial=0)) + 1)
        left = j * powers[:, np.maximum(j - 1, 0)] * powers[:, k].conj()
        right = k * powers[:, np.maximum(k - 1, 0)] * powers[:, j].conj()
        return np.asarray(0.5 * (left + right) * self._double)

    def _power_curvature(self, lam: ComplexArray) -> Array:
        """d^2/dlam dconj(lam) of the same."""
        j, k = self.j, self.k
        powers = lam[:, None] ** np.arange(int(k.max(initial=0)) + 1)
        both = powers[:, np.maximum(j - 1, 0)] * powers[:, np.maximum(k - 1, 0)].conj()
        return np.asarray(j * k * both.real * self._double)

    def of_no_field(self, lam: ComplexArray) -> Array:
        """|det(lam - L)|^2, (m, n)."""
        return np.asarray((self._powers(lam) * self._empty) @ self._assign @ self.columns.T)

    def of_no_field_slope(self, lam: ComplexArray) -> ComplexArray:
        """d/dlam |det(lam - L)|^2, (m, n)."""
        return np.asarray((self._power_slopes(lam) * self._empty) @ self._assign @ self.columns.T)

    def of_pairs(self, lam: ComplexArray) -> Array:
        """|m_kl|^2 in the order of ``pairs``, (m, pairs, n)."""
        terms = self._powers(lam)[:, None, :] * self._single
        return np.asarray(terms @ self._assign @ self.columns.T)

    def combined(self, lam: ComplexArray, theta: Array) -> tuple[Array, tuple[Array, Array]]:
        """f and its derivatives in theta, Re lam and Im lam, (m, 1 + p + 2, r); and the factors of each term."""
        weight = np.exp(theta @ self._in.T)[:, self.minor]  # (m, terms)
        powers, slope = self._powers(lam), self._power_slopes(lam)
        plain = weight * powers
        p = self._member.shape[1]
        rows = np.empty((lam.size, p + 3, plain.shape[1]))
        rows[:, 0] = plain
        rows[:, 1 : p + 1] = plain[:, None, :] * self._member.T
        rows[:, p + 1] = 2.0 * weight * slope.real  # d/dx = 2 Re d/dlam, d/dy = -2 Im d/dlam
        rows[:, p + 2] = -2.0 * weight * slope.imag
        return rows @ self._assign, (weight, powers)

    def second(
        self, means: Array, factors: tuple[Array, Array], lam: ComplexArray
    ) -> tuple[Array, ComplexArray, Array]:
        """E of second derivatives of F over F: by theta (m, p, p), by theta and lam (m, p), by lam and conj(lam)."""
        weight, powers = factors
        member = self._member
        curved = np.einsum("mt,tp,tq->mpq", means * weight * powers, member, member, optimize=True)
        mixed = (means * weight * self._power_slopes(lam)) @ member
        laplacian = np.sum(means * weight * self._power_curvature(lam), axis=1)
        return curved, mixed, laplacian
