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

NEIGHBOUR, WIDENINGS, NARROWINGS = 1.01, 7, 8
"""First distance, as a ratio, at which a quantile is enclosed; it is squared until it is; turns of false position."""

ASIDE, SHARE = 1e-6, 1e-7
"""A quantile lies between those of levels so much lower and higher; accuracy asked of the shares below these."""

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
    asked = sorted({*levels, *(p for trim in TRIMMED if trim for p in (trim, 1.0 - trim))})
    found = law_quantiles(measures, law_of, asked)
    ends = _scattered(found.first.ends(), found.first, found.laws)
    chosen = {level: found.by_level[level] for level in levels}
    return LawNumbers(chosen, ends, _condition(found.by_level, ends), found.first, found.verdict)


@dataclass(frozen=True)
class LawQuantiles:
    """by_level : quantiles; first : the law on part of the first site measure, in which they were sought; laws : on all
    of them (none where every singular value is the same); verdict : as everywhere."""

    by_level: dict[float, Estimate]
    first: Law
    laws: Sequence[Law]
    verdict: str


def law_quantiles(
    measures: Sequence[SiteMeasure], law_of: Callable[[SiteMeasure], Law], levels: Sequence[float],
    scanned: int = SCANNED,
) -> LawQuantiles:  # fmt: skip
    """Quantiles alone, which are sought with ``scanned`` units and found with all.  Raises BudgetSpent."""
    first = law_of(_thinned(measures[0], scanned))
    start = first.quantiles(levels)
    laws = [] if first.point else [law_of(measure) for measure in measures]
    refined = [_refined(law, start, levels) for law in laws] or [(start, np.zeros(start.size))]
    table, left = (np.array(column) for column in zip(*refined, strict=True))
    values = table.mean(axis=0)
    gaps = first.unresolved(levels)
    values = np.where(np.isfinite(values) & (gaps == 0.0), values, start)  # at a jump the law has no slope to refine by
    errors = np.fmax(_errors(table, left, start, first), gaps)
    found = {level: Estimate(float(x), float(error)) for level, x, error in zip(levels, values, errors, strict=True)}
    return LawQuantiles(found, first, laws, _verdict(first, found))


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


def _thinned(measure: SiteMeasure, units: int) -> SiteMeasure:
    return measure if measure.nodes <= units else measure.subset(np.arange(units))


def _refined(law: Law, start: Array, levels: Sequence[float]) -> tuple[Array, Array]:
    """Quantiles of the same law on another measure, sought about those of the first, and how far each is narrowed
    down, by level; nan where the pencil was not solved."""
    found, left = start.copy(), np.zeros(start.size)
    places = np.nonzero(start > 0.0)[0]
    if places.size:
        level, where = np.asarray(levels, float)[places], np.tile(start[places], 2)
        wanted = np.concatenate([level - ASIDE, level + ASIDE])  # far apart where hardly any singular value lies
        points, width = _narrowed(law, wanted, *_bracketed(law, where, wanted))
        below, above = points[: places.size], points[places.size :]
        found[places] = 0.5 * (below + above)
        left[places] = 0.5 * (above - below) + np.maximum(width[: places.size], width[places.size :])
    return found, left


def _bracketed(law: Law, start: Array, wanted: Array) -> tuple[Array, Array]:
    """Points below and above the quantiles, (n,) each."""
    low, high, step = start / NEIGHBOUR, start * NEIGHBOUR, NEIGHBOUR
    for _ in range(WIDENINGS):
        step *= step
        shares = law.share_below(np.concatenate([low, high]))
        under, over = shares[: low.size] <= wanted, shares[low.size :] >= wanted
        if (under & over).all():
            break
        low, high = np.where(under, low, low / step), np.where(over, high, high * step)
    return low, high


def _narrowed(law: Law, wanted: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Quantiles between the points of brackets, and how far they may be off, by false position."""
    shares = law.share_below(np.concatenate([low, high]))
    under, over = shares[: low.size], shares[low.size :]
    found, left = _between(wanted, low, high, under, over), high - low
    for _ in range(NARROWINGS):
        here = law.share_below(found)
        left = np.where(np.abs(here - wanted) <= SHARE, 0.0, high - low)
        if not (left > 0.0).any():
            break
        below = here <= wanted
        low, under = np.where(below, found, low), np.where(below, here, under)
        high, over = np.where(below, high, found), np.where(below, over, here)
        found = np.where(left > 0.0, _between(wanted, low, high, under, over), found)
    return found, np.minimum(left, high - low)


def _between(wanted: Array, low: Array, high: Array, under: Array, over: Array) -> Array:
    """Linear interpolation, kept off the ends; nan where a level does not lie between the shares."""
    with np.errstate(all="ignore"):
        part = np.where(over > under, (wanted - under) / (over - under), 0.5)
    inside = (under <= wanted) & (over >= wanted)
    return np.where(inside, low + np.clip(part, 0.02, 0.98) * (high - low), np.nan)


def _errors(table: Array, left: Array, start: Array, law: Law) -> Array:
    """Two standard errors over the measures, and the width to which quantiles (measures, n) were narrowed down."""
    if len(table) == 1:
        return np.maximum(1e-6 * law.size, 1e-6 * start)
    scatter = 2.0 * table.std(axis=0, ddof=1) / np.sqrt(len(table))
    return np.asarray(scatter + left.max(axis=0) + 1e-6 * start)


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
