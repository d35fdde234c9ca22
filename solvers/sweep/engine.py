"""What evaluates the points of a chunk: plain text and arrays in, arrays out, so that any process can do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.sweep.design import Array
from solvers.sweep.quantities import Quantity

CONVERGED, NOT_CONVERGED, NO_SOLUTION, REFUSED, FAILED, ABSENT, NOT_COMPUTED = 0, 1, 2, 3, 4, 5, -1
"""Codes of the variable ``verdict``."""

VERDICTS = {
    CONVERGED: "converged",
    NOT_CONVERGED: "not_converged",
    NO_SOLUTION: "no_solution",
    REFUSED: "parameters_refused",
    FAILED: "failed",
    ABSENT: "no_further_solution",
    NOT_COMPUTED: "not_computed",
}

LONGEST_REASON = 400
"""Characters of a reason that are kept."""


@dataclass(frozen=True)
class Networks:
    """What is measured: sizes N, networks of each, initial states that share a network's weights, and the precision of
    products, "float64" or "float32"."""

    sizes: tuple[int, ...]
    seeds: int
    starts: int = 1
    precision: str = "float64"


@dataclass(frozen=True)
class Request:
    """What is asked at every point, as text and numbers.

    cell : text of the cell file; parameters : those that are not swept; solutions : None for the solution with the
    largest Q of the first state, else the length of the dimension ``solution``; networks : measure these instead of
    solving the theory.
    """

    cell: str
    ansatz: str
    parameters: Mapping[str, float]
    quantities: tuple[Quantity, ...]
    solutions: int | None
    tol: float
    seed: int
    networks: Networks | None = None

    @property
    def copies(self) -> tuple[int, ...]:
        """Dimensions of the verdict besides those of the design: solutions, or initial states of a network."""
        if self.networks is not None:
            return () if self.networks.starts == 1 else (self.networks.starts,)
        return () if self.solutions is None else (self.solutions,)


@dataclass(frozen=True)
class Points:
    """A chunk. swept : parameter -> value at each point, (points,); numbers : of the points in the design, (points,);
    shape : of the chunk, along each dimension of the design (points of a row follow each other)."""

    swept: Mapping[str, Array]
    numbers: NDArray[np.int64]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, k: int) -> dict[str, float]:
        """The swept parameters of one point."""
        return {name: float(values[k]) for name, values in self.swept.items()}


@dataclass
class Answer:
    """What a chunk holds.

    values, errors : quantity -> (points, *copies, *labels), nan where there is no number; verdict : codes (points,
    *copies); reason : text of the same shape, empty where converged; found : number of solutions (points,).
    """

    values: dict[str, Array]
    errors: dict[str, Array]
    verdict: NDArray[np.int8]
    reason: NDArray[np.object_]
    found: NDArray[np.int16]

    @classmethod
    def empty(cls, request: Request, points: int) -> Answer:
        """Nothing computed yet."""
        shape = (points, *request.copies)
        reason = np.full(shape, "", dtype=object)
        return cls(
            {q.name: np.full((*shape, *q.shape), np.nan) for q in request.quantities},
            {q.name: np.full((*shape, *q.shape), np.nan) for q in request.quantities if q.has_error},
            np.full(shape, NOT_COMPUTED, np.int8), reason, np.full(points, -1, np.int16),
        )  # fmt: skip

    def judge(self, where: int | slice | tuple[int, ...], verdict: int, reason: str) -> None:
        """Put one verdict and its reason on a point, or on many."""
        self.verdict[where] = verdict
        self.reason[where] = " ".join(reason.split())[:LONGEST_REASON]


@dataclass(frozen=True)
class Engine:
    """evaluate : a function of a module, which other processes import by its name; points : good size of a chunk;
    note : what a user should know of this choice."""

    name: str
    points: int
    evaluate: Callable[[Request, Points], Answer]
    note: str = ""
