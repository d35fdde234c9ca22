"""Theory against networks with held weights, for every fluctuating state: q, Q, covariances at several lags, the
correlation time and the largest Lyapunov exponent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from derive.cell.parameters import Settings, resolve
from derive.cell.spec import Cell
from solvers.budget import BudgetSpent, check_budget
from solvers.compare.check import Comparison
from solvers.compare.static import Progress
from solvers.compare.verdict import INCONCLUSIVE, ComparisonRow, Sizes, compare_row, judge, network_sizes, overall
from solvers.dynamics import StationaryState, dynamics
from solvers.simulate.elementwise import Array
from solvers.simulate.lyapunov import measure_lyapunov
from solvers.simulate.trajectory import TrajectoryMeasurement, measure_trajectories

LAGS = (1, 2, 4)
"""Compared lags, in units of half a correlation time."""

PARTS, FARTHEST = 4, 4
"""Recorded lags to each of these units, and units over which the correlation time is summed, in theory and networks."""

EXPONENT_PRECISION, LONGEST = 0.03, 800.0
"""Standard error over time asked of a network's exponent, in units of the rate that its comparison refers to, and the
longest window: what is left scatters over networks."""

_LEAST_TRANSIENT, _LEAST_WINDOW = 200.0, 400.0


def check_stationary(
    cell: Cell,
    parameters: Mapping[str, object] | None = None,
    *,
    N: int = 1000,
    seeds: int = 8,
    seed: int = 0,
    tol: float | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare every stationary state that fluctuates with networks of N, N/2 and N/4 units.

    Networks start from N(0, Q) of the state in question; those that come to rest or diverge are left out, and counted
    in the notes.  Fixed points are compared by the static ansatz.  tol : relative accuracy asked of the theory.

    Raises
    ------
    ParameterError, AnsatzError : as `dynamics` does.
    """
    settings = resolve(cell, parameters)
    if progress is not None:
        progress("solving the stationary mean field")
    theory = dynamics(cell, parameters, tol=tol, seed=seed)
    notes, rows, complete = list(theory.notes), [], theory.converged
    moving = [(number, state) for number, state in enumerate(theory.solutions) if state.dt is not None]
    if len(moving) < len(theory.solutions):
        notes.append("solutions that are fixed points are compared by --ansatz static")
    for number, state in moving:
        try:
            own, remarks = _rows(cell, settings, number, state, (N, seeds, seed), progress)
        except BudgetSpent as spent:
            notes.append(f"solution {number}: {spent}")
            complete = False
            break
        rows += own
        notes += remarks
    plan = ", ".join(f"{count} of {units}" for units, count in reversed(network_sizes(N, seeds)))
    notes.append(f"measured: the limit N -> infinity from networks of three sizes ({plan} units)")
    judged = judge(rows)
    verdict = overall(judged) if judged else INCONCLUSIVE
    if not complete and verdict == "agrees":
        verdict = INCONCLUSIVE
    return Comparison(
        cell.name, "stationary", settings.parameters, N, seeds, judged, verdict, tuple(dict.fromkeys(notes))
    )


def _rows(
    cell: Cell, settings: Settings, number: int, state: StationaryState, plan: tuple[int, int, int],
    progress: Progress | None,
) -> tuple[list[ComparisonRow], list[str]]:  # fmt: skip
    N, seeds, seed = plan
    tau = state.correlation_time or 1.0
    spacing, parts = _spacing(tau, discrete=cell.time == "discrete")
    measured: dict[int, TrajectoryMeasurement] = {}
    exponents: dict[int, Array] = {}
    notes = []
    size = float(np.sqrt(max(state.Q.values())))
    rate = _rate(state)
    for units, count in network_sizes(N, seeds):
        check_budget()
        if progress is not None:
            progress(f"{count} networks of {units} units")
        found = measure_trajectories(
            cell, settings, N=units, seeds=count, lags=FARTHEST * parts, spacing=spacing / parts, seed=seed + units,
            transient=max(_LEAST_TRANSIENT, 20.0 * tau), window=max(_LEAST_WINDOW, 60.0 * tau), scale=size,
        )  # fmt: skip
        left = sum(not _moves(found, k) for k in range(count))
        if left:
            notes.append(f"N = {units}: {left} of {count} networks came to rest, diverged or did not settle")
        measured[units] = found
        if rate is not None:
            if progress is not None:
                progress(f"exponents of {count} networks of {units} units")
            grown = measure_lyapunov(cell, settings, N=units, seeds=count, seed=seed + units, scale=size,
                                     precision=EXPONENT_PRECISION * rate, longest=LONGEST)  # fmt: skip
            usual = [sample.window > 0 and not sample.at_rest for sample in grown.samples]
            exponents[units] = np.where(usual, grown["lyapunov[1]"].measured, np.nan)
    rows = [_row(number, state, measured, *item) for item in _quantities(state, spacing)]
    rows += _time_row(number, state, measured, spacing / parts, FARTHEST * parts)
    if rate is not None and state.lyapunov_max is not None:
        error = float(state.error.get("lyapunov_max") or 0.0)
        rows.append(compare_row(number, Sizes("lyapunov_max", exponents), state.lyapunov_max, error, rate,
                                settled=state.converged))  # fmt: skip
    return rows, notes


