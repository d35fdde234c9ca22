"""What a finite network said: one value per seed for each quantity, never an average alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from solvers.simulate.elementwise import Array

Sample = TypeVar("Sample")


@dataclass(frozen=True)
class Row:
    """One measured quantity, such as ``q[W]``, ``Q[h]``, ``chi1``, ``C_star[h]``.

    measured holds one value per seed and nan where a seed gave none; mean and standard_error are over the others.
    The standard error is nan for a single seed: nothing is then known about the scatter.
    """

    quantity: str
    measured: Array

    @property
    def used(self) -> Array:
        """The values that exist."""
        return self.measured[np.isfinite(self.measured)]

    @property
    def mean(self) -> float:
        return float(np.mean(self.used)) if self.used.size else float("nan")

    @property
    def standard_error(self) -> float:
        if self.used.size < 2:
            return float("nan")
        return float(np.std(self.used, ddof=1) / np.sqrt(self.used.size))


@dataclass(frozen=True)
class Measurement:
    """Rows of measured quantities with the conditions under which they were measured.

    Attributes
    ----------
    rows : in a fixed order; ``measurement["Q[h]"]`` gives one
    N : units; seeds : number of independent networks; seed : the root from which all of them are spawned
    outcomes : one sentence per seed; settled : per seed, whether it is what was asked for
    """

    rows: tuple[Row, ...]
    N: int
    seeds: int
    seed: int
    outcomes: tuple[str, ...]
    settled: tuple[bool, ...]

    def __getitem__(self, quantity: str) -> Row:
        for row in self.rows:
            if row.quantity == quantity:
                return row
        raise KeyError(f"{quantity!r} was not measured; there are {', '.join(row.quantity for row in self.rows)}")

    @property
    def converged(self) -> bool:
        """Every seed settled."""
        return all(self.settled)

    def __str__(self) -> str:
        settled = sum(self.settled)
        lines = [f"N = {self.N}, {self.seeds} networks, {settled} settled"]
        lines += [f"  {row.quantity} = {row.mean:.6g} +- {row.standard_error:.2g}" for row in self.rows]
        lines += [f"  network {k}: {text}" for k, text in enumerate(self.outcomes) if not self.settled[k]]
        return "\n".join(lines)


def each_network(
    work: Callable[[np.random.SeedSequence], Sample], seed: int, seeds: int, executor: Executor | None
) -> tuple[Sample, ...]:
    """``work`` on each of ``seeds`` sequences spawned from one root; the result does not depend on the executor."""
    sequences = np.random.SeedSequence(seed).spawn(seeds)
    return tuple(executor.map(work, sequences) if executor is not None else map(work, sequences))


def unsettled(outcomes: Sequence[str], settled: Sequence[bool]) -> str:
    """The verdict where some networks did not settle: how many, and what the first of them says."""
    missing = [text for text, well in zip(outcomes, settled, strict=True) if not well]
    return f"not converged: {len(missing)} of {len(settled)} networks; the first: {missing[0]}"


def rows_from(values: Sequence[Mapping[str, float]]) -> tuple[Row, ...]:
    """One row per quantity from one mapping per seed; a quantity that a seed lacks is nan there."""
    names = dict.fromkeys(name for mapping in values for name in mapping)
    return tuple(Row(name, np.array([mapping.get(name, np.nan) for mapping in values])) for name in names)
