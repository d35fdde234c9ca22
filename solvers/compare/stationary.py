"""Theory against networks with held weights: q, Q and covariances at several lags of every fluctuating state."""

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
from solvers.simulate.trajectory import TrajectoryMeasurement, measure_trajectories

LAGS = (1, 2, 4)
"""Compared lags, in units of half a correlation time."""

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
    spacing = float(max(1, round(0.5 * tau))) if cell.time == "discrete" else 0.5 * tau
    measured: dict[int, TrajectoryMeasurement] = {}
    notes = []
    for units, count in network_sizes(N, seeds):
        check_budget()
        if progress is not None:
            progress(f"{count} networks of {units} units")
        found = measure_trajectories(
            cell, settings, N=units, seeds=count, lags=max(LAGS), spacing=spacing, seed=seed + units,
            transient=max(_LEAST_TRANSIENT, 20.0 * tau), window=max(_LEAST_WINDOW, 60.0 * tau),
            scale=float(np.sqrt(max(state.Q.values()))),
        )  # fmt: skip
        left = sum(not _moves(found, k) for k in range(count))
        if left:
            notes.append(f"N = {units}: {left} of {count} networks came to rest, diverged or did not settle")
        measured[units] = found
    return [_row(number, state, measured, *item) for item in _quantities(state, spacing)], notes


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
