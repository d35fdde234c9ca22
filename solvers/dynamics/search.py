"""From a cell and parameters to all stationary states that its dynamics settles in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy as sp

from derive.cell.parameters import Settings, resolve
from derive.cell.spec import Cell
from derive.errors import AnsatzError
from derive.meanfield.filters import NotLinear, filter_site
from derive.meanfield.stationary import check_inputs
from derive.site import SiteForm, site_form
from solvers.budget import BudgetSpent, check_budget
from solvers.dynamics.filter_model import FilterModel
from solvers.dynamics.filter_solve import time_dependent_states
from solvers.dynamics.fixed_points import stable_fixed_points
from solvers.dynamics.potential import compared
from solvers.dynamics.result import Dynamics, StationaryState
from solvers.dynamics.sampled_model import SampledModel
from solvers.dynamics.sampled_states import sampled_states

EXACT_TOL, SAMPLED_TOL = 1e-8, 1e-2

NO_PRODUCTS = (
    "the cell has no matrix product: units know nothing of each other, and no mean field connects them; fixed points "
    "alone were looked for"
)


def dynamics(
    cell: Cell, parameters: Mapping[str, object] | None = None, *, tol: float | None = None, seed: int = 0,
    fixed_points: bool = True,
) -> Dynamics:  # fmt: skip
    """Stationary states: stable fixed points, and states that fluctuate for ever, with errors and verdicts.

    parameters : by name, defaults for the others; tol : relative accuracy asked of q and Q (unless given, 1e-8 where no
    sampling is needed, 1e-2 where it is); seed : of sampled paths; fixed_points : also look for stable ones.

    Raises
    ------
    ParameterError : a parameter is unknown, missing or out of range.
    AnsatzError : iid input in continuous time, or orthogonal weights.
    """
    settings = resolve(cell, parameters)
    site = site_form(cell)
    check_inputs(site)
    _refuse_orthogonal(settings)
    found: list[StationaryState] = []
    notes: list[str] = []
    complete = True
    try:
        found, notes = _moving(site, settings, tol, seed)
        if fixed_points:
            fixed, remarks = stable_fixed_points(cell, site, parameters, settings)
            found, notes = found + fixed, notes + remarks
        check_budget()
    except BudgetSpent as spent:
        notes.append(f"{spent}: what was found by then is here; raise --budget for the rest")
        complete = False
    if not found and complete and fixed_points:
        notes.append(
            "no stationary state was found: the network diverges, oscillates for ever, units rest in several states, "
            "or it sits at an onset where activity is too small and too slow to be resolved"
        )
    first = str(site.states[0])
    found.sort(key=lambda state: state.Q[first])
    return Dynamics(cell.name, settings.parameters, tuple(found), tuple(dict.fromkeys(notes)), complete, cell.time)


def _moving(
    site: SiteForm, settings: Settings, tol: float | None, seed: int
) -> tuple[list[StationaryState], list[str]]:
    """States that depend on time, by the method that the site form allows."""
    special = at_zeros(site, settings)
    if not site.fields:
        return [], [NO_PRODUCTS]
    try:
        form = filter_site(special)
    except NotLinear:
        return sampled_states(SampledModel(special, settings), SAMPLED_TOL if tol is None else tol, seed)
    model = FilterModel(special, form, settings)
    if model.slowest >= 0:
        return [], ["a linear part of the states does not decay by itself, so that no stationary state is known"]
    found, notes = time_dependent_states(model, EXACT_TOL if tol is None else tol)
    return [compared(state, special, settings) for state in found], notes


def at_zeros(site: SiteForm, settings: Settings) -> SiteForm:
    """The site form with parameters that are zero, and fields whose gain is zero, put in: often a simpler one."""
    zeros: dict[sp.Basic, sp.Expr] = {
        symbol: sp.S.Zero for name, symbol in site.parameters.items() if settings.parameters[name] == 0.0
    }
    zeros |= {item.symbol: sp.S.Zero for item in site.fields if settings.gains[item.weight] == 0.0}
    fields = tuple(replace(item, v=item.v.xreplace(zeros)) for item in site.fields)
    return replace(site, F=tuple(f.xreplace(zeros) for f in site.F), fields=fields)


def _refuse_orthogonal(settings: Settings) -> None:
    names = [name for name, ensemble in settings.ensembles.items() if ensemble == "haar"]
    if names:
        raise AnsatzError(
            f"the stationary mean field is that of Gaussian weights; {', '.join(names)} are Haar-orthogonal. "
            'Make the ensemble "gaussian".'
        )
