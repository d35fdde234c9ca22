"""Phi by determinants of numbers: for fields that share matrices, and for more fields than minors can serve.

With X = [[lam - L, a], [-b, e]] per site,  |det(lam - L)|^2 det(1 + P T^dagger Q T) = |det Y|,

    Y = [[diag(0_S, 1_K), diag(1_S, P) X^dagger], [-diag(1_S, Q) X, diag(0_S, 1_K)]]

which has no poles.  Y is affine in P, in Q, in lam and in conj(lam), each through matrix units e_a v_b, so that all
derivatives are products of entries of N = V Y^-1 E:  N_ba, and -N_bc N_da for two of them.
"""

from __future__ import annotations

import numpy as np

from solvers.measure import SiteMeasure
from solvers.spectrum.density.blocks import Blocks
from solvers.spectrum.density.potential import Array, ComplexArray, Slopes

START_STEPS = 12
POWER_STEPS = 40
LEAST = 1e-6
AMPLITUDES = np.linspace(-30.0, 12.0, 43)


class PencilPotential:
    """Phi of one component; theta holds the real coordinates of P and Q, see `Blocks`."""

    def __init__(self, measure: SiteMeasure) -> None:
        self.blocks = Blocks(measure)
        self.parameters = 2 * self.blocks.size
        self._measure, self._weights = measure, measure.weights
        self._S, self._K = measure.states, len(measure.fields)
        self._eigenvalues: ComplexArray = np.linalg.eigvals(measure.L).astype(complex)

    # Outside the support --------------------------------------------------------------------------------------------

    def log_radius(self, lam: ComplexArray) -> Array:
        found = np.empty(lam.size)
        for number, value in enumerate(lam):
            operator = self._operator(value)
            finite = bool(np.isfinite(operator).all())
            radius = float(np.abs(np.linalg.eigvals(operator)).max()) if finite else np.inf
            found[number] = np.log(radius) if radius > 0 else -np.inf
        return found

    def _operator(self, lam: complex) -> ComplexArray:
        """P -> sigma^2 E[T P T^dagger] on the entries that P may have, (U, U)."""
        T = self._transfer(lam)
        k, m = self.blocks.units.T
        variance = self._variances()
        with np.errstate(all="ignore"):
            left, right = T[:, k][:, :, k], T[:, m][:, :, m].conj()
            return np.asarray(variance[k][:, None] * np.einsum("n,nuv,nuv->uv", self._weights, left, right))

    def _transfer(self, lam: complex) -> ComplexArray:
        measure = self._measure
        shifted = lam * np.eye(self._S) - measure.L
        try:
            solved = np.linalg.solve(shifted, measure.a.astype(complex))
        except np.linalg.LinAlgError:  # lam is an eigenvalue of some L
            return np.full((measure.nodes, self._K, self._K), np.inf, complex)
        return np.asarray(measure.b @ solved + measure.e)

    def outside(self, lam: ComplexArray) -> tuple[Array, ComplexArray]:
        distance = lam[:, None, None] - self._eigenvalues
        with np.errstate(all="ignore"):
            value = np.einsum("mns,n->m", 2.0 * np.log(np.abs(distance)), self._weights)
            return value, np.einsum("mns,n->m", 1.0 / distance, self._weights.astype(complex))

    # Inside ---------------------------------------------------------------------------------------------------------

    def start(self, lam: ComplexArray) -> Array:
        """Leading eigenvectors of the gain, the amplitude at which they balance, and plain steps from there."""
        return np.array([self._start(value) for value in lam]).reshape(lam.size, self.parameters)

    def _start(self, lam: complex) -> Array:
        theta = self._leading(lam)
        excess = [self._excess(lam, theta * np.exp(0.5 * amplitude)) for amplitude in AMPLITUDES]
        last = max((k for k, value in enumerate(excess) if value > 0), default=0)
        theta = theta * np.exp(0.5 * AMPLITUDES[last])
        points = np.array([lam])
        for _ in range(START_STEPS):
            theta = self.iterated(points, theta[None, :])[0]
        return theta

    def _leading(self, lam: complex) -> Array:
        """P and Q along the leading eigenvectors of the gain, kept positive definite."""
        blocks, operator = self.blocks, self._operator(lam)
        one = blocks.coordinates(np.eye(self._K, dtype=complex))
        if not np.isfinite(operator).all() or not operator.any():
            return np.concatenate([one, one])
        variance = self._variances()[blocks.units[:, 0]]
        backward = variance[:, None] * (operator / variance[:, None]).conj().T
        parts = []
        for matrix in (operator, backward):
            vector = np.where(blocks.units[:, 0] == blocks.units[:, 1], 1.0 + 0.0j, 0.0)
            for _ in range(POWER_STEPS):
                vector = matrix @ vector
                vector = vector / np.abs(vector).max()
            whole = np.zeros((self._K, self._K), complex)
            whole[blocks.units[:, 0], blocks.units[:, 1]] = vector
            parts.append(blocks.coordinates(whole) + LEAST * one)
        return np.concatenate(parts)

    def _variances(self) -> Array:
        variance = np.empty(self._K)
        for group in self.blocks.groups:
            variance[list(group.fields)] = group.variance
        return variance

    def _excess(self, lam: complex, theta: Array) -> float:
        """tr(P dPhi/dP): above zero where P and Q are too small."""
        P, Q = self._matrices(theta)
        R_P = self._mean_entries(lam, P, Q)[0]
        return float(np.trace(P @ (R_P - self.blocks.coupling(P, Q)[1])).real)

    def _matrices(self, theta: Array) -> tuple[ComplexArray, ComplexArray]:
        h = self.blocks.size
        return self.blocks.matrix(theta[:h]), self.blocks.matrix(theta[h:])

    def _entries(self, lam: complex, P: ComplexArray, Q: ComplexArray) -> tuple[ComplexArray, float]:
        """N (n, 2K + 2S, 2K + 2S) in the order P, Q, lam, conj(lam), and E log|det Y|."""
        measure, S, K = self._measure, self._S, self._K
        D, n = S + K, measure.nodes
        X = np.empty((n, D, D), complex)
        X[:, :S, :S], X[:, :S, S:] = lam * np.eye(S) - measure.L, measure.a
        X[:, S:, :S], X[:, S:, S:] = -measure.b, measure.e
        adjoint = X.conj().transpose(0, 2, 1)
        Y = np.zeros((n, 2 * D, 2 * D), complex)
        field, other = slice(S, D), slice(D + S, 2 * D)
        Y[:, field, field] = Y[:, other, other] = np.eye(K)
        Y[:, :S, D:], Y[:, field, D:] = adjoint[:, :S], P @ adjoint[:, S:]
        Y[:, D : D + S, :D], Y[:, other, :D] = -X[:, :S], -Q @ X[:, S:]
        inverse = np.linalg.inv(Y)
        V = np.zeros((n, 2 * K + 2 * S, 2 * D), complex)
        V[:, :K, D:], V[:, K : 2 * K, :D] = adjoint[:, S:], -X[:, S:]
        V[:, 2 * K : 2 * K + S, :S], V[:, 2 * K + S :, D : D + S] = -np.eye(S), np.eye(S)
        columns = [*range(S, D), *range(D + S, 2 * D), *range(D, D + S), *range(S)]
        return np.asarray(V @ inverse[:, :, columns], complex), float(self._weights @ np.linalg.slogdet(Y)[1])

    def _mean_entries(self, lam: complex, P: ComplexArray, Q: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
        """The matrices R_P, R_Q with d E log F = tr(dP R_P) + tr(dQ R_Q)."""
        mean = np.tensordot(self._weights, self._entries(lam, P, Q)[0], axes=1)
        K = self._K
        return mean[:K, :K], mean[K : 2 * K, K : 2 * K]

    def slopes(self, lam: ComplexArray, theta: Array) -> Slopes:
        parts = [self._slopes(complex(value), row) for value, row in zip(lam, theta, strict=True)]
        return Slopes(*(np.array(column) for column in zip(*parts, strict=True)))

    def _slopes(self, lam: complex, theta: Array) -> tuple[object, ...]:
        blocks, p = self.blocks, self.parameters
        P, Q = self._matrices(theta)
        N, value = self._entries(lam, P, Q)
        first, second = self._derivatives(N)
        C, D_P, D_Q = blocks.coupling(P, Q)
        k, m = blocks.units.T
        added = np.concatenate([blocks.basis @ D_P[m, k], blocks.basis @ D_Q[m, k]]).real
        gradient = first[:p].real - added
        hessian = second[:p, :p].real - blocks.coupling_hessian(P, Q)
        scale = np.maximum(self._scales(added), 1e-300)
        narrow, hole = blocks.narrowing(P, Q)
        scale = scale * np.concatenate([narrow, narrow])
        equations = np.where(np.concatenate([hole, hole]), 0.0, gradient / scale)
        return (
            value - C, equations, hessian / scale[:, None], hessian, first[p], second[:p, p],
            second[p, p + 1].real,
        )  # fmt: skip

    def _derivatives(self, N: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
        """First (p + 2,) and second (p + 2, p + 2) derivatives of E log F in the coordinates, lam and conj(lam)."""
        K, S, units = self._K, self._S, self.blocks.units
        states = np.arange(S)
        row = np.concatenate([units[:, 0], K + units[:, 0], 2 * K + states, 2 * K + S + states])
        column = np.concatenate([units[:, 1], K + units[:, 1], 2 * K + states, 2 * K + S + states])
        crossed = N[:, column][:, :, row]  # N_{b_u a_v}
        first = np.tensordot(self._weights, N[:, column, row], axes=1)
        second = -np.einsum("n,nuv,nvu->uv", self._weights, crossed, crossed, optimize=True)
        half, U = self.blocks.size, len(units)
        basis = np.zeros((2 * half + 2, row.size), complex)
        basis[:half, :U] = basis[half : 2 * half, U : 2 * U] = self.blocks.basis
        basis[2 * half, 2 * U : 2 * U + S] = basis[2 * half + 1, 2 * U + S :] = 1.0
        return basis @ first, basis @ second @ basis.T

    def _scales(self, added: Array) -> Array:
        """The size of the terms of each group's equations."""
        h, owner = self.blocks.size, np.array(self.blocks.owner)
        scale = np.empty(2 * h)
        for number in range(len(self.blocks.groups)):
            mine = np.nonzero(owner == number)[0]
            for offset in (0, h):
                scale[offset + mine] = np.abs(added[offset + mine]).max()
        return scale

    def iterated(self, lam: ComplexArray, theta: Array) -> Array:
        return np.array([self._iterated(complex(value), row) for value, row in zip(lam, theta, strict=True)])

    def _iterated(self, lam: complex, theta: Array) -> Array:
        P, Q = self._matrices(theta)
        new_P, new_Q = self.blocks.iterated(*self._mean_entries(lam, P, Q), P, Q)
        h = self.blocks.size
        before, after = (np.linalg.norm(x) / np.linalg.norm(y) for x, y in ((theta[:h], theta[h:]), (new_P, new_Q)))
        balance = np.sqrt(before / after)
        mixed = 0.5 * (theta + np.concatenate([new_P * balance, new_Q / balance]))
        good = np.isfinite(mixed).all() and self.blocks.positive(mixed[:h]) and self.blocks.positive(mixed[h:])
        return np.asarray(mixed if good else theta)

    def moved(self, theta: Array, step: Array) -> Array:
        return np.array([self._moved(row, change) for row, change in zip(theta, step, strict=True)])

    def _moved(self, theta: Array, step: Array) -> Array:
        """The longest of step, step/2, ... that keeps P and Q positive."""
        h, change = self.blocks.size, np.nan_to_num(step)
        for _ in range(30):
            new = theta + change
            if self.blocks.positive(new[:h]) and self.blocks.positive(new[h:]):
                return np.asarray(new)
            change = 0.5 * change
        return theta

    def gauge(self, theta: Array) -> Array:
        h = self.blocks.size
        direction = np.concatenate([theta[:, :h], -theta[:, h:]], axis=1)
        return np.asarray(direction / np.linalg.norm(direction, axis=1, keepdims=True))
