"""Which points a sweep visits: every dimension is a list of values of one parameter, or of several drawn together.

Text, as given with ``--over NAME=...``:

    0:4:1000               1000 values from 0 to 4, evenly spaced
    log:0.1:20:1000        evenly spaced in the logarithm
    list:0,0.5,2           these values
    latin:0:4              drawn in a Latin hypercube together with all other ``latin`` parameters
    latin:log:0.1:20       the same, in the logarithm
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from derive.cell.names import normal
from derive.errors import ParameterError

Array = NDArray[np.float64]
Given = str | Sequence[float] | Array

SAMPLE = "sample"
SIZE, NETWORK = "units N", "network number"
"""Columns of networks in a design; no parameter has a name with a blank."""

LATIN = "latin:"
FORMS = "LO:HI:COUNT, log:LO:HI:COUNT, list:A,B,... or, with --samples, latin:LO:HI or latin:log:LO:HI"


@dataclass(frozen=True)
class Axis:
    """One dimension. columns : parameter -> its values, all of the length of the dimension; text : as it was asked."""

    dimension: str
    columns: Mapping[str, Array]
    text: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @cached_property
    def digest(self) -> str:
        """A short checksum of all values, bit by bit."""
        found = hashlib.sha256()
        for name, values in self.columns.items():
            found.update(name.encode() + values.astype("<f8").tobytes())
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class Design:
    """All combinations of the values of its axes; the last axis runs fastest."""

    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every dimension."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are swept."""
        return tuple(name for axis in self.axes for name in axis.columns)

    def values(self, block: tuple[slice, ...]) -> dict[str, Array]:
        """Parameter -> its value at every point of a block, the last axis fastest, shape (points,)."""
        picked = np.meshgrid(*(np.arange(len(a))[s] for a, s in zip(self.axes, block, strict=True)), indexing="ij")
        return {
            name: values[index.ravel()]
            for axis, index in zip(self.axes, picked, strict=True)
            for name, values in axis.columns.items()
        }

    def point(self, number: int) -> dict[str, float]:
        """The parameters of one point, counted with the last axis fastest."""
        index = np.unravel_index(number, self.shape)
        return {
            name: float(values[i])
            for axis, i in zip(self.axes, index, strict=True)
            for name, values in axis.columns.items()
        }


def with_networks(design: Design, sizes: Sequence[int], seeds: int) -> Design:
    """The design with the sizes and numbers of networks as two more dimensions, which run fastest."""
    own = (
        Axis("N", {SIZE: np.array(sizes, float)}, ",".join(map(str, sizes))),
        Axis("seed", {NETWORK: np.arange(seeds, dtype=float)}, f"{seeds} networks"),
    )
    return Design((*design.axes, *own))


