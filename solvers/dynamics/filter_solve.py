"""Time-dependent stationary states of sites whose nonlinearities are memoryless: no sampling, errors by refinement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.budget import BudgetSpent, check_budget
from solvers.dynamics.filter_map import FilterMap, Moments
from solvers.dynamics.filter_model import FilterModel
from solvers.dynamics.grid import Grid
from solvers.dynamics.growth import PerturbationMap, maximal_exponent
from solvers.dynamics.mixing import Mixed, anderson
from solvers.dynamics.result import StationaryState, correlation_time, kept_lags
from solvers.result import CONVERGED

METHOD = "Hermite series, FFT and Anderson mixing"
MOST_LAGS_SOLVED = 2**16
AMPLITUDES = (4.0, 0.05)
"""Variances at which fields start, in units of their squared gains: from large and from small activity."""

WIDTHS = (2.0, 8.0, 32.0)
"""Correlation times at the start, in units of the filters' memory: near an onset the covariance is wide and small."""

_RESIDUAL = 1e-12
_CONSTANT = 1e-6
_PLAIN_CONTINUOUS, _PLAIN_DISCRETE = 5, 60


@dataclass(frozen=True)
class _Attempt:
    """One converged, or failed, iteration on one grid."""

    grid: Grid
    C: np.ndarray
    mixed: Mixed

    @property
    def constant(self) -> bool:
        """Whether the covariance does not depend on the lag: a fixed point, not a time-dependent state."""
        spread = np.abs(self.C - self.C[..., :1]).max()
        return bool(spread <= _CONSTANT * max(float(np.abs(self.C).max()), 1e-300))

    @property
    def settled(self) -> bool:
        """Whether the covariance has reached its plateau well within the window."""
        half = self.grid.n // 2
        far = self.C[..., half // 2 : half + 1]
        return bool(np.abs(far - far[..., -1:]).max() <= 0.1 * np.abs(self.C - far[..., -1:]).max())


class Diverges(Exception):  # noqa: N818 - an outcome
    """The covariance grows without bound."""


def time_dependent_states(model: FilterModel, tol: float) -> tuple[list[StationaryState], list[str]]:
    """Stationary states that fluctuate in time, each once, and notes on starts that led nowhere.

    tol : relative accuracy asked of q and Q.
    """
    found: list[StationaryState] = []
    notes: list[str] = []
    for amplitude in AMPLITUDES:
        try:
            attempt = _first(model, amplitude)
        except Diverges:
            notes.append(
                f"from activity of variance {amplitude:g} gain^2 the covariance grows without bound: the network "
                "diverges there"
            )
            continue
        if attempt is None or attempt.constant:
            continue
        state = _refined(model, attempt, tol)
        if not any(_same(state, other) for other in found):
            found.append(state)
    return found, notes


def _same(one: StationaryState, other: StationaryState) -> bool:
    return all(
        abs(one.q[k] - other.q[k]) <= 1e-5 * abs(other.q[k]) + one.error["q"][k] + other.error["q"][k] for k in one.q
    )


def _first(model: FilterModel, amplitude: float) -> _Attempt | None:
    """The first grid and shape from which the iteration converges to a state that has settled in the window."""
    last: _Attempt | None = None
    grid = Grid(128, 1.0) if model.discrete else Grid(_power(128.0 * model.memory / (0.25 * model.pace)),
                                                      0.25 * model.pace)  # fmt: skip
    for width in WIDTHS:
        last = _solved(model, grid, _start(model, grid, amplitude, width * model.memory))
        while last is not None and not last.constant and not last.settled and last.grid.n < MOST_LAGS_SOLVED:
            longer = last.grid.longer()
            last = _solved(model, longer, last.grid.onto(last.C, longer))
        if last is not None and last.settled and not last.constant:
            return last
    return last


def _power(count: float) -> int:
    return int(min(max(2 ** int(np.ceil(np.log2(count))), 256), MOST_LAGS_SOLVED // 4))


def _start(model: FilterModel, grid: Grid, amplitude: float, width: float) -> np.ndarray:
    return grid.bell(model.gains**2 * amplitude, width)


def _solved(model: FilterModel, grid: Grid, start: np.ndarray) -> _Attempt | None:
    """Iterate on one grid; None if the iteration stalls.  Raises Diverges."""
    step = FilterMap(model, grid)
    shape = start.shape
    plain = _PLAIN_DISCRETE if model.discrete else _PLAIN_CONTINUOUS
    mixed = anderson(lambda x: step(x.reshape(shape)).ravel(), start.ravel(), tolerance=_RESIDUAL, plain=plain)
    if mixed.diverged:
        raise Diverges
    scale = max(float(np.abs(mixed.x).max()), 1e-300)
    return _Attempt(grid, mixed.x.reshape(shape), mixed) if mixed.residual <= 1e3 * _RESIDUAL * scale else None


def _refined(model: FilterModel, attempt: _Attempt, tol: float) -> StationaryState:
    """Lengthen the window and halve the step until neither changes q and Q by more than the tolerance."""
    moments = FilterMap(model, attempt.grid).moments(attempt.C)
    shortened, coarsened, stopped = np.inf, 0.0 if model.discrete else np.inf, ""
    previous = attempt
    while shortened + coarsened > 0.5 * tol:
        try:
            check_budget()
            lengthen = shortened >= coarsened
            other = attempt.grid.longer() if lengthen else attempt.grid.finer()
            if other.n > MOST_LAGS_SOLVED:
                stopped = f"{attempt.grid.n} lags are the most that are solved for"
                break
            better = _solved(model, other, attempt.grid.onto(attempt.C, other))
        except (BudgetSpent, Diverges) as reason:
            stopped = str(reason) or "the iteration diverged on a finer grid"
            break
        if better is None or better.constant:
            stopped = "the iteration did not converge on a finer grid"
            break
        theirs = FilterMap(model, other).moments(better.C)
        change = _change(moments, theirs)
        shortened, coarsened = (change, coarsened) if lengthen else (shortened, change)
        previous, attempt, moments = attempt, better, theirs
    return _state(model, attempt, previous, moments, shortened + coarsened, tol, stopped)


def _change(one: Moments, other: Moments) -> float:
    """Largest relative change of q and Q."""
    changes = [0.0]
    for k in range(one.C.shape[0]):
        scale = abs(float(other.C[k, k, 0]))
        changes.append(abs(float(one.C[k, k, 0]) - scale) / scale if scale > 0 else 0.0)
    for name, values in other.states.items():
        scale = abs(float(values[0]))
        changes.append(abs(float(one.states[name][0]) - scale) / scale if scale > 0 else 0.0)
    return max(changes)


def _state(
    model: FilterModel, attempt: _Attempt, previous: _Attempt, moments: Moments, change: float, tol: float,
    stopped: str,
) -> StationaryState:  # fmt: skip
    names = [item.name for item in model.site.fields]
    own = np.array([moments.C[k, k] for k in range(len(names))])
    count, stride = kept_lags(np.array([*own, *moments.states.values()]))
    q = {name: float(own[k, 0]) for k, name in enumerate(names)}
    Q = {name: float(values[0]) for name, values in moments.states.items()}
    share = change + attempt.mixed.residual / max(float(np.abs(attempt.C).max()), 1e-300) + 1e-13
    error: dict[str, object] = {
        "q": {name: share * abs(value) + float(model.gains[k]) ** 2 * moments.error
              for k, (name, value) in enumerate(q.items())},
        "Q": {name: share * abs(value) + moments.error for name, value in Q.items()},
    }  # fmt: skip
    tau, tau_error = _time(model, attempt, previous)
    exponent, exponent_error, notes = _exponent(model, attempt, previous)
    error |= {"C": dict(error["q"]), "correlation_time": tau_error, "lyapunov_max": exponent_error}  # type: ignore[call-overload]
    reached = max(share, moments.error / max([abs(value) for value in Q.values()] or [1.0]))
    return StationaryState(
        q=q, Q=Q, lags=attempt.grid.dt * np.arange(0, count, stride),
        C={name: own[k, :count:stride] for k, name in enumerate(names)},
        autocorrelation={name: values[:count:stride] for name, values in moments.states.items()},
        dt=attempt.grid.dt, correlation_time=tau, lyapunov_max=exponent, method=METHOD, error=error,
        verdict=_verdict(reached, tol, stopped), notes=notes,
    )  # fmt: skip


def _verdict(reached: float, tol: float, stopped: str) -> str:
    if reached <= tol:
        return CONVERGED
    why = stopped or "averages of functions with kinks or jumps converge slowly in Hermite polynomials"
    return f"not converged: relative error {reached:.1e}, asked {tol:.0e}; {why}. Raise --tol to accept this"


def _time(model: FilterModel, attempt: _Attempt, previous: _Attempt) -> tuple[float, float]:
    def longest(one: _Attempt) -> float:
        spread = [np.ptp(one.C[k, k]) > _CONSTANT * abs(one.C[k, k, 0]) for k in range(len(model.gains))]
        times = [correlation_time(one.C[k, k], one.grid.dt) for k, moves in enumerate(spread) if moves]
        return max(times, default=0.0)

    value = longest(attempt)
    return value, abs(value - longest(previous)) + 1e-12 * value


def _exponent(
    model: FilterModel, attempt: _Attempt, previous: _Attempt
) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Maximal exponent, its error from the grid before, and a note where it is not known."""
    functions = model.site.functions
    if any(functions.has_delta(expression) for expression in (*model.site.L, *model.site.a, *model.site.b)):
        return None, None, ("a function jumps: the square of its derivative diverges and so does the exponent",)
    try:
        own = PerturbationMap(model, attempt.grid, attempt.C)
        value = maximal_exponent(own)
        before = maximal_exponent(PerturbationMap(model, previous.grid, previous.C))
    except BudgetSpent as spent:
        return None, None, (f"{spent}: the Lyapunov exponent was not reached; raise --budget",)
    if not np.isfinite(value):
        return None, None, ("no leading eigenvalue of the perturbation map was found",)
    averages = float(np.max(model.gains, initial=0.0)) ** 2 * own.error / model.memory
    return value, abs(value - before) + averages + 1e-10 / model.memory, ()
