"""What a phase diagram is: regimes on a grid, curves between them, points at which curves meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from derive.cell.spec import Cell
from derive.write.cell_text import cell_text
from solvers.output import refusal
from solvers.phase.boundaries import Boundary, Special
from solvers.phase.lattice import Array, Axis, Labels
from solvers.phase.regimes import NAMES, UNDECIDED, Probe
from solvers.phase.regions import Region
from solvers.phase.statics import STABLE
from solvers.result import CONVERGED
from solvers.solution import plain

CURVES = (
    "curves marked as computed are solutions of equations, followed by continuation; others lie between points of "
    "different regime, found by bisection, and their error is half the last interval"
)
REGIONS = (
    "regimes are found at a few points of each region between the curves and inferred for the rest of it; a region "
    "whose points disagree is undecided"
)


@dataclass(frozen=True)
class PhaseDiagram:
    """table : number of the region at each point of the grid, (y, x); fine : the same on a lattice between them, for
    figures; regions : by that number; curves, points : the boundaries; probes : all points that were looked at;
    parameters : the values of all others."""

    cell: Cell
    parameters: Mapping[str, float]
    x: Axis
    y: Axis
    table: Labels
    fine: Labels
    regions: Sequence[Region]
    curves: Sequence[Boundary]
    points: Sequence[Special]
    probes: Sequence[Probe]
    notes: Sequence[str]
    seed: int
    complete: bool

    @property
    def regime(self) -> Labels:
        """The regime at each point of the grid as a number of `NAMES`, (y, x)."""
        return _spread(self.table, {region.number: region.regime for region in self.regions}, UNDECIDED)

    @property
    def fine_regime(self) -> Array:
        """The regime on the lattice, nan in regions too narrow for the grid, (rows, columns)."""
        found = _spread(self.fine, {region.number: region.regime for region in self.regions}, -1)
        return np.where(found < 0, np.nan, found)

    def regime_at(self, x: float, y: float) -> str:
        """The regime at the point of the grid that is nearest."""
        row, column = (int(np.argmin(np.abs(axis.values - value))) for axis, value in ((self.y, y), (self.x, x)))
        return NAMES[self.regime[row, column]]

    @property
    def verdict(self) -> str:
        """ "converged", or what is in doubt in the first region that has a doubt."""
        if not self.complete:
            return "not converged: stopped before everything was looked at; the notes say what is missing"
        doubts = [region for region in self.regions if region.verdict != CONVERGED]
        if not doubts:
            return CONVERGED
        return f"{doubts[0].verdict} ({len(doubts)} of {len(self.regions)} regions are in doubt)"

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield phase``."""
        names = (self.x.name, self.y.name)
        regime = self.regime
        found = {
            "cell": self.cell.name,
            "parameters": dict(self.parameters),
            "x": {"name": self.x.name, "values": self.x.values.tolist()},
            "y": {"name": self.y.name, "values": self.y.values.tolist()},
            "regimes": [[NAMES[k] for k in row] for row in regime],
            "curves": [
                {"kind": c.kind, "x": c.x.tolist(), "y": c.y.tolist(), "error": list(c.error), "computed": c.computed}
                for c in self.curves
            ],
            "points": [
                {"kind": p.kind, "x": p.x, "y": p.y, "error": list(p.error)} for p in self.points
            ],
            "representatives": [
                {"region": number, **probe.as_dict(names)}
                for number, region in enumerate(self.regions) for probe in region.probes
            ],
            "verdict": self.verdict,
            "notes": [*self.notes, CURVES, REGIONS],
        }  # fmt: skip
        return dict(plain(found))

    def dataset(self) -> xr.Dataset:
        """The diagram with named coordinates; attributes hold the cell's text, parameters, versions and the seed."""
        dims = (_dimension(self.y.name), _dimension(self.x.name))
        order = {region.number: number for number, region in enumerate(self.regions)}
        static = {r.number: len(r.probes[0].statics.states) for r in self.regions if r.probes and r.probes[0].statics}
        stable = {r.number: r.probes[0].statics.count(STABLE) for r in self.regions
                  if r.probes and r.probes[0].statics}  # fmt: skip
        flags = {"flag_values": np.arange(len(NAMES), dtype=np.int8),
                 "flag_meanings": " ".join(name.replace(" ", "_") for name in NAMES)}  # fmt: skip
        exponents, errors = self._exponents()
        data = {
            "regime": (dims, self.regime.astype(np.int8), {"long_name": "regime", **flags}),
            "region": (dims, _spread(self.table, order, -1).astype(np.int32), {"long_name": "connected region"}),
            "static_solutions": (dims, _spread(self.table, static, -1).astype(np.int16),
                                 {"long_name": "number of static solutions", "comment": "-1: not known"}),
            "stable_solutions": (dims, _spread(self.table, stable, -1).astype(np.int16),
                                 {"long_name": "number of stable static solutions", "comment": "-1: not known"}),
            "lambda_max": (dims, exponents, {"long_name": "largest Lyapunov exponent of states that fluctuate",
                                             "units": self._rate, "comment": "nan where it was not computed"}),
            "lambda_error": (dims, errors, {"long_name": "error of lambda_max", "units": self._rate}),
            "region_verdict": ("region_number", [region.verdict for region in self.regions]),
            **self._curve_data(),
        }  # fmt: skip
        coordinates = {_dimension(axis.name): (_dimension(axis.name), axis.values, {"units": "1"})
                       for axis in (self.x, self.y)}  # fmt: skip
        return xr.Dataset(data, coordinates, self._attributes())

    @property
    def _rate(self) -> str:
        return "1/step" if self.cell.time == "discrete" else "1/time"

    def _exponents(self) -> tuple[Array, Array]:
        """The largest exponent at points of the grid that were looked at, and its error, (y, x)."""
        found = np.full((2, self.y.count, self.x.count), np.nan)
        for probe in self.probes:
            row, column = (int(np.argmin(np.abs(axis.values - value)))
                           for axis, value in ((self.y, probe.y), (self.x, probe.x)))  # fmt: skip
            on_grid = np.isclose(self.x.values[column], probe.x) and np.isclose(self.y.values[row], probe.y)
            if on_grid and probe.exponents:
                found[:, row, column] = max(probe.exponents)
        return found[0], found[1]

    def _curve_data(self) -> dict[str, Any]:
        """All curves one after the other, with the number of the curve at each of their points."""
        def row(values: list[Array]) -> Array:
            return np.concatenate([np.zeros(0), *values])

        number = row([np.full(len(curve.x), float(k)) for k, curve in enumerate(self.curves)]).astype(np.int32)
        return {
            "curve_id": ("curve_point", number, {"long_name": "number of the curve"}),
            "curve_x": ("curve_point", row([c.x for c in self.curves]), {"units": "1", "long_name": self.x.name}),
            "curve_y": ("curve_point", row([c.y for c in self.curves]), {"units": "1", "long_name": self.y.name}),
            "curve_kind": ("curve", [c.kind for c in self.curves] or np.zeros(0, "U1")),
            "curve_computed": ("curve", np.array([c.computed for c in self.curves], np.int8),
                               {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "inferred computed"}),
            "curve_error": (("curve", "axis"), np.array([c.error for c in self.curves]).reshape(-1, 2),
                            {"comment": "in x and in y"}),
            "point_kind": ("point", [p.kind for p in self.points] or np.zeros(0, "U1")),
            "point_x": ("point", np.array([p.x for p in self.points])),
            "point_y": ("point", np.array([p.y for p in self.points])),
            "point_error": (("point", "axis"), np.array([p.error for p in self.points]).reshape(-1, 2)),
        }  # fmt: skip

    def _attributes(self) -> dict[str, Any]:
        return {
            "title": f"phase diagram of {self.cell.name}",
            "cell": cell_text(self.cell),
            "parameters": ", ".join(f"{name} = {value:.17g}" for name, value in self.parameters.items()),
            "versions": ", ".join(f"{name} {_version(name)}" for name in ("gatefield", "numpy", "scipy", "sympy",
                                                                          "xarray")),
            "seed": self.seed,
            "verdict": self.verdict,
            "notes": "\n".join((*self.notes, CURVES, REGIONS)),
        }  # fmt: skip


def _spread(table: Labels, by_region: Mapping[int, int], other: int) -> Labels:
    return np.vectorize(lambda number: by_region.get(int(number), other), otypes=[np.int64])(table)


def write_dataset(found: PhaseDiagram, path: Path) -> None:
    """Write `PhaseDiagram.dataset` as a NetCDF file.  Raises OutputError."""
    try:
        found.dataset().to_netcdf(path, engine="scipy")
    except OSError as error:
        raise refusal(path, error, "Free some space, or give another path.") from None


def _dimension(name: str) -> str:
    """The parameter's name, changed where a variable or dimension of the dataset has it."""
    taken = name in ("regime", "region", "axis", "curve", "point") or ("_" in name and name.split("_")[0] in (
        "curve", "point", "region", "static", "stable", "lambda"))  # fmt: skip
    return f"{name}_parameter" if taken else name


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"
