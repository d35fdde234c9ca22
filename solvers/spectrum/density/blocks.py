"""P and Q of fields that share matrices: Hermitian blocks, their real coordinates, and what ensembles add to Phi."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from solvers.measure import SiteMeasure
from solvers.spectrum.density.coupling import INFINITE
from solvers.spectrum.density.potential import Array, ComplexArray


@dataclass(frozen=True)
class Group:
    """The fields of one matrix; variance : sigma^2; haar : whether it is orthogonal."""

    fields: tuple[int, ...]
    variance: float
    haar: bool


class Blocks:
    """Real coordinates of P, then of Q: for each group the diagonal, then real and imaginary parts above it.

    units : (U, 2) matrix entries (row, column) that P and Q may have; basis : (p/2, U) complex, the entries of each
    coordinate's unit matrix.
    """

    def __init__(self, measure: SiteMeasure) -> None:
        self.fields = len(measure.fields)
        self.groups = tuple(
            Group(members, float(measure.gains[members[0]] ** 2), measure.ensembles[members[0]] == "haar")
            for members in measure.groups.values()
        )
        self.units = np.array([(k, m) for group in self.groups for k in group.fields for m in group.fields])
        place = {(int(k), int(m)): number for number, (k, m) in enumerate(self.units)}
        rows: list[ComplexArray] = []
        self.owner: list[int] = []
        for number, group in enumerate(self.groups):
            for first, k in enumerate(group.fields):
                rows.append(self._row(place, {(k, k): 1.0}))
                for m in group.fields[first + 1 :]:
                    rows.append(self._row(place, {(k, m): 1.0, (m, k): 1.0}))
                    rows.append(self._row(place, {(k, m): 1.0j, (m, k): -1.0j}))
            self.owner += [number] * (len(rows) - len(self.owner))
        self.basis: ComplexArray = np.array(rows)
        self.size = len(rows)

    def _row(self, place: dict[tuple[int, int], int], entries: dict[tuple[int, int], complex]) -> ComplexArray:
        row = np.zeros(len(place), complex)
        for key, value in entries.items():
            row[place[key]] = value
        return row

    def matrix(self, coordinates: Array) -> ComplexArray:
        """The block-diagonal Hermitian matrix (K, K) of coordinates (p/2,)."""
        found = np.zeros((self.fields, self.fields), complex)
        found[self.units[:, 0], self.units[:, 1]] = coordinates @ self.basis
        return found

    def coordinates(self, matrix: ComplexArray) -> Array:
        """Coordinates (p/2,) of the Hermitian part of a matrix, entries outside the blocks dropped."""
        hermitian = 0.5 * (matrix + matrix.conj().T)
        entries = hermitian[self.units[:, 0], self.units[:, 1]]
        scale = np.sum(np.abs(self.basis) ** 2, axis=1)
        return np.asarray((self.basis.conj() @ entries).real / scale)

    def positive(self, coordinates: Array) -> bool:
        """Whether every block is positive definite."""
        return bool(np.linalg.eigvalsh(self.matrix(coordinates)).min() > 0)

    def coupling(self, P: ComplexArray, Q: ComplexArray) -> tuple[float, ComplexArray, ComplexArray]:
        """C, and the matrices D_P, D_Q with dC = tr(dP D_P) + tr(dQ D_Q)."""
        value, D_P, D_Q = 0.0, np.zeros_like(P), np.zeros_like(P)
        for group in self.groups:
            at = np.ix_(group.fields, group.fields)
            p, q = P[at], Q[at]
            if group.haar:
                one = np.eye(len(group.fields))
                D_P[at] = q @ np.linalg.inv(group.variance * one + p @ q)
                D_Q[at] = p @ np.linalg.inv(group.variance * one + q @ p)
                value += float(np.linalg.slogdet(one + p @ q / group.variance)[1])
            else:
                D_P[at], D_Q[at] = q / group.variance, p / group.variance
                value += float(np.trace(p @ q).real) / group.variance
        return value, D_P, D_Q

    def narrowing(self, P: ComplexArray, Q: ComplexArray) -> tuple[Array, npt.NDArray[np.bool_]]:
        """For each coordinate of P: the factor by which the equations of a Haar matrix shrink as P Q grows, and
        whether P Q is so large that it stands for infinity, as in a hole of the support."""
        factor, infinite = np.ones(self.size), np.zeros(self.size, bool)
        for number, group in enumerate(self.groups):
            if group.haar:
                at, mine = np.ix_(group.fields, group.fields), np.array(self.owner) == number
                x = float(np.abs(np.linalg.eigvals(P[at] @ Q[at])).max()) / group.variance
                factor[mine], infinite[mine] = 1.0 / (1.0 + x), x > np.exp(INFINITE)
        return factor, infinite

    def coupling_hessian(self, P: ComplexArray, Q: ComplexArray) -> Array:
        """Second derivatives of C in the coordinates of P and Q, (p, p)."""
        h = self.size
        unit = [self.matrix(row) for row in np.eye(h)]
        found = np.zeros((2 * h, 2 * h))
        for group in self.groups:
            at = np.ix_(group.fields, group.fields)
            own = [k for k in range(h) if np.any(unit[k][at])]
            A, one = self._inverse(group, P[at], Q[at]), np.eye(len(group.fields))
            p, q = P[at], Q[at]
            for i in own:
                for j in own:
                    left, right = unit[i][at], unit[j][at]
                    cross = np.trace(left @ right @ A) - (np.trace(left @ q @ A @ p @ right @ A) if group.haar else 0.0)
                    found[i, h + j] = found[h + j, i] = cross.real
                    if group.haar:
                        B = np.linalg.inv(group.variance * one + q @ p)
                        found[i, j] = -np.trace(left @ q @ A @ right @ q @ A).real
                        found[h + i, h + j] = -np.trace(left @ p @ B @ right @ p @ B).real
        return found

    @staticmethod
    def _inverse(group: Group, p: ComplexArray, q: ComplexArray) -> ComplexArray:
        one = np.eye(len(group.fields), dtype=complex)
        return np.asarray(np.linalg.inv(group.variance * one + p @ q) if group.haar else one / group.variance, complex)

    def iterated(self, R_P: ComplexArray, R_Q: ComplexArray, P: ComplexArray, Q: ComplexArray) -> tuple[Array, Array]:
        """Coordinates of P = sigma^2 Y, Q = sigma^2 R (Haar: sigma^2 Y (1 - qY)^-1), Y = R_Q, R = R_P."""
        new_P, new_Q = np.zeros_like(P), np.zeros_like(Q)
        for group in self.groups:
            at = np.ix_(group.fields, group.fields)
            Y, R, one = R_Q[at], R_P[at], np.eye(len(group.fields))
            if group.haar:
                Y, R = Y @ np.linalg.pinv(one - Q[at] @ Y), R @ np.linalg.pinv(one - P[at] @ R)
            new_P[at], new_Q[at] = group.variance * Y, group.variance * R
        return self.coordinates(new_P), self.coordinates(new_Q)
