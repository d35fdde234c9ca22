"""The site equation run over many paths at once: a map step by step, a flow by the classical Runge-Kutta method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from solvers.budget import check_budget
from solvers.chain.model import Model
from solvers.chain.streams import Draw
from solvers.dynamics.grid import Grid

TOO_LARGE = 1e100
_CHECK_EVERY = 64


@dataclass(frozen=True)
class Trajectories:
    """States (S, n, M) at the lags of the grid, and after one turn of the circle (S, M)."""

    states: np.ndarray
    end: np.ndarray

    @property
    def finite(self) -> bool:
        """Whether nothing blew up."""
        return bool(np.isfinite(self.end).all() and np.abs(self.end).max(initial=0.0) < TOO_LARGE)

    @property
    def mismatch(self) -> float:
        """Root mean square of end minus beginning, relative to that of the states: 0 where the start is forgotten."""
        scale = np.sqrt(np.mean(self.states**2)) if self.states.size else 0.0
        return float(np.sqrt(np.mean((self.end - self.states[:, 0]) ** 2)) / scale) if scale > 0 else 0.0


class SitePaths:
    """M sites in given fields, with their own biases and inputs, fixed once.

    constant : standard normal numbers of the biases and constant inputs, one row each, (., M);
    substeps : Runge-Kutta steps for each lag (continuous time); refine : points of a field path for each lag, two for
    each step, since a step needs its midpoint.
    """

    def __init__(
        self, model: Model, discrete: bool, grid: Grid, constant: np.ndarray, random: np.random.Generator,
        substeps: int = 1,
    ) -> None:  # fmt: skip
        self.model, self.discrete, self.grid, self.count = model, discrete, grid, constant.shape[1]
        self.substeps = 1 if discrete else substeps
        self.refine = 1 if discrete else 2 * substeps
        rows = iter(constant)
        self.draws = [self._draw(item, rows, random) for item in model.site.draws]

    def _draw(self, item: Draw, constant: Iterator[np.ndarray], random: np.random.Generator) -> np.ndarray:
        """(n, M) where it is drawn anew at every step, else one row."""
        if item.std == 0.0:
            return np.full((1, 1), item.mean)
        if item.fresh:
            noise = random.standard_normal((self.grid.n, self.count))
            noise -= noise.mean()
            return item.mean + item.std * noise / np.sqrt(np.mean(noise**2))  # mean and variance have no sampling error
        return item.mean + item.std * next(constant)[None, :]

    def at(self, step: int) -> list[np.ndarray]:
        """Biases and inputs at one step."""
        return [draw[step % draw.shape[0]] for draw in self.draws]

    def start(self) -> np.ndarray:
        """All states zero, (S, M)."""
        return np.zeros((len(self.model.site.states), self.count))

    def run(self, start: np.ndarray, fields: np.ndarray) -> Trajectories:
        """One turn of the circle; fields (K, refine n, M)."""
        states = np.empty((start.shape[0], self.grid.n, self.count))
        now = start
        advance = self._map if self.discrete else self._flow
        with np.errstate(all="ignore"):
            for step in range(self.grid.n):
                if step % _CHECK_EVERY == 0:
                    check_budget()
                    if not np.abs(now).max(initial=0.0) < TOO_LARGE:
                        return Trajectories(states, np.full_like(now, np.nan))
                states[:, step] = now
                for part in range(self.substeps):
                    now = advance(now, fields, step, part)
        return Trajectories(states, now)

    def rates(self, states: np.ndarray, draws: list[np.ndarray], fields: np.ndarray) -> np.ndarray:
        """F, (S, M)."""
        found = self.model.move([*states, *draws, *self.model.constants, *fields])
        out = np.empty((len(found), self.count))
        for row, value in zip(out, found, strict=True):
            row[:] = value
        return out

    def _map(self, now: np.ndarray, fields: np.ndarray, step: int, part: int) -> np.ndarray:
        return self.rates(now, self.at(step), fields[:, step])

    def _flow(self, now: np.ndarray, fields: np.ndarray, step: int, part: int) -> np.ndarray:
        h, size, draws = self.grid.dt / self.substeps, fields.shape[1], self.at(step)
        place = 2 * (step * self.substeps + part)
        first, middle, last = (fields[:, (place + k) % size] for k in range(3))
        k1 = self.rates(now, draws, first)
        k2 = self.rates(now + 0.5 * h * k1, draws, middle)
        k3 = self.rates(now + 0.5 * h * k2, draws, middle)
        k4 = self.rates(now + h * k3, draws, last)
        return now + h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)

    def operands(self, found: Trajectories, fields: np.ndarray) -> list[np.ndarray]:
        """v_k along the paths, (n, M) each."""
        shape = (self.grid.n, self.count)
        at_lags = fields[:, :: self.refine]
        values: list[np.ndarray] = []
        with np.errstate(all="ignore"):
            for k, operand in enumerate(self.model.operands):
                given = [*found.states, *self.draws, *self.model.constants, *at_lags[:k]]
                values.append(np.broadcast_to(np.asarray(operand(*given)[0], dtype=float), shape))
        return values
