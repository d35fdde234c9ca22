"""``gatefield report``: derivation, numbers, check and figures of one cell in one folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.pipeline import derive_theory
from derive.theory import Theory
from derive.write.latex import document
from derive.write.text import derivation_text
from solvers.budget import BudgetSpent, check_budget
from solvers.clouds import eigenvalue_clouds
from solvers.compare import Comparison, check
from solvers.output import writable_folder, write_text
from solvers.report_text import summary
from solvers.solution import Solved, plain
from solvers.solve import DEFAULT_TOL, solve
from solvers.spectra import Spectra, spectra_of

NO_FIGURES = "no figures, because Matplotlib is not installed: pip install 'gatefield[plots]'"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """What was written: files in ``folder``, in order; verdict : of the check ("not checked" if there was no time);
    converged : whether every number did; notes : what is missing and why."""

    folder: Path
    files: tuple[str, ...]
    verdict: str
    converged: bool
    notes: tuple[str, ...]


def report(
    cell: Cell,
    folder: str | os.PathLike[str],
    parameters: Mapping[str, object] | None = None,
    *,
    ansatz: str = "static",
    N: int = 1000,
    seeds: int = 8,
    seed: int = 0,
    tol: float = DEFAULT_TOL,
    progress: Progress | None = None,
) -> Report:
    """Derive, solve, simulate, compare and draw; every file is written as soon as it is known.

    Raises
    ------
    ParameterError, AnsatzError : as `solve` does.
    OutputError : the folder cannot be written.
    """
    resolve(cell, parameters)
    work = _Work(writable_folder(folder), progress or (lambda text: None))
    try:
        work.derive(cell, ansatz)
        work.solve(parameters, tol)
        work.check(N, seeds, seed)
        work.draw(cell, parameters, N, seed)
    except BudgetSpent as spent:
        work.notes.append(f"{spent}; what was done by then is here")
        work.complete = False
    return work.finish(cell, ansatz)


@dataclass
class _Work:
    """The stages, each leaving its files and its result."""

    folder: Path
    progress: Progress
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    theory: Theory | None = None
    solved: Solved | None = None
    spectra: Spectra | None = None
    comparison: Comparison | None = None

    def derive(self, cell: Cell, ansatz: str) -> None:
        self.progress("deriving")
        self.theory = derive_theory(cell, ansatz)
        self._write("cell.toml", cell.text)
        self._write("derivation.txt", derivation_text(self.theory))
        self._write("derivation.tex", document(self.theory))

    def solve(self, parameters: Mapping[str, object] | None, tol: float) -> None:
        self.progress("solving")
        assert self.theory is not None
        self.solved = solve(self.theory, parameters, tol=tol)
        self._json("solution.json", self.solved.as_dict())
        if self.theory.spectrum is not None:
            self.progress("tracing spectra")
            self.spectra = spectra_of(self.solved, tol)
            self._json("spectrum.json", self.spectra.as_dict())
        check_budget()

    def check(self, N: int, seeds: int, seed: int) -> None:
        self.progress("checking against networks")
        assert self.solved is not None
        self.comparison = check(self.solved, N=N, seeds=seeds, seed=seed, progress=self.progress)
        self._json("check.json", self.comparison.as_dict())
        check_budget()

    def draw(self, cell: Cell, parameters: Mapping[str, object] | None, N: int, seed: int) -> None:
        if find_spec("matplotlib") is None:
            self.notes.append(NO_FIGURES)
            return
        from solvers.plots.spectrum import check_figure, spectrum_figure  # optional dependency

        self.progress("drawing")
        if self.spectra is not None and self.spectra.spectra:
            clouds = self._clouds(cell, parameters, N, seed)
            spectrum_figure(self.folder / "spectrum.png", self.spectra, clouds)
            self.files.append("spectrum.png")
        if self.comparison is not None:
            found = self.comparison.as_dict()
            title = f"{cell.name}: theory against {found['seeds']} networks of N = {found['N']}: {found['verdict']}"
            several = len({row.get("solution") for row in found["rows"]}) > 1
            rows = [row | {"quantity": _label(row, several)} for row in found["rows"]]
            check_figure(self.folder / "check.png", title, rows)
            self.files.append("check.png")

    def _clouds(
        self, cell: Cell, parameters: Mapping[str, object] | None, N: int, seed: int
    ) -> Sequence[np.ndarray | None]:
        """Eigenvalues of one network at each solution, the weights conditioned on it; None where that fails."""
        assert self.spectra is not None
        clouds = eigenvalue_clouds(self.spectra.solved, resolve(cell, parameters), N, seed)
        if any(cloud is None for cloud in clouds):
            self.notes.append("no network was found at some of the solutions; their panels show the theory alone")
        return clouds

    def finish(self, cell: Cell, ansatz: str) -> Report:
        verdict = self.comparison.verdict if self.comparison is not None else "not checked"
        converged = self.complete and self.solved is not None and self.solved.converged
        text = summary(
            cell, ansatz,
            None if self.solved is None else self.solved.as_dict(),
            None if self.comparison is None else self.comparison.as_dict(),
            self.files, self.notes,
        )  # fmt: skip
        self._write("report.md", text)
        return Report(self.folder, tuple(self.files), verdict, converged, tuple(self.notes))

    def _json(self, name: str, found: Mapping[str, Any]) -> None:
        self._write(name, json.dumps(plain(found), indent=2, allow_nan=False) + "\n")

    def _write(self, name: str, text: str) -> None:
        write_text(self.folder / name, text)
        self.files.append(name)


def _label(row: Mapping[str, Any], several: bool) -> str:
    return f"{row['quantity']}, solution {row['solution']}" if several else str(row["quantity"])
