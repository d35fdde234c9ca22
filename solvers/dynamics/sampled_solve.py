"""Time-dependent stationary states by sampling, with a Monte Carlo error that is met or said not to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from solvers.budget import BudgetSpent
from solvers.dynamics.grid import Grid
from solvers.dynamics.mixing import Mixed, anderson
from solvers.dynamics.sampled_map import SampledMap
from solvers.dynamics.sampled_model import SampledModel
from solvers.dynamics.site_paths import Trajectories
from solvers.dynamics.window import Window, whole

AMPLITUDES = (4.0, 0.05)
PATHS, LEAST_PATHS, REPLICATES = 500, 150, 8
LAGS, MOST_LAGS = 256, 4096
_LARGEST_ARRAY = 3e7
_EDGE, _NOISE, _NEVER, _BROKEN = 0.02, 0.25, 0.1, 0.1
_FORGOTTEN = 1e-2
MOST_SUBSTEPS = 8
_VANISHED, _CONSTANT = 1e-7, 1e-4
_PLAIN = 30
_COARSE = 1e-3
_FINE = 0.01
"""Residual of an iteration in units of the tolerance: soft modes of the covariance amplify it, all replicates alike."""


@dataclass(frozen=True)
class Setting:
    """Where the equations are sampled."""

    window: Window
    paths: int
    substeps: int = 1

    @property
    def grid(self) -> Grid:
        """The circle of lags."""
        return self.window.grid


@dataclass(frozen=True)
class Sample:
    """The solution for one draw of the noise: C (K, K, n), its image before tapering, states (S, n), and how the
    iteration ended."""

    C: np.ndarray
    raw: np.ndarray
    states: np.ndarray
    mixed: Mixed
    mismatch: float


@dataclass(frozen=True)
class Reached:
    """A state found from one start, and the setting that resolves it; ``trouble`` says what does not hold of it."""

    setting: Setting
    sample: Sample
    still: np.ndarray
    trouble: str = ""


class Vanishes(Exception):  # noqa: N818 - an outcome
    """Activity dies out (no message), or units come to rest where it is not zero (the message says so)."""


class Diverges(Exception):  # noqa: N818 - an outcome
    """Activity grows without bound."""


def solve_sample(
    model: SampledModel, setting: Setting, seed: tuple[int, ...], start: np.ndarray, still: np.ndarray, *,
    tolerance: float, plain: int,
) -> tuple[Sample, SampledMap, Trajectories]:  # fmt: skip
    """The fixed point for the noise of ``seed``, from a covariance on the grid of ``setting``.

    Raises
    ------
    Diverges : states or covariances grow without bound.
    """
    entropy = np.random.SeedSequence(seed)
    step = SampledMap(model.compiled, model.discrete, setting.grid, entropy, setting.paths, setting.substeps)
    shape = start.shape

    def tapered(flat: np.ndarray) -> np.ndarray:
        return setting.window.tapered(step(flat.reshape(shape)), still).ravel()

    mixed = anderson(tapered, start.ravel(), tolerance=tolerance, most=120, plain=plain)
    if mixed.diverged:
        raise Diverges
    C = mixed.x.reshape(shape)
    fields = step.fields(C)
    found = step.trajectories(fields)
    raw = step.image(fields, found)
    if not np.isfinite(raw).all():
        raise Diverges
    return Sample(C, raw, step.states(found), mixed, found.mismatch), step, found


def explore(model: SampledModel, amplitude: float, seed: int) -> Reached:
    """From activity of a given variance to a setting that resolves the state it leads to.

    Raises
    ------
    Vanishes, Diverges : there is no time-dependent state there; a flow diverges if it does with the smallest steps.
    """
    substeps = 1
    while True:
        try:
            return _explored(model, amplitude, seed, substeps)
        except Diverges:
            substeps *= 2
            if model.discrete or substeps > MOST_SUBSTEPS:
                raise


def _explored(model: SampledModel, amplitude: float, seed: int, substeps: int) -> Reached:
    grid = Grid(LAGS, 1.0 if model.discrete else 0.5 * model.pace)
    setting = Setting(whole(grid), PATHS, substeps)
    still = np.ones_like(model.plateaus)
    C = _start(model, grid, amplitude)
    plain = _PLAIN
    while True:
        sample, _, _ = solve_sample(model, setting, (seed, 0), C, still, tolerance=_COARSE, plain=plain)
        if not model.gains.size or np.abs(sample.C).max() < _VANISHED * np.max(model.gains) ** 2:
            raise Vanishes
        if _spread(sample.C) < _CONSTANT:
            q = ", ".join(
                f"q[{item.name}] = {sample.C[k, k, 0]:.4g}" for k, item in enumerate(model.canonical.fields)
            )
            raise Vanishes(f"from activity of variance {amplitude:g} gain^2 units come to rest, at a fixed point: {q}")
        edge, far = setting.window.tails(sample.raw)
        if edge**2 <= 6.0 * far**2 + _EDGE**2 and far <= _NOISE and sample.mismatch <= _FORGOTTEN:
            break
        extended = longer(setting)
        if extended is None:
            return Reached(setting, sample, still, trouble(max(edge, far), sample.mismatch))
        C, plain, setting = setting.grid.onto(sample.C, extended.grid), 3, extended
    # Without a symmetry, or where it is broken, plateaus are unknowns like everything else.
    unbroken = np.all(np.abs(setting.window.plateau(sample.C)) <= _BROKEN * np.abs(sample.C[..., 0]) + 1e-12)
    return Reached(setting, sample, model.plateaus if unbroken else still)


def longer(setting: Setting) -> Setting | None:
    """Twice the window, with half the paths where there are enough; None beyond the longest."""
    grid = setting.grid.longer()
    if grid.n > MOST_LAGS:
        return None
    fewer = max(LEAST_PATHS, setting.paths // 2) if grid.n > 2 * LAGS else setting.paths
    return replace(setting, window=whole(grid), paths=fewer)


def _start(model: SampledModel, grid: Grid, amplitude: float) -> np.ndarray:
    return grid.bell(model.gains**2 * amplitude, 4.0 * model.pace)


def _spread(C: np.ndarray) -> float:
    """Largest change with the lag of any field's covariance, relative to lag zero."""
    sizes = np.abs(np.einsum("kkn->kn", C))
    return float(max((np.ptp(row) / row[0] for row in sizes if row[0] > 0), default=0.0))


