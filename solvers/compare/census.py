"""The number of fixed points of finite networks at two sizes, beside the theory's exponent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.errors import AnsatzError, ConvergenceError, ParameterError
from solvers.averages import Estimate
from solvers.branches.complexity import LOWER_BOUND, complexity
from solvers.budget import BudgetSpent, check_budget
from solvers.census.census import NetworkCensus, take_census
from solvers.census.residual import SiteResidual
from solvers.census.richness import LOWER
from solvers.result import CONVERGED
from solvers.simulate.elementwise import Array
from solvers.solution import plain
from solvers.solve import solve
from solvers.threads import one_thread

CLEAR = 3.0
"""Standard errors by which networks have to lie below a bound to contradict it."""

LEAST_NETWORKS = 4
"""Networks of each size from which the scatter of their numbers is known well enough for that."""

LOST = 0.98
"""Share of searches without a fixed point above which those that there are may all have been missed."""

ENOUGH = 0.25
"""Share of fixed points that may be missed, by the estimate, for a census to be called complete."""

WHAT = (
    "found, estimated: fixed points of each network apart from the zero state, images under sign changes counted; "
    "growth: of ln (mean estimated number) for each unit between the two sizes, without a model of the prefactor"
)
SHUT = "{} was divided by functions that may be exactly zero: fixed points with such units may be missed"


@dataclass(frozen=True)
class FixedPointCensus:
    """What networks of two sizes hold.

    sizes : (N/2, N); networks : a tuple of censuses for each size; level : the theory's exponent (1/N) ln number, the
    largest over static solutions, None where there is none; notes : what else is to be known.
    """

    cell: Cell
    parameters: Mapping[str, float]
    sizes: tuple[int, int]
    networks: tuple[tuple[NetworkCensus, ...], tuple[NetworkCensus, ...]]
    level: Estimate | None
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def growth(self) -> Estimate:
        """ln (mean number) for each unit between the two sizes, and its standard error over networks and searches."""
        logs = [_log_mean(own) for own in self.networks]
        apart = self.sizes[1] - self.sizes[0]
        return Estimate((logs[1].value - logs[0].value) / apart, float(np.hypot(logs[0].error, logs[1].error)) / apart)

    @property
    def verdict(self) -> str:
        """ "converged", or what keeps the numbers from being what they should."""
        every = [network for own in self.networks for network in own]
        stopped = [network.stopped for network in every if network.stopped]
        if stopped or any(not own for own in self.networks):
            return f"not converged: {stopped[0] if stopped else 'no network was searched'}"
        if lost := sum(network.lost >= LOST * network.tried for network in every):
            return (
                f"not converged: in {lost} of {len(every)} networks nearly all searches ended at slow points; (a) an "
                "activation jumps or has kinks: use a smooth one; (b) raise --starts; (c) take a smaller N"
            )
        met, missed = sum(n.found for n in every), sum(n.estimated.value - n.found for n in every)
        if missed > ENOUGH * max(met, 1):
            return (
                f"not converged: about {missed:.0f} fixed points were missed beside {met} found; (a) raise --starts; "
                "(b) take a smaller N"
            )
        if not met and (self.level is None or self.level.value > 0):
            return "not converged: no network has a fixed point apart from the zero state, or none was found"
        return CONVERGED

    @property
    def bound(self) -> str:
        """What networks say of the theory's exponent, which is a lower bound of the mean number's."""
        growth = self.growth
        if self.level is None or not np.isfinite([growth.value, growth.error]).all():
            return "not compared"
        if min(len(own) for own in self.networks) < LEAST_NETWORKS:
            return f"not compared: fewer than {LEAST_NETWORKS} networks of a size say little about scatter (--seeds)"
        below = self.level.value - growth.value
        if below > CLEAR * np.hypot(growth.error, self.level.error):
            return "the number grows more slowly than the bound between these sizes: prefactors still count"
        return "the number grows at least as fast as the bound, within errors"

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield fixed-points --simulate``."""
        growth = self.growth
        found: dict[str, Any] = {
            "cell": self.cell.name,
            "parameters": dict(self.parameters),
            "complexity": None if self.level is None else self.level.value,
            "complexity_error": None if self.level is None else self.level.error,
            "growth": growth.value, "growth_error": growth.error,
            "bound": self.bound,
            "sizes": [_size_record(N, own) for N, own in zip(self.sizes, self.networks, strict=True)],
            "seed": self.seed,
            "verdict": self.verdict,
            "notes": [*self.notes, WHAT, LOWER, LOWER_BOUND],
        }  # fmt: skip
        return dict(plain(found))


