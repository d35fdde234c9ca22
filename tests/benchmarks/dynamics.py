"""The stationary mean field against simulated networks, as ratios measured in one run.

python tests/benchmarks/dynamics.py           a quick size: 4 networks of N = 500
python tests/benchmarks/dynamics.py --full    20 networks of N = 2000

For a flow and for a map: seconds for the theory (without sampling, where the cell allows that; sampled to 1 %) and for
networks whose q is known to 1 % over networks and time, or the error that their window reaches.  Every line gives q and
its relative error, so that speed is compared at a known accuracy.  The theory's time includes everything that it
reports: covariances at all lags, step and window errors, and the largest Lyapunov exponent.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from dataclasses import dataclass

from derive import load
from derive.cell import resolve
from derive.cell.spec import Cell
from derive.meanfield.filters import filter_site
from derive.site import site_form
from solvers.dynamics.filter_model import FilterModel
from solvers.dynamics.filter_solve import time_dependent_states
from solvers.dynamics.result import StationaryState
from solvers.dynamics.sampled_model import SampledModel
from solvers.dynamics.sampled_states import sampled_states
from solvers.dynamics.search import EXACT_TOL, at_zeros
from solvers.simulate.trajectory import measure_trajectories

ACCURACY = 1e-2
FLOW, MAP = ("rate", "J", {"g": 2.0}), ("vanilla", "W_h", {"sigma_w": 2.0})
LEAST_WINDOW, MOST_WINDOW = 100.0, 1600.0


@dataclass(frozen=True)
class Timed:
    """seconds for q with a relative error."""

    seconds: float
    q: float
    error: float


def exact(cell: Cell, field: str, given: dict[str, float]) -> Timed:
    """Without sampling."""
    started = time.perf_counter()
    settings, site = resolve(cell, given), site_form(cell)
    states, _ = time_dependent_states(FilterModel(site, filter_site(at_zeros(site, settings)), settings), EXACT_TOL)
    return _timed(started, states, field)


def sampled(cell: Cell, field: str, given: dict[str, float]) -> Timed:
    """By Gaussian paths, to 1 %, as for cells whose states are no linear filters."""
    started = time.perf_counter()
    settings = resolve(cell, given)
    states, _ = sampled_states(SampledModel(at_zeros(site_form(cell), settings), settings), ACCURACY, 0)
    return _timed(started, states, field)


def _timed(started: float, states: list[StationaryState], field: str) -> Timed:
    seconds = time.perf_counter() - started
    state = max(states, key=lambda found: found.q[field])
    return Timed(seconds, state.q[field], state.error["q"][field] / state.q[field])


def simulated(cell: Cell, field: str, given: dict[str, float], N: int, networks: int) -> Timed:
    """Networks with a window that is doubled until q has the same accuracy."""
    settings, window, started = resolve(cell, given), LEAST_WINDOW, time.perf_counter()
    while True:
        begun = time.perf_counter()
        row = measure_trajectories(cell, settings, N=N, seeds=networks, lags=1, window=window, transient=100.0)[
            f"q[{field}]"
        ]
        error = row.standard_error / row.mean
        if error <= ACCURACY or 2 * window > MOST_WINDOW:
            # Only the last window counts: a user who knew it would have begun with it.
            return Timed(time.perf_counter() - begun, row.mean, error)
        print(f"    window {window:g}: error {error:.1e}, {time.perf_counter() - started:.0f} s so far", flush=True)
        window *= 2


def compare(case: tuple[str, str, dict[str, float]], N: int, networks: int) -> None:
    """One cell, three ways."""
    name, field, given = case
    cell = load(name)
    print(f"{name} {given}: q[{field}]")
    theory = {"mean field, no sampling": exact(cell, field, given), "mean field, sampled": sampled(cell, field, given)}
    nets = simulated(cell, field, given, N, networks)
    for label, found in {**theory, f"{networks} networks of N = {N}": nets}.items():
        print(f"  {label:28s} {found.seconds:9.2f} s   q = {found.q:.5f}, relative error {found.error:.1e}")
    for label, found in theory.items():
        print(f"  networks took {nets.seconds / found.seconds:.1f} times as long as the {label}")


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="20 networks of N = 2000")
    full = parser.parse_args().full
    for case in (FLOW, MAP):
        compare(case, 2000 if full else 500, 20 if full else 4)


if __name__ == "__main__":
    main()
