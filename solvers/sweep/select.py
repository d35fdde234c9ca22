"""What a figure of a sweep shows: one quantity along one or two parameters, everything else at a value or as lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from derive.cell.names import did_you_mean
from derive.errors import ParameterError
from solvers.sweep.engine import CONVERGED
from solvers.sweep.layout import REASON, SEED, SOLUTION, START, VERDICT
from solvers.sweep.store import stored_record

MOST_LINES = 6
MOST_ALONG = 2000
"""Values drawn along one axis of a figure; of more, evenly spread ones are taken."""

LABELS = ("field", "state", "definition", "end")


@dataclass(frozen=True)
class Shown:
    """values, error, good : over x alone, over (line, x), or over (y, x); one dimension for scattered samples.

    good : converged; lines : what each line is; note : values at which other parameters were held.
    """

    quantity: str
    x: str
    y: str | None
    values: xr.DataArray
    error: xr.DataArray
    good: xr.DataArray
    note: str
    title: str


def open_sweep(path: Path) -> xr.Dataset:
    """The dataset of a store.  Raises StoreError, or ParameterError where there is none."""
    if stored_record(path) is None:
        raise ParameterError(f"{path}: there is no sweep; `gatefield sweep ... -o {path}` makes one")
    return xr.open_zarr(path, chunks=None)


def select(data: xr.Dataset, quantity: str, x: str | None, y: str | None, at: Mapping[str, float]) -> Shown:
    """The part of a sweep that a figure shows.

    quantity : such as ``chi1`` or ``q[W]``; x, y : parameters (x: by default the first); at : where to hold others.

    Raises
    ------
    ParameterError : a name that the sweep does not have, or a dimension of which a value has to be chosen.
    """
    name, _, label = quantity.partition("[")
    known = [str(v) for v in data.data_vars if not str(v).endswith("_error") and v not in (VERDICT, REASON)]
    if name not in known:
        raise _unknown("--quantity", name, known)
    own = data[name]
    columns = [str(c) for d in own.dims if d not in LABELS for c in data.coords if data[c].dims == (d,)]
    x = x or columns[0]
    for option, given in (("--x", x), ("--y", y), *(("--at", key) for key in at)):
        if given is not None and given not in columns:
            raise _unknown(option, given, columns)
    if x == y:
        raise ParameterError("--x and --y are two different parameters")
    part = data[[v for v in (name, f"{name}_error", VERDICT) if v in data]]
    if label:
        part = _labelled(part, own, label.rstrip("]"))
    part, held = _held(part, at)
    part = _thinned(part)
    axes = [str(d) for c in (y, x) if c is not None for d in data[c].dims]
    part, values, error = _over_networks(part, name, axes)
    rest = [str(d) for d in values.dims if d not in axes]
    _require_room(data, rest, y)
    order = list(dict.fromkeys([*rest, *axes]))
    good = (part[VERDICT] == CONVERGED) if VERDICT in part else xr.ones_like(values, bool)
    good, _ = xr.broadcast(good, values)
    return Shown(quantity, x, y, values.transpose(*order), error.broadcast_like(values).transpose(*order),
                 good.transpose(*order), held, str(data.attrs.get("title", "")))  # fmt: skip


def _labelled(part: xr.Dataset, own: xr.DataArray, label: str) -> xr.Dataset:
    dimension = next((d for d in LABELS if d in own.dims), None)
    labels = [str(value) for value in own[dimension].values] if dimension else []
    if dimension is None or label not in labels:
        raise _unknown(f"--quantity {own.name}[...]", label, labels)
    return part.isel({dimension: labels.index(label)}, drop=True)


def _held(part: xr.Dataset, at: Mapping[str, float]) -> tuple[xr.Dataset, str]:
    """Other dimensions at the values that are nearest to those given."""
    told = []
    for name, value in at.items():
        (dimension,) = part[name].dims
        k = int(np.argmin(np.abs(part[name].values - value)))
        told.append(f"{name} = {float(part[name].values[k]):.6g}")
        part = part.isel({dimension: k}, drop=True)
    return part, ", ".join(told)


def _thinned(part: xr.Dataset) -> xr.Dataset:
    steps = {d: slice(None, None, -(-n // MOST_ALONG)) for d, n in part.sizes.items() if n > MOST_ALONG}
    return part.isel(steps)


def _over_networks(part: xr.Dataset, name: str, axes: list[str]) -> tuple[xr.Dataset, xr.DataArray, xr.DataArray]:
    """Mean over networks with its standard error; theory has errors of its own."""
    values = part[name].load()
    if SEED not in values.dims or SEED in axes:
        error = part[f"{name}_error"].load() if f"{name}_error" in part else xr.zeros_like(values)
        return part, values, error
    count = values.notnull().sum(SEED)
    error = values.std(SEED, ddof=1) / np.sqrt(count.where(count > 1))
    verdict = part[VERDICT]
    part = part.assign({VERDICT: verdict.max(SEED)})
    return part, values.mean(SEED), error


def _require_room(data: xr.Dataset, rest: list[str], y: str | None) -> None:
    """Beside x there may be one more swept dimension, drawn as lines, and labels or solutions; on a map none."""
    free = [d for d in rest if d not in (*LABELS, SOLUTION, START)]
    too_many = free[1:] if y is None else rest
    if too_many:
        name = too_many[0]
        if name in LABELS:
            raise ParameterError(f"a map shows one number: write the quantity as NAME[LABEL], with a label of {name}: "
                                 f"{', '.join(str(v) for v in data[name].values)}")  # fmt: skip
        first, last = (float(data[name].values[k]) for k in (0, -1))
        raise ParameterError(f"{name} has {data.sizes[name]} values from {first:g} to {last:g}: hold it with "
                             f"--at {name}=VALUE")  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One curve over x: what it is, values, errors, and where they converged."""

    text: str
    values: xr.DataArray
    error: xr.DataArray
    good: xr.DataArray

    def at(self, dimension: str, place: int, text: str) -> Line:
        """One of the curves along a further dimension."""
        parts = (part.isel({dimension: place}) for part in (self.values, self.error, self.good))
        return Line(", ".join(item for item in (self.text, text) if item), *parts)


def lines(shown: Shown) -> list[Line]:
    """The curves over x that hold a number; at most `MOST_LINES` of a parameter, evenly spread."""
    found = [Line("", shown.values, shown.error, shown.good)]
    for dimension in (str(d) for d in shown.values.dims if d not in shown.values[shown.x].dims):
        labels = shown.values[dimension].values
        places = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), MOST_LINES)).astype(int))
        found = [line.at(dimension, int(k), _label(dimension, labels[k])) for line in found for k in places]
    return [line for line in found if line.values.notnull().any()]


def _label(dimension: str, value: object) -> str:
    if dimension in LABELS:
        return str(value)
    if dimension in (SOLUTION, START):
        return f"{dimension} {value}"
    return f"{dimension} = {float(value):.4g}"  # type: ignore[arg-type]


def _unknown(option: str, name: str, known: list[str]) -> ParameterError:
    there = ", ".join(known) or "none"
    return ParameterError(f"{option} {name[:40]}: this sweep has {there}. {did_you_mean(name, known)}".strip())