def trouble(left: float, mismatch: float) -> str:
    """What does not hold of a state whose correlations, or whose memory of the start, outlast the longest window."""
    if left > _NEVER:
        return (
            f"correlations do not decay: {100 * left:.0f} % of them are left at the longest lag kept, (a) because the "
            "state oscillates for ever, all units in step, or (b) because its correlation time is very long"
        )
    if left > _EDGE:
        return f"correlations decay slowly: {100 * left:.1f} % of them are left at the longest lag kept"
    return (
        f"units do not forget the state they start from: after the longest window it differs by {100 * mismatch:.0f} "
        "%, so that a unit may have several states of its own and no stationary law is unique"
    )


@dataclass(frozen=True)
class Replicated:
    """Solutions for independent noise in one setting, and one with as many paths as all of them have together.

    The bias of a solution falls as one over its number M of paths, its standard error as one over the root of M, so
    that averaging replicates would leave the bias of few paths.  Small and large ones together remove it (Richardson):
    large + (large - mean of small) / (R - 1) for R replicates.
    """

    setting: Setting
    samples: list[Sample]
    large: Sample | None

    def combined(self, quantity: Callable[[Sample], np.ndarray]) -> np.ndarray:
        """A quantity free of the bias of finite M; the mean over replicates where there is no large solution."""
        mean = np.mean([quantity(sample) for sample in self.samples], axis=0)
        if self.large is None:
            return np.asarray(mean)
        large = quantity(self.large)
        return np.asarray(large + (large - mean) / (len(self.samples) - 1.0))

    def standard_error(self, quantity: Callable[[Sample], np.ndarray]) -> np.ndarray:
        """Standard error of `combined`; large and small solutions have independent noise of equal size."""
        R = len(self.samples)
        error = np.std([quantity(sample) for sample in self.samples], axis=0, ddof=1) / np.sqrt(R)
        return np.asarray(error * (np.hypot(R, 1.0) / (R - 1.0) if self.large is not None else 1.0))

    @property
    def relative(self) -> float:
        """The largest relative standard error of q and Q."""
        mean, error = np.abs(self.combined(numbers_of)), self.standard_error(numbers_of)
        kept = mean > 1e-12
        return float((error[kept] / mean[kept]).max(initial=0.0))


def numbers_of(sample: Sample) -> np.ndarray:
    """q of every field, then Q of every state."""
    return np.array([*(sample.C[k, k, 0] for k in range(sample.C.shape[0])), *sample.states[:, 0]])


def replicate(model: SampledModel, reached: Reached, tol: float, seed: int) -> tuple[Replicated, str]:
    """Independent solutions, with more and more paths until the relative standard error is at most tol.

    Returns the last complete set and why it stopped short ("" if it did not).
    """
    setting, base = reached.setting, reached.sample.C
    known: Replicated | None = None

    def solved(number: int, paths: int) -> Sample:
        own = replace(setting, paths=paths)
        return solve_sample(model, own, (seed, 1, number), base, reached.still, tolerance=_FINE * tol, plain=1)[0]

    while True:
        samples: list[Sample] = []
        try:
            for number in range(REPLICATES):
                samples.append(solved(number, setting.paths))
            known = Replicated(setting, samples, None)
            base = np.mean([sample.C for sample in samples], axis=0)
            room = _LARGEST_ARRAY / (setting.grid.n * (1 if model.discrete else 2) * max(len(model.gains), 1))
            room /= REPLICATES
            if known.relative <= tol or setting.paths >= room:
                known = Replicated(setting, samples, solved(REPLICATES, REPLICATES * setting.paths))
                return known, "" if known.relative <= tol else "the largest number of paths was reached"
        except (BudgetSpent, Diverges) as reason:
            why = str(reason) or "one of several independent solutions diverged"
            if known is None and len(samples) > 2:
                known = Replicated(setting, samples, None)
            if known is None:
                raise
            return known, f"{why}, before the bias of few paths was removed"
        more = (1.3 * known.relative / tol) ** 2
        setting = replace(setting, paths=int(min(max(room, setting.paths), setting.paths * min(max(more, 1.5), 4.0))))
