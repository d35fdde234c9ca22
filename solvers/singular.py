"""Singular values of the one-step Jacobian at the solutions of a theory: moments, quantiles, condition numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.cell.parameters import Settings, resolve
from derive.errors import AnsatzError, SizeError
from solvers.averages import Estimate
from solvers.equations import relative_errors
from solvers.measure import SiteMeasure, StaticSites
from solvers.result import CONVERGED
from solvers.solution import Solution, Solved, plain
from solvers.spectrum.singular_law import Array, Ends, SingularLaw
from solvers.spectrum.singular_moments import moments_of
from solvers.spectrum.symbolic_moments import SymbolicMoments
from solvers.threads import one_thread
from solvers.untied_sites import UntiedSites

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
REPLICATES = 4
LOG2_NODES = 10
UNITS = 2048
SCANNED = 1024
"""Units of a sampled measure that the first search uses; all of them tell where the quantiles are in the end."""

TRIMMED = (0.0, 0.01, 0.1)
"""Shares that condition numbers leave out on either side."""

NEIGHBOURS = (0.97, 1.0, 1.03)
LEAST_UNIT = 1e-300


@dataclass(frozen=True)
class SingularResult:
    """What is known of the singular values at one solution.

    m1, m2 : moments of their squares; quantiles : by level; ends : of the support, and the share of exact zeros;
    condition : ratio of the quantiles 1 - p and p by p (p = 0: of the ends), inf where the smaller is zero;
    law : the law on one of the site measures, for densities; verdict, notes : as everywhere.
    """

    m1: Estimate
    m2: Estimate
    quantiles: dict[float, Estimate]
    ends: Ends
    condition: dict[float, float]
    law: SingularLaw
    verdict: str = CONVERGED
    notes: tuple[str, ...] = ()

    def numbers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The JSON object ``singular``, and the errors of its numbers."""
        found = {
            "m1": self.m1.value,
            "m2": self.m2.value,
            "quantiles": {f"{level:g}": item.value for level, item in self.quantiles.items()},
            "support": [self.ends.lower, self.ends.upper],
            "zero": self.ends.zero,
            "condition": {f"{trim:g}": value for trim, value in self.condition.items()},
        }
        errors = {
            "m1": self.m1.error,
            "m2": self.m2.error,
            "quantiles": {f"{level:g}": item.error for level, item in self.quantiles.items()},
        }
        return plain(found), plain(errors)


@one_thread
def singular_of(
    solved: Solved, solution: Solution, *, levels: Sequence[float] = LEVELS, tol: float = 1e-10, seed: int = 0
) -> SingularResult:
    """Singular values at one solution, static or untied.

    Raises
    ------
    AnsatzError : the Jacobian holds a delta function (the derivative of a jump).
    BudgetSpent : the time is over.
    """
    settings = resolve(solved.theory.site.cell, solved.parameters)
    measures, notes = site_measures(solved, solution, settings, seed)
    m1, m2, more = _moments(solved, solution, measures, tol)
    first = SingularLaw(_thinned(measures[0]))
    asked = sorted({*levels, *(p for trim in TRIMMED if trim for p in (trim, 1.0 - trim))})
    start = first.quantiles(asked)
    table = [start] if first.point else [_refined(measure, start, asked) for measure in measures]
    values = np.mean(table, axis=0)
    gaps = first.unresolved(asked)
    values = np.where(np.isfinite(values) & (gaps == 0.0), values, start)  # at a jump the law has no slope to refine by
    errors = np.fmax(_errors(np.array(table), start, first), gaps)
    quantiles = {
        level: Estimate(float(x), float(error)) for level, x, error in zip(asked, values, errors, strict=True)
    }
    ends = first.ends()
    verdict = CONVERGED if first.lost == 0 else (
        f"{first.lost} points of the pencil were not solved: (a) singular values of single units without a continuous "
        "law: look at the density; (b) an extreme gain: move a parameter"
    )  # fmt: skip
    return SingularResult(
        m1, m2, {level: quantiles[level] for level in levels}, ends, _condition(quantiles, ends), first, verdict,
        (*notes, *more),
    )  # fmt: skip


