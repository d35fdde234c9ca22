"""Trajectories of finite networks with tied weights: autocorrelations of fields and states in the stationary state.

A map is iterated; a flow is stepped by RK4 (see `stepper`), its step halved until the stated error per unit of time is
met.  Inputs are constant, or drawn at each step of a map; biases are quenched.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from derive.errors import ParameterError
from solvers.budget import BudgetSpent, check_budget
from solvers.simulate.batches import batch_errors
from solvers.simulate.elementwise import Array
from solvers.simulate.measurement import Measurement, each_network, rows_from
from solvers.simulate.network import Inputs, Network
from solvers.simulate.runaway import Runaway
from solvers.simulate.stepper import Stepper, chosen_step

BATCHES = 8  # to each half of the window
RELATIVE_DRIFT = 0.02
DRIFT_IN_ERRORS = 3.0


@dataclass(frozen=True)
class TrajectorySample:
    """One network.

    Attributes
    ----------
    fields : gain^2 mean v(t) v(t + lag) over units and time, (lags,) by field; states : mean s(t) s(t + lag), by state
    state : (S, N) at the end; dt : step; step_error : largest relative error of a step, per unit of time
    settled : the two halves of the window agree; at_rest : the state has come to a fixed point
    outcome : one sentence
    """

    fields: dict[str, Array]
    states: dict[str, Array]
    state: Array
    dt: float
    step_error: float
    settled: bool
    at_rest: bool
    outcome: str


@dataclass(frozen=True)
class TrajectoryMeasurement(Measurement):
    """A `Measurement` with every network's sample.

    lags : (n,) steps or time, ascending from 0; rows ``q[W]`` and ``Q[s]`` (lag 0), ``C[W](lag)`` by field and
    ``autocorrelation[s](lag)`` by state for all lags.
    """

    lags: Array
    samples: tuple[TrajectorySample, ...]


def measure_trajectories(
    cell: Cell, settings: Settings, *, N: int, seeds: int, lags: int = 20, spacing: float = 1.0, seed: int = 0,
    transient: float = 200.0, window: float = 400.0, tolerance: float = 1e-3, scale: float = 1.0,
    executor: Executor | None = None,
) -> TrajectoryMeasurement:  # fmt: skip
    """Autocorrelations at lags 0, spacing, ... lags * spacing of ``seeds`` networks of N units.

    Each starts from a Gaussian state of standard deviation ``scale``, runs for ``transient`` and is recorded at every
    ``spacing`` (steps, or units of time) of ``window``.  It is settled if every q and Q has the same mean in both
    halves of the window, to 2 % or three standard errors of their difference.  ``tolerance`` is the error of an
    integration step for each unit of time.

    Raises
    ------
    AnsatzError : a flow is driven by inputs that are independent at all times
    ParameterError : the lags do not fit into the window, or the spacing of a map is not a whole number of steps
    """
    if not (spacing > 0 and 0 <= lags * spacing <= 0.5 * window):
        raise ParameterError(
            f"{lags} lags of {spacing:g} need a window of at least {2 * lags * spacing:g}; {window:g} was given"
        )
    if cell.time == "discrete" and spacing != round(spacing):
        raise ParameterError(f"lags of a map are whole steps; a spacing of {spacing:g} was given")
    work = partial(
        _sample, cell, settings, N, lags, spacing, transient=transient, window=window, tolerance=tolerance, scale=scale
    )
    samples = each_network(work, seed, seeds, executor)
    at = spacing * np.arange(lags + 1.0)
    return TrajectoryMeasurement(
        rows=rows_from([_values(sample, at) for sample in samples]),
        N=N,
        seeds=seeds,
        seed=seed,
        outcomes=tuple(sample.outcome for sample in samples),
        settled=tuple(sample.settled for sample in samples),
        lags=at,
        samples=samples,
    )


def _values(sample: TrajectorySample, lags: Array) -> dict[str, float]:
    values = {f"q[{name}]": float(curve[0]) for name, curve in sample.fields.items()}
    values |= {f"Q[{name}]": float(curve[0]) for name, curve in sample.states.items()}
    for kind, curves in (("C", sample.fields), ("autocorrelation", sample.states)):
        for name, curve in curves.items():
            values |= {f"{kind}[{name}]({lag:g})": float(c) for lag, c in zip(lags, curve, strict=True)}
    return values


def _sample(
    cell: Cell, settings: Settings, N: int, lags: int, spacing: float, sequence: np.random.SeedSequence, *,
    transient: float, window: float, tolerance: float, scale: float,
) -> TrajectorySample:  # fmt: skip
    rng = np.random.default_rng(sequence)
    network = Network(cell, settings, N, rng)
    run = _Run(network, network.random_state(scale), spacing, tolerance)
    records: list[dict[str, Array]] = []
    text = ""
    try:
        for _ in range(round(transient / spacing)):
            run.advance()
        run.choose()
        for number in range(round(window / spacing) + 1):
            if number % 50 == 0:
                run.look()
            records.append(run.record())
            run.advance()
            if run.diverged:
                break
    except BudgetSpent as spent:
        text = f"{spent}; "
    dt, error = run.stepper.dt, run.step_error
    if run.diverged:
        reached = f"diverged at t = {run.time:.4g}: the state grows without bound"
        return TrajectorySample({}, {}, run.state, dt, error, False, False, reached)
    if len(records) <= 2 * lags:
        return TrajectorySample({}, {}, run.state, dt, error, False, False, f"{text}too little was recorded")
    table = {name: np.array([record[name] for record in records]) for name in records[0]}
    gains = {f"v {name}": settings.gains[network.weight_of[name]] for name in network.fields}
    steady = all(_steady(np.mean(series**2, axis=1)) for series in table.values())
    rest = run.stepper.rests(run.state)
    close = error <= 10 * tolerance
    return TrajectorySample(
        fields={name: gains[f"v {name}"] ** 2 * autocorrelation(table[f"v {name}"], lags) for name in network.fields},
        states={name: autocorrelation(table[f"s {name}"], lags) for name in network.states},
        state=run.state,
        dt=dt,
        step_error=error,
        settled=steady and close and not text,
        at_rest=rest,
        outcome=text + _outcome(steady, close, rest, error),
    )


class _Run:
    """One trajectory, in strides of ``spacing``."""

    def __init__(self, network: Network, state: Array, spacing: float, tolerance: float) -> None:
        self.network, self.state, self.spacing, self.tolerance = network, state, spacing, tolerance
        self.time, self.step_error = 0.0, 0.0
        self._inputs: Inputs | None = None  # of the next step, where they are drawn already
        self._runaway = Runaway(state)
        self.choose()

    @property
    def diverged(self) -> bool:
        """The mean square of a state has grown by 1e6, or is not finite."""
        return self._runaway(self.state)

    def choose(self) -> None:
        """A step that is short enough here, and that a stride is a whole number of."""
        if self.diverged:
            return
        rough = chosen_step(self.network, self.state, self.state[:, None], self.tolerance)
        whole = 1.0 if rough.discrete else self.spacing / np.ceil(self.spacing / rough.dt)
        self.stepper = Stepper(self.network, whole)
        self._steps = round(self.spacing / self.stepper.dt)

    def look(self) -> None:
        """Keep the largest error of a step."""
        if not self.diverged:
            self.step_error = max(self.step_error, self.stepper.error(self.state, self.state[:, None]))

    def record(self) -> dict[str, Array]:
        """States and operands of all products, (N,) by name, with the inputs of the step that comes next."""
        self._inputs = self.stepper.inputs()
        step = self.network.evaluate(self.state, self._inputs)
        found = {f"s {name}": row for name, row in zip(self.network.states, self.state, strict=True)}
        return found | {f"v {name}": v for name, v in step.operands.items()}

    def advance(self) -> None:
        """One stride; nothing moves after divergence."""
        check_budget()
        for _ in range(self._steps):
            if self.diverged:
                return
            inputs, self._inputs = self._inputs or self.stepper.inputs(), None
            self.state = self.stepper.advance(self.state, inputs)
            self.time += self.stepper.dt


def autocorrelation(series: Array, lags: int) -> Array:
    """Mean over units and time of x(t) x(t + lag), (lags + 1,), of a series (T, N); not centred."""
    T = len(series)
    spectrum = np.fft.rfft(series, 2 * T, axis=0)
    power = np.mean(spectrum.real**2 + spectrum.imag**2, axis=1)
    return np.asarray(np.fft.irfft(power)[: lags + 1] / (T - np.arange(lags + 1.0)))


def _steady(series: Array) -> bool:
    first, second = np.array_split(series, 2)
    drift = abs(float(first.mean() - second.mean()))
    error = float(np.hypot(batch_errors(first, BATCHES), batch_errors(second, BATCHES)))
    return drift <= max(RELATIVE_DRIFT * abs(float(series.mean())), DRIFT_IN_ERRORS * error, 1e-12)


def _outcome(steady: bool, close: bool, rest: bool, error: float) -> str:
    where = "the state has come to rest" if rest else "the state keeps moving"
    if not close:
        return f"{where}; a step of the integrator has error {error:.2g} per unit of time: the flow jumps or is stiff"
    if not steady:
        return f"{where}; it still drifts: (a) relaxation is slow - raise transient; (b) the window is short - raise it"
    return where
