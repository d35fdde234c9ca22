"""Kaplan-Yorke dimension and entropy rate of finite networks, with as many exponents as they need.

Both grow with the number of units, and so does the number of exponents: it is enlarged until their sum is negative or a
limit is reached.  Nothing is extrapolated.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from solvers.simulate.elementwise import Array
from solvers.simulate.lyapunov import LyapunovSample, entropy_rate, kaplan_yorke, sample_lyapunov
from solvers.simulate.measurement import Row, each_network

PILOT, WINDOW = 40.0, 150.0
"""Time over which the number of exponents of a network is chosen, and over which they are then measured."""

SPARE = 1.3
"""More exponents than the pilot needed, which is short."""


@dataclass(frozen=True)
class DimensionMeasurement:
    """rows : kaplan_yorke and entropy_rate, nan for networks in which the exponents allowed were too few; exponents :
    the most that any network took; window : of time; left : the smallest sum of exponents over networks in which it is
    not negative, else None; stopped : why it was not finished, "" where it was."""

    rows: tuple[Row, ...]
    exponents: int
    window: float
    left: float | None
    stopped: str = ""

    @property
    def complete(self) -> bool:
        """Whether the dimension is known in every network."""
        return not self.stopped and self.left is None


def measure_dimension(
    cell: Cell, settings: Settings, *, N: int, seeds: int, first: int, most: int, seed: int = 0, scale: float = 1.0,
    executor: Executor | None = None,
) -> DimensionMeasurement:  # fmt: skip
    """Of the networks of `measure_lyapunov` with the same seed, each with ``first`` to ``most`` exponents."""
    limit = min(most, len(cell.states) * N)
    work = partial(_of_one, partial(sample_lyapunov, cell, settings, N, scale=scale), min(first, limit), limit)
    samples = each_network(work, seed, seeds, executor)
    every = [sample.exponents for sample in samples]
    stopped = next((sample.outcome for sample in samples if sample.outcome.startswith("stopped")), "")
    rows = tuple(Row(name, np.array([of(own) for own in every]))
                 for name, of in (("kaplan_yorke", kaplan_yorke), ("entropy_rate", entropy_rate)))  # fmt: skip
    positive = [float(own.sum()) for own in every if own.sum() >= 0]
    return DimensionMeasurement(
        rows, max(len(own) for own in every), WINDOW, min(positive) if positive else None, stopped
    )


def _of_one(
    sample: Callable[..., LyapunovSample], first: int, limit: int, sequence: np.random.SeedSequence
) -> LyapunovSample:
    """One network: over the pilot's window until the sum is negative, then over the whole one, once more if need be."""
    count = min(2 * first, limit)
    while True:
        rough = sample(count, sequence, window=PILOT, longest=PILOT)
        if count == limit or not np.sum(rough.exponents) >= 0:
            break
        count = min(limit, max(count + first, _expected(rough.exponents)))
    count = min(limit, max(first, int(np.ceil(SPARE * _needed(rough.exponents)))))
    while True:
        found = sample(count, sequence, window=WINDOW, longest=WINDOW)
        if count == limit or not np.sum(found.exponents) >= 0:
            return found
        count = min(limit, max(count + first, _expected(found.exponents)))


def _needed(exponents: Array) -> int:
    """The first exponents whose sum is negative; all of them where there are none."""
    negative = np.flatnonzero(np.cumsum(exponents) < 0)
    return int(negative[0]) + 1 if negative.size else len(exponents)


def _expected(exponents: Array) -> int:
    """How many it may take if the rest falls as the later half does; only to choose how many to follow."""
    half = len(exponents) // 2
    fall = (exponents[half] - exponents[-1]) / max(len(exponents) - 1 - half, 1)
    if not np.isfinite(fall) or fall <= 0:
        return 2 * len(exponents)
    last, total = float(exponents[-1]), float(np.sum(exponents))
    return len(exponents) + int(np.ceil((last + np.sqrt(last**2 + 2 * fall * total)) / fall))
