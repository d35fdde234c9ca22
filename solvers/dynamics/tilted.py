"""Maximal Lyapunov exponent of sampled sites: the tilted dynamics along their trajectories (theory, section 5).

    discrete x(t+1) = exp(-rate) (L x + a eta),    continuous dx/dt = (L - rate) x + a eta,    y = b x + e eta

with eta drawn from D; the exponent is the rate at which the linear map D -> sigma^2 E[y y'] has leading eigenvalue 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from solvers.budget import check_budget
from solvers.chain.model import Entries
from solvers.dynamics.grid import Grid
from solvers.dynamics.paths import PathNoise, mean_covariance
from solvers.dynamics.sampled_map import SampledMap
from solvers.dynamics.sampled_model import SampledModel
from solvers.dynamics.site_paths import Trajectories
from solvers.dynamics.window import Window

TURNS = 12
_SETTLED = 2e-4
_EXPLODES = 1e60
_CHECK_EVERY = 64


class TiltedMap:
    """D -> sigma^2 E[y y'] along given trajectories, with noise that is drawn once; covariances (K, K, m).

    In continuous time a Runge-Kutta step takes two lags of the trajectories, so that D lives on every other lag.
    """

    def __init__(
        self, model: SampledModel, step: SampledMap, fields: np.ndarray, found: Trajectories, reach: float,
        seed: np.random.SeedSequence,
    ) -> None:  # fmt: skip
        self.model, self._groups = model, step.groups
        stride = 1 if model.discrete else 2
        self.grid = Grid(step.grid.n // stride, step.grid.dt * stride)
        self._weights = Window(self.grid, reach).weights
        sites = step.sites
        at_lags = fields[:, :: sites.refine]
        with np.errstate(all="ignore"):
            local = model.compiled.local(
                [*found.states, *sites.draws, *model.compiled.constants, *at_lags], arguments=False
            )
        shape = (step.grid.n, sites.count)
        self._L, self._a, self._b, self._e = (_filled(t, shape) for t in (local.L, local.a, local.b, local.e))
        self._noise = PathNoise(np.random.default_rng(seed), self.grid, len(model.gains), 0, sites.count)
        self._stride = stride
        self._begin: np.ndarray | None = None

    def start(self) -> np.ndarray:
        """A first guess of D."""
        return self.grid.bell(np.ones(len(self.model.gains)), 4.0 * self.model.pace)

    def __call__(self, D: np.ndarray, rate: float) -> np.ndarray:
        """The image of D; not finite where the site alone grows faster than ``rate``."""
        check_budget()
        eta = np.empty((len(self.model.gains), self._stride * self.grid.n, self._noise.xi.shape[-1]))
        for members in self._groups:
            eta[members] = self._noise.paths(D[np.ix_(members, members)], members, self._stride)
        x = self._response(eta, rate)
        if not np.isfinite(x).all():
            return np.full_like(D, np.nan)
        return self._covariance(x, eta[:, :: self._stride])

    def _response(self, eta: np.ndarray, rate: float) -> np.ndarray:
        """x at the lags of D, (S, m, M), once it has forgotten where it began."""
        turns = 1 if self._begin is not None else 2
        for _ in range(turns):
            x, end = self._turn(eta, rate, self._begin)
            if not np.isfinite(end).all() or np.abs(end).max(initial=0.0) > _EXPLODES:
                self._begin = None
                return np.full_like(x, np.nan)
            self._begin = end
        return x

    def _turn(self, eta: np.ndarray, rate: float, begin: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        states = len(self.model.canonical.states)
        now = np.zeros((states, eta.shape[-1])) if begin is None else begin
        x = np.empty((states, self.grid.n, eta.shape[-1]))
        advance = self._map if self.model.discrete else self._flow
        with np.errstate(all="ignore"):
            for step in range(self.grid.n):
                if step % _CHECK_EVERY == 0:
                    check_budget()
                x[:, step] = now
                now = advance(now, eta, step, rate)
        return x, now

    def _linear(self, x: np.ndarray, eta: np.ndarray, place: int) -> np.ndarray:
        """L x + a eta at one lag of the trajectories."""
        out = np.zeros_like(x)
        for (row, column), values in self._L.items():
            out[row] += values[place] * x[column]
        for (row, column), values in self._a.items():
            out[row] += values[place] * eta[column, place]
        return out

    def _map(self, now: np.ndarray, eta: np.ndarray, step: int, rate: float) -> np.ndarray:
        return np.exp(-rate) * self._linear(now, eta, step)

    def _flow(self, now: np.ndarray, eta: np.ndarray, step: int, rate: float) -> np.ndarray:
        h = self.grid.dt
        places = [(2 * step + k) % eta.shape[1] for k in range(3)]
        k1 = self._linear(now, eta, places[0]) - rate * now
        second = now + 0.5 * h * k1
        k2 = self._linear(second, eta, places[1]) - rate * second
        third = now + 0.5 * h * k2
        k3 = self._linear(third, eta, places[1]) - rate * third
        fourth = now + h * k3
        k4 = self._linear(fourth, eta, places[2]) - rate * fourth
        return now + h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)

    def _covariance(self, x: np.ndarray, eta: np.ndarray) -> np.ndarray:
        K = len(self.model.gains)
        y = np.zeros((K, self.grid.n, x.shape[-1]))
        for (row, column), values in self._b.items():
            y[row] += values[:: self._stride] * x[column]
        for (row, column), values in self._e.items():
            y[row] += values[:: self._stride] * eta[column]

        def pair(k: int, m: int) -> np.ndarray:
            return np.asarray(self.model.gains[k] ** 2 * mean_covariance(self.grid, y[k], y[m]) * self._weights)

        return self.grid.field_covariances(self._groups, K, pair)


def _filled(entries: Entries, shape: tuple[int, int]) -> dict[tuple[int, int], np.ndarray]:
    return {key: np.broadcast_to(np.asarray(value, dtype=float), shape) for key, value in entries.items()}


def log_eigenvalue(step: TiltedMap, D: np.ndarray, rate: float, turns: int = TURNS) -> tuple[float, np.ndarray]:
    """Logarithm of the leading eigenvalue at ``rate`` by iteration from D, and the D it belongs to.

    inf where the site alone grows faster than ``rate``.
    """
    last = np.inf
    for turn in range(turns):
        image = step(D, rate)
        size, before = (float(sum(one[k, k, 0] for k in range(len(one)))) for one in (image, D))
        if not np.isfinite(size):
            return np.inf, step.start()
        if size <= 0.0:
            return -np.inf, D
        value = float(np.log(size / before))
        D = image / size
        if turn > 1 and abs(value - last) < _SETTLED:
            break
        last = value
    return value, D


@dataclass(frozen=True)
class Exponent:
    """A rate with eigenvalue 1, the slope of the eigenvalue's logarithm in the rate there, and the D it belongs to."""

    rate: float
    slope: float
    D: np.ndarray


def exponent_along(step: TiltedMap, width: float) -> Exponent | None:
    """The rate with eigenvalue 1, to about 1e-3 ``width``; None if no bracket is found.

    width : scale of rates, one over the shortest time of the site.
    """
    D = step.start()
    known: dict[float, float] = {}

    def at(rate: float) -> float:
        nonlocal D
        if rate not in known:
            known[rate], D = log_eigenvalue(step, D, rate)
        return known[rate]

    found = _bracket(at, 0.02 * width)
    if found is None:
        return None
    low, high = found
    while high - low > 2e-3 * width:
        f_low, f_high = at(low), at(high)
        share = float(np.clip(f_low / (f_low - f_high), 0.02, 0.98)) if np.isfinite(f_low - f_high) else 0.5
        middle = low + share * (high - low)
        value = at(middle)
        low, high = (middle, high) if value > 0 else (low, middle)
        if abs(value) < 1e-3:
            break
    f_low, f_high = at(low), at(high)
    if not np.isfinite(f_low - f_high):
        return Exponent(high, -2.0 / width, D)  # the site alone grows at this rate, and nothing faster
    slope = (f_high - f_low) / (high - low)
    return Exponent(low - f_low / slope, slope, D)


def exponent_near(step: TiltedMap, known: Exponent) -> Exponent:
    """The same for other noise, by Newton steps with a known slope."""
    rate, D = known.rate, known.D
    for turns in (5, 4):
        value, D = log_eigenvalue(step, D, rate, turns)
        if not np.isfinite(value):
            return Exponent(float("nan"), known.slope, known.D)
        rate -= value / known.slope
    return Exponent(rate, known.slope, D)


def _bracket(at: Callable[[float], float], stride: float) -> tuple[float, float] | None:
    """Rates below and above the one with eigenvalue 1; its logarithm falls with the rate."""
    sign = 1.0 if at(0.0) > 0 else -1.0
    last = 0.0
    for _ in range(14):
        rate = last + sign * stride
        if (at(rate) > 0) != (sign > 0):
            return (last, rate) if sign > 0 else (rate, last)
        last, stride = rate, 2.0 * stride
    return None
