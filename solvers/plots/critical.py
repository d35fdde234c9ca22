"""Figures of criticality: the criterion along branches, or critical curves coloured by their distance from isometry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from solvers.critical import Critical
from solvers.plots.spectrum import BLUE, GREY, HERE, STYLE, VERMILION, save

LABELS = {"chi1": "χ₁", "spectral_radius": "gain at the unit circle", "spectral_abscissa": "gain at the imaginary axis"}


def critical_figure(path: Path, found: Critical, here: Sequence[float] | None = None) -> None:
    """One panel: branches and critical points of one free parameter, or the curves of two.

    here : values of the free parameters to mark.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.8), layout="constrained")
        panel = figure.subplots()
        names = list(found.ranges)
        if len(names) == 1:
            _branches(panel, found, names[0], here)
        else:
            _curves(figure, panel, found, names, here)
        what = {"chi1": "χ₁ = 1", "spectral_radius": "spectral radius 1", "spectral_abscissa": "spectral abscissa 0"}
        panel.set_title(f"{found.theory.site.cell.name}: {what[found.criterion]}", fontsize=11)
        save(figure, path)


def _branches(panel: Axes, found: Critical, name: str, here: Sequence[float] | None) -> None:
    """Criterion against parameter: solid where the moments are drawn to the branch, dotted where not."""
    log = found.criterion != "chi1"
    for branch in found.branches:
        level = np.exp(branch.excess) if log else 1.0 + branch.excess
        shown = "zero state" if branch.state == "zero" else f"branch {branch.number}"
        colour = GREY if branch.state == "zero" else BLUE
        for attracting, style in ((True, "-"), (False, ":")):
            line = np.where(branch.attracting == attracting, level, np.nan)
            if np.isfinite(line).any():
                text = shown if attracting else f"{shown}, repelling"
                panel.plot(branch.free, line, style, color=colour, linewidth=1.8, label=text)
    panel.axhline(1.0, color=GREY, linestyle="--", linewidth=1.0)
    for k, point in enumerate(found.points):
        panel.plot(point.free[name], 1.0, "D", color=VERMILION, markersize=8, label="critical" if k == 0 else None)
    for turn in found.turns:
        level = np.exp(turn.excess) if log else 1.0 + turn.excess
        panel.plot(turn.parameter, level, "s", markerfacecolor="none", color=BLUE, markersize=8, label="fold")
    if here is not None:
        panel.plot(here[0], 0.0, clip_on=False, **HERE)
    panel.set_xlabel(name)
    panel.set_ylabel(LABELS[found.criterion])
    highest = max((float(np.nanmax(np.exp(b.excess) if log else 1.0 + b.excess)) for b in found.branches), default=2.0)
    panel.set_ylim(0.0, min(1.05 * max(highest, 1.2), 4.0))
    panel.legend(frameon=False, fontsize=9)


def _curves(figure: Figure, panel: Axes, found: Critical, names: list[str], here: Sequence[float] | None) -> None:
    """The curves in the plane of the two parameters; colour is the isometry variance on a logarithmic scale."""
    variance = np.array([point["isometry_variance"] for point in found.points])
    known = variance[np.isfinite(variance) & (variance > 0)]
    low, high = (known.min(), known.max()) if known.size else (1.0, 2.0)
    margin = 0.05 * low if high < 1.02 * low else 0.0  # so that the bar of a constant has ticks that differ
    scale = LogNorm(low, high) if high > 3 * low else Normalize(low - margin, high + margin)
    for curve in found.curves:
        own = found.points[curve.first : curve.last]
        x, y = (np.array([point.free[name] for point in own]) for name in names)
        if curve.closed:
            x, y = np.append(x, x[0]), np.append(y, y[0])
        panel.plot(x, y, "-", color=GREY, linewidth=1.0, zorder=1)
    if found.points:
        x, y = (np.array([point.free[name] for point in found.points]) for name in names)
        dots = panel.scatter(x, y, c=variance, cmap="viridis", norm=scale, s=34, zorder=2, plotnonfinite=True)
        bar = figure.colorbar(dots, ax=panel, label="isometry variance  m₂/m₁² − 1", format="%.3g")
        bar.ax.yaxis.set_minor_formatter("{x:.3g}")
    if found.best is not None:
        best = found.points[found.best]
        panel.plot(best.free[names[0]], best.free[names[1]], "D", markerfacecolor="none", markeredgecolor=VERMILION,
                   markersize=12, markeredgewidth=2.0, label="nearest to isometry", zorder=3)  # fmt: skip
    if here is not None:
        panel.plot(*here, **HERE)
    if not found.points:
        panel.set_xlim(found.ranges[names[0]])
        panel.set_ylim(found.ranges[names[1]])
        panel.text(0.5, 0.5, "no critical point in this range", transform=panel.transAxes, ha="center")
    if found.best is not None or here is not None:
        panel.legend(frameon=False, fontsize=9)
    panel.set_xlabel(names[0])
    panel.set_ylabel(names[1])
    panel.margins(0.06)
