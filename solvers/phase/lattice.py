"""The box cut into regions: a lattice whose edges are cut by curves, and its connected parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

FINEST = 240
OFFSET = 1e-5
"""Curves are moved by this part of an edge, so that none passes exactly through a point of the lattice."""

BESIDE = 2.0, 8.0
"""Edges between a point that lies beside another region and that region, more than the one and up to the other."""

Place = tuple[int, int]
"""Row (y) and column (x) of a point of the lattice."""


@dataclass(frozen=True)
class Axis:
    """A parameter with ``count`` evenly spaced values from low to high."""

    name: str
    low: float
    high: float
    count: int

    @property
    def values(self) -> Array:
        """(count,)."""
        return np.linspace(self.low, self.high, self.count)


class Lattice:
    """Points of the grid and others between them; ``step`` edges of the lattice make one of the grid."""

    def __init__(self, x: Axis, y: Axis) -> None:
        self.axes = x, y
        self.steps = tuple(max(1, -(-FINEST // (axis.count - 1))) for axis in (x, y))
        self.shape = tuple((axis.count - 1) * step + 1 for axis, step in zip((y, x), self.steps[::-1], strict=True))
        self._right = np.ones((self.shape[0], self.shape[1] - 1), bool)
        self._up = np.ones((self.shape[0] - 1, self.shape[1]), bool)

    @property
    def spacing(self) -> Array:
        """Distance of neighbouring points in x and in y, (2,)."""
        sizes = self.shape[::-1]
        return np.array([(axis.high - axis.low) / (size - 1) for axis, size in zip(self.axes, sizes, strict=True)])

    def parameters(self, place: Place) -> tuple[float, float]:
        """x and y of a point."""
        found = []
        for axis, k, size in zip(self.axes, place[::-1], self.shape[::-1], strict=True):
            found.append(axis.low + (axis.high - axis.low) * k / (size - 1))
        return found[0], found[1]

    def cut(self, x: Array, y: Array) -> None:
        """Cut every edge that a polyline crosses."""
        u, v = (
            (values - axis.low) / (axis.high - axis.low) * (size - 1) + OFFSET
            for axis, values, size in zip(self.axes, (x, y), self.shape[::-1], strict=True)
        )
        for k in range(len(u) - 1):
            self._cross(self._up.T, u[k], v[k], u[k + 1], v[k + 1])
            self._cross(self._right, v[k], u[k], v[k + 1], u[k + 1])

    @staticmethod
    def _cross(edges: npt.NDArray[np.bool_], a: float, b: float, c: float, d: float) -> None:
        """Cut edges[i, j], from (i, j) to (i, j + 1), where the segment from (a, b) to (c, d) passes between."""
        for i in range(max(int(np.ceil(min(a, c))), 0), min(int(np.ceil(max(a, c))), edges.shape[0])):
            j = int(np.floor(b + (d - b) * (i - a) / (c - a)))
            if 0 <= j < edges.shape[1]:
                edges[i, j] = False

    def labels(self) -> Labels:
        """The number of the region of each point, (rows, columns)."""
        graph = self._graph(np.ones(self.shape, bool))
        return np.asarray(connected_components(graph, directed=False)[1], np.int64).reshape(self.shape)

    def _graph(self, kept: npt.NDArray[np.bool_]) -> coo_array:
        number = np.arange(kept.size).reshape(self.shape)
        right = self._right & kept[:, 1:] & kept[:, :-1]
        up = self._up & kept[1:] & kept[:-1]
        start = np.concatenate([number[:, :-1][right], number[:-1][up]])
        end = np.concatenate([number[:, 1:][right], number[1:][up]])
        return coo_array((np.ones(start.size), (start, end)), shape=(kept.size, kept.size))

    def on_grid(self, table: Labels) -> Labels:
        """What a table of the lattice says at the points of the grid, (y, x)."""
        return table[:: self.steps[1], :: self.steps[0]]

    def depth(self, region: npt.NDArray[np.bool_]) -> Array:
        """Distance of each point from where the region or the box ends, in edges; 0 outside, (rows, columns)."""
        return np.asarray(distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1])

    def places_of(self, region: npt.NDArray[np.bool_], count: int) -> list[Place]:
        """Up to ``count`` points of the grid deep inside a region and apart from each other."""
        depth = self.depth(region)
        grid = np.zeros(self.shape, bool)
        grid[:: self.steps[1], :: self.steps[0]] = True
        score = np.where(grid & region, depth, 0.0)
        rows, columns = np.indices(self.shape)
        found: list[Place] = []
        while len(found) < count and score.max() > 0:
            row, column = np.unravel_index(int(np.argmax(score)), self.shape)
            found.append((int(row), int(column)))
            score = np.minimum(score, 0.5 * np.hypot(rows - row, columns - column))
        return found

    def beside(self, region: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_], count: int) -> list[Place]:
        """Up to ``count`` points of a region a few edges away from another one, spread along their common border."""
        if not other.any():
            return []
        away = distance_transform_edt(~other)
        near = np.argwhere(region & (away > BESIDE[0]) & (away <= BESIDE[1]))
        if not len(near):
            return []
        along = near[np.argsort(near[:, int(np.ptp(near[:, 1]) > np.ptp(near[:, 0]))], kind="stable")]
        chosen = np.unique([round((k + 0.5) / count * (len(along) - 1)) for k in range(count)])
        return [(int(along[k][0]), int(along[k][1])) for k in chosen]

    def path(self, region: npt.NDArray[np.bool_], start: Place, end: Place) -> list[Place]:
        """Neighbouring points from start to end inside a region; empty where there is no way."""
        width = self.shape[1]
        first, last = start[0] * width + start[1], end[0] * width + end[1]
        _, before = breadth_first_order(self._graph(region).tocsr(), first, directed=False)
        if last != first and before[last] < 0:
            return []
        numbers = [last]
        while numbers[-1] != first:
            numbers.append(int(before[numbers[-1]]))
        return [(number // width, number % width) for number in reversed(numbers)]
