"""What a report is made of: everything that its stages found, and why the rest is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from derive.theory import Theory
from solvers.compare import Comparison
from solvers.report.chart import Chart
from solvers.solution import Solved
from solvers.spectra import Spectra

Record = Mapping[str, Any]
MAP_SECONDS = 60.0
"""What the map may take, unless it is said otherwise."""


@dataclass(frozen=True)
class Asked:
    """What a report was asked for.

    given : parameters that were given, in that order; changes : options of the command line that changed the cell;
    map_seconds : what the map may take; x, y : its axes, (name, low, high, count), or None for those of the rule;
    moving : whether the map looks for states that fluctuate.
    """

    cell: Cell
    settings: Settings
    given: tuple[str, ...]
    ansatz: str
    N: int
    seeds: int
    seed: int
    tol: float
    changes: tuple[str, ...] = ()
    map_seconds: float = MAP_SECONDS
    x: tuple[str, float, float, int] | None = None
    y: tuple[str, float, float, int] | None = None
    moving: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure: SVG; alt : what it shows, for those who do not see it; caption : text under it."""

    name: str
    data: bytes
    alt: str
    caption: str


@dataclass
class Findings:
    """The results of all stages; what was not reached is None or empty.

    missing : by section of the page, why it has nothing to show.
    """

    asked: Asked
    theory: Theory | None = None
    solved: Solved | None = None
    spectra: Spectra | None = None
    spectrum: Record | None = None
    comparison: Comparison | None = None
    chart: Chart | None = None
    pictures: dict[str, Picture] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    complete: bool = True

    @property
    def verdict(self) -> str:
        """Of the comparison, or "not checked"."""
        return self.comparison.verdict if self.comparison is not None else "not checked"

    @property
    def converged(self) -> bool:
        """Whether all numbers are there and converged."""
        return self.complete and self.solved is not None and self.solved.converged

    def of(self, *names: str) -> Sequence[Picture]:
        """The pictures of these names that there are."""
        return [self.pictures[name] for name in names if name in self.pictures]
