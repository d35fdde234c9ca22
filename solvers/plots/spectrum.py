"""Figures of a report.  Nothing is drawn on a screen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from solvers.spectra import Spectra
from solvers.spectrum import SpectrumResult
from solvers.spectrum.density import Grid
from solvers.spectrum.singular_law import SingularLaw
from solvers.stability import is_stable

BLUE, VERMILION, GREEN, GREY, SKY = "#0072B2", "#D55E00", "#009E73", "#666666", "#56B4E9"
"""Okabe and Ito's colours, told apart with every kind of colour vision and in print; shapes differ as well."""

STYLE: dict[Any, Any] = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 150}
UNDATED: dict[str, dict[str, Any]] = {
    ".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}, ".pdf": {"CreationDate": None},
}  # fmt: skip
"""By format: what would make two files of the same figure differ."""

HERE: dict[str, Any] = {
    "marker": "*", "color": "black", "markeredgecolor": "white", "markersize": 15, "linestyle": "", "zorder": 6,
    "label": "the point of this report",
}  # fmt: skip
"""How a map marks the parameters that a report is about."""

COLUMNS = 3
SINGULAR_POINTS = 120
EVEN = 5.0
NOTHING = 1e-6


def spectrum_figure(path: Path, found: Spectra, eigenvalues: Sequence[np.ndarray | None]) -> None:
    """One panel for each solution: boundary of the support, outliers and atoms over eigenvalues of a network."""
    title = f"{found.solved.theory.site.cell.name}: eigenvalues of the Jacobian"
    with _panels(path, title, len(found.spectra), 4.6, 4.7, narrowest=5.6) as (figure, axes):
        for number, (panel, spectrum) in enumerate(zip(axes, found.spectra, strict=True)):
            points = eigenvalues[number] if number < len(eigenvalues) else None
            _spectrum_panel(panel, found, number, spectrum, points)
        _shared_legend(figure, axes)


def density_figure(path: Path, found: Spectra, eigenvalues: Sequence[np.ndarray | None]) -> None:
    """One panel for each solution: the density in colour; over it boundary, outliers, atoms, and the eigenvalues of a
    network as open circles."""
    title = f"{found.solved.theory.site.cell.name}: density of eigenvalues of the Jacobian"
    with _panels(path, title, len(found.spectra), 5.8, 5.2) as (figure, axes):
        for number, (panel, spectrum) in enumerate(zip(axes, found.spectra, strict=True)):
            grid = found.densities[number].grid if number < len(found.densities) else None
            points = eigenvalues[number] if number < len(eigenvalues) else None
            if grid is not None and grid.rho.max(initial=0.0) > 0:
                _density_layer(figure, panel, grid)
            _spectrum_panel(panel, found, number, spectrum, points, over_density=grid is not None)
        _shared_legend(figure, axes)


