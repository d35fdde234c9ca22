"""Averages E[g(X)], X normal, as piecewise polynomials in the spread of X and, if it varies, its mean.

Tiles are filled when they are first needed and checked against quadrature at points that are no nodes.  A tile that
misses the accuracy is left empty: whoever asks there gets nan, never a poor number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly

from solvers.grid.nodes import Function, averages_at

ACCURACY = 2e-13
"""Relative error that every value of a table meets; tiles that do not are empty."""

SPARE = 0.1
"""Share of it that the trial tiles of a table have to meet."""

DEGREE = 9
NODES = DEGREE + 1

BITS = 3
"""Binary digits of the spread's mantissa that number the pieces of an octave: 2^BITS pieces."""

LOWEST, HIGHEST = -64, 40
"""Exponents of two between which the spread of a tabulated average may lie."""

FARTHEST = 32.0
"""Means up to this size are tabulated at small spread; at a larger one, up to this many halves of the spread."""

WIDTHS = (0.25, 0.125, 0.0625)
"""Widths of a tile in the mean, at small spread; a table takes the first at which its trial tiles are accurate."""

CORE = 2.0**-3
"""Means below this are in graded columns where the spread is less than a half of it: one column about zero as wide
as the spread on either side, then four to an octave, for either sign."""

GRADED = 1 + 8 * (-LOWEST)

UNKNOWN, FAILED = -1, -2


