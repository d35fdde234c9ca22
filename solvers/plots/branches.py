"""Static solutions against a parameter: second moment of the first state, and the number of fixed points."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from solvers.branches.static import StaticBranches
from solvers.plots.spectrum import BLUE, GREY, HERE, STYLE, VERMILION, save


def branches_figure(path: Path, found: StaticBranches, here: float | None = None) -> None:
    """Solid where a solution is stable, dashed where not; dotted lines are folds.

    here : a value of the parameter to mark.
    """
    state = found.cell.states[0]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 6.0), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        for branch in found.branches:
            level = np.array([point.Q[state] for point in branch.points])
            stable = np.array([bool(point.stable) for point in branch.points])
            colour = GREY if branch.state == "zero" else BLUE
            upper.plot(branch.values, level, "--", color=colour, linewidth=1.4)
            upper.plot(branch.values, np.where(stable, level, np.nan), "-", color=colour, linewidth=2.4)
        for k, fold in enumerate(found.folds):
            upper.axvline(fold.value, color=VERMILION, linestyle=":", label="fold" if k == 0 else None)
        if here is not None:
            upper.plot(here, 0.0, clip_on=False, **HERE)
        if found.folds or here is not None:
            upper.legend(frameon=False, fontsize=9)
        upper.set_ylabel(f"Q[{state}]")
        upper.set_title(f"{found.cell.name}: static solutions (solid: stable)", fontsize=11)
        lower.plot(found.grid, [value for value, _ in found.complexity], color=BLUE, linewidth=1.8)
        lower.set_ylabel("complexity")
        lower.set_xlabel(found.name)
        save(figure, path)
