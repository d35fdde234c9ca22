"""Spectral radius and abscissa of many solutions: where the gain is one, on the real axis beyond the range of L."""

from __future__ import annotations

import numpy as np

from solvers.grid.along import Along
from solvers.grid.compile import Compiled
from solvers.grid.edge import EdgeProgram
from solvers.grid.follow import find_roots
from solvers.grid.program import Tables
from solvers.grid.range_edge import RangeGain, edges_in_range

AXIS = np.arange(-12.0, 6.1, 1.0) * np.log(10.0)
"""ln of the distance of an edge from the eigenvalues of L."""

SHIFT = 1e-6
"""Shift of ln of the unknown by which sensitivities to it are measured."""

STRIDE = 8
"""Sensitivities change little from point to point: they are measured at one of so many, which stands for the others."""

NONE = -690.0
"""ln of a gain that is zero to all purposes."""


class EdgeSolver:
    """Edges of solutions that are given by what the program needs of them."""

    def __init__(self, program: EdgeProgram, tables: Tables, compiler: bool) -> None:
        self.program = program
        self._gain = Compiled(program.gain, tables, compiler=compiler) if program.sizes else None
        self._in_range = RangeGain(program, tables.law.functions)

    def __call__(
        self, name: str, given: np.ndarray, moved: np.ndarray, share: np.ndarray, runs: np.ndarray, tol: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The edge, its error, and whether there is no support at all (n,); nan where the edge lies in the range of L.

        name : "spectral_radius" or "spectral_abscissa"; given, moved : outputs for the edge (outputs, n), at the
        solution and at one shifted by SHIFT; share : error of the solution in shifts; runs : of neighbours; tol :
        relative.
        """
        size, count = runs.size, len(self.program.given)
        if self._gain is None:
            return np.full(size, np.nan), np.full(size, np.nan), np.ones(size, bool)
        variance, one, two, constant = np.moveaxis(given[count:].reshape(len(self.program.poles), 4, size), 1, 0)
        low = np.where(variance > 0, np.minimum(one, two), constant)
        high = np.where(variance > 0, np.maximum(one, two), constant)
        side = np.ones(size)
        if name == "spectral_radius":
            side = np.where(low.min(axis=0) >= 0, 1.0, np.where(high.max(axis=0) <= 0, -1.0, np.nan))
        ends = np.where(side > 0, high, -low)
        order = np.argsort(-ends, axis=0, kind="stable") if len(ends) > 1 else np.zeros(ends.shape, np.int64)
        edge, error = np.full(size, np.nan), np.full(size, np.nan)
        empty, waiting = np.zeros(size, bool), np.arange(size)
        for place in range(len(ends)):
            # an eigenvalue of L that is one number and moves nothing has no component of the support about it
            base = ends[order[place, waiting], waiting]
            still = variance[order[place, waiting], waiting] == 0
            part = side[waiting], base, given[:count, waiting], moved[:count, waiting]
            edge[waiting], error[waiting], silent = self._beyond(*part, share[waiting], runs[waiting], tol)
            empty[waiting] = silent
            inside = waiting[np.isnan(edge[waiting]) & ~silent & ~still]
            if inside.size:
                near, far = np.where(side > 0, low, -high).min(axis=0)[inside], ends[order[place, inside], inside]
                edge[inside], error[inside] = edges_in_range(
                    self._in_range, side[inside], near, far, given[:count, inside], moved[:count, inside],
                    share[inside], tol,
                )  # fmt: skip
            waiting = waiting[np.isnan(edge[waiting]) & ~silent & still]
            if not waiting.size:
                break
        return edge, error, empty

    def _beyond(
        self, side: np.ndarray, base: np.ndarray, given: np.ndarray, moved: np.ndarray, share: np.ndarray,
        runs: np.ndarray, tol: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Edge beyond ``base``, its error, and where the gain is zero."""
        assert self._gain is not None
        excess = Along(self._gain, [side, base, *given], self.program.sizes)
        noise = 2.0 * self._gain.noise
        roots = find_roots(excess, runs, AXIS, noise, tol, monotone=True)
        silent = np.zeros(side.size, bool)
        missing = np.nonzero(np.isnan(roots.logs).all(axis=1))[0]
        silent[missing] = excess(np.zeros(missing.size), missing) < NONE
        if not roots.logs.shape[1]:
            nothing = np.full(side.size, np.nan)
            return nothing, nothing, silent
        log, slope, gap = roots.logs[:, 0], roots.slopes[:, 0], roots.gaps[:, 0]
        distance = np.exp(log)
        few = np.arange(0, side.size, STRIDE)
        with np.errstate(all="ignore"):
            shift = Along(self._gain, [side, base, *moved], self.program.sizes)(log[few], few) - gap[few]
            drift = np.repeat(np.abs(shift / slope[few]), STRIDE)[: side.size] * share
        # where the point that stands for its neighbours has no edge, they answer for themselves
        alone = np.nonzero(np.isnan(drift) & ~np.isnan(log))[0]
        if alone.size:
            with np.errstate(all="ignore"):
                own = Along(self._gain, [side, base, *moved], self.program.sizes)(log[alone], alone) - gap[alone]
                drift[alone] = np.abs(own / slope[alone]) * share[alone]
        error = distance * (roots.errors(noise)[:, 0] + drift) + 1e-15 * np.abs(base + distance)
        return base + distance, error, silent
