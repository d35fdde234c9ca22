"""Backpropagation through finite networks: how gradients grow with the lag from the readout.

The readout is random and independent of the network: the gradient at the last step has one random sign for each unit
and state.  Only then is the gradient free of a drift along what the weights already met (theory, section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from derive.errors import ParameterError
from solvers.budget import BudgetSpent, check_budget
from solvers.simulate.elementwise import Array
from solvers.simulate.measurement import each_network
from solvers.simulate.network import Network
from solvers.simulate.stepper import chosen_step
from solvers.simulate.untied import require_discrete, sample_untied

RUNAWAY = 1e12


@dataclass(frozen=True)
class GradientMeasurement:
    """Squared gradients of finite networks.

    Attributes
    ----------
    lags : (n,) steps or time from the readout, ascending from 0
    squares : (seeds, n) mean over readouts of |gradient|^2, relative to lag 0; nan for networks that diverged
    logs : (seeds, n) mean over readouts of ln |gradient|^2
    Q : by state, mean square over units and networks where the backward pass begins
    outcomes : one sentence for each network; settled : whether it was where it stays
    """

    N: int
    lags: Array
    squares: Array
    logs: Array
    Q: dict[str, float]
    outcomes: tuple[str, ...]
    settled: tuple[bool, ...]

    @property
    def converged(self) -> bool:
        """Every network settled."""
        return all(self.settled)

    def square_growth(self) -> Array:
        """Growth of |gradient|^2 for each lag, (seeds,), averaged over the later half of the lags."""
        with np.errstate(all="ignore"):
            ratios = self.squares[:, 1:] / self.squares[:, :-1]
            return np.asarray(np.mean(ratios[:, ratios.shape[1] // 2 :], axis=1))

    def log_growth(self) -> Array:
        """Growth of ln |gradient| for each lag, (seeds,), averaged over the later three quarters of the lags."""
        first = self.lags.size // 4
        with np.errstate(all="ignore"):
            return np.asarray(0.5 * (self.logs[:, -1] - self.logs[:, first]) / (self.lags[-1] - self.lags[first]))


@dataclass(frozen=True)
class _Sample:
    squares: Array
    logs: Array
    state: Array
    outcome: str
    settled: bool


def measure_untied_gradient(
    cell: Cell, settings: Settings, *, N: int, seeds: int, lags: int = 20, seed: int = 0, readouts: int = 8,
    scale: float = 1.0, executor: Executor | None = None,
) -> GradientMeasurement:  # fmt: skip
    """Gradients in ``seeds`` networks whose weights, biases and inputs are redrawn at each step.

    After the burn-in (see `measure_untied`) ``lags`` steps are run forward and then back, with the same draws.

    Raises
    ------
    AnsatzError : the cell is in continuous time
    ParameterError : no lag
    """
    require_discrete(cell)
    _require_lags(lags)
    work = partial(_untied_sample, cell, settings, N, lags, readouts, scale)
    return _measured(cell, N, np.arange(lags + 1.0), work, seed, seeds, executor)


def measure_tied_gradient(
    cell: Cell, settings: Settings, *, N: int, seeds: int, lags: int = 400, seed: int = 0, readouts: int = 4,
    scale: float = 1.0, transient: float = 200.0, tolerance: float = 1e-3, executor: Executor | None = None,
) -> GradientMeasurement:  # fmt: skip
    """Gradients along a trajectory of ``lags`` steps, or units of time, of ``seeds`` networks with tied weights.

    A flow is stepped by RK4 with error ``tolerance`` for each unit of time, and back by the transpose of these steps.

    Raises
    ------
    AnsatzError : a flow is driven by inputs that are independent at all times
    ParameterError : no lag
    """
    _require_lags(lags)
    work = partial(_tied_sample, cell, settings, N, lags, readouts, scale, transient, tolerance)
    return _measured(cell, N, np.arange(lags + 1.0), work, seed, seeds, executor)


def _require_lags(lags: int) -> None:
    if lags < 1:
        raise ParameterError(f"gradients need at least one lag; {lags} were asked for")


def _measured(
    cell: Cell, N: int, lags: Array, work: Callable[[np.random.SeedSequence], _Sample], seed: int, seeds: int,
    executor: Executor | None,
) -> GradientMeasurement:  # fmt: skip
    samples = each_network(work, seed, seeds, executor)
    Q = np.mean([np.mean(sample.state**2, axis=1) for sample in samples], axis=0)
    return GradientMeasurement(
        N=N,
        lags=lags,
        squares=np.array([sample.squares for sample in samples]),
        logs=np.array([sample.logs for sample in samples]),
        Q=dict(zip(cell.states, (float(value) for value in Q), strict=True)),
        outcomes=tuple(sample.outcome for sample in samples),
        settled=tuple(sample.settled for sample in samples),
    )


class _Backward:
    """Covectors on their way back, rescaled at each lag so that nothing overflows."""

    def __init__(self, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self.covectors: Array = rng.choice((-1.0, 1.0), size=shape)
        self._size = np.log(np.sum(self.covectors**2, axis=(0, 1)))
        self._log = np.zeros(shape[2])
        self.records: list[Array] = [self._log.copy()]

    def rescale(self) -> None:
        """Take the growth since the last call into the logarithm."""
        with np.errstate(all="ignore"):
            sizes = np.log(np.sum(self.covectors**2, axis=(0, 1)))
            self._log = self._log + sizes - self._size
            self._size = np.zeros_like(sizes)
            self.covectors = self.covectors * np.exp(-0.5 * np.where(np.isfinite(sizes), sizes, 0.0))

    def record(self) -> None:
        """Keep ln |gradient|^2 of each readout for one more lag."""
        self.rescale()
        self.records.append(self._log.copy())

    def sample(self, lags: int, state: Array, outcome: str, settled: bool) -> _Sample:
        """Means over readouts; lags that were not reached are nan."""
        table = np.full((lags + 1, self._log.size), np.nan)
        table[: len(self.records)] = self.records
        with np.errstate(all="ignore"):
            return _Sample(np.exp(table).mean(axis=1), table.mean(axis=1), state, outcome, settled)


def _untied_sample(
    cell: Cell, settings: Settings, N: int, lags: int, readouts: int, scale: float, sequence: np.random.SeedSequence
) -> _Sample:
    start = sample_untied(cell, settings, N, sequence, window=1, scale=scale)
    begin = start.state[..., 0]
    apart = np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, 1))
    signs, *steps = apart.spawn(lags + 1)
    backward = _Backward((*begin.shape, readouts), np.random.default_rng(signs))
    if not np.isfinite(begin).all() or not start.values:
        return backward.sample(lags, np.full_like(begin, np.nan), start.outcome, False)
    states = [begin]
    try:
        for own in steps:
            check_budget()
            states.append(Network(cell, settings, N, np.random.default_rng(own)).evaluate(states[-1]).new_state)
        for own, state in zip(reversed(steps), reversed(states[:-1]), strict=True):
            check_budget()
            network = Network(cell, settings, N, np.random.default_rng(own))  # the same draws once more
            backward.covectors = network.vjp(state, backward.covectors)
            backward.record()
    except BudgetSpent as spent:
        return backward.sample(lags, begin, str(spent), False)
    return backward.sample(lags, begin, start.outcome, start.settled)


def _tied_sample(
    cell: Cell, settings: Settings, N: int, lags: int, readouts: int, scale: float, transient: float,
    tolerance: float, sequence: np.random.SeedSequence,
) -> _Sample:  # fmt: skip
    rng = np.random.default_rng(sequence)
    network = Network(cell, settings, N, rng)
    state = network.random_state(scale)
    backward = _Backward((*state.shape, readouts), rng)
    stepper = chosen_step(network, state, rng.standard_normal((state.shape[0], 1, N)), tolerance)
    each = max(1, round(1.0 / stepper.dt))  # steps to one lag
    visited = []
    try:
        for step in range(round(transient / stepper.dt) + lags * each):
            check_budget()
            inputs = stepper.inputs()
            if step >= round(transient / stepper.dt):
                visited.append((state, inputs))
            state = stepper.advance(state, inputs)
            if not np.max(np.abs(state)) < RUNAWAY:
                return backward.sample(lags, np.full_like(state, np.nan), f"diverged after {step + 1} steps", False)
        for number, (at, inputs) in enumerate(reversed(visited), start=1):
            check_budget()
            backward.covectors = stepper.pull(at, backward.covectors, inputs)
            if number % each == 0:
                backward.record()
    except BudgetSpent as spent:
        return backward.sample(lags, state, str(spent), False)
    return backward.sample(lags, state, f"followed for {transient + lags:g}, dt = {stepper.dt:g}", True)
