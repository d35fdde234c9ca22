"""Lyapunov exponents: what networks say, beside what theory says of the largest one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from solvers.budget import BudgetSpent
from solvers.compare.exponent import MaximalExponent, maximal_exponent
from solvers.simulate.dimension import DimensionMeasurement, measure_dimension
from solvers.simulate.lyapunov import LyapunovMeasurement, measure_lyapunov
from solvers.simulate.measurement import Row, unsettled
from solvers.solution import plain
from solvers.threads import one_thread

FINITE_SIZE = (
    "measured at this N: standard errors are those over networks and do not hold the finite-size correction, which is "
    "of order 1/N; extrapolated: the largest exponent for N -> infinity, by that of {count} networks of {half} units"
)


TOO_FEW = (
    "the sum of the first {count} exponents is still positive in some network, so that there is no Kaplan-Yorke "
    "dimension: raise --most, or take a smaller N (it grows with N)"
)
SMALL_CORRECTION = 0.15


@dataclass(frozen=True)
class LyapunovComparison:
    """Exponents per step of a map, or per unit of time of a flow, largest first.

    theory : of the largest exponent for N -> infinity; measurement : of ``exponents`` exponents in finite networks;
    halves : of the largest exponent in networks of half the size; dimension : with as many exponents as the
    Kaplan-Yorke dimension needs, None where the first ``exponents`` suffice or no more were allowed
    """

    cell: Cell
    parameters: Mapping[str, float]
    theory: MaximalExponent
    measurement: LyapunovMeasurement
    halves: LyapunovMeasurement
    exponents: int
    dimension: DimensionMeasurement | None = None

    @property
    def converged(self) -> bool:
        """Whether every network settled and the theory, where there is one, met its tolerance."""
        return self.measurement.converged and self.theory.converged

    @property
    def extrapolated(self) -> tuple[float, float]:
        """The largest exponent for N -> infinity, if its correction is of order 1/N, and its standard error."""
        own, half = self.measurement["lyapunov[1]"], self.halves["lyapunov[1]"]
        share = self.halves.N / (self.measurement.N - self.halves.N)
        value = (1.0 + share) * own.mean - share * half.mean
        return value, float(np.hypot((1.0 + share) * own.standard_error, share * half.standard_error))

    def _on_dimension(self, *, known: bool) -> list[str]:
        """How many exponents the Kaplan-Yorke dimension was taken from, or why there is none."""
        own = self.dimension
        if own is None:
            moving = any(np.isfinite(self.measurement[f"lyapunov[{k + 1}]"].mean) for k in range(self.exponents))
            return [] if known or not moving else [TOO_FEW.format(count=self.exponents)]
        if own.stopped:
            return [f"no Kaplan-Yorke dimension: {own.stopped}"]
        if own.left is not None:
            return [TOO_FEW.format(count=own.exponents) + f" (it is {own.left:.3g} or more)"]
        return [f"kaplan_yorke and entropy_rate: from {own.exponents} exponents, over a time of {own.window:g}"]

    @property
    def verdict(self) -> str:
        """ "converged", or how many networks did not settle and what the first of them says."""
        found = self.measurement
        return self.theory.verdict if found.converged else unsettled(found.outcomes, found.settled)

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield lyapunov``."""
        found = self.measurement
        rows = [found[f"lyapunov[{k + 1}]"] for k in range(self.exponents)]
        extrapolated, extrapolated_error = self.extrapolated
        notes = [*self.theory.notes, FINITE_SIZE.format(count=self.halves.seeds, half=self.halves.N)]
        result: dict[str, Any] = {
            "cell": self.cell.name,
            "parameters": dict(self.parameters),
            "theory": self.theory.value,
            "theory_error": self.theory.error,
            "measured": [_mean(row) for row in rows],
            "standard_error": [row.standard_error for row in rows],
            "extrapolated": extrapolated,
            "extrapolated_error": extrapolated_error,
            "unit": "step" if self.cell.time == "discrete" else "time",
        }
        for name in ("kaplan_yorke", "entropy_rate"):
            rows_of = (*found.rows, *(self.dimension.rows if self.dimension is not None else ()))
            own = next((row for row in rows_of if row.quantity == name and np.isfinite(row.measured).all()), None)
            result[name] = None if own is None else own.mean
            result[f"{name}_error"] = None if own is None else own.standard_error
        notes += self._on_dimension(known=result["kaplan_yorke"] is not None)
        if abs(extrapolated - rows[0].mean) > SMALL_CORRECTION * abs(rows[0].mean):
            notes.append("the two sizes differ much: the correction need not be of order 1/N yet, take a larger N")
        if any(np.isneginf(_mean(row)) for row in rows):
            notes.append("an exponent of minus infinity (null): a perturbation in that direction is lost in one step")
        rest = sum(sample.at_rest for sample in found.samples)
        if rest:
            notes.append(f"{rest} of {found.seeds} networks came to rest at a fixed point")
        result |= {
            "N": found.N,
            "seeds": found.seeds,
            "seed": found.seed,
            "dt": [sample.dt for sample in found.samples],
            "step_error": [sample.step_error for sample in found.samples],
            "window": [sample.window for sample in found.samples],
            "time_error": [float(np.max(sample.errors)) for sample in found.samples],
            "verdict": self.verdict,
            "notes": notes,
        }
        return dict(plain(result))


@one_thread
def lyapunov(
    cell: Cell,
    parameters: Mapping[str, object] | None = None,
    *,
    N: int = 1000,
    exponents: int = 10,
    seeds: int = 8,
    seed: int = 0,
    scale: float = 1.0,
    most: int = 200,
    progress: Callable[[str], None] | None = None,
    executor: Executor | None = None,
) -> LyapunovComparison:
    """The first exponents of ``seeds`` networks of N units that start at states of standard deviation ``scale``.

    most : where the sum of the first ``exponents`` is positive, up to so many are followed for the Kaplan-Yorke
    dimension and the entropy rate.

    Raises
    ------
    ParameterError : a parameter is unknown, missing or out of range; more exponents than a network has
    AnsatzError : a flow is driven by inputs that are independent at all times
    """
    settings = resolve(cell, parameters)
    if progress is not None:
        progress(f"following {seeds} networks of {N} units")
    measurement = measure_lyapunov(
        cell, settings, N=N, seeds=seeds, exponents=exponents, seed=seed, scale=scale, executor=executor
    )
    dimension = None
    if most > exponents and all(row.quantity != "kaplan_yorke" for row in measurement.rows) and measurement.moving:
        if progress is not None:
            progress(f"the Kaplan-Yorke dimension of {seeds} networks of {N} units, with up to {most} exponents")
        dimension = measure_dimension(
            cell, settings, N=N, seeds=seeds, first=exponents, most=most, seed=seed, scale=scale, executor=executor
        )
    if progress is not None:
        progress(f"following {2 * seeds} networks of {N // 2} units")
    halves = measure_lyapunov(
        cell, settings, N=max(N // 2, 1), seeds=2 * seeds, seed=seed + 1, scale=scale, executor=executor
    )
    if progress is not None:
        progress("the stationary mean field")
    known = [sample.Q for sample in measurement.samples if sample.Q]
    try:
        theory = maximal_exponent(cell, parameters, known)
    except BudgetSpent as spent:
        theory = MaximalExponent(None, None, (f"{spent}: no theory of the exponent",), converged=False)
    return LyapunovComparison(cell, settings.parameters, theory, measurement, halves, exponents, dimension)


def _mean(row: Row) -> float:
    """Over all networks: -inf where one of them loses the direction at once, nan where one diverged."""
    return float(np.mean(row.measured))
