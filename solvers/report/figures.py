"""The figures of a report, as SVG; Matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from solvers.clouds import singular_clouds, untied_singular_clouds
from solvers.report.chart import Chart
from solvers.report.findings import Findings, Picture, Record
from solvers.singular.one_step import site_measures
from solvers.spectra import Spectra
from solvers.spectrum.singular_law import SingularLaw

SPECTRUM, SINGULAR, CHECK, MAP = "spectrum", "singular", "check", "map"


def spectrum_picture(found: Spectra, clouds: Sequence[np.ndarray | None]) -> Picture:
    """Support, outliers and atoms of every solution over the eigenvalues of a network."""
    from solvers.plots.spectrum import spectrum_figure  # optional dependency

    counts = [0 if cloud is None else cloud.size for cloud in clouds]
    seen = "; ".join(f"solution {k}: {_extent(spectrum)}" for k, spectrum in enumerate(found.as_dict()["solutions"]))
    alt = f"Eigenvalues of the Jacobian in the complex plane, one panel for each solution. {seen}."
    caption = (
        "Theory (boundary of the support, outliers, atoms) over the eigenvalues of one network at each solution "
        f"({', '.join(map(str, counts))} eigenvalues)."
    )
    return Picture(SPECTRUM, _drawn(lambda path: spectrum_figure(path, found, clouds)), alt, caption)


def _extent(record: Record) -> str:
    """The figure in words: what a reader who does not see it should know."""
    words = [f"{len(record['boundary'])} boundary curves"]
    for name in ("spectral_radius", "spectral_abscissa"):
        if record.get(name) is not None:
            words.append(f"{name.replace('_', ' ')} {record[name]:.4g}")
    for name in ("outliers", "atoms"):
        if record.get(name):
            words.append(f"{len(record[name])} {name}")
    return ", ".join(words)


def singular_picture(work: Findings) -> Picture:
    """Singular values of one step of redrawn weights: the law's density over the histogram of a network.

    Raises AnsatzError where there is no law.
    """
    from solvers.plots.spectrum import singular_figure  # optional dependency

    asked, solved = work.asked, work.solved
    assert solved is not None
    laws: list[SingularLaw | None] = []
    for solution in solved.solutions:
        measures, _ = site_measures(solved, solution, asked.settings, asked.seed)
        laws.append(SingularLaw(measures[0]))
    if solved.theory.ansatz == "untied":
        clouds = untied_singular_clouds(solved, asked.settings, asked.N, asked.seed)
    else:
        clouds = singular_clouds(solved, asked.settings, asked.N, asked.seed)
    title = f"{asked.cell.name}: singular values of the Jacobian of one step"
    data = _drawn(lambda path: singular_figure(path, title, laws, clouds))
    ends = [law.ends() for law in laws if law is not None]
    seen = "; ".join(f"solution {k}: from {end.lower:.4g} to {end.upper:.4g}" for k, end in enumerate(ends))
    alt = f"Density of the singular values of the one-step Jacobian over a histogram of a network's. {seen}."
    caption = (
        "Weights are redrawn at every step, so that singular values, not eigenvalues, say how perturbations grow: the "
        "law of one step over those of a network at the state that it reached."
    )
    return Picture(SINGULAR, data, alt, caption)


def check_picture(found: Record) -> Picture:
    """Theory and networks, quantity by quantity."""
    from solvers.plots.spectrum import check_figure  # optional dependency

    title = f"{found['cell']}: theory against {found['seeds']} networks of N = {found['N']}: {found['verdict']}"
    several = len({row.get("solution") for row in found["rows"]}) > 1
    rows = [dict(row) | {"quantity": _label(row, several)} for row in found["rows"]]
    alt = (
        "Difference between networks and theory with standard errors, and z-scores, one line for each quantity; the "
        "table above holds the same numbers."
    )
    caption = "Left: networks minus theory, in per cent of theory. Right: the same in units of the combined error."
    return Picture(CHECK, _drawn(lambda path: check_figure(path, title, rows)), alt, caption)


def _label(row: Record, several: bool) -> str:
    return f"{row['quantity']}, solution {row['solution']}" if several else str(row["quantity"])


def map_picture(chart: Chart) -> Picture:
    """Regimes, branches or critical curves, with the parameters of the report marked."""
    place = ", ".join(f"{axis[0]} = {value:.6g}" for axis, value in zip(chart.axes, chart.here, strict=True))
    ranges = ", ".join(f"{name} from {low:.6g} to {high:.6g}" for name, low, high, _ in chart.axes)
    alt = f"{chart.title}, {ranges}. The point of this report, {place}, is marked by a star. Numbers are below."
    return Picture(MAP, _drawn(chart.draw), alt, f"{chart.title}; the star is the point of this report, {place}.")


def _drawn(draw: Callable[[Path], Any]) -> bytes:
    """The SVG that ``draw`` writes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "figure.svg"
        draw(path)
        return path.read_bytes()