@dataclass(frozen=True)
class Blocks:
    """The chunks of an array: ``shape`` cut into boxes of at most ``chunk``."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks along every dimension."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))

    def __len__(self) -> int:
        return math.prod(self.grid)

    def place(self, number: int) -> tuple[int, ...]:
        """Position of a chunk along every dimension."""
        return tuple(int(i) for i in np.unravel_index(number, self.grid))

    def block(self, number: int) -> tuple[slice, ...]:
        """The indices that a chunk covers."""
        place = zip(self.place(number), self.chunk, self.shape, strict=True)
        return tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in place)


def blocks_of(shape: tuple[int, ...], points: int) -> Blocks:
    """Chunks of about ``points`` points: whole rows of the last dimensions where they fit."""
    chunk: list[int] = []
    room = max(1, points)
    for n in reversed(shape):
        chunk.append(min(n, room))
        room //= chunk[-1]
        room = max(room, 1)
    return Blocks(shape, tuple(reversed(chunk)))


def design_of(over: Mapping[str, Given], samples: int | None = None, seed: int = 0) -> Design:
    """The design that ``over`` describes: parameter -> text or numbers.

    samples, seed : of parameters that are ``latin``; they share the dimension ``sample``, which comes last.

    Raises
    ------
    ParameterError : nothing to sweep, text of another form, or a value that is not a finite number, with its place.
    """
    if not over:
        raise ParameterError(f"nothing is swept; give --over NAME=..., one of {FORMS}")
    drawn: dict[str, str] = {}
    axes: list[Axis] = []
    names: set[str] = set()
    for key, given in over.items():
        name = normal(key.strip())
        if name in names:
            raise ParameterError(f"--over {name}: the parameter is swept already")
        names.add(name)
        if isinstance(given, str) and given.startswith(LATIN):
            drawn[name] = given
        else:
            text = given if isinstance(given, str) else "values"
            values = _values(name, given) if isinstance(given, str) else checked(name, given)
            axes.append(Axis(name, {name: values}, text))
    if drawn:
        axes.append(_latin(drawn, samples, seed))
    elif samples is not None:
        raise ParameterError("--samples goes with --over NAME=latin:LO:HI; there is none")
    return Design(tuple(axes))


def split(text: str) -> tuple[str, str]:
    """``NAME=...`` as a pair.  Raises ParameterError."""
    name, sign, rest = text.partition("=")
    if not sign or not name.strip() or not rest.strip():
        raise ParameterError(f"--over {text[:60]}: write NAME=..., with {FORMS}; for example  --over g=0:4:41")
    return name.strip(), rest.strip()


def checked(name: str, given: Sequence[float] | Array) -> Array:
    """The values as an array.  Raises ParameterError, with place and value, for one that is not a finite number."""
    try:
        values = np.array(given, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"--over {name}: the values are not numbers; {FORMS}") from None
    if values.ndim != 1 or not values.size:
        raise ParameterError(f"--over {name}: a list of one value or more is needed; its shape is {values.shape}")
    for place in np.flatnonzero(~np.isfinite(values))[:1]:
        raise ParameterError(
            f"--over {name}: value {place + 1} of {values.size} is {values[place]}, and no point can be computed "
            "there; remove it from the list"
        )
    return values


def _values(name: str, text: str) -> Array:
    if text.startswith("list:"):
        return checked(name, [_number(name, text, item, k) for k, item in enumerate(text[5:].split(","), start=1)])
    log = text.startswith("log:")
    parts = text.removeprefix("log:").split(":")
    if len(parts) != 3:
        raise _unreadable(name, text)
    low, high = _ends(name, text, parts, log)
    try:
        count = int(parts[2])
    except ValueError:
        raise _unreadable(name, text) from None
    if count < 1 or (count == 1 and low != high):
        raise ParameterError(f"--over {name}={text}: {count} values from {low:g} to {high:g} are not possible")
    return np.geomspace(low, high, count) if log else np.linspace(low, high, count)


def _ends(name: str, text: str, parts: list[str], log: bool) -> tuple[float, float]:
    low, high = (_number(name, text, part, k) for k, part in enumerate(parts[:2], start=1))
    if not math.isfinite(low) or not math.isfinite(high):
        raise ParameterError(f"--over {name}={text}: the ends of a range are finite numbers")
    if log and not low * high > 0:
        raise ParameterError(f"--over {name}={text}: a logarithmic range has ends of one sign, neither of them zero")
    return low, high


def _number(name: str, text: str, item: str, place: int) -> float:
    try:
        return float(item)
    except ValueError:
        raise ParameterError(
            f"--over {name}={text[:60]}: value {place}, `{item.strip()[:40]}`, is not a number"
        ) from None


def _unreadable(name: str, text: str) -> ParameterError:
    return ParameterError(f"--over {name}={text[:60]}: this is none of {FORMS}; for example  --over {name}=0:4:41")


def _latin(drawn: Mapping[str, str], samples: int | None, seed: int) -> Axis:
    """A Latin hypercube: each parameter has one value in each of ``samples`` intervals of equal length."""
    if samples is None or samples < 1:
        raise ParameterError(f"--over {next(iter(drawn))}=latin:...: say with --samples COUNT how many points to draw")
    columns = {}
    for (name, text), rng in zip(drawn.items(), _streams(seed, len(drawn)), strict=True):
        rest = text.removeprefix(LATIN)
        log = rest.startswith("log:")
        parts = rest.removeprefix("log:").split(":")
        if len(parts) != 2:
            raise _unreadable(name, text)
        low, high = _ends(name, text, parts, log)
        share = (rng.permutation(samples) + rng.random(samples)) / samples
        columns[name] = low * (high / low) ** share if log else low + (high - low) * share
    texts = ", ".join(f"{name}={text}" for name, text in drawn.items())
    return Axis(SAMPLE, columns, f"{texts}; {samples} samples, seed {seed}")


def _streams(seed: int, count: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng(child) for child in np.random.SeedSequence([seed, 0x1A71]).spawn(count))
