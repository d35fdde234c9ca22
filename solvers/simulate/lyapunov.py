"""Lyapunov exponents of finite networks with tied weights, by the method of Benettin et al. (1980).

A frame of orthonormal directions follows the trajectory by Jacobian-vector products alone; every now and then QR makes
it orthonormal again, and the diagonal of R says how much each direction has grown.  Exponents are natural logarithms
for each step of a map, or for each unit of time of a flow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from solvers.simulate.measurement import Measurement, Row, each_network
from solvers.simulate.network import Network
from solvers.simulate.runaway import Runaway
from solvers.simulate.stepper import Stepper, chosen_step

SPREAD = 14.0  # logarithms by which directions may grow apart between two QR: nine digits are left of the smallest
ALIGN = 40  # frames in which directions turn to where they grow, before anything is measured
BATCHES = 16
DRIFT_IN_ERRORS = 3.0
LARGE = 5.0  # an exponent above 1/LARGE in size needs to be known to this multiple of the precision, relative to it


@dataclass(frozen=True)
class LyapunovSample:
    """One network.

    Attributes
    ----------
    Q : mean over units and the window of s^2, by state
    exponents : (k,) largest first, -inf for a direction that is lost at once; nan after divergence
    errors : (k,) standard errors of the time averages, from the scatter of batches of the window
    window : time of the average; dt : step; step_error : largest relative error of a step, per unit of time
    settled : the window's two halves agree and its errors are as small as asked
    at_rest : the state has come to a fixed point
    outcome : one sentence
    """

    Q: Mapping[str, float]
    exponents: Array
    errors: Array
    window: float
    dt: float
    step_error: float
    settled: bool
    at_rest: bool
    outcome: str


@dataclass(frozen=True)
class LyapunovMeasurement(Measurement):
    """A `Measurement` with every network's sample; rows ``lyapunov[1]``, ``lyapunov[2]``, ... largest first.

    ``kaplan_yorke`` and ``entropy_rate`` are rows where the exponents asked for suffice in every network.
    """

    samples: tuple[LyapunovSample, ...]

    @property
    def moving(self) -> bool:
        """Whether exponents were measured in every network: none diverged or was stopped before."""
        return all(sample.window > 0 and not sample.outcome.startswith("stopped") for sample in self.samples)


def measure_lyapunov(
    cell: Cell,
    settings: Settings,
    *,
    N: int,
    seeds: int,
    exponents: int = 1,
    seed: int = 0,
    transient: float = 100.0,
    window: float = 400.0,
    longest: float = 6400.0,
    precision: float = 0.01,
    tolerance: float = 1e-3,
    scale: float = 1.0,
    executor: Executor | None = None,
) -> LyapunovMeasurement:
    """The first exponents of ``seeds`` independent networks of N units.

    Each starts from a Gaussian state of standard deviation ``scale`` and runs for ``transient`` (steps, or units of
    time).  The average is over the last three quarters of a ``window`` that is doubled, up to ``longest``, until the
    standard error of every exponent's time average is below ``precision`` (five times that relative to a large
    exponent) and the two halves agree within three of their errors.  ``tolerance`` is the error of an integration step
    for each unit of time.  The result depends on ``seed`` only, not on the executor.

    Raises
    ------
    ParameterError : not between 1 and S*N exponents
    AnsatzError : a flow is driven by inputs that are independent at all times
    """
    if not 1 <= exponents <= len(cell.states) * N:
        raise ParameterError(
            f"{N} units with {len(cell.states)} states have {len(cell.states) * N} exponents; {exponents} were asked"
        )
    work = partial(
        sample_lyapunov, cell, settings, N, exponents, transient=transient, window=window, longest=longest,
        precision=precision, tolerance=tolerance, scale=scale,
    )  # fmt: skip
    samples = each_network(work, seed, seeds, executor)
    return LyapunovMeasurement(
        rows=_rows(samples, exponents),
        N=N,
        seeds=seeds,
        seed=seed,
        outcomes=tuple(sample.outcome for sample in samples),
        settled=tuple(sample.settled for sample in samples),
        samples=samples,
    )


def sample_lyapunov(
    cell: Cell, settings: Settings, N: int, exponents: int, sequence: np.random.SeedSequence, *,
    transient: float = 100.0, window: float = 400.0, longest: float = 6400.0, precision: float = 0.01,
    tolerance: float = 1e-3, scale: float = 1.0,
) -> LyapunovSample:  # fmt: skip
    """One network from one seed; see `measure_lyapunov`."""
    rng = np.random.default_rng(sequence)
    network = Network(cell, settings, N, rng)
    state = network.random_state(scale)
    frame = _orthonormal(rng.standard_normal((len(network.states), exponents, N)))[0]
    runner = Benettin(chosen_step(network, state, frame, tolerance), state, frame)
    try:
        runner.follow(transient)
        runner.stepper = chosen_step(network, runner.state, runner.frame, tolerance)
        runner.align(ALIGN)
        while not runner.diverged:
            runner.measure(window)
            if runner.precise(precision) or 2 * window > longest:
                break
            window *= 2
    except BudgetSpent as spent:
        return _result(runner, precision, tolerance, f"{spent}; ")
    return _result(runner, precision, tolerance, "")


class Benettin:
    """A trajectory with a frame of directions.

    Attributes
    ----------
    state : (S, N); frame : (S, k, N), orthonormal directions; time : since the start
    stepper : moves both; step_error : largest so far, see `Stepper.error`
    logs : after each QR of the measurement, what the logarithm of each direction has grown by, (k,) each;
    squares : mean square of each state there, (S,) each
    """

    def __init__(self, stepper: Stepper, state: Array, frame: Array) -> None:
        self.stepper, self.state, self.frame = stepper, state, frame
        self.time, self.step_error = 0.0, 0.0
        self.logs: list[Array] = []
        self.squares: list[Array] = []
        self._between = max(1, round(1.0 / stepper.dt))
        self._runaway = Runaway(state)

    @property
    def diverged(self) -> bool:
        """The mean square of a state has grown by 1e6, or is not finite."""
        return self._runaway(self.state)

    @property
    def duration(self) -> float:
        """Time between two QR."""
        return self._between * self.stepper.dt

    def follow(self, time: float) -> None:
        """Move the state alone; ends early if it diverges."""
        for _ in range(round(time / self.stepper.dt)):
            if self.diverged:
                return
            check_budget()
            self.state = self.stepper.advance(self.state)
            self.time += self.stepper.dt

    def align(self, frames: int) -> None:
        """Turn the directions, and bring QR closer where they grow apart too fast to be told apart."""
        self._between = max(1, round(1.0 / self.stepper.dt))
        for _ in range(frames):
            if self.diverged:
                return
            logs = self._frame_step()
            finite = logs[np.isfinite(logs)]
            while self._between > 1 and (finite.size < logs.size or np.ptp(finite) * self._between > SPREAD * 8):
                self._between //= 2
                finite = finite / 2
        self.logs = []

    def measure(self, window: float) -> None:
        """Go on until the logs cover ``window``; ends early if the state diverges."""
        while len(self.logs) * self.duration < window and not self.diverged:
            if len(self.logs) % 50 == 0:
                self.step_error = max(self.step_error, self.stepper.error(self.state, self.frame))
            self.logs.append(self._frame_step())
            self.squares.append(np.mean(self.state**2, axis=1))

    def _frame_step(self) -> Array:
        """Growth between two QR, (k,)."""
        check_budget()
        for _ in range(self._between):
            self.state, self.frame = self.stepper.push(self.state, self.frame)
        self.time += self.duration
        if self.diverged or not np.isfinite(self.frame).all():
            self.state = np.full_like(self.state, np.nan)
            return np.full(self.frame.shape[1], np.nan)
        self.frame, logs = _orthonormal(self.frame)
        return logs

    def rates(self) -> Array:
        """Growth rates of the last three quarters of the window, (frames, k)."""
        logs = np.array(self.logs).reshape(-1, self.frame.shape[1])
        return logs[len(logs) // 4 :] / self.duration

    def errors(self) -> Array:
        """Standard errors of the mean rates, (k,); nan where there is too little to say."""
        return batch_errors(self.rates(), BATCHES)

    def precise(self, precision: float) -> bool:
        """Whether the errors are below what ``precision`` allows and the window's halves agree."""
        rates = self.rates()
        if len(rates) < 2 * BATCHES:
            return False
        rates = rates[:, np.isfinite(rates).all(axis=0)]
        first, second = np.array_split(rates, 2)
        drift = np.abs(first.mean(axis=0) - second.mean(axis=0))
        error = np.hypot(batch_errors(first, BATCHES // 2), batch_errors(second, BATCHES // 2))
        allowed = precision * np.maximum(1.0, LARGE * np.abs(rates.mean(axis=0)))
        steady = drift <= np.maximum(DRIFT_IN_ERRORS * error, 2 * allowed)
        return bool(np.all(steady) and np.all(batch_errors(rates, BATCHES) <= allowed))


def kaplan_yorke(exponents: Array) -> float:
    """Dimension j + (sum of the first j) / |next one|, j the last number with a sum that is not negative.

    0 where the largest exponent is negative; nan where the exponents given have a positive sum, so that the dimension
    is above their number.
    """
    sums = np.cumsum(exponents)
    if sums[0] < 0:
        return 0.0
    if sums[-1] >= 0:
        return float("nan")
    j = int(np.argmax(sums < 0))
    return float(j + sums[j - 1] / abs(exponents[j]))


def entropy_rate(exponents: Array) -> float:
    """Sum of the positive exponents (Pesin), per step or unit of time; nan where all those given are positive."""
    if exponents[-1] > 0:
        return float("nan")
    return float(np.sum(exponents[exponents > 0]))


def _orthonormal(frame: Array) -> tuple[Array, Array]:
    """The frame (S, k, N) with orthonormal directions, and ln |R_ii|, (k,)."""
    S, k, N = frame.shape
    q, r = np.linalg.qr(frame.transpose(0, 2, 1).reshape(S * N, k))
    with np.errstate(divide="ignore"):
        logs = np.log(np.abs(np.diag(r)))
    return np.ascontiguousarray(q.reshape(S, N, k).transpose(0, 2, 1)), logs


def _result(runner: Benettin, precision: float, tolerance: float, stopped: str) -> LyapunovSample:
    rates, errors = runner.rates(), runner.errors()
    dt, k = runner.stepper.dt, runner.frame.shape[1]
    unknown, names = np.full(k, np.nan), runner.stepper.network.states
    if runner.diverged:
        text = f"{stopped}diverged at t = {runner.time:.4g}: the state grows without bound"
        return LyapunovSample({}, unknown, unknown, 0.0, dt, runner.step_error, False, False, text)
    if not len(rates):
        text = f"{stopped}nothing was measured"
        return LyapunovSample({}, unknown, unknown, 0.0, dt, runner.step_error, False, False, text)
    order = np.argsort(-rates.mean(axis=0), kind="stable")
    rest = runner.stepper.rests(runner.state)
    settled = not stopped and runner.precise(precision) and runner.step_error <= 10 * tolerance
    squares = np.mean(runner.squares[len(runner.squares) // 4 :], axis=0)
    return LyapunovSample(
        Q=dict(zip(names, (float(value) for value in squares), strict=True)),
        exponents=rates.mean(axis=0)[order],
        errors=errors[order],
        window=len(rates) * runner.duration,
        dt=dt,
        step_error=runner.step_error,
        settled=settled,
        at_rest=rest,
        outcome=stopped + _outcome(settled, rest, float(np.max(errors)), precision, runner.step_error, tolerance),
    )


def _outcome(settled: bool, rest: bool, error: float, asked: float, step: float, tolerance: float) -> str:
    where = "the state has come to rest" if rest else "the state keeps moving"
    if settled:
        return f"{where}; exponents to {error:.1g} over time"
    if step > 10 * tolerance:
        return f"{where}; a step of the integrator has error {step:.2g} per unit of time: the flow jumps or is stiff"
    return (
        f"{where}; exponents to {error:.2g} over time, asked {asked:.2g}: (a) they fluctuate slowly - raise longest;"
        " (b) the state still drifts - raise transient"
    )


def _rows(samples: Sequence[LyapunovSample], exponents: int) -> tuple[Row, ...]:
    table = np.array([sample.exponents for sample in samples])
    rows = [Row(f"lyapunov[{k + 1}]", table[:, k]) for k in range(exponents)]
    known = [own for own in table if not np.isnan(own).any()]
    for name, of in (("kaplan_yorke", kaplan_yorke), ("entropy_rate", entropy_rate)):
        values = np.array([of(own) for own in known])
        if values.size and np.isfinite(values).all():
            rows.append(Row(name, values))
    return tuple(rows)
