"""The untied ensemble in finite networks: weights, biases and inputs are redrawn each step.

Two replicas a and b share every draw of weights and biases; their inputs have E[x_a x_b] =
correlation * variance.  Tangent vectors are carried along replica a, so whatever correlation there
is between the state of a unit and its perturbation is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from derive.errors import AnsatzError
from solvers.simulate.batches import batch_errors
from solvers.simulate.elementwise import Array
from solvers.simulate.fixed_point import field_variances
from solvers.simulate.measurement import Measurement, each_network, rows_from
from solvers.simulate.network import Network, Step
from solvers.simulate.runaway import Runaway, mean_square

FIRST_CHECK = 32  # steps before the burn-in rule is asked for the first time
RELATIVE_DRIFT = 0.01
DRIFT_IN_ERRORS = 3.0
NEGLIGIBLE = 1e-12  # a second moment this much below its start has decayed
DECAYED = 1e-6  # nothing smaller is measured with any precision
BATCHES = 16  # a window is cut into so many means; their scatter is its error
FAINT = 0.05  # an overlap below this share of Q is measured against Q


@dataclass(frozen=True)
class UntiedSample:
    """One network of the untied ensemble.

    Attributes
    ----------
    values : window averages by quantity; empty after divergence
    burn_in : steps before the window
    settled : the burn-in rule was met and nothing diverged
    outcome : one sentence
    state : (S, N, 2), both replicas after the last step
    sites : (N,) columns by name - states entering, fields, biases and inputs of the last step of replica a
    carriers : share of the units that carry the tangents, (sum w)^2 / (N sum w^2) with w = d^2, of the state where it
        is smallest; about a third where d is Gaussian.  Where it falls with N, few units carry the mean growth.
    """

    values: Mapping[str, float]
    burn_in: int
    settled: bool
    outcome: str
    state: Array
    sites: Mapping[str, Array]
    carriers: float = float("nan")


@dataclass(frozen=True)
class UntiedMeasurement(Measurement):
    """A `Measurement` with every network's sample.

    Rows: ``q[W]`` = gain^2 mean v^2 by field, ``q_total[d]`` = variance over units of the argument of a definition
    d = f(argument), ``Q[s]`` = mean s^2 and ``C_star[s]`` = mean s_a s_b by state, ``chi1`` = growth per step of the
    mean square perturbation, ``chi1_typical`` = the same from the mean logarithm, see `measure_untied`.
    """

    samples: tuple[UntiedSample, ...]


def measure_untied(
    cell: Cell,
    settings: Settings,
    *,
    N: int,
    seeds: int,
    seed: int = 0,
    window: int = 200,
    max_burn_in: int = 2000,
    tangents: int = 8,
    scale: float = 1.0,
    overlap: float = 0.0,
    executor: Executor | None = None,
) -> UntiedMeasurement:
    """Run ``seeds`` independent networks of N units in the untied ensemble and average over ``window`` steps.

    Both replicas start as Gaussians of standard deviation ``scale`` with correlation ``overlap``.

    Burn-in: after t = 32, 64, 128, ... steps the means over the third and the last quarter of the steps so far are
    compared, for every Q[s], C[s], q[W] and the share of each state in the mean square perturbation.  The burn-in
    ends when each pair differs by at most 1 % of its size or 3 standard errors (from the scatter of eighths of these
    quarters), or both are below 1e-12 of the starting moment.  If that has not happened by ``max_burn_in`` the
    window is measured all the same and the seed is reported as not settled.

    With r(t) the mean of |d(t+1)|^2 / |d(t)|^2 over ``tangents`` columns d, (S, N) each, which get random signs, one
    for each unit, and equal lengths before each step, chi1 is the mean of r over the window (the growth of the
    mean square) and chi1_typical = exp(mean log r).  The second is lower by half the variance of r, which is of order
    1/N but many times its standard error in cells with gates (1.6 % at N = 300 in one that is critical).

    A mean square state above 1e6 times its start, or one that is not finite, is reported as diverged.  The result
    depends on ``seed`` only, not on the executor or the order of its workers.

    Raises
    ------
    AnsatzError : the cell is in continuous time
    ParameterError : two replicas cannot have the correlation that an input asks for
    """
    require_discrete(cell)
    work = partial(
        sample_untied,
        cell,
        settings,
        N,
        window=window,
        max_burn_in=max_burn_in,
        tangents=tangents,
        scale=scale,
        overlap=overlap,
    )
    samples = each_network(work, seed, seeds, executor)
    return UntiedMeasurement(
        rows=rows_from([sample.values for sample in samples]),
        N=N,
        seeds=seeds,
        seed=seed,
        outcomes=tuple(sample.outcome for sample in samples),
        settled=tuple(sample.settled for sample in samples),
        samples=samples,
    )


def require_discrete(cell: Cell) -> None:
    """Raises AnsatzError for a cell in continuous time."""
    if cell.time != "discrete":
        raise AnsatzError(
            f"{cell.name or 'this cell'} is in continuous time, where weights cannot be redrawn step by step; use the"
            " static or the stationary ansatz, or write its discretised map with name' = ..."
        )


def sample_untied(
    cell: Cell,
    settings: Settings,
    N: int,
    sequence: np.random.SeedSequence,
    *,
    window: int = 200,
    max_window: int = 0,
    precision: float = 0.0,
    max_burn_in: int = 2000,
    tangents: int = 8,
    scale: float = 1.0,
    overlap: float = 0.0,
) -> UntiedSample:
    """One network from one seed: burn-in, then the window.

    The window is doubled, up to ``max_window``, until the relative standard error of every window average (overlaps
    that nearly vanish: relative to Q) is below ``precision``.
    """
    require_discrete(cell)
    replicas = Replicas(cell, settings, N, sequence, tangents=tangents, scale=scale, overlap=overlap)
    history = [replicas.start]
    settled, check = False, FIRST_CHECK
    while not settled and len(history) <= max_burn_in and not replicas.diverged:
        history.append(replicas.step())
        if len(history) > check:
            settled = has_settled(history[1:], history[0])
            check *= 2
    burn_in = len(history) - 1
    measured = _measure(replicas, window, max_window, precision)
    if replicas.diverged:
        text = f"diverged at step {burn_in + len(measured)}: mean square state {mean_square(replicas.state):.3g}"
        return UntiedSample({}, burn_in, False, text, replicas.state, replicas.sites)
    text = f"settled after {burn_in} steps" if settled else _unsettled(burn_in)
    carriers = float(np.mean(replicas.carriers[-len(measured) :]))
    return UntiedSample(_averages(measured), burn_in, settled, text, replicas.state, replicas.sites, carriers)


def _measure(replicas: Replicas, window: int, max_window: int, precision: float) -> list[dict[str, float]]:
    """The steps of the window; it ends early if the network diverges."""
    measured: list[dict[str, float]] = []
    while not replicas.diverged:
        measured.append(replicas.step())
        if len(measured) >= window:
            if 2 * window > max_window or _is_precise(measured, precision):
                break
            window *= 2
    return measured


def _is_precise(measured: list[dict[str, float]], precision: float) -> bool:
    table = {name: np.array([step[name] for step in measured]) for name in measured[0]}
    for name, series in table.items():
        if name.startswith(("share", "q_total")):
            continue
        # The growth is a rate: what counts is the error of its exponent, whatever its size.
        size = 1.0 if name == "log growth" else abs(float(series.mean()))
        if name.startswith("C_star"):
            Q = abs(float(table[name.replace("C_star", "Q")].mean()))
            size = size if size > FAINT * Q else Q
        if batch_errors(series, BATCHES) > precision * max(size, DECAYED):
            return False
    return True


class Replicas:
    """Two replicas and some tangent columns, one step at a time.

    Attributes
    ----------
    state : (S, N, 2); tangent : (S, N, tangents), every column of unit length
    diverged : the state has grown by 1e6 in mean square, or is not finite
    size : largest mean square of a state of a replica; sites : columns of the last step, see `UntiedSample`
    carriers : after each step, the share of units that carry the tangents
    """

    def __init__(
        self,
        cell: Cell,
        settings: Settings,
        N: int,
        sequence: np.random.SeedSequence,
        *,
        tangents: int,
        scale: float,
        overlap: float,
    ) -> None:
        rng = np.random.Generator(np.random.SFC64(sequence))
        apart = np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, 0))
        self._signs = np.random.Generator(np.random.SFC64(apart))
        self.network = Network(cell, settings, N, rng, revealed=True)
        shape = (len(cell.states), N)
        own, other = rng.standard_normal((2, *shape))
        self.state: Array = scale * np.stack([own, overlap * own + np.sqrt(1.0 - overlap**2) * other], axis=-1)
        self.tangent: Array = rng.choice((-1.0, 1.0), size=(*shape, tangents))
        self.carriers: list[float] = []
        self._rescale()
        self._runaway = Runaway(self.state)
        self.start: dict[str, float] = self._state_moments()
        self.sites: dict[str, Array] = {}

    @property
    def diverged(self) -> bool:
        return self._runaway(self.state)

    def step(self) -> dict[str, float]:
        """Redraw, move both replicas and the tangents, and return the step's quantities."""
        network = self.network
        network.redraw()
        drawn = network.draw_inputs(2)
        both = {name: np.stack([inputs[name] for inputs in drawn], axis=-1) for name in network.inputs}
        state_a, inputs_a = self.state[..., 0], drawn[0]
        step = network.evaluate(self.state, both)
        self.tangent = self._random_signs() * network.jvp(state_a, self.tangent, inputs_a)
        fields = {name: u[:, 0] for name, u in step.fields.items()}
        self.sites = dict(zip(network.states, state_a, strict=True)) | fields | network.biases | inputs_a
        self.state = step.new_state
        with np.errstate(all="ignore"):
            return self._state_moments() | self._field_moments(step) | self._rescale()

    def _random_signs(self) -> Array:
        """One sign for every unit and column, (N, tangents).

        chi1 speaks of perturbations of random sign.  A column keeps a part of order 1/sqrt(N) along the state itself,
        an amplitude perturbation, which may grow faster and would take over in the end; weights are redrawn each
        step, so that drawing the signs anew changes nothing else.
        """
        return self._signs.choice((-1.0, 1.0), size=self.tangent.shape[1:])

    def _state_moments(self) -> dict[str, float]:
        moments = {}
        for name, row in zip(self.network.states, self.state, strict=True):
            moments[f"Q[{name}]"] = float(np.mean(row**2))
            moments[f"C_star[{name}]"] = float(np.mean(row[:, 0] * row[:, 1]))
        return moments

    def _field_moments(self, step: Step) -> dict[str, float]:
        operands = {name: v[:, 0] for name, v in step.operands.items()}
        q = {f"q[{name}]": variance for name, variance in field_variances(self.network, operands).items()}
        ddof = 1 if self.network.N > 1 else 0
        return q | {f"q_total[{name}]": float(np.var(x[:, 0], ddof=ddof)) for name, x in step.arguments.items()}

    def _rescale(self) -> dict[str, float]:
        """Log growth of the mean square, and each state's share of it; columns get unit length."""
        squares = np.sum(self.tangent**2, axis=1)
        self.carriers.append(_carriers(self.tangent, squares))
        total = np.sum(squares, axis=0)
        growth = np.mean(total)
        shares = np.mean(squares, axis=1) / growth
        # A column of zeros (nothing was passed on) stays one: the growth is then 0 from here on.
        self.tangent = self.tangent / np.sqrt(np.where(total > 0, total, 1.0))
        names = self.network.states
        values = {"log growth": float(np.log(growth))}
        return values | {f"share[{name}]": float(part) for name, part in zip(names, shares, strict=True)}


