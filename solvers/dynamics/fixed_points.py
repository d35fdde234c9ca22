"""Stable fixed points as stationary states: constant covariances, exponents from the spectrum of the Jacobian."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from derive.errors import GatefieldError
from derive.site import SiteForm
from solvers.budget import BudgetSpent, budget, check_budget
from solvers.dynamics.result import StationaryState
from solvers.solution import Solution
from solvers.solve import DEFAULT_TOL, solve

METHOD = "static mean field"
MOST_SECONDS = 60.0
MARGINAL_POINT = (
    "a fixed point is marginally stable, and not listed: small perturbations of it neither grow nor decay, see "
    "`gatefield solve`"
)
UNFINISHED = "stable fixed points may be missing: their search was stopped; `gatefield solve` takes the time it needs"


def stable_fixed_points(
    cell: Cell, site: SiteForm, parameters: Mapping[str, object] | None, settings: Settings
) -> tuple[list[StationaryState], list[str]]:
    """Every stable static solution, and notes on what kept others from being found."""
    if any(given.moves for given in settings.inputs.values()):
        return [], []
    try:
        with budget(MOST_SECONDS):
            solved = solve(cell, parameters, ansatz="static", tol=DEFAULT_TOL)
    except BudgetSpent:
        check_budget()
        return [], [UNFINISHED]
    except GatefieldError as reason:
        return [], [f"fixed points were not looked for: {reason}"]
    found = [_state(solution, site) for solution in solved.solutions if solution.stable]
    notes = [MARGINAL_POINT] if any(solution.marginal for solution in solved.solutions) else []
    return found, notes if solved.complete else [*notes, UNFINISHED]


def _state(solution: Solution, site: SiteForm) -> StationaryState:
    exponent, error = _exponent(solution, site.discrete)
    q = {item.name: float(solution.numbers["q"][item.name]) for item in site.fields}
    Q = {str(s): float(solution.numbers["Q"][str(s)]) for s in site.states}
    errors = {
        "q": {name: float(solution.errors["q"][name]) for name in q},
        "Q": {name: float(solution.errors["Q"][name]) for name in Q},
        "C": {name: float(solution.errors["q"][name]) for name in q},
        "correlation_time": None,
        "lyapunov_max": error,
    }
    return StationaryState(
        q=q, Q=Q, lags=np.zeros(1),
        C={name: np.array([value]) for name, value in q.items()},
        autocorrelation={name: np.array([value]) for name, value in Q.items()},
        dt=None, correlation_time=None, lyapunov_max=exponent, method=METHOD, error=errors, verdict=solution.verdict,
        notes=solution.notes,
    )  # fmt: skip


def _exponent(solution: Solution, discrete: bool) -> tuple[float | None, float | None]:
    """Largest growth rate of support, outliers and atoms."""
    numbers, errors = solution.numbers, solution.errors
    isolated = [complex(*z) for z in numbers.get("outliers", ())]
    isolated += [complex(*atom["value"]) for atom in numbers.get("atoms", ()) if "value" in atom]
    isolated += [complex(end) for atom in numbers.get("atoms", ()) for end in atom.get("range", ())]
    edge = numbers.get("spectral_radius" if discrete else "spectral_abscissa")
    error = errors.get("spectral_radius" if discrete else "spectral_abscissa")
    sizes = [abs(z) if discrete else z.real for z in isolated]
    sizes += [float(edge)] if edge is not None and math.isfinite(edge) else []
    if not sizes:
        return None, None
    largest = max(sizes)
    if not discrete:
        return largest, error
    return (math.log(largest), (error or 0.0) / largest) if largest > 0 else (None, None)