def site_measures(
    solved: Solved, solution: Solution, settings: Settings, seed: int = 0
) -> tuple[list[SiteMeasure], tuple[str, ...]]:
    """Independent site measures of one solution: scrambled nets (static), or populations of units (untied)."""
    if solved.theory.ansatz == "static":
        sites = StaticSites(solved.theory, solution.linearised_at)
        count = REPLICATES if sites.dimension else 1
        rules = (sites.rule(log2_nodes=LOG2_NODES, scramble=k, fitted=False) for k in range(count))
        return [sites.measure(rule) for rule in rules], ()
    population = UntiedSites(solved, solution, settings)
    measures = [population.measure(UNITS, replicate, seed) for replicate in range(REPLICATES)]
    if population.settled:
        return measures, ()
    return measures, ("the law of single units still drifts: singular values are those of a transient",)


def _thinned(measure: SiteMeasure) -> SiteMeasure:
    return measure if measure.nodes <= SCANNED else measure.subset(np.arange(SCANNED))


def _moments(
    solved: Solved, solution: Solution, measures: Sequence[SiteMeasure], tol: float
) -> tuple[Estimate, Estimate, tuple[str, ...]]:
    """m1 and m2 from their symbolic expressions, or as means over the site measures where there are none."""
    try:
        return *symbolic_moments(solved, solution, tol), ()
    except (AnsatzError, SizeError) as reason:
        table = np.array([moments_of(measure) for measure in measures])
        value, error = table.mean(axis=0), 2.0 * table.std(axis=0, ddof=1) / np.sqrt(len(table))
        note = f"m1 and m2 are means over {sum(m.nodes for m in measures)} sampled units: {reason}"
        return Estimate(*map(float, (value[0], error[0]))), Estimate(*map(float, (value[1], error[1]))), (note,)


def symbolic_moments(solved: Solved, solution: Solution, tol: float = 1e-10) -> tuple[Estimate, Estimate]:
    """m1 and m2 at one solution, with the errors of quadrature and of the solution.

    Raises as `derive.stability.singular.singular_theory`.
    """
    values = dict(solution.linearised_at)
    values |= {symbol: solved.parameters[name] for name, symbol in solved.theory.site.parameters.items()}
    moments = SymbolicMoments(solved.theory, solved.same_evaluator())(values, tol)
    share = solution_share(solved, solution)
    first, second = (Estimate(item.value, item.error + 4 * share * abs(item.value)) for item in moments)
    return first, second


def solution_share(solved: Solved, solution: Solution) -> float:
    """Largest relative error of the unknowns of a solution."""
    errors = solution.errors.get("q", {})
    known = {s: float(errors[name] or 0.0) for name, s in solved.theory.variances.items() if name in errors}
    return max(relative_errors(dict(solution.values), known), default=0.0)


def _refined(measure: SiteMeasure, start: Array, levels: Sequence[float]) -> Array:
    """Quantiles of another measure of the same law, from the share below and about those of the first."""
    law = SingularLaw(measure)
    found = start.copy()
    places = np.nonzero(start > 0.0)[0]
    if not places.size:
        return found
    around = start[places][:, None] * np.array(NEIGHBOURS)
    shares = law.share_below(around.ravel()).reshape(around.shape)
    for row, place in enumerate(places):
        share, level = np.maximum.accumulate(shares[row]), levels[int(place)]
        lower = 0 if level < share[1] else 1
        rise = share[lower + 1] - share[lower]
        step = (level - share[1]) / rise * (around[row, lower + 1] - around[row, lower]) if rise > 0 else np.nan
        found[place] = around[row, 1] + step
    return found


def _errors(table: Array, start: Array, law: SingularLaw) -> Array:
    """Two standard errors over the measures, and what linear interpolation may leave."""
    if len(table) == 1:
        return np.maximum(1e-6 * law.size, 1e-6 * start)
    scatter = 2.0 * table.std(axis=0, ddof=1) / np.sqrt(len(table))
    moved = np.abs(table - start).max(axis=0)
    return np.asarray(scatter + 0.01 * moved + 1e-6 * start)


def _condition(quantiles: dict[float, Estimate], ends: Ends) -> dict[float, float]:
    found = {}
    for trim in TRIMMED:
        low, high = (quantiles[trim].value, quantiles[1.0 - trim].value) if trim else (ends.lower, ends.upper)
        low = 0.0 if trim == 0.0 and ends.zero > 0.0 else low
        found[trim] = high / low if low > LEAST_UNIT else np.inf
    return found