def _carriers(tangent: Array, squares: Array) -> float:
    """Smallest share, over states that are perturbed at all, of units that carry a tangent (S, N, tangents)."""
    with np.errstate(all="ignore"):
        shares = squares**2 / (tangent.shape[1] * np.sum(tangent**4, axis=1))
    shares = shares[np.isfinite(shares) & (shares > 0)]
    return float(shares.min()) if shares.size else 1.0


def has_settled(history: list[dict[str, float]], start: Mapping[str, float]) -> bool:
    """The burn-in rule of `measure_untied`, on the quantities of all steps so far."""
    names = [name for name in history[0] if name != "log growth" and not name.startswith("q_total")]
    floor = NEGLIGIBLE * max(1.0, max(abs(value) for value in start.values()))
    return all(_steady(np.array([step[name] for step in history]), floor) for name in names)


def _steady(series: Array, floor: float) -> bool:
    quarter = len(series) // 4
    third, last = series[-2 * quarter : -quarter], series[-quarter:]
    drift = abs(last.mean() - third.mean())
    error = np.hypot(batch_errors(third, 8), batch_errors(last, 8))
    size = max(abs(third.mean()), abs(last.mean()))
    return bool(drift <= max(RELATIVE_DRIFT * size, DRIFT_IN_ERRORS * error, floor))


def _averages(measured: list[dict[str, float]]) -> dict[str, float]:
    names = [name for name in measured[0] if name != "log growth" and not name.startswith("share")]
    values = {name: float(np.mean([step[name] for step in measured])) for name in names}
    with np.errstate(all="ignore"):
        logs = np.array([step["log growth"] for step in measured])
        values["chi1"] = float(np.mean(np.exp(logs)))
        values["chi1_typical"] = float(np.exp(np.mean(logs)))
    return values


def _unsettled(burn_in: int) -> str:
    return (
        f"still drifting after {burn_in} steps: (a) relaxation is slow, as near a critical point - raise max_burn_in;"
        " (b) the state decays or grows without end"
    )
