"""Regions of the box: cut by curves, represented by probes, cut again where two probes of one region differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from solvers.budget import BudgetSpent
from solvers.phase.boundaries import Boundary, joined
from solvers.phase.lattice import Array, Axis, Labels, Lattice, Place
from solvers.phase.onset import CHAOS_ONSET, Side, find_onset, reaching
from solvers.phase.regimes import CHAOTIC, NAMES, UNDECIDED, Probe
from solvers.phase.statics import STABLE

REPRESENTATIVES = 2
ROUNDS = 2

BORDER = 3
"""Places along the border to chaos, inside a region of one stable state, at which chaos is followed in."""

DEEP = 4.0
"""A point represents a region if it is so many edges of the lattice away from where the region ends."""


class Looker(Protocol):
    """What knows the regime at a point."""

    def __call__(self, x: float, y: float) -> Probe:
        """Everything about this point.  Raises BudgetSpent."""

    def chaotic(self, x: float, y: float) -> bool | None:
        """Whether there is a state that fluctuates for ever; None where it cannot be said.  Raises BudgetSpent."""


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
    """The box in regions: table (y, x) of their numbers on the grid, fine on the lattice; curves : those that were
    inferred on the way."""

    table: Labels
    fine: Labels
    regions: list[Region]
    curves: list[Boundary]
    notes: list[str]
    complete: bool = True


def cut_regions(lattice: Lattice, curves: Sequence[Boundary], prober: Looker) -> Cut:
    """Cut, look at points of each region, look for curves that no equation gives, and cut again."""
    for curve in curves:
        lattice.cut(*extended(lattice, curve))
    cut = Cut(lattice.on_grid(lattice.labels()), lattice.labels(), [], [], [])
    seen: dict[Place, Probe] = {}
    for attempt in range(ROUNDS):
        labels = lattice.labels()
        cut.regions = _regions(lattice, labels)
        try:
            for region in cut.regions:
                _look(lattice, labels, region, prober, seen)
        except BudgetSpent as spent:
            known = sum(bool(region.probes) for region in cut.regions)
            cut.notes.append(f"{spent}: {known} of {len(cut.regions)} regions were looked at")
            for region in cut.regions:
                region.stopped = str(spent)
            cut.complete = False
        if not cut.complete or attempt + 1 == ROUNDS or not _inferred(lattice, labels, cut, prober):
            break
    small = len(np.unique(labels)) - len(cut.regions)
    if small:
        cut.notes.append(f"{small} regions are too narrow for this grid: no point of it lies in them")
    cut.table, cut.fine = lattice.on_grid(labels).copy(), labels
    if cut.complete:
        try:
            _look_along_zeros(lattice, cut.table, cut.regions, prober)
        except BudgetSpent as spent:
            cut.notes.append(f"{spent}: edges of the box were not looked at")
            cut.complete = False
    return cut


def _inferred(lattice: Lattice, labels: Labels, cut: Cut, prober: Looker) -> bool:
    """Add curves between probes that differ and onsets of chaos inside regions; whether there are any."""
    before = len(cut.curves)
    for region in cut.regions:
        ends, side, kind = _question(region, prober)
        mask = labels == region.number
        if side is None:
            ends, side, kind = _from_chaos(lattice, labels, region, cut.regions, prober), prober.chaotic, CHAOS_ONSET
            if ends is None:
                continue
        found = find_onset(lattice, mask, ends, side, kind)
        if found.curve is not None:
            lattice.cut(*reaching(lattice, mask, found.curve))
            cut.curves.append(found.curve)
        if found.spent:
            cut.notes.append(f"{found.spent}: {kind} was not looked for on all lines")
            cut.complete = False
            break
    return len(cut.curves) > before


def _question(region: Region, prober: Looker) -> tuple[tuple[Place, Place] | None, Side | None, str]:
    """What is to be found inside a region: between which places, what tells the sides apart (None: nothing is to be
    found), and what the curve is called."""
    known = [(place, p) for place, p in zip(region.places, region.probes, strict=True) if p.regime != UNDECIDED]
    if not known:
        return None, None, ""
    start, first = known[0]
    other = next(((place, p) for place, p in known if p.regime != first.regime), None)
    if other is not None and (first.regime in CHAOTIC) == (other[1].regime in CHAOTIC):
        def same(x: float, y: float) -> bool | None:
            regime = prober(x, y).regime
            return None if regime == UNDECIDED else regime == first.regime

        return (start, other[0]), same, f"change from {NAMES[first.regime]} to {NAMES[other[1].regime]}"
    alone = first.statics is not None and len(first.statics.states) == 1 and first.regime not in CHAOTIC
    beside = first.statics is not None and first.statics.count(STABLE) and not alone
    if other is None and not beside:
        return None, None, ""
    return (None if other is None else (start, other[0])), prober.chaotic, CHAOS_ONSET


def _from_chaos(
    lattice: Lattice, labels: Labels, region: Region, regions: Sequence[Region], prober: Looker
) -> tuple[Place, Place] | None:
    """Where a region of one stable state borders chaos: a place just inside in which chaos goes on, and one in which
    it does not."""
    if not region.probes or region.regime in (*CHAOTIC, UNDECIDED):
        return None
    numbers = [other.number for other in regions if other.probes and other.regime in CHAOTIC]
    for place in lattice.beside(labels == region.number, np.isin(labels, numbers), BORDER):
        if prober.chaotic(*lattice.parameters(place)):
            return place, region.places[0]
    return None


def _regions(lattice: Lattice, labels: Labels) -> list[Region]:
    """Regions with points of the grid, in the order of their first point."""
    numbers, first = np.unique(lattice.on_grid(labels), return_index=True)
    return [Region(int(numbers[k])) for k in np.argsort(first)]


def _look_along_zeros(lattice: Lattice, table: Labels, regions: list[Region], look: Looker) -> None:
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


def _look(
    lattice: Lattice, labels: Labels, region: Region, prober: Looker, seen: dict[Place, Probe]
) -> None:  # fmt: skip
    """Look at points deep inside, unless enough of those already looked at lie well inside."""
    mask = labels == region.number
    depth = lattice.depth(mask)
    region.places = [place for place in seen if depth[place] >= DEEP]
    region.probes = [seen[place] for place in region.places]
    for place in lattice.places_of(mask, REPRESENTATIVES) if len(region.probes) < REPRESENTATIVES else ():
        if place in region.places:
            continue
        probe = prober(*lattice.parameters(place))
        seen[place] = probe
        region.places.append(place)
        region.probes.append(probe)


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

