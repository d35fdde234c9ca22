"""Regions of the box: cut by curves, represented by probes, cut again where two probes of one region differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from solvers.budget import BudgetSpent
from solvers.phase.boundaries import Boundary, joined
from solvers.phase.lattice import Array, Axis, Labels, Lattice, Place
from solvers.phase.onset import find_onset, reaching
from solvers.phase.regimes import UNDECIDED, Probe

REPRESENTATIVES = 2
ROUNDS = 2

Looks = Callable[[float, float], Probe]


@dataclass
class Region:
    """A connected part of the box with points of the grid: number, probes deep inside, the places of those."""

    number: int
    probes: list[Probe] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    stopped: str = ""

    @property
    def agreed(self) -> bool:
        """Whether all probes say the same."""
        return len({probe.regime for probe in self.probes}) <= 1

    @property
    def regime(self) -> int:
        """The regime of its probes; undecided where they differ or there are none."""
        return self.probes[0].regime if self.probes and self.agreed else UNDECIDED

    @property
    def verdict(self) -> str:
        """ "converged", or what is in doubt."""
        if not self.probes:
            return f"undecided: {self.stopped or 'no point of it was looked at'}"
        if not self.agreed:
            found = ", ".join(f"({probe.x:.4g}, {probe.y:.4g})" for probe in self.probes)
            return f"undecided: its points {found} are in different regimes, and no curve between them was found"
        return next((probe.verdict for probe in self.probes if probe.verdict != "converged"), "converged")


@dataclass
class Cut:
    """The box in regions: table (y, x) of their numbers on the grid; curves : those that were inferred on the way."""

    table: Labels
    regions: list[Region]
    curves: list[Boundary]
    notes: list[str]
    complete: bool = True


def cut_regions(lattice: Lattice, curves: Sequence[Boundary], look: Looks) -> Cut:
    """Cut, look at points of each region, look for the missing curve where they differ, and cut again."""
    for curve in curves:
        lattice.cut(*extended(lattice, curve))
    inferred: list[Boundary] = []
    notes: list[str] = []
    complete = True
    for attempt in range(ROUNDS):
        labels = lattice.labels()
        regions = _regions(lattice, labels)
        try:
            for region in regions:
                _look(lattice, labels, region, look)
            divided = [region for region in regions if not region.agreed] if attempt + 1 < ROUNDS else []
            new = _between_probes(lattice, labels, divided, look)
        except BudgetSpent as spent:
            notes.append(f"{spent}: {sum(bool(r.probes) for r in regions)} of {len(regions)} regions were looked at")
            for region in regions:
                region.stopped = str(spent)
            complete, new = False, []
        inferred += new
        if not new:
            break
    small = len(np.unique(labels)) - len(regions)
    if small:
        notes.append(f"{small} regions are too narrow for this grid: no point of it lies in them")
    table = lattice.on_grid(labels).copy()
    if complete:
        try:
            _look_along_zeros(lattice, table, regions, look)
        except BudgetSpent as spent:
            notes.append(f"{spent}: edges of the box were not looked at")
            complete = False
    return Cut(table, regions, inferred, notes, complete)


def _regions(lattice: Lattice, labels: Labels) -> list[Region]:
    """Regions with points of the grid, in the order of their first point."""
    numbers, first = np.unique(lattice.on_grid(labels), return_index=True)
    return [Region(int(numbers[k])) for k in np.argsort(first)]


def _look_along_zeros(lattice: Lattice, table: Labels, regions: list[Region], look: Looks) -> None:
    """Edges of the box at which a parameter is zero: states may vanish there and only there, and an edge on which the
    regime is another one becomes a region of its own."""
    for axis, lines in zip(lattice.axes, (table.T, table), strict=True):
        for value, line in ((axis.low, lines[0]), (axis.high, lines[-1])):
            if value != 0.0:
                continue
            along = lattice.axes[1] if axis is lattice.axes[0] else lattice.axes[0]
            for region in [region for region in regions if region.number in line]:
                places = np.flatnonzero(line == region.number)
                other = float(along.values[places[len(places) // 2]])
                probe = look(value, other) if axis is lattice.axes[0] else look(other, value)
                if probe.regime not in (region.regime, UNDECIDED):
                    regions.append(Region(int(table.max()) + 1, [probe]))
                    line[places] = regions[-1].number


def _between_probes(
    lattice: Lattice, labels: Labels, divided: Sequence[Region], look: Looks
) -> list[Boundary]:  # fmt: skip
    """The missing curves of regions whose probes differ, with which the lattice is cut."""
    found = []
    for region in divided:
        mask = labels == region.number
        curve = find_onset(lattice, mask, region.places, region.probes, look)
        if curve is not None:
            lattice.cut(*reaching(lattice, mask, curve))
            found.append(curve)
    return found


def _look(lattice: Lattice, labels: Labels, region: Region, look: Looks) -> None:
    for place in lattice.places_of(labels == region.number, REPRESENTATIVES):
        region.probes.append(look(*lattice.parameters(place)))
        region.places.append(place)


def extended(lattice: Lattice, curve: Boundary) -> tuple[Array, Array]:
    """The curve a little beyond the edges of the box that it reaches, so that it cuts the outermost rows and columns.

    A curve that fades into a zero state which exists at the edge alone stops just short of that edge.
    """
    x, y = curve.x, curve.y
    for which in (0, 1) if len(x) > 1 else ():
        end, before = (-1, -2) if which else (0, 1)
        place = np.array([x[end], y[end]])
        step = (place - np.array([x[before], y[before]])) / lattice.spacing
        outward = np.array([_outward(*own) for own in zip(place, lattice.axes, lattice.spacing, strict=True)])
        if outward.any():
            step = np.where(outward != 0.0, outward * np.maximum(np.abs(step), 1e-3), step)
            beyond = place + 2.0 * step / np.max(np.abs(step * outward)) * lattice.spacing
            x, y = (joined(values, value, which) for values, value in ((x, beyond[0]), (y, beyond[1])))
    return x, y


def _outward(value: float, axis: Axis, gap: float) -> float:
    """-1 or 1 at the low or high end of an axis, 0 elsewhere."""
    return float(value > axis.high - gap) - float(value < axis.low + gap)