def columns_of(
    m: np.ndarray, row: np.ndarray, widths: np.ndarray, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Column of each mean, and its local coordinate in [-1, 1]; columns out of the table are negative."""
    linear = int(widths[-1])
    with np.errstate(all="ignore"):
        scaled = m / widths[row] + linear // 2
    known = (scaled >= 0) & (scaled < linear)
    scaled = np.where(known, scaled, 0.0)
    column = scaled.astype(np.int64)
    v = 2.0 * (scaled - column) - 1.0
    column[~known] = -1
    if columns > linear:
        octave = LOWEST + (row >> BITS)
        near = (np.abs(m) < CORE) & (octave < -3)
        bits = np.ascontiguousarray(np.abs(m)).view(np.int64)
        piece = (bits >> 50) - ((octave + 1023) << 2)
        central = near & (piece < 0)
        graded = near & ~central
        column = np.where(central, linear, np.where(graded, linear + 1 + 2 * piece + (m < 0), column))
        inner = (bits & ((1 << 50) - 1)) * (2.0 / (1 << 50)) - 1.0
        v = np.where(central, np.ldexp(m, -octave), np.where(graded, inner, v))
    return column, v


@dataclass
class Table:
    """E[g(m + s xi)] on tiles in (m, s), or in s alone at a fixed mean.

    fixed : the mean, None if it varies; place : (rows, columns) number of each tile in ``coefficients`` (UNKNOWN: not
    filled yet, FAILED: inaccurate); widths : of a tile in m, for each row, and at last the number of columns of such
    tiles: where g(0) = 0 there are more, graded towards m = 0, lest small values be lost in a tile of large ones;
    coefficients : (tiles, NODES) or
    (tiles, NODES, NODES) monomials of local coordinates in [-1, 1], s before m.
    """

    g: Function
    fixed: float | None
    place: np.ndarray = field(init=False)
    widths: np.ndarray = field(init=False)
    coefficients: np.ndarray = field(init=False)
    filled: int = 0

    def __post_init__(self) -> None:
        for width in WIDTHS:
            self._empty(width)
            if self.fixed is not None or self._trial():
                break
        self._empty(width)

    def _empty(self, width: float) -> None:
        rows = (HIGHEST - LOWEST) << BITS
        columns = 1 if self.fixed is not None else 2 * round(FARTHEST / width)
        with np.errstate(all="ignore"):
            graded = self.fixed is None and abs(float(self.g(np.zeros(1))[0])) < 1e-300
        self.place = np.full((rows, columns + (GRADED if graded else 0)), UNKNOWN, np.int32)
        octave = LOWEST + (np.arange(rows) >> BITS)
        self.widths = np.append(width * np.maximum(1.0, 2.0 ** (octave - 1.0)), columns)
        self.coefficients = np.zeros((16, *(NODES,) * (1 if self.fixed is not None else 2)))
        self.filled = 0

    def _trial(self) -> bool:
        """Whether a few tiles at small and moderate spread are accurate, with something to spare for others."""
        mean, spread = np.meshgrid([-2.6, -0.9, -0.4, 0.1, 0.6, 1.2, 1.7, 3.9], [0.02, 0.3, 0.6, 1.2])
        self.fill(mean.ravel(), spread.ravel(), SPARE * ACCURACY)
        return not np.any(self.place == FAILED)

    def fill(self, mean: np.ndarray, spread: np.ndarray, accuracy: float = ACCURACY) -> bool:
        """Fill the tiles that hold these points to a relative accuracy; whether any was new."""
        row, column = self._tiles(mean, spread)
        inside = (row >= 0) & (row < len(self.place)) & (column >= 0) & (column < self.place.shape[1])
        wanted = np.unique(np.stack([row[inside], column[inside]], axis=1), axis=0)
        wanted = wanted[self.place[wanted[:, 0], wanted[:, 1]] == UNKNOWN]
        for k in range(0, len(wanted), 64):
            self._fill(wanted[k : k + 64], accuracy)
        return len(wanted) > 0

    def _tiles(self, mean: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        good = np.isfinite(mean) & np.isfinite(spread) & (spread > 0)
        m, s = mean[good], np.ascontiguousarray(spread[good])
        row = (s.view(np.int64) >> (52 - BITS)) - ((LOWEST + 1023) << BITS)
        if self.fixed is not None:
            return row, np.zeros_like(row)
        inside = (row >= 0) & (row < len(self.place))
        row, m = row[inside], m[inside]
        return row, columns_of(m, row, self.widths, self.place.shape[1])[0]

    def _fill(self, wanted: np.ndarray, accuracy: float) -> None:
        """Interpolate on some tiles (n, 2), row and column, and check them."""
        row, column = wanted.T
        low = np.ldexp(1.0 + (row & ((1 << BITS) - 1)) / (1 << BITS), LOWEST + (row >> BITS))
        half = np.ldexp(0.5 / (1 << BITS), LOWEST + (row >> BITS))
        centre = low + half
        u = np.concatenate([_CHEBYSHEV, _PROBES])
        s = centre[:, None] + half[:, None] * u
        if self.fixed is not None:
            value, error = averages_at(self.g, np.full(s.shape, self.fixed), s)
            inner, probe = value[:, :NODES], value[:, NODES:]
            found = inner @ _TO_SERIES.T @ _TO_MONOMIALS.T
            guess = found @ _POWERS.T
        else:
            middle, reach = self._means(row, column)
            m = middle[:, None] + reach[:, None] * u
            count = len(_PROBES)
            grid_m, grid_s = np.broadcast_arrays(m[:, None, :NODES], s[:, :NODES, None])
            flat_m = np.concatenate([grid_m.reshape(len(s), -1), m[:, NODES:][:, ::-1]], axis=1)
            flat_s = np.concatenate([grid_s.reshape(len(s), -1), s[:, NODES:]], axis=1)
            value, error = averages_at(self.g, flat_m, flat_s)
            inner, probe = value[:, :-count], value[:, -count:]
            series = np.einsum("ik,nkl,jl->nij", _TO_SERIES, inner.reshape(-1, NODES, NODES), _TO_SERIES)
            found = np.einsum("ik,nkl,jl->nij", _TO_MONOMIALS, series, _TO_MONOMIALS)
            guess = np.einsum("pi,nij,pj->np", _POWERS, found, _POWERS[::-1])
        smallest = np.abs(value).min(axis=1)
        off = np.abs(guess - probe).max(axis=1) + np.abs(error * value).max(axis=1)
        with np.errstate(all="ignore"):
            good = np.isfinite(value).all(axis=1) & (off <= accuracy * smallest)
        self._store(wanted[good], found[good])
        self.place[row[~good], column[~good]] = FAILED

    def _means(self, row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Middle and half width (negative: coordinates run downwards) of tiles in the mean."""
        linear = int(self.widths[-1])
        width = self.widths[row]
        middle, half = (column - linear // 2 + 0.5) * width, 0.5 * width
        graded = column - linear
        octave = LOWEST + (row >> BITS)
        piece = np.maximum(graded - 1, 0) >> 1
        low = np.ldexp(1.0 + (piece & 3) / 4, octave + (piece >> 2))
        size = np.ldexp(0.125, octave + (piece >> 2))
        sign = np.where((graded - 1) & 1, -1.0, 1.0)
        middle = np.where(graded > 0, sign * (low + size), np.where(graded == 0, 0.0, middle))
        return middle, np.where(graded > 0, sign * size, np.where(graded == 0, np.ldexp(1.0, octave), half))

    def _store(self, tiles: np.ndarray, found: np.ndarray) -> None:
        while self.filled + len(tiles) > len(self.coefficients):
            self.coefficients = np.concatenate([self.coefficients, np.zeros_like(self.coefficients)])
        self.coefficients[self.filled : self.filled + len(tiles)] = found
        self.place[tiles[:, 0], tiles[:, 1]] = self.filled + np.arange(len(tiles))
        self.filled += len(tiles)


_CHEBYSHEV = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
_PROBES = np.array([-1.0, -0.813, -0.293, 0.171, 0.682, 1.0])
_POWERS = _PROBES[:, None] ** np.arange(NODES)
_TO_SERIES = np.cos(np.outer(np.arange(NODES), np.arccos(_CHEBYSHEV))) * (2.0 / NODES)
_TO_SERIES[0] *= 0.5
_TO_MONOMIALS = np.array([np.pad(cheb2poly(np.eye(k + 1)[k]), (0, NODES - 1 - k)) for k in range(NODES)]).T
"""Values at Chebyshev points to coefficients of the Chebyshev series, and those to monomials: two matrices, for their
product would amplify rounding, while the noise of a series stays what it is in another basis."""
