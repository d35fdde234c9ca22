"""Reading a table: for one point, in the subset of Python that compilers of numerical code take, and for arrays.

Both give nan where a tile is not filled, the spread is zero or an argument is not finite.
"""

from __future__ import annotations

import numpy as np

from solvers.grid.table import BITS, CORE, LOWEST, NODES, columns_of

_SHIFT, _BASE = 52 - BITS, (LOWEST + 1023) << BITS
_MASK, _SCALE = (1 << _SHIFT) - 1, 2.0 / (1 << _SHIFT)
_INNER_MASK, _INNER_SCALE = (1 << 50) - 1, 2.0 / (1 << 50)
_CORE, _LOWEST, _BITS = CORE, LOWEST, BITS
_BLOCK = 4096


def line(s, place, coefficients):  # type: ignore[no-untyped-def]
    """Value at spread s of a table in the spread alone; scalars."""
    bits = np.float64(s).view(np.int64)
    row = (bits >> _SHIFT) - _BASE
    if not s > 0.0 or row < 0 or row >= place.shape[0]:
        return np.nan
    tile = place[row, 0]
    if tile < 0:
        return np.nan
    u = (bits & _MASK) * _SCALE - 1.0
    total = coefficients[tile, NODES - 1]
    for k in range(NODES - 2, -1, -1):
        total = total * u + coefficients[tile, k]
    return total


def plane(m, s, place, widths, coefficients):  # type: ignore[no-untyped-def]
    """Value at mean m and spread s; scalars."""
    bits = np.float64(s).view(np.int64)
    row = (bits >> _SHIFT) - _BASE
    if not s > 0.0 or row < 0 or row >= place.shape[0]:
        return np.nan
    linear = int(widths[-1])
    size = abs(m)
    octave = _LOWEST + (row >> _BITS)
    if place.shape[1] > linear and size < _CORE and octave < -3:
        inner_bits = np.float64(size).view(np.int64)
        piece = (inner_bits >> 50) - ((octave + 1023) << 2)
        if piece < 0:
            column = linear
            v = m * 2.0**-octave
        else:
            column = linear + 1 + 2 * piece + (1 if m < 0.0 else 0)
            v = (inner_bits & _INNER_MASK) * _INNER_SCALE - 1.0
    else:
        scaled = m / widths[row] + linear // 2
        if not (scaled >= 0.0 and scaled < linear):
            return np.nan
        column = int(scaled)
        v = 2.0 * (scaled - column) - 1.0
    tile = place[row, column]
    if tile < 0:
        return np.nan
    u = (bits & _MASK) * _SCALE - 1.0
    total = 0.0
    for k in range(NODES - 1, -1, -1):
        inner = coefficients[tile, k, NODES - 1]
        for j in range(NODES - 2, -1, -1):
            inner = inner * v + coefficients[tile, k, j]
        total = total * u + inner
    return total


def lines(s: np.ndarray, place: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """`line` for arrays of any shape."""
    s = np.ascontiguousarray(s, float)
    bits = s.view(np.int64)
    row = (bits >> _SHIFT) - _BASE
    tile = np.where((s > 0) & (row >= 0) & (row < len(place)), place[np.clip(row, 0, len(place) - 1), 0], -1)
    u = (bits & _MASK) * _SCALE - 1.0
    rows = coefficients[np.maximum(tile, 0)]
    total = rows[..., NODES - 1].copy()
    for k in range(NODES - 2, -1, -1):
        total *= u
        total += rows[..., k]
    return np.where(tile >= 0, total, np.nan)


def planes(
    m: np.ndarray, s: np.ndarray, place: np.ndarray, widths: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """`plane` for arrays of any shape."""
    m, s = (np.ascontiguousarray(x, float) for x in np.broadcast_arrays(m, s))
    found = np.empty(m.size)
    for k in range(0, m.size, _BLOCK):  # a block's coefficients stay in the cache
        part = slice(k, k + _BLOCK)
        found[part] = _block(m.ravel()[part], s.ravel()[part], place, widths, coefficients)
    return found.reshape(m.shape)


def _block(
    m: np.ndarray, s: np.ndarray, place: np.ndarray, widths: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    bits = s.view(np.int64)
    row = (bits >> _SHIFT) - _BASE
    known = (s > 0) & (row >= 0) & (row < len(place))
    row = np.clip(row, 0, len(place) - 1)
    column, v = columns_of(m, row, widths, place.shape[1])
    known &= column >= 0
    tile = np.where(known, place[row, np.maximum(column, 0)], -1)
    u = (bits & _MASK) * _SCALE - 1.0
    rows = coefficients[np.maximum(tile, 0)]
    inner = rows[:, :, NODES - 1].copy()
    for j in range(NODES - 2, -1, -1):
        inner *= v[:, None]
        inner += rows[:, :, j]
    total = inner[:, NODES - 1].copy()
    for k in range(NODES - 2, -1, -1):
        total *= u
        total += inner[:, k]
    return np.where(tile >= 0, total, np.nan)
