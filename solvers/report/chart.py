"""The map of a report: regimes over two parameters, or branches over one; criticality where weights are redrawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from derive.errors import GatefieldError
from derive.theory import Theory
from solvers.branches.static import StaticBranches, fixed_points
from solvers.budget import BudgetSpent, budget, check_budget
from solvers.critical import Critical, critical
from solvers.phase import PhaseDiagram, phase
from solvers.phase.search import Range
from solvers.result import CONVERGED
from solvers.tables.critical import critical_text
from solvers.tables.fixed_points import fixed_points_text
from solvers.tables.phase import phase_text

Found = Union[PhaseDiagram, StaticBranches, Critical]
UNFINISHED = "not converged: stopped before everything was looked at"


class NoChart(GatefieldError):  # noqa: N818 - a page without a map is an outcome, not an error
    """There is no map; the message says why."""


@dataclass(frozen=True)
class Chart:
    """axes : (name, low, high, count); here : the point of the report on them; found : what was computed; moving :
    whether states that fluctuate were looked for."""

    axes: tuple[Range, ...]
    here: tuple[float, ...]
    found: Found
    moving: bool = False

    @property
    def title(self) -> str:
        """What the map shows."""
        names = " and ".join(axis[0] for axis in self.axes)
        if isinstance(self.found, PhaseDiagram):
            return f"Regimes over {names}"
        return f"Static solutions over {names}" if isinstance(self.found, StaticBranches) else f"Criticality in {names}"

    @property
    def verdict(self) -> str:
        """ "converged", or what is in doubt."""
        if isinstance(self.found, Critical):
            doubts = [point.verdict for point in self.found.points if not point.converged]
            return UNFINISHED if not self.found.complete else doubts[0] if doubts else CONVERGED
        return self.found.verdict

    def as_dict(self) -> dict[str, Any]:
        """The object that the command of this map prints with ``--json``."""
        return self.found.as_dict()

    def text(self) -> str:
        """What the command of this map prints."""
        if isinstance(self.found, PhaseDiagram):
            return phase_text(self.as_dict())
        return (fixed_points_text if isinstance(self.found, StaticBranches) else critical_text)(self.as_dict())

    def command(self) -> list[str]:
        """The subcommand of this map and its options; its parameters are those of `others`."""
        ranges = [f"{name}={low:.12g}:{high:.12g}:{count}" for name, low, high, count in self.axes]
        if isinstance(self.found, PhaseDiagram):
            return ["phase", "--x", ranges[0], "--y", ranges[1], *([] if self.moving else ["--static"])]
        if isinstance(self.found, StaticBranches):
            return ["fixed-points", "--over", ranges[0]]
        pairs = zip(("--free", "--and"), self.axes, strict=False)
        free = [word for option, axis in pairs for word in (option, axis[0])]
        return ["critical", *free, *(f"--range={low:.12g}:{high:.12g}" for _, low, high, _ in self.axes)]

    def draw(self, path: Path) -> None:
        """Write the figure.  Matplotlib must be installed."""
        from solvers.plots.branches import branches_figure  # optional dependency
        from solvers.plots.critical import critical_figure
        from solvers.plots.phase import phase_figure

        if isinstance(self.found, PhaseDiagram):
            phase_figure(path, self.found, here=(self.here[0], self.here[1]))
        elif isinstance(self.found, StaticBranches):
            branches_figure(path, self.found, here=self.here[0])
        else:
            critical_figure(path, self.found, here=self.here)


def chart_of(
    theory: Theory, parameters: Mapping[str, float], axes: list[Range], *, seconds: float, moving: bool, seed: int
) -> Chart:
    """The map over one or two axes, with the other parameters as given.

    seconds : what it may take; what is found by then may be a map in part.

    Raises
    ------
    NoChart : there are no axes, the theory has no such map, or the time is over before there is anything to show.
    BudgetSpent : the budget around this one is spent.
    """
    if not axes:
        raise NoChart("the cell has no parameter that a map could go over")
    others = {name: value for name, value in parameters.items() if name not in {axis[0] for axis in axes}}
    found: Found | None
    try:
        with budget(seconds):
            found = _found(theory, axes, others, moving, seed)
    except BudgetSpent:
        found = None
    except GatefieldError as reason:
        raise NoChart(str(reason)) from None
    check_budget()
    if found is None or (not found.complete and _is_empty(found)):
        raise NoChart(f"nothing was found in the {seconds:g} s that it may take")
    here = tuple(parameters[axis[0]] for axis in axes)
    return Chart(tuple(axes), here, found, moving and isinstance(found, PhaseDiagram))


def _is_empty(found: Found) -> bool:
    if isinstance(found, PhaseDiagram):
        return not (found.curves or found.probes)
    if isinstance(found, StaticBranches):
        return not found.branches
    return not (found.points or found.branches or found.curves)


def _found(theory: Theory, axes: list[Range], others: Mapping[str, float], moving: bool, seed: int) -> Found:
    cell = theory.site.cell
    if theory.ansatz == "untied":
        ranges = {name: (low, high) for name, low, high, _ in axes}
        return critical(theory, list(ranges), others, ranges=ranges, seed=seed)
    if len(axes) == 1:
        return fixed_points(cell, axes[0], others)
    return phase(cell, axes[0], axes[1], others, moving=moving, seed=seed)
