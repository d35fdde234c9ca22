"""The pencil of the one-step Jacobian at many spectral parameters: what one unit contributes, and its averages.

Per site, with B = (b, e) and alpha, beta the covariances that fields hand on and back (theory, section 4), the fields
are eliminated by  N = (1 - Q alpha)^-1,  Q = e^T beta e,  R = e^T beta b,  A = alpha N:

    H = [[w - a A a^T, -(L + a A R)], [-(L + a A R)^T, w - b^T beta b - R^T A R]]          (2S, 2S) on the states
    F = N (a^T, R)     E = (e A a^T, b + e A R)                                            (K, 2S)
    X = N Q + F H^-1 F^T = (G11)_fields     Y = N e^T + F H^-1 E^T = (G12 B^T)_fields
    Z = e A e^T + E H^-1 E^T = B G22 B^T

All matrices are complex and symmetric (not Hermitian), so that everything is analytic in w, alpha and beta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from solvers.measure import SiteMeasure
from solvers.spectrum.site_matrix import SiteMatrix

Complex = npt.NDArray[np.complex128]

CHUNK = 40_000
"""Sites times spectral parameters that are worked on at once, for memory."""


@dataclass(frozen=True)
class Averages:
    """At w of shape (m,): g1 = E[X], g2 = E[Z], (m, K, K) and nil between different matrices; trace : (1/S) E tr G11
    on the states, (m,); slopes : (m, 2P, 2P), derivative of (g2, g1) by (alpha, beta) on the P pairs of fields of one
    matrix; angle : (m,), E Im ln det over sites, zero for w -> infinity on the real axis."""

    g1: Complex
    g2: Complex
    trace: Complex
    slopes: Complex
    angle: npt.NDArray[np.float64]


class SingularPencil:
    """A site measure without the fields that carry nothing, ready for evaluation at many w.

    Attributes
    ----------
    alive : positions of the kept fields in the measure; pairs : (P, 2) kept fields of one matrix; variance : (P,)
    squared gains; haar : (P,) whether the matrix is orthogonal
    """

    def __init__(self, measure: SiteMeasure) -> None:
        self.measure, self.alive = measure, _alive(measure)
        alive = self.alive
        self.weights, self.L = measure.weights, measure.L
        self.a, self.b = measure.a[:, :, alive], measure.b[:, alive, :]
        self.e = measure.e[:, alive][:, :, alive]
        names = [measure.matrices[k] for k in alive]
        count = len(names)
        found = [(k, m) for k in range(count) for m in range(count) if names[k] == names[m]]
        self.pairs = np.array(found, dtype=int).reshape(len(found), 2)
        self.variance = measure.gains[alive][self.pairs[:, 0]] ** 2
        self.haar = np.array([measure.ensembles[alive[k]] == "haar" for k, _ in found], dtype=bool)
        self.fields, self.states = count, measure.states
        self.nested = np.nonzero(np.any(self.e != 0.0, axis=(0, 1)))[0]

    def full(self, entries: Complex) -> Complex:
        """(m, P) numbers on pairs as matrices (m, K, K)."""
        matrix = np.zeros((len(entries), self.fields, self.fields), complex)
        matrix[:, self.pairs[:, 0], self.pairs[:, 1]] = entries
        return matrix

    def on_pairs(self, matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The entries (m, P) of matrices (m, K, K) on pairs of one matrix."""
        return np.asarray(matrix[:, self.pairs[:, 0], self.pairs[:, 1]])

    def averages(self, w: Complex, alpha: Complex, beta: Complex) -> Averages:
        """Averages over sites at w (m,) with alpha, beta (m, P), by chunks of sites."""
        sites = max(1, CHUNK // max(1, w.size))
        forward, back = (SiteMatrix.of(self.full(entries)[:, None]) for entries in (alpha, beta))
        totals = _Totals(self, w.size)
        for start in range(0, len(self.weights), sites):
            chosen = slice(start, start + sites)
            totals.add(_Site(self, chosen, w[:, None], forward, back), self.weights[chosen])
        return totals.averages()


class _Totals:
    """Weighted sums over the sites seen so far."""

    def __init__(self, pencil: SingularPencil, points: int) -> None:
        self.pencil = pencil
        K, P = pencil.fields, len(pencil.pairs)
        self.g1, self.g2 = np.zeros((2, points, K, K), complex)
        self.slopes = np.zeros((points, 2 * P, 2 * P), complex)
        self.trace: Complex = np.zeros(points, complex)
        self.angle: npt.NDArray[np.float64] = np.zeros(points)

    def add(self, site: _Site, weights: npt.NDArray[np.float64]) -> None:
        """The sites of one chunk."""
        self._weights = weights
        X, Y, Z = site.X(), site.Y(), site.Z()
        for total, matrix in ((self.g1, X), (self.g2, Z)):
            for (k, m), value in matrix.entries.items():
                total[:, k, m] += self._sum(value)
        for i in range(self.pencil.states):
            self.trace += self._sum(site.G.entries[i, i])
        self.angle += self._sum(site.angle())
        P = len(self.pencil.pairs)
        for row, left, right in ((0, Y.T, Z), (P, X, Y)):
            self._slope(row, 0, left, left.T)
            self._slope(row, P, right, right.T)

    def _sum(self, values: Any) -> Any:
        """Weighted sum over sites of (m, n).  Not by BLAS, whose threads are in each other's way on thin arrays."""
        shape = (np.shape(values)[0] if np.ndim(values) == 2 else 1, self._weights.size)
        return np.einsum("mn,n->m", np.broadcast_to(values, shape), self._weights)

    def _slope(self, row: int, column: int, left: SiteMatrix, right: SiteMatrix) -> None:
        """Entry (kl), (pq) of a block: E[left_kp right_ql]; the derivative of left M right by M."""
        for i, (k, m) in enumerate(self.pencil.pairs):
            for j, (p, q) in enumerate(self.pencil.pairs):
                first, second = left.entries.get((k, p)), right.entries.get((q, m))
                if first is not None and second is not None:
                    self.slopes[:, row + i, column + j] += self._sum(first * second)

    def averages(self) -> Averages:
        """The sums as averages."""
        return Averages(self.g1, self.g2, self.trace / self.pencil.states, self.slopes, self.angle)


def _alive(measure: SiteMeasure) -> npt.NDArray[np.intp]:
    """Fields that a perturbation reaches and that reach a state, with a gain."""
    alive = measure.gains != 0.0
    while True:
        e = measure.e * alive[:, None] * alive
        fed = np.any(measure.b != 0.0, axis=(0, 2)) | np.any(e != 0.0, axis=(0, 2))
        feeds = np.any(measure.a != 0.0, axis=(0, 1)) | np.any(e != 0.0, axis=(0, 1))
        kept = alive & fed & feeds
        if np.array_equal(kept, alive):
            return np.nonzero(alive)[0]
        alive = kept


class _Site:
    """The matrices of the module's text; entries are (m, n), parameters by sites."""

    def __init__(self, pencil: SingularPencil, chosen: slice, w: Complex, alpha: SiteMatrix, beta: SiteMatrix) -> None:
        a, b, self.e, L = (SiteMatrix.of(table[chosen]) for table in (pencil.a, pencil.b, pencil.e, pencil.L))
        self.A, self.N = alpha, SiteMatrix.scalar(pencil.fields, 1.0)
        self.TQ: SiteMatrix | None = None
        V, coupling, self.inner = b.T @ (beta @ b), L, pencil.nested
        R = SiteMatrix((pencil.fields, pencil.states), {})
        if self.inner.size:
            self._nest(pencil.fields, alpha, beta)
            R = self.e.T @ (beta @ b)
            passed = self.A @ R
            V, coupling = V + R.T @ passed, L + a @ passed
        own = SiteMatrix.scalar(pencil.states, w + np.zeros((1, len(pencil.weights[chosen]))))
        self.right = own - V
        turned = coupling @ self.right.inverse()
        self.left = own - a @ self.A @ a.T - turned @ coupling.T
        G11 = self.left.inverse()
        G12 = G11 @ turned
        G22 = self.right.inverse() + turned.T @ G12
        self.G = G11.beside(G12).above(G12.T.beside(G22))
        self.F = self.N @ a.T.beside(R)
        eA = self.e @ self.A
        self.E = (eA @ a.T).beside(b + eA @ R)

    def _nest(self, fields: int, alpha: SiteMatrix, beta: SiteMatrix) -> None:
        """N = 1 + TQ alpha and A = alpha + alpha TQ alpha with T = (1 - Q alpha)^-1, on the fields that others hold."""
        inner, everything = self.inner, range(fields)
        part = self.e.part(everything, inner)
        self.Q = part.T @ beta @ part
        self.own = alpha.part(inner, inner)
        T = (SiteMatrix.scalar(inner.size, 1.0) - self.Q @ self.own).inverse()
        entries = {(int(inner[i]), int(inner[j])): value for (i, j), value in (T @ self.Q).entries.items()}
        inside = SiteMatrix((fields, fields), entries)
        self.TQ, self.N, self.A = inside, self.N + inside @ alpha, alpha + alpha @ inside @ alpha

    def X(self) -> SiteMatrix:
        """(G11) on the fields."""
        found = self.F @ self.G @ self.F.T
        return found if self.TQ is None else found + self.TQ

    def Y(self) -> SiteMatrix:
        """G12 B^T on the fields."""
        return self.F @ self.G @ self.E.T + self.N @ self.e.T

    def Z(self) -> SiteMatrix:
        """B G22 B^T."""
        return self.E @ self.G @ self.E.T + self.e @ self.A @ self.e.T

    def angle(self) -> npt.NDArray[np.float64]:
        """Im ln det H + Im ln det(1 - Q alpha), (m, n).

        Each matrix below has a positive imaginary part, and so have its eigenvalues: principal logarithms are right.
        """
        total = self.right.angle() + self.left.angle()
        if self.TQ is None:
            return total
        one = SiteMatrix.scalar(self.inner.size, 1.0)
        both = (-self.own).beside(one).above(one.beside(-self.Q))
        return np.asarray(total + both.angle() - np.pi * self.inner.size)
