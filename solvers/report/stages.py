"""``gatefield report``: derive, solve, trace spectra, compare with networks, draw, map; then write the page."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from derive.cell.names import normal
from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.errors import GatefieldError
from derive.pipeline import derive_theory
from solvers.budget import BudgetSpent, check_budget
from solvers.clouds import eigenvalue_clouds
from solvers.compare import check
from solvers.phase.search import Range
from solvers.report import figures
from solvers.report.axes import axes_of
from solvers.report.chart import NoChart, chart_of
from solvers.report.files import Files, files_of
from solvers.report.findings import MAP_SECONDS, Asked, Findings
from solvers.report.page import page
from solvers.simulate.elementwise import Array
from solvers.solve import DEFAULT_TOL, solve
from solvers.spectra import spectra_of

NO_FIGURES = "no figures, because Matplotlib is not installed: pip install 'gatefield[plots]'"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """What was written: ``files`` in order, below ``folder``; verdict : of the check ("not checked" if there was no
    time); converged : whether every number did; notes : what is missing and why."""

    folder: Path
    files: tuple[str, ...]
    verdict: str
    converged: bool
    notes: tuple[str, ...]


def report(
    cell: Cell,
    target: str | os.PathLike[str],
    parameters: Mapping[str, object] | None = None,
    *,
    ansatz: str = "static",
    N: int = 1000,
    seeds: int = 8,
    seed: int = 0,
    tol: float = DEFAULT_TOL,
    x: Range | None = None,
    y: Range | None = None,
    map_seconds: float = MAP_SECONDS,
    moving: bool = False,
    changes: Sequence[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Derive, solve, simulate, compare, draw and map, and write all of it as a page.

    target : a name that ends with .html, for the page alone; or a folder, for the page as ``report.html`` and what it
    is made of as files (these are written as soon as they are known).  x, y : axes of the map, (parameter, low, high,
    number of values), by default as `solvers.report.axes.RULE` says; map_seconds : what the map may take, 0 for none;
    moving : whether it also looks for states that fluctuate; changes : options that made the cell what it is, to be
    repeated in commands.

    Raises
    ------
    ParameterError, AnsatzError : as `solve` does.
    OutputError : the target cannot be written.
    """
    given = dict(parameters or {})
    asked = Asked(
        cell, resolve(cell, given), tuple(normal(name) for name in given), ansatz, N, seeds, seed, tol,
        tuple(changes), map_seconds, x, y, moving,
    )  # fmt: skip
    work = _Work(Findings(asked), files_of(target), progress or (lambda text: None))
    try:
        for stage in (work.derive, work.solve, work.check, work.draw, work.map):
            stage()
            check_budget()
    except BudgetSpent as spent:
        work.found.notes.append(f"{spent}; what was done by then is here")
        work.found.complete = False
    return work.finish()


@dataclass
class _Work:
    """The stages, each leaving its result and its files."""

    found: Findings
    files: Files
    progress: Progress

    def derive(self) -> None:
        asked = self.found.asked
        self.progress("deriving")
        self.found.theory = derive_theory(asked.cell, asked.ansatz)
        self.files.derivation(self.found.theory)

    def solve(self) -> None:
        found, asked = self.found, self.found.asked
        assert found.theory is not None
        self.progress("solving")
        found.solved = solve(found.theory, asked.settings.parameters, tol=asked.tol)
        self.files.json("solution", found.solved.as_dict())
        if found.theory.spectrum is not None:
            self.progress("tracing spectra")
            found.spectra = spectra_of(found.solved, asked.tol)
            found.spectrum = found.spectra.as_dict()
            self.files.json("spectrum", found.spectrum)

    def check(self) -> None:
        found, asked = self.found, self.found.asked
        assert found.solved is not None
        self.progress("checking against networks")
        found.comparison = check(
            found.solved, N=asked.N, seeds=asked.seeds, seed=asked.seed, progress=self.progress
        )  # fmt: skip
        self.files.json("check", found.comparison.as_dict())

    def draw(self) -> None:
        found = self.found
        if find_spec("matplotlib") is None:
            found.notes.append(NO_FIGURES)
            return
        self.progress("drawing")
        if found.comparison is not None and found.comparison.rows:
            self._keep(figures.check_picture(found.comparison.as_dict()))
        if found.spectra is None:
            self._singular()
        elif found.spectra.spectra:
            self._keep(figures.spectrum_picture(found.spectra, self._clouds()))

    def _singular(self) -> None:
        try:
            self._keep(figures.singular_picture(self.found))
        except BudgetSpent:
            raise
        except GatefieldError as reason:
            self.found.missing["spectrum"] = f"No figure of singular values: {reason}"

    def _clouds(self) -> list[Array | None]:
        found, asked = self.found, self.found.asked
        assert found.spectra is not None
        clouds = eigenvalue_clouds(found.spectra.solved, asked.settings, asked.N, asked.seed)
        if any(cloud is None for cloud in clouds):
            found.notes.append("no network was found at some of the solutions; their panels show the theory alone")
        return clouds

    def map(self) -> None:
        found, asked = self.found, self.found.asked
        assert found.theory is not None
        if asked.map_seconds <= 0:
            found.missing["map"] = "No map was asked for."
            return
        self.progress("mapping")
        own = [axis for axis in (asked.x, asked.y) if axis is not None]
        axes = axes_of(found.theory, asked.settings.parameters, asked.given, own)
        try:
            found.chart = chart_of(
                found.theory, asked.settings.parameters, axes, seconds=asked.map_seconds, moving=asked.moving,
                seed=asked.seed,
            )  # fmt: skip
        except NoChart as reason:
            names = " and ".join(axis[0] for axis in axes)
            found.missing["map"] = f"There is no map{f' over {names}' if names else ''}: {reason}"
            found.notes.append(f"no map: {reason}")
            return
        if not found.chart.found.complete:
            found.notes.append(f"the map is not complete: it may take {asked.map_seconds:g} s (--map-seconds)")
        self.files.json("map", found.chart.as_dict())
        if find_spec("matplotlib") is not None:
            self._keep(figures.map_picture(found.chart))

    def _keep(self, picture: figures.Picture) -> None:
        self.found.pictures[picture.name] = picture
        self.files.figure(picture)

    def finish(self) -> Report:
        found = self.found
        self.files.page(page(found))
        self.files.markdown(found)
        return Report(self.files.folder, tuple(self.files.written), found.verdict, found.converged, tuple(found.notes))
