"""What a sweep is: everything that decides its numbers, as one record that two runs can compare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.sweep.design import Blocks, Design
from solvers.sweep.engine import Engine, Points, Request

FORMAT = 1
"""Version of the layout of a store."""

PACKAGES = ("gatefield", "numpy", "scipy", "sympy", "zarr")


@dataclass(frozen=True)
class Job:
    """A request, the points at which it is made, and the chunks in which it is answered; name : of the cell."""

    name: str
    request: Request
    design: Design
    blocks: Blocks
    engine: Engine
    command: str = ""

    def record(self) -> dict[str, Any]:
        """The job in plain values.  Two runs with equal records compute the same bytes."""
        request = self.request
        found: dict[str, Any] = {
            "format": FORMAT,
            "versions": versions(),
            "cell": request.cell,
            "ansatz": request.ansatz,
            "parameters": dict(request.parameters),
            "over": {
                ", ".join(axis.columns): {"dimension": axis.dimension, "as": axis.text, "count": len(axis),
                                          "values": axis.digest}
                for axis in self.design.axes
            },
            "quantities": [quantity.name for quantity in request.quantities],
            "solutions": "largest Q" if request.solutions is None else request.solutions,
            "tolerance": request.tol,
            "seed": request.seed,
            "chunk": list(self.blocks.chunk),
            "engine": self.engine.name,
        }  # fmt: skip
        if request.networks is not None:
            own = request.networks
            found["networks"] = {
                "N": list(own.sizes), "seeds": own.seeds, "starts": own.starts, "precision": own.precision
            }  # fmt: skip
        return found

    def numbers(self, chunk: int) -> NDArray[np.int64]:
        """The points of a chunk by their numbers in the design, in the order in which it holds them."""
        block = self.blocks.block(chunk)
        index = np.meshgrid(*(np.arange(s.start, s.stop) for s in block), indexing="ij")
        return np.ravel_multi_index(tuple(i.ravel() for i in index), self.design.shape).astype(np.int64)

    def points(self, chunk: int) -> Points:
        """What the engine gets of a chunk."""
        block = self.blocks.block(chunk)
        return Points(self.design.values(block), self.numbers(chunk), tuple(s.stop - s.start for s in block))

    @property
    def key(self) -> str:
        """A checksum of the record, without the words in which the values of parameters were asked for."""
        record = self.record()
        for axis in record["over"].values():
            del axis["as"]
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """The packages on which numbers and bytes depend."""
    return {name: _version(name) for name in PACKAGES}


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """In words, what differs between the record of a store and that of a job; empty if nothing does."""
    found = []
    for key in dict.fromkeys([*ours, *theirs]):
        there, here = theirs.get(key), ours.get(key)
        if key in ("over", "parameters", "versions", "networks"):
            found += _inside(key, there or {}, here or {})
        elif there != here:
            found.append("cell: its text is another" if key == "cell" else f"{key}: {_short(there)} there, "
                         f"{_short(here)} here")  # fmt: skip
    # How the points are computed follows from what is asked, and says something only if that is the same.
    telling = [text for text in found if not text.startswith(("chunk: ", "engine: "))]
    return telling or found


def _inside(key: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    found = []
    word = {"over": "swept ", "versions": "version of "}.get(key, "")
    for name in dict.fromkeys([*here, *there]):
        old, new = there.get(name), here.get(name)
        if key == "over":
            if old and new and (old["values"], old["count"]) == (new["values"], new["count"]):
                continue
            old, new = (axis and f"{axis['as']}, {axis['count']} values" for axis in (old, new))
        if old != new:
            found.append(f"{word}{name}: {_short(old)} there, {_short(new)} here")
    return found


def _short(value: object) -> str:
    if value is None:
        return "none"
    return (value if isinstance(value, str) else json.dumps(value))[:80]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"