def _size_record(N: int, networks: tuple[NetworkCensus, ...]) -> dict[str, Any]:
    kinds = [kind for network in networks for kind in network.kinds]
    unstable = sorted({kind.unstable for kind in kinds})
    Q = {name: float(np.average([k.Q[name] for k in kinds], weights=[k.copies for k in kinds]))
         for name in (kinds[0].Q if kinds else ())}  # fmt: skip
    mean = [float(np.mean(values)) if networks else np.nan
            for values in ([n.found for n in networks], [n.estimated.value for n in networks])]  # fmt: skip
    return {
        "N": N, "networks": len(networks),
        "found": [n.found for n in networks], "mean_found": mean[0],
        "estimated": [n.estimated.value for n in networks], "mean_estimated": mean[1],
        "estimated_error": [n.estimated.error for n in networks],
        "mean_error": _mean(networks).error,
        "unstable": {str(k): sum(kind.copies for kind in kinds if kind.unstable == k) for k in unstable},
        "Q": Q,
        "starts": [n.tried for n in networks], "lost": [n.lost for n in networks],
    }  # fmt: skip


def _mean(networks: tuple[NetworkCensus, ...]) -> Estimate:
    """Mean estimated number; the error holds the scatter of networks, and that of each estimate."""
    if not networks:
        return Estimate(np.nan, np.nan)
    values: Array = np.array([n.estimated.value for n in networks])
    own = float(np.sqrt(np.mean([n.estimated.error**2 for n in networks]) / len(values)))
    spread = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan
    return Estimate(float(values.mean()), float(np.hypot(spread, own)))


def _log_mean(networks: tuple[NetworkCensus, ...]) -> Estimate:
    mean = _mean(networks)
    if not mean.value > 0:
        return Estimate(np.nan, np.nan)
    return Estimate(float(np.log(mean.value)), mean.error / mean.value)


@one_thread
def census(
    cell: Cell,
    parameters: Mapping[str, object] | None = None,
    *,
    N: int = 100,
    seeds: int = 8,
    seed: int = 0,
    searches: int = 300,
    progress: Callable[[str], None] | None = None,
) -> FixedPointCensus:
    """Count the fixed points of ``seeds`` networks of N units and of as many of N/2, each from ``searches`` starts.

    Raises
    ------
    ParameterError : a parameter is unknown, missing or out of range; N is too small to be halved.
    AnsatzError : an input moves, so that nothing is ever at rest.
    """
    settings = resolve(cell, parameters)
    moving = [name for name, own in settings.inputs.items() if own.moves]
    if moving:
        raise AnsatzError(
            f"input {moving[0]} is drawn at each step, so that no state is at rest; "
            'write  time = "constant"  under [inputs], or make its variance zero'
        )
    if N < 8:
        raise ParameterError(f"fixed points are counted at N and N/2 units; N = {N} is too small, take -N 8 or more")
    sizes, notes = (N // 2, N), []
    residual = SiteResidual(cell)
    notes += [SHUT.format(name) for name in residual.loose]
    level = _level(cell, parameters, notes)
    networks: list[tuple[NetworkCensus, ...]] = []
    for units in sizes:
        own: list[NetworkCensus] = []
        for number, sequence in enumerate(np.random.SeedSequence([seed, units]).spawn(seeds)):
            if progress is not None:
                progress(f"network {number + 1} of {seeds} with {units} units")
            own.append(take_census(cell, settings, units, sequence, residual, searches))
            if own[-1].stopped:
                break
        networks.append(tuple(own))
    return FixedPointCensus(cell, settings.parameters, sizes, (networks[0], networks[1]), level, seed, tuple(notes))


def _level(cell: Cell, parameters: Mapping[str, object] | None, notes: list[str]) -> Estimate | None:
    """The largest exponent over static solutions apart from the zero state."""
    try:
        solved = solve(cell, parameters, ansatz="static", tol=1e-8)
        check_budget()
        levels = [complexity(solved.theory, solution.linearised_at)
                  for solution in solved.solutions if any(solution.numbers["Q"].values())]  # fmt: skip
    except (AnsatzError, ConvergenceError, BudgetSpent) as reason:
        notes.append(f"no exponent from theory: {reason}")
        return None
    if not levels:
        notes.append("theory has no static solution apart from the zero state")
        return Estimate(0.0, 0.0)
    best = max(levels, key=lambda level: level.value)
    if best.verdict != CONVERGED:
        notes.append(f"the exponent of theory: {best.verdict}")
    return Estimate(best.value, best.error)


