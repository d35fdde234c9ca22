"""Figures of a sweep: curves over one parameter, maps over two, scattered samples."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from solvers.plots.spectrum import BLUE, GREEN, GREY, SKY, STYLE, VERMILION, save
from solvers.sweep.select import Shown, lines

CRITICAL = {"spectral_radius": 1.0, "chi1": 1.0, "chi1_typical": 1.0, "chi_star": 1.0, "spectral_abscissa": 0.0}
"""The value at which small perturbations neither grow nor die out."""

COLOURS = (BLUE, VERMILION, GREEN, "#000000", SKY, "#CC79A7", "#E69F00")
STYLES = ("-", "--", "-.", ":")
NOT_THERE = "#D9D9D9"
WIDE = 300.0
"""Ratio of largest to smallest value from which colours are logarithmic."""


def sweep_figure(path: Path, shown: Shown) -> None:
    """Curves, a map with the line at the critical value, or samples as coloured dots."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 4.9), layout="constrained")
        panel = figure.subplots()
        if shown.y is None:
            _curves(figure, panel, shown)
        else:
            _map(figure, panel, shown)
        panel.set_xlabel(shown.x)
        panel.set_title(shown.title + (f"\n{shown.note}" if shown.note else ""), fontsize=10)
        save(figure, path)


def _curves(figure: Figure, panel: Axes, shown: Shown) -> None:
    found = lines(shown)
    scattered = shown.x not in shown.values.dims
    for k, line in enumerate(found):
        x, y, bar, fine = line.values[shown.x].values, line.values.values, line.error.values, line.good.values
        text = line.text or None
        colour, style = COLOURS[k % len(COLOURS)], STYLES[(k // len(COLOURS)) % len(STYLES)]
        if scattered:
            panel.plot(x[fine], y[fine], "o", color=colour, markersize=3.5, label=text)
        else:
            panel.plot(x, y, style, color=colour, linewidth=1.8, label=text)
        visible = np.isfinite(bar) & (bar > 0.002 * (np.nanmax(y) - np.nanmin(y)))
        if visible.any():
            panel.errorbar(x[visible], y[visible], bar[visible], fmt="o", color=colour, markersize=3.5, capsize=2.5)
        panel.plot(x[~fine], y[~fine], "o", markerfacecolor="none", markeredgecolor=colour, markersize=6)
    if any((~line.good.values & np.isfinite(line.values.values)).any() for line in found):
        panel.plot([], [], "o", markerfacecolor="none", markeredgecolor=GREY, markersize=6, label="not converged")
    name = shown.quantity.partition("[")[0]
    if name in CRITICAL:
        panel.axhline(CRITICAL[name], color=GREY, linestyle="--", linewidth=1.0, label=f"{CRITICAL[name]:g}: critical")
    panel.set_ylabel(shown.quantity)
    if _logarithmic(shown.values[shown.x].values) and not scattered:
        panel.set_xscale("log")
    if panel.get_legend_handles_labels()[1]:
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)


def _map(figure: Figure, panel: Axes, shown: Shown) -> None:
    assert shown.y is not None
    values = shown.values.values
    finite = values[np.isfinite(values)]
    colours, norm = _scale(shown, finite)
    x, y = (shown.values[name].values for name in (shown.x, shown.y))
    panel.set_facecolor(NOT_THERE)
    image: ScalarMappable
    if shown.values.ndim == 1:
        image = panel.scatter(x, y, c=values, cmap=colours, norm=norm, s=22)
    else:
        image = panel.pcolormesh(x, y, values, cmap=colours, norm=norm, shading="nearest", rasterized=True)
        for name, axis in ((shown.x, panel.set_xscale), (shown.y, panel.set_yscale)):
            if _logarithmic(shown.values[name].values):
                axis("log")
        _lines_on_map(figure, panel, shown)
    bar = figure.colorbar(image, ax=panel, label=shown.quantity)
    if shown.quantity == "stable":
        bar.set_ticks([0.25, 0.75], labels=["no", "yes"])
    panel.set_ylabel(shown.y)


def _scale(shown: Shown, finite: np.ndarray) -> tuple[str | Colormap, Normalize]:
    if shown.quantity == "stable":
        return ListedColormap(["#F0E442", BLUE]), Normalize(0.0, 1.0)
    if not finite.size:
        return "viridis", Normalize(0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high > WIDE * low and shown.quantity not in CRITICAL:
        return "viridis", LogNorm(low, high)
    return "viridis", Normalize(low, high if high > low else low + 1.0)


def _lines_on_map(figure: Figure, panel: Axes, shown: Shown) -> None:
    """The line at the critical value, dots where points did not converge, and what grey means."""
    handles = []
    values = shown.values.values
    x, y = (shown.values[name].values for name in (shown.x, shown.y))
    level = CRITICAL.get(shown.quantity)
    finite = values[np.isfinite(values)]
    if level is not None and finite.size and finite.min() < level < finite.max() and min(values.shape) > 1:
        panel.contour(x, y, values, levels=[level], colors="white", linewidths=3.5)
        panel.contour(x, y, values, levels=[level], colors="black", linewidths=1.6)
        handles.append(Line2D([], [], color="black", linewidth=1.6, label=f"{shown.quantity} = {level:g}"))
    doubtful = ~shown.good.values & np.isfinite(values)
    if doubtful.any():
        rows, columns = np.nonzero(doubtful)
        panel.plot(x[columns], y[rows], "x", color=VERMILION, markersize=4, linestyle="")
        handles.append(Line2D([], [], color=VERMILION, marker="x", linestyle="", label="not converged"))
    if np.isnan(values).any():
        handles.append(Line2D([], [], color=NOT_THERE, marker="s", markersize=9, linestyle="", label="no number"))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def _logarithmic(values: np.ndarray) -> bool:
    """Whether values are evenly spaced in their logarithm (and not in themselves)."""
    if len(values) < 3 or np.any(values <= 0):
        return False
    steps, plain = np.diff(np.log(values)), np.diff(values)
    return bool(np.allclose(steps, steps[0], rtol=1e-6) and not np.allclose(plain, plain[0], rtol=1e-6))
