"""Quantiles, ends and condition numbers of a law of singular values, with errors from several site measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from solvers.averages import Estimate
from solvers.measure import SiteMeasure
from solvers.result import CONVERGED
from solvers.spectrum.singular_law import Array, Ends, root_end

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SCANNED = 1024
"""Units of a sampled measure that the first search uses; all of them tell where the quantiles are in the end."""

TRIMMED = (0.0, 0.01, 0.1)
"""Shares that condition numbers leave out on either side."""

NEIGHBOURS = (0.97, 1.0, 1.03)
LEAST_UNIT = 1e-300
ACCURATE = 0.02
"""Share of a quantile, or of the root mean square, up to which its error is small."""


class Law(Protocol):
    """A law of singular values s >= 0; see `SingularLaw` for what each means."""

    size: float
    point: bool

    @property
    def lost(self) -> int:
        """Points not solved so far."""

    def share_below(self, s: Array) -> Array:
        """Share of singular values at or below s."""

    def quantiles(self, levels: Sequence[float]) -> Array:
        """s by level."""

    def unresolved(self, levels: Sequence[float]) -> Array:
        """Widths of jumps at levels."""

    def ends(self) -> Ends:
        """Ends of the support."""

    def probes(self, ends: Ends, *, upper: bool) -> Array:
        """Points from which an end is extrapolated."""


@dataclass(frozen=True)
class LawNumbers:
    """quantiles : by level; ends : of the support with errors, and the share of exact zeros; condition : ratio of the
    quantiles 1 - p and p by p (p = 0: of the ends), inf where the smaller is zero or may be; law : on the first site
    measure.
    """

    quantiles: dict[float, Estimate]
    ends: Ends
    condition: dict[float, Estimate]
    law: Law
    verdict: str = CONVERGED

    def numbers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON of quantiles, support, zeros and condition numbers, and the errors."""
        ends = self.ends
        found = {
            "quantiles": {f"{level:g}": item.value for level, item in self.quantiles.items()},
            "support": [ends.lower, ends.upper],
            "zero": ends.zero,
            "condition": {f"{trim:g}": item.value for trim, item in self.condition.items()},
        }
        errors = {
            "quantiles": {f"{level:g}": item.error for level, item in self.quantiles.items()},
            "support": [ends.lower_error, ends.upper_error],
            "condition": {f"{trim:g}": item.error for trim, item in self.condition.items()},
        }
        return found, errors


def law_numbers(
    measures: Sequence[SiteMeasure], law_of: Callable[[SiteMeasure], Law], levels: Sequence[float] = LEVELS
) -> LawNumbers:
    """Everything about a law, from independent site measures of the same units.  Raises BudgetSpent."""
    first = law_of(_thinned(measures[0]))
    asked = sorted({*levels, *(p for trim in TRIMMED if trim for p in (trim, 1.0 - trim))})
    start = first.quantiles(asked)
    laws = [] if first.point else [law_of(measure) for measure in measures]
    table = [_refined(law, start, asked) for law in laws] or [start]
    values = np.mean(table, axis=0)
    gaps = first.unresolved(asked)
    values = np.where(np.isfinite(values) & (gaps == 0.0), values, start)  # at a jump the law has no slope to refine by
    errors = np.fmax(_errors(np.array(table), start, first), gaps)
    quantiles = {
        level: Estimate(float(x), float(error)) for level, x, error in zip(asked, values, errors, strict=True)
    }
    ends = _scattered(first.ends(), first, laws)
    chosen = {level: quantiles[level] for level in levels}
    return LawNumbers(chosen, ends, _condition(quantiles, ends), first, _verdict(first, quantiles))


def _verdict(law: Law, quantiles: Mapping[float, Estimate]) -> str:
    """Points that were not solved matter where they leave a quantile unknown."""
    unknown = [f"{level:g}" for level, item in quantiles.items()
               if not item.error <= ACCURATE * max(law.size, item.value)]  # fmt: skip
    if not law.lost or not unknown:
        return CONVERGED
    return (
        f"not converged: {law.lost} points of the pencil were not solved, and quantiles {', '.join(unknown)} are known "
        "as their errors say: (a) singular values of single units without a continuous law: look at the density; "
        "(b) an extreme gain: move a parameter"
    )


def _scattered(ends: Ends, first: Law, laws: Sequence[Law]) -> Ends:
    """Ends whose errors hold what the site measures make of them."""
    if len(laws) < 2:
        return ends
    added = []
    for upper in (False, True):
        probes = first.probes(ends, upper=upper)
        if not probes.size or (not upper and ends.lower == 0.0):
            added.append(0.0)
            continue
        shares = np.array([law.share_below(probes) for law in (first, *laws)])
        found = np.array([root_end(probes, 1.0 - own if upper else own - ends.zero) for own in shares])
        added.append(2.0 * float(found[1:].std(ddof=1)) + abs(float(found[1:].mean() - found[0])))
    return replace(ends, lower_error=ends.lower_error + added[0], upper_error=ends.upper_error + added[1])


def _thinned(measure: SiteMeasure) -> SiteMeasure:
    return measure if measure.nodes <= SCANNED else measure.subset(np.arange(SCANNED))


def _refined(law: Law, start: Array, levels: Sequence[float]) -> Array:
    """Quantiles of the same law on another measure, from the share below and about those of the first."""
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


def _errors(table: Array, start: Array, law: Law) -> Array:
    """Two standard errors over the measures, and what linear interpolation may leave."""
    if len(table) == 1:
        return np.maximum(1e-6 * law.size, 1e-6 * start)
    scatter = 2.0 * table.std(axis=0, ddof=1) / np.sqrt(len(table))
    moved = np.abs(table - start).max(axis=0)
    return np.asarray(scatter + 0.01 * moved + 1e-6 * start)


def _condition(quantiles: dict[float, Estimate], ends: Ends) -> dict[float, Estimate]:
    """By the share that is left out; the ratio's error holds those of both ends of it."""
    found = {}
    for trim in TRIMMED:
        low, high = (quantiles[trim], quantiles[1.0 - trim]) if trim else (
            Estimate(ends.lower, ends.lower_error), Estimate(ends.upper, ends.upper_error))  # fmt: skip
        known = low.value > max(low.error, LEAST_UNIT) and (trim or ends.zero == 0.0)
        ratio = high.value / low.value if known else np.inf
        share = high.error / high.value + low.error / (low.value - low.error) if known else 0.0
        found[trim] = Estimate(ratio, ratio * share if known else 0.0)
    return found
