"""Small matrices whose entries are arrays over sites, absent where they vanish.

Most entries of L, a, b and e are zero at every site; what is never stored is never multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Key = tuple[int, int]


class SiteMatrix:
    """shape : (rows, columns); entries : arrays that broadcast with each other, by (row, column)."""

    __slots__ = ("entries", "shape")

    def __init__(self, shape: tuple[int, int], entries: Mapping[Key, Any]) -> None:
        self.shape, self.entries = shape, dict(entries)

    @classmethod
    def of(cls, table: npt.NDArray[Any]) -> SiteMatrix:
        """From one array (..., rows, columns)."""
        shape = (int(table.shape[-2]), int(table.shape[-1]))
        found = {(i, j): np.ascontiguousarray(table[..., i, j]) for i in range(shape[0]) for j in range(shape[1])}
        return cls(shape, {key: value for key, value in found.items() if np.any(value != 0.0)})

    @classmethod
    def scalar(cls, size: int, value: Any) -> SiteMatrix:
        """``value`` times the unit matrix."""
        return cls((size, size), {(i, i): value for i in range(size)})

    @property
    def T(self) -> SiteMatrix:
        """The transpose (no complex conjugation)."""
        return SiteMatrix(self.shape[::-1], {(j, i): value for (i, j), value in self.entries.items()})

    def __matmul__(self, other: SiteMatrix) -> SiteMatrix:
        found: dict[Key, Any] = {}
        rows: dict[int, list[tuple[int, Any]]] = {}
        for (j, k), value in other.entries.items():
            rows.setdefault(j, []).append((k, value))
        for (i, j), left in self.entries.items():
            for k, right in rows.get(j, ()):
                term = left * right
                found[i, k] = found[i, k] + term if (i, k) in found else term
        return SiteMatrix((self.shape[0], other.shape[1]), found)

    def __add__(self, other: SiteMatrix) -> SiteMatrix:
        found = dict(self.entries)
        for key, value in other.entries.items():
            found[key] = found[key] + value if key in found else value
        return SiteMatrix(self.shape, found)

    def __neg__(self) -> SiteMatrix:
        return SiteMatrix(self.shape, {key: -value for key, value in self.entries.items()})

    def __sub__(self, other: SiteMatrix) -> SiteMatrix:
        return self + -other

    def beside(self, other: SiteMatrix) -> SiteMatrix:
        """(self, other): more columns."""
        width = self.shape[1]
        moved = {(i, j + width): value for (i, j), value in other.entries.items()}
        return SiteMatrix((self.shape[0], width + other.shape[1]), {**self.entries, **moved})

    def above(self, other: SiteMatrix) -> SiteMatrix:
        """self over other: more rows."""
        return self.T.beside(other.T).T

    def part(self, rows: npt.NDArray[np.intp] | range, columns: npt.NDArray[np.intp] | range) -> SiteMatrix:
        """The chosen rows and columns, renumbered."""
        row = {int(old): new for new, old in enumerate(rows)}
        column = {int(old): new for new, old in enumerate(columns)}
        chosen = {
            (row[i], column[j]): value for (i, j), value in self.entries.items() if i in row and j in column
        }
        return SiteMatrix((len(row), len(column)), chosen)

    def _split(self) -> tuple[Any, SiteMatrix, SiteMatrix, SiteMatrix]:
        """First entry, rest of the first row, rest of the first column, and the Schur complement of the first entry."""
        one, rest = range(1), range(1, self.shape[0])
        row, column = self.part(one, rest), self.part(rest, one)
        inverse = SiteMatrix((1, 1), {(0, 0): 1.0 / self.entries[0, 0]})
        return self.entries[0, 0], row, column, self.part(rest, rest) - column @ inverse @ row

    def inverse(self) -> SiteMatrix:
        """By Schur complements, without pivoting: for matrices whose imaginary part is definite, and close to one."""
        if self.shape == (1, 1):
            return SiteMatrix((1, 1), {(0, 0): 1.0 / self.entries[0, 0]})
        first, row, column, rest = self._split()
        scale, inner = SiteMatrix((1, 1), {(0, 0): 1.0 / first}), rest.inverse()
        above, left = -(scale @ row @ inner), -(inner @ column @ scale)
        corner = scale - above @ column @ scale
        return corner.beside(above).above(left.beside(inner))

    def angle(self) -> npt.NDArray[np.float64]:
        """Im ln det of a symmetric matrix with positive imaginary part, from 0 to pi times its size.

        Every Schur complement has a positive imaginary part as well, so that principal logarithms add up.
        """
        if self.shape == (1, 1):
            return _upper(np.angle(self.entries[0, 0]))
        first, _, _, rest = self._split()
        return np.asarray(_upper(np.angle(first)) + rest.angle())


def _upper(angle: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """On the real axis rounding may put a number just below it."""
    return np.where(angle < -0.5 * np.pi, angle + 2.0 * np.pi, angle)
