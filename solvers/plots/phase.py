"""A phase diagram: regimes as areas, with the curves between them on top."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from solvers.phase.boundaries import Boundary
from solvers.phase.diagram import PhaseDiagram
from solvers.phase.regimes import NAMES
from solvers.plots.spectrum import HERE, STYLE, save

AREAS = ("#FFFFFF", "#DCEBF5", "#8FC3E4", "#4A90BF", "#F3E9A6", "#E39A6B", "#C9A0C6", "#BDBDBD", "#555555")
"""In the order of `NAMES`: they differ in lightness as well as in hue, so that they are told apart in grey."""

LINES = {
    "zero state loses stability": ("#000000", "-"),
    "a non-zero solution changes stability": ("#0072B2", "-"),
    "fold of non-zero solutions": ("#D55E00", "--"),
    "non-zero solutions leave the zero state": ("#009E73", "-."),
}
INFERRED = ("#7A2A7A", ":")
MARKS = {"tricritical": "D", "cusp": "^"}
HATCHED = {0: "////", 8: "xxxx"}


def phase_figure(path: Path, found: PhaseDiagram, here: tuple[float, float] | None = None) -> None:
    """Regimes of the grid in colour, curves, points at which curves meet, and the probes as small crosses.

    here : a point (x, y) to mark.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 6.4), layout="constrained")
        panel = figure.subplots()
        handles = [*_areas(panel, found), *_curves(panel, found), *_points(panel, found)]
        x, y = ([p.x for p in found.probes], [p.y for p in found.probes])
        panel.plot(x, y, "+", color="#333333", markersize=5, markeredgewidth=0.8)
        handles.append(Line2D([], [], color="#333333", marker="+", linestyle="", markersize=5, label="looked at"))
        if here is not None:
            handles += panel.plot(*here, **HERE)
        panel.set_xlim(found.x.low, found.x.high)
        panel.set_ylim(found.y.low, found.y.high)
        panel.set_xlabel(found.x.name)
        panel.set_ylabel(found.y.name)
        panel.set_title(f"{found.cell.name}: regimes", fontsize=11)
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
        save(figure, path)


def _areas(panel: Axes, found: PhaseDiagram) -> list[Patch]:
    regime = found.fine_regime
    x, y = (np.linspace(axis.low, axis.high, size) for axis, size in zip((found.x, found.y), regime.shape[::-1],
                                                                         strict=True))  # fmt: skip
    panel.pcolormesh(x, y, np.ma.masked_invalid(regime), cmap=ListedColormap(AREAS), vmin=-0.5,
                     vmax=len(NAMES) - 0.5, shading="nearest", rasterized=True)  # fmt: skip
    for k, hatch in HATCHED.items():
        if (regime == k).any():
            panel.contourf(x, y, (regime == k).astype(float), levels=[0.5, 1.5], colors="none", hatches=[hatch])
    return [
        Patch(facecolor=AREAS[k], edgecolor="#444444", hatch=HATCHED.get(k, ""), label=NAMES[k])
        for k in np.unique(regime[np.isfinite(regime)]).astype(int)
    ]


def _curves(panel: Axes, found: PhaseDiagram) -> list[Line2D]:
    handles: dict[str, Line2D] = {}
    for curve in found.curves:
        colour, style = LINES.get(curve.kind, INFERRED)
        (line,) = panel.plot(curve.x, curve.y, style, color=colour, linewidth=2.0, label=_label(curve))
        if not curve.computed:
            line.set_marker("o")
            line.set_markersize(4.0)
        handles.setdefault(curve.kind, line)
    return list(handles.values())


def _label(curve: Boundary) -> str:
    return curve.kind if curve.computed else f"{curve.kind} (by bisection)"


def _points(panel: Axes, found: PhaseDiagram) -> list[Line2D]:
    handles: dict[str, Line2D] = {}
    for point in found.points:
        (mark,) = panel.plot(
            [point.x], [point.y], MARKS.get(point.kind, "o"), color="#000000", markerfacecolor="#F0E442",
            markersize=9, linestyle="", label=f"{point.kind} point", clip_on=False, zorder=5,
        )  # fmt: skip
        handles.setdefault(point.kind, mark)
    return list(handles.values())