def _spacing(tau: float, *, discrete: bool) -> tuple[float, int]:
    """Half a correlation time, in a whole number of steps of a map, and into how many lags it is parted."""
    if not discrete:
        return 0.5 * tau, PARTS
    steps = max(1, round(0.5 * tau))
    parts = min(PARTS, steps)
    return float(parts * max(1, round(steps / parts))), parts


def _rate(state: StationaryState) -> float | None:
    """What the precision of an exponent refers to: itself, or the inverse of the correlation time if that is larger."""
    if state.lyapunov_max is None or not np.isfinite(state.lyapunov_max):
        return None
    return max(abs(state.lyapunov_max), 1.0 / max(state.correlation_time or 1.0, 1.0))


def _time_row(
    number: int, state: StationaryState, measured: Mapping[int, TrajectoryMeasurement], step: float, count: int
) -> list[ComparisonRow]:
    """The correlation time of the slowest field, by one sum over the same lags in theory and in networks."""
    lags = step * np.arange(count + 1)
    sums = {name: _summed(np.interp(lags, state.lags, C), C[-1], step) for name, C in state.C.items() if C[0] > 0}
    known = {name: value for name, value in sums.items() if np.isfinite(value)}
    if not known or not state.correlation_time:
        return []
    name = max(known, key=known.__getitem__)
    theory = known[name]
    error = float(state.error.get("correlation_time") or 0.0) * abs(theory) / state.correlation_time
    values = {}
    for units, found in measured.items():
        table = [_summed(sample.fields[name], state.C[name][-1], step) if _moves(found, k) else np.nan
                 for k, sample in enumerate(found.samples)]  # fmt: skip
        values[units] = np.array(table)
    scale = max(abs(theory), step)  # a map has no shorter time than its step
    quantity = f"correlation_time[{name}]"
    return [compare_row(number, Sizes(quantity, values), theory, error, scale, settled=state.converged)]


def _summed(C: Array, plateau: float, step: float) -> float:
    """Integral of (C - plateau) / (C_0 - plateau) by the trapezoidal rule; nan where nothing decays.

    plateau : the theory's, also for networks: far lags of these are noise.
    """
    connected = C - plateau
    if not connected[0] > 1e-9 * abs(C[0]):
        return float("nan")
    return float(step * (connected.sum() - 0.5 * (connected[0] + connected[-1])) / connected[0])


def _moves(found: TrajectoryMeasurement, network: int) -> bool:
    return found.settled[network] and not found.samples[network].at_rest


def _quantities(state: StationaryState, spacing: float) -> list[tuple[str, float, float, float]]:
    """Name, theory, its error, and the scale that its precision refers to."""
    found = [
        (f"{kind}[{name}]", value, state.error[kind][name], value)
        for kind, table in (("q", state.q), ("Q", state.Q))
        for name, value in table.items()
        if value > 0
    ]
    for name, curve in state.C.items():
        for lag in LAGS:
            if curve[0] > 0 and lag * spacing <= state.lags[-1]:
                value = float(np.interp(lag * spacing, state.lags, curve))
                found.append((f"C[{name}]({lag * spacing:g})", value, state.error["C"][name], float(curve[0])))
    return found


def _row(
    number: int, state: StationaryState, measured: Mapping[int, TrajectoryMeasurement], quantity: str, theory: float,
    error: float, scale: float,
) -> ComparisonRow:  # fmt: skip
    values = {}
    for units, found in measured.items():
        kept = [_moves(found, k) for k in range(found.seeds)]
        table = next((row.measured for row in found.rows if row.quantity == quantity), np.full(found.seeds, np.nan))
        values[units] = np.where(kept, table, np.nan)
    return compare_row(number, Sizes(quantity, values), theory, error, scale, settled=state.converged)
