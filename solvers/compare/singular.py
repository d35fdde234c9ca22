"""Rows of singular values: m1, m2 and quantiles of the Jacobians of finite networks.

A network's singular values scatter with its units, whose sample moments are not those of their law.  What its own
units predict is known without any field theory: m1, m2 and the share of singular values below s, of the site measure
of just these units.  So every network is measured against its own units: m1 minus what they predict plus what the
theory says, and the quantile at the level that they give to the theory's quantile.  Nothing is left of the
scatter but that of the random matrices; that the units have the right law is what the rows of q and Q test.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from derive.cell.parameters import Settings
from derive.errors import AnsatzError
from solvers.averages import Estimate
from solvers.measure import SiteMeasure, UnitColumns
from solvers.result import CONVERGED
from solvers.simulate import singular_values
from solvers.simulate.elementwise import Array
from solvers.singular.one_step import moments, site_measures
from solvers.singular.quantiles import ACCURATE, law_quantiles
from solvers.solution import Solution, Solved
from solvers.spectrum.singular_law import SingularLaw
from solvers.spectrum.singular_memory import PencilMemory
from solvers.threads import one_thread

LEVELS = (0.25, 0.5, 0.75)
TOLERANCE = 1e-9
SCANNED = 256
"""Units with which quantiles are sought; the same ones as everywhere say where they are."""

ASIDE, JUMP = 1e-3, 0.02
"""Where more than this share of the singular values lies so close to a quantile, it is an atom."""


class SingularRows:
    """What the theory says of one solution, and how a network is measured against it.

    present : whether there are rows; notes : why there are none, or not of every quantile.
    Raises BudgetSpent.
    """

    @one_thread
    def __init__(self, solved: Solved, solution: Solution, settings: Settings) -> None:
        self.present, self.notes = False, []
        self._moments: dict[str, Estimate] = {}
        self._quantiles: dict[float, Estimate] = {}
        self._memory = PencilMemory()
        try:
            measures, _ = site_measures(solved, solution, settings)
            m1, m2, _ = moments(solved, solution, measures, TOLERANCE)
        except AnsatzError as reason:
            self.notes.append(f"singular values have no rows: {reason}")
            return
        law = law_quantiles(measures, self._law, LEVELS, SCANNED)
        if law.verdict != CONVERGED:
            self.notes.append(f"singular values have no rows: {law.verdict}")
            return
        self.present = True
        self._moments = {"m1": m1, "m2": m2}
        self._size = float(np.sqrt(m1.value))
        for level, item in law.by_level.items():
            if item.error > ACCURATE * max(self._size, item.value):
                self.notes.append(
                    f"singular[{level:g}] has no row: hardly any singular value lies near there, so that the level is"
                    f" passed somewhere within {item.error:.2g} of {item.value:.4g}; the other quantiles have theirs"
                )
                continue
            self._quantiles[level] = item
        self._columns = UnitColumns(solved.theory.site, settings)

    def _law(self, measure: SiteMeasure) -> SingularLaw:
        return SingularLaw(measure, self._memory)

    def measure(self, jacobian: Array, units: Mapping[str, Array]) -> dict[str, float]:
        """Quantities of one network by name.

        jacobian : (S*N, S*N); units : (N,) columns by name of every state, field, bias and input.
        """
        if not self.present:
            return {}
        own = self._law(self._columns.measure(units))
        values = singular_values(jacobian)
        rows = self._against(own, float(np.mean(values**2)), float(np.mean(values**4)))
        if own.point:
            return rows
        levels = [level for level, item in self._quantiles.items() if item.value > 0.0]
        for level in levels:
            share = self._share(own, self._quantiles[level].value, level)
            rows[f"singular[{level:g}]"] = float(np.quantile(values, share)) if 0.0 < share < 1.0 else np.nan
        return rows

    @staticmethod
    def _share(own: SingularLaw, quantile: float, level: float) -> float:
        """What the units of a network say lies below the theory's quantile; the level itself at an atom."""
        below, here, above = own.share_below(quantile * np.array([1.0 - ASIDE, 1.0, 1.0 + ASIDE]))
        return float(here) if above - below < JUMP else level  # also where one is not known

    def moments(self, jacobian: Array, units: Mapping[str, Array]) -> dict[str, float]:
        """m1 and m2 alone, which need no decomposition; arguments as of `measure`."""
        if not self.present:
            return {}
        own = self._law(self._columns.measure(units))
        m1 = float(np.sum(jacobian**2)) / len(jacobian)
        return self._against(own, m1, float(np.sum((jacobian @ jacobian.T) ** 2)) / len(jacobian))

    def _against(self, own: SingularLaw, m1: float, m2: float) -> dict[str, float]:
        """m1 and m2 of a network, with the scatter of its own units taken off."""
        first, second = self._moments["m1"].value, self._moments["m2"].value
        return {"m1": m1 - own.m1 + first, "m2": m2 - own.m2 + second}

    def theory(self, name: str) -> tuple[float, float, float] | None:
        """Number, error, and the scale to which 2 % refer; None for other names."""
        if name in self._moments:
            item = self._moments[name]
            return item.value, item.error, abs(item.value) or 1.0
        if name.startswith("singular["):
            item = self._quantiles[float(name[len("singular[") : -1])]
            return item.value, item.error, self._size
        return None
