"""One step C -> sigma^2 E[v v'] of the stationary mean field by sampled paths, with noise that is drawn once."""

from __future__ import annotations

import numpy as np

from solvers.chain.model import Model
from solvers.dynamics.grid import Grid
from solvers.dynamics.paths import PathNoise, groups_of, mean_covariance
from solvers.dynamics.site_paths import SitePaths, Trajectories


class SampledMap:
    """The map on one grid, for one draw of ``paths`` paths; covariances are (K, K, n) in the fields of ``model``.

    States are carried from one evaluation to the next: as covariances converge, the beginning of the circle becomes
    the end of the turn before, and no time is spent on forgetting where the states began.
    """

    def __init__(
        self, model: Model, discrete: bool, grid: Grid, seed: np.random.SeedSequence, paths: int, substeps: int = 1
    ) -> None:
        self.model, self.grid = model, grid
        random = np.random.default_rng(seed)
        constant = sum(item.std > 0 and not item.fresh for item in model.site.draws)
        self._noise = PathNoise(random, grid, len(model.site.fields), constant, paths)
        self.sites = SitePaths(model, discrete, grid, self._noise.constant, random, substeps)
        self.groups = groups_of([item.group for item in model.site.fields])
        self._gains = [item.gain for item in model.site.fields]
        self._begin: np.ndarray | None = None

    def fields(self, C: np.ndarray) -> np.ndarray:
        """Paths of all fields, (K, refine n, M)."""
        refine = self.sites.refine
        found = np.empty((len(self._gains), refine * self.grid.n, self.sites.count))
        for members in self.groups:
            found[members] = self._noise.paths(C[np.ix_(members, members)], members, refine)
        return found

    def trajectories(self, fields: np.ndarray) -> Trajectories:
        """One turn from where the last evaluation ended; two the first time."""
        if self._begin is None:
            self._begin = self.sites.run(self.sites.start(), fields).end
        found = self.sites.run(self._begin, fields)
        self._begin = found.end
        return found

    def __call__(self, C: np.ndarray) -> np.ndarray:
        """The image of a covariance; not finite where states blow up."""
        fields = self.fields(C)
        return self.image(fields, self.trajectories(fields))

    def image(self, fields: np.ndarray, found: Trajectories) -> np.ndarray:
        """sigma^2 E[v_k(t) v_l(t + tau)] for fields of one matrix, (K, K, n)."""
        K = len(self._gains)
        if not found.finite:
            return np.full((K, K, self.grid.n), np.nan)
        v = self.sites.operands(found, fields)

        def pair(k: int, m: int) -> np.ndarray:
            return np.asarray(self._gains[k] ** 2 * mean_covariance(self.grid, v[k], v[m]))

        return self.grid.field_covariances(self.groups, K, pair)

    def states(self, found: Trajectories) -> np.ndarray:
        """E[s(t) s(t + tau)] of every state, (S, n)."""
        return np.array([mean_covariance(self.grid, s, s) for s in found.states])