@contextmanager
def _panels(
    path: Path, title: str, count: int, width: float, height: float, *, narrowest: float = 0.0
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure with ``count`` panels of this size in inches, titled and written once they are drawn."""
    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(width * columns, narrowest) + 0.4, height * rows + 0.8), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel in axes[count:]:
            panel.set_visible(False)
        yield figure, list(axes[:count])
        figure.suptitle(title)
        save(figure, path)


def _shared_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend below all panels, each label once."""
    handles: dict[str, Any] = {}
    for panel in axes:
        handles |= {text: handle for handle, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    width = min(len(axes) + 1, 3)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=width, frameon=False)


def _density_layer(figure: Figure, panel: Axes, grid: Grid) -> None:
    """rho in colour, logarithmic where it varies much; zero is left white."""
    floor = NOTHING * grid.rho.max()
    positive = grid.rho[grid.rho > floor]
    low, high = float(np.quantile(positive, 0.02)), float(positive.max())
    scale = LogNorm(low, high) if low < high / EVEN else Normalize(0.0, high)
    mesh = panel.pcolormesh(
        grid.re, grid.im, np.ma.masked_less_equal(grid.rho, floor), norm=scale, cmap="cividis", shading="nearest",
        zorder=0, rasterized=True,
    )  # fmt: skip
    figure.colorbar(mesh, ax=panel, label="density ρ (fraction of eigenvalues per unit area)", shrink=0.8)


def _spectrum_panel(
    panel: Axes, found: Spectra, number: int, spectrum: SpectrumResult, points: np.ndarray | None,
    *, over_density: bool = False,
) -> None:  # fmt: skip
    theory = found.solved.theory
    extent = [*spectrum.boundary, np.array(spectrum.outliers, complex)]
    if points is not None and points.size:
        label = "eigenvalues of one network"
        look: dict[str, Any] = {"color": SKY}
        if over_density:
            look = {"color": "white", "markeredgecolor": "black", "markeredgewidth": 0.4}
        panel.plot(points.real, points.imag, ".", markersize=3.5, label=label, zorder=1, **look)
        extent.append(points)
    for curve in spectrum.boundary:
        colour = VERMILION if over_density else BLUE  # the density's own colours are blue to yellow
        panel.plot(curve.real, curve.imag, "-", color=colour, linewidth=1.8, label="boundary of the support", zorder=3)
    if spectrum.filament is not None and math.isfinite(spectrum.filament[1]):
        panel.plot(spectrum.filament, (0, 0), "-", color=GREEN, linewidth=2.5, alpha=0.8, label="filament", zorder=2)
        extent.append(np.array(spectrum.filament, complex))
    for z in spectrum.outliers:
        panel.plot(
            z.real, z.imag, "D", markerfacecolor="none", markeredgecolor=VERMILION, markersize=9, markeredgewidth=1.8,
            label="outlier (theory)", zorder=4,
        )  # fmt: skip
    for atom in spectrum.atoms:
        panel.plot(
            (atom.low.real, atom.high.real), (atom.low.imag, atom.high.imag), "s-", markerfacecolor="none",
            color=GREEN, markersize=8, markeredgewidth=1.6, label="atoms", zorder=4,
        )  # fmt: skip
        extent.append(np.array([atom.low, atom.high]))
    _stability_line(panel, theory.site.discrete)
    _limits(panel, np.concatenate(extent) if extent else np.zeros(0, complex), theory.site.discrete)
    state = str(theory.site.states[0])
    moment = found.solved.solutions[number].numbers["Q"][state]
    stable = {True: "stable", False: "unstable", None: "stability unknown"}[is_stable(theory, spectrum)]
    panel.set_title(f"solution {number}: Q[{state}] = {moment:.4g}, {stable}", fontsize=10)
    panel.set_xlabel("Re λ")
    panel.set_ylabel("Im λ")


def _stability_line(panel: Axes, discrete: bool) -> None:
    if discrete:
        circle = np.exp(1j * np.linspace(0, 2 * np.pi, 361))
        panel.plot(circle.real, circle.imag, "--", color=GREY, linewidth=1.2, label="unit circle", zorder=2)
    else:
        panel.axvline(0.0, linestyle="--", color=GREY, linewidth=1.2, label="imaginary axis", zorder=2)


def _limits(panel: Axes, points: np.ndarray, discrete: bool) -> None:
    """Equal scales, everything inside, and the line of stability in sight."""
    finite = points[np.isfinite(points)]
    circle = [1 + 1j, -1 - 1j] if discrete else [0.0]
    real = np.concatenate([finite.real, np.real(circle)])
    imaginary = np.concatenate([finite.imag, -finite.imag, np.imag(circle)])
    middle = 0.5 * (real.min() + real.max())
    half = 0.54 * max(float(np.ptp(real)), float(np.ptp(imaginary)), 1e-3)
    panel.set_xlim(middle - half, middle + half)
    panel.set_ylim(-half, half)
    panel.set_aspect("equal")
    panel.locator_params(nbins=6)


def check_figure(path: Path, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Measured against predicted, with standard errors, and the z-scores beside it.

    rows : quantity (label), theory, measured, standard_error, z; a number may be None.  What is zero on both sides
    is left out.
    """
    known = [row for row in rows if row["theory"] is not None and row["measured"] is not None]
    shown = [row for row in known if row["theory"] or row["measured"]] or known
    height = 1.9 + 0.32 * max(len(shown), 1)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, height), layout="constrained")
        values, scores = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
        place = np.arange(len(shown))[::-1]
        _values_panel(values, shown, place)
        _scores_panel(scores, shown, place)
        values.set_yticks(place, [row["quantity"] for row in shown])
        values.set_ylim(-0.7, len(shown) - 0.3)
        figure.suptitle(title, fontsize=11)
        save(figure, path)


def _values_panel(panel: Axes, rows: Sequence[Mapping[str, Any]], place: np.ndarray) -> None:
    scale = np.array([abs(row["theory"]) or 1.0 for row in rows])
    offset = np.array([row["measured"] - row["theory"] for row in rows]) / scale
    error = np.array([row["standard_error"] or 0.0 for row in rows]) / scale
    panel.axvline(0.0, color=BLUE, linewidth=1.8, label="theory")
    panel.errorbar(
        100 * offset, place, xerr=100 * error, fmt="o", color=VERMILION, markersize=5, capsize=3,
        label="networks, mean ± standard error",
    )  # fmt: skip
    widest = 100 * float(np.max(np.abs(offset) + error, initial=1e-3))
    panel.set_xlim(-1.25 * widest, 1.25 * widest)
    absolute = " (of 1 where that is 0)" if any(row["theory"] == 0 for row in rows) else ""
    panel.set_xlabel(f"measured − theory, % of theory{absolute}", fontsize=9)
    panel.grid(axis="y", color="#dddddd", linewidth=0.8)
    panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=9)


def _scores_panel(panel: Axes, rows: Sequence[Mapping[str, Any]], place: np.ndarray) -> None:
    known = [(y, row["z"]) for y, row in zip(place, rows, strict=True) if row.get("z") is not None]
    panel.axvspan(-3, 3, color="#eeeeee", zorder=0)
    panel.axvline(0.0, color=BLUE, linewidth=1.8)
    if known:
        y, z = np.array(known, dtype=float).T
        panel.hlines(y, 0.0, z, color=GREY, linewidth=1.5)
        panel.plot(z, y, "o", color=VERMILION, markersize=5)
    widest = max([4.0, *(1.15 * abs(z) for _, z in known)])
    panel.set_xlim(-widest, widest)
    panel.set_xlabel("z = difference / combined error (grey: |z| < 3)", fontsize=9)
    panel.grid(axis="y", color="#dddddd", linewidth=0.8)
    panel.tick_params(left=False)


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the format is that of the file's name.  The same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    with mpl.rc_context({"svg.hashsalt": "figure"}):
        figure.savefig(path, metadata=UNDATED.get(path.suffix.lower(), {}))


def singular_figure(
    path: Path, title: str, laws: Sequence[SingularLaw | None], values: Sequence[np.ndarray | None]
) -> None:
    """One panel for each solution: histogram of the singular values of a network, and the theory's density over it."""
    with _panels(path, title, len(laws), 5.2, 3.8) as (_, axes):
        for number, (panel, law, measured) in enumerate(zip(axes, laws, values, strict=False)):
            _singular_panel(panel, law, measured)
            panel.set_title(f"solution {number}", fontsize=10)
            panel.set_xlabel("singular value s")
            panel.set_ylabel("density ρ(s)")


def _singular_panel(panel: Axes, law: SingularLaw | None, measured: np.ndarray | None) -> None:
    if measured is not None:
        span = (min(float(measured.min()), 0.99 * float(measured.max())), max(1.01 * float(measured.max()), 1e-12))
        panel.hist(
            measured, bins=60, range=span, density=True, color=SKY, edgecolor="white", linewidth=0.3,
            label="one network",
        )  # fmt: skip
    if law is None or law.size == 0.0:
        return
    if law.point:
        panel.axvline(law.size, color=BLUE, linewidth=1.8, label="theory: all equal")
    else:
        ends = law.ends()
        # Points crowd towards both ends, where the density may have a root or a pole.
        angle = np.linspace(0.0, np.pi, SINGULAR_POINTS + 2)[1:-1]
        s = ends.lower + 0.5 * (ends.upper - ends.lower) * (1.0 - np.cos(angle))
        rho = law.density(s)
        panel.plot(s, rho, "-", color=BLUE, linewidth=1.8, label="theory")
        panel.set_ylim(0.0, 2.2 * float(np.nanquantile(rho, 0.9)))
    panel.legend(frameon=False)
