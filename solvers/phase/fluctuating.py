"""Whether there is a state that fluctuates in time at all: the first and cheapest part of the stationary mean field.

An onset is looked for with this alone; exponents and errors belong to the points that represent a region.
"""

from __future__ import annotations

from collections.abc import Mapping

from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.meanfield.filters import NotLinear, filter_site
from derive.meanfield.stationary import check_inputs
from derive.site import site_form
from solvers.dynamics import dynamics
from solvers.dynamics.sampled_model import SampledModel
from solvers.dynamics.sampled_solve import AMPLITUDES, Diverges, Vanishes, explore
from solvers.dynamics.search import at_zeros


def fluctuates(cell: Cell, parameters: Mapping[str, object], seed: int) -> bool:
    """Whether activity that starts large settles in a state that fluctuates for ever.

    Raises
    ------
    AnsatzError : there is no stationary mean field of this cell.
    """
    settings = resolve(cell, parameters)
    site = site_form(cell)
    check_inputs(site)
    special = at_zeros(site, settings)
    try:
        filter_site(special)
    except NotLinear:
        try:
            explore(SampledModel(special, settings), AMPLITUDES[0], seed)
        except (Vanishes, Diverges):
            return False
        return True
    return any(state.dt is not None for state in dynamics(cell, parameters, seed=seed, fixed_points=False).solutions)
