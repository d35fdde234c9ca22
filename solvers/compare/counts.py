"""Rows of eigenvalue counts: fractions in a few disks about the middle of the support.

Each disk has a row with the theory's site measure.  One has a second row, in which the fraction that the density of
the network's own units predicts is subtracted from what its eigenvalues say: that tests the random-matrix part alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from derive.cell.parameters import Settings
from derive.errors import AnsatzError
from derive.theory import Theory
from solvers.measure import UnitColumns
from solvers.simulate.elementwise import Array
from solvers.solution import Solution
from solvers.spectrum import SpectrumResult
from solvers.spectrum.density import Count, Density, Disk, MeasureDensity, pencil_size, static_density
from solvers.spectrum.density.counting import fraction_in
from solvers.threads import one_thread

SHARES = (0.25, 0.5, 0.75)
"""What the disks hold, roughly."""

TOLERANCE, ROUGH = 1e-4, 1e-2
"""Absolute errors asked of contours, of the rows and of the search for radii."""

TRIALS = 6
OWN = 1
"""Number of the disk that is also compared with the density of the network's own units."""

LARGEST, LARGEST_OF_UNITS = 8, 6
"""States and fields that feed back on each other, where determinants of their pencils are needed (see `pencil_size`):
up to these there are rows, and rows of the networks' own units.  Both cost the third power of this number and a
network's units are N; between the two limits the theory has half as many nodes, and larger errors, as everywhere."""

LINKED = (
    "{size} states and fields feed back on each other through shared or many matrices, which takes too long beyond"
    " {most}"
)
TOO_LARGE = f"counts have no rows: {LINKED}: `gatefield spectrum --count` gives any fraction, without a limit"
NO_UNITS = f"counts are not compared with the density of the networks' own units: {LINKED}; their other rows stay"


class CountRows:
    """Which disks are counted at one solution, what the theory says, and what a network says.

    notes : why rows are missing.  Raises BudgetSpent.
    """

    def __init__(
        self, theory: Theory, solution: Solution, settings: Settings, spectrum: SpectrumResult, *, units: bool
    ) -> None:
        self.notes: list[str] = []
        self._disks: dict[str, tuple[Disk, Count]] = {}
        self._units: UnitColumns | None = None
        if not spectrum.boundary:
            return
        try:
            size = pencil_size(theory, solution.linearised_at)
            if size > LARGEST:
                self.notes.append(TOO_LARGE.format(size=size, most=LARGEST))
                return
            self._density = static_density(theory, solution.linearised_at, fewer=int(size > LARGEST_OF_UNITS))
        except AnsatzError as error:
            self.notes.append(f"counts have no rows: {error}")
            return
        self._disks = _disks(self._density, spectrum)
        if not units:
            return
        if size > LARGEST_OF_UNITS:
            self.notes.append(NO_UNITS.format(size=size, most=LARGEST_OF_UNITS))
            return
        self._units = UnitColumns(theory.site, settings)

    @one_thread
    def measure(self, eigenvalues: Array, sites: Mapping[str, Array]) -> dict[str, float]:
        """Fractions of the eigenvalues of one network whose units are ``sites``."""
        rows: dict[str, float] = {}
        for number, (name, (disk, _)) in enumerate(self._disks.items()):
            rows[name] = float(disk.contains(eigenvalues).mean())
            if number == OWN and self._units is not None:
                own = MeasureDensity(self._units.measure(sites), self._density.memory)
                rows[f"{name} sites"] = rows[name] - fraction_in(own, disk, own.radius(), TOLERANCE).value
        return rows

    def theory(self, name: str) -> tuple[float, float, float] | None:
        """Theory's number, its error, and the scale to which 2 % refer; None for other rows."""
        if name.endswith(" sites") and name.removesuffix(" sites") in self._disks:
            return 0.0, 0.0, 1.0
        if name not in self._disks:
            return None
        count = self._disks[name][1]
        return count.theory, count.error, 1.0  # of all eigenvalues, as for the fractions outside


def _disks(density: Density, spectrum: SpectrumResult) -> dict[str, tuple[Disk, Count]]:
    """Disks about the middle of the support that hold roughly these shares of all eigenvalues, by the row's name."""
    points = np.concatenate(spectrum.boundary)
    centre = _rounded(0.5 * float(points.real.min() + points.real.max()), float(np.ptp(points.real)))
    widest = float(np.abs(points - centre).max())
    radii = widest * np.linspace(0.0, 1.0, TRIALS + 1)[1:]
    rough = next(iter(density.parts), density.whole)
    held = np.array([fraction_in(rough, Disk(complex(centre), r), density.reach, ROUGH).value for r in radii])
    found: dict[str, tuple[Disk, Count]] = {}
    for share in SHARES:
        wanted = held[-1] * share
        radius = _rounded(float(np.interp(wanted, [0.0, *held], [0.0, *radii])), widest)
        disk = Disk(complex(centre), radius)
        name = f"count[disk:{centre:g},{radius:g}]"
        if radius > 0 and name not in found:
            found[name] = disk, density.count(disk, name, TOLERANCE)
    return found


def _rounded(value: float, size: float) -> float:
    """To about 1 % of a size, so that the number can be typed."""
    return float(np.round(value, int(np.ceil(2.0 - np.log10(size)))))
