"""One free parameter of a theory whose moments do not close: roots of a sampled chi1, with the error of a root.

Every evaluation of the chain has its own random numbers, so that errors of different parameter values are independent;
the root is that of a straight line fitted to values near it, and its error is that of the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from derive.cell.parameters import resolve
from derive.theory import Theory
from solvers.averages import Estimate
from solvers.budget import BudgetSpent, check_budget, time_left
from solvers.chain.sampling import ChainResult, sample_chain
from solvers.critical.result import CriticalPoint
from solvers.result import CONVERGED
from solvers.solve import solve
from solvers.spectrum.singular_moments import moments_of
from solvers.untied_sites import UntiedSites

GRID = 7
COARSE_TOL, FINE_TOL = 2e-2, 4e-3
SURE = 2.5
"""Standard errors at which chi1 counts as above or below one."""

UNITS, GROUPS = 4096, 4
FITTED = 5
ROUNDS = 6
GOOD_FIT = 3.0
"""Largest ratio of the scatter about the line to the standard errors."""


@dataclass(frozen=True)
class Sample:
    """chi1 of the chain at one parameter value."""

    value: float
    chi1: float
    error: float
    result: ChainResult


Draw = Callable[[float, float, int], Sample | None]
"""(parameter, tol, number of the evaluation) -> sample; None where the state decays, diverges or is not settled."""


def chain_at(theory: Theory, given: Mapping[str, float], name: str, seed: int) -> Draw:
    """Samples of the chain with one parameter free."""

    def draw(value: float, tol: float, number: int) -> Sample | None:
        check_budget()
        settings = resolve(theory.site.cell, {**given, name: value})
        result = sample_chain(theory.site, settings, tol=tol, seed=seed + 7919 * number, budget=time_left())
        alive = result.chi1 is not None and any(own.value > 0 for own in result.Q.values())
        if result.chi1 is None or not alive or not np.isfinite(result.chi1.value) or "drift" in result.verdict:
            return None
        return Sample(value, result.chi1.value, max(result.chi1.standard_error, 1e-12), result)

    return draw


def isometry_at(theory: Theory, given: Mapping[str, float], name: str, seed: int) -> Callable[[float], Estimate]:
    """The isometry variance over units of the chain, with its standard error over populations of them."""

    def variance(value: float) -> Estimate:
        settings = resolve(theory.site.cell, {**given, name: value})
        solved = solve(theory, settings.parameters, tol=FINE_TOL, seed=seed)
        if not solved.solutions:
            return Estimate(float("nan"), float("inf"))
        sites = UntiedSites(solved, solved.solutions[0], settings)
        moments = [moments_of(sites.measure(UNITS, group, seed)) for group in range(GROUPS)]
        found = np.array([m2 / m1**2 - 1.0 for m1, m2 in moments])
        return Estimate(float(found.mean()), float(found.std(ddof=1) / np.sqrt(GROUPS)))

    return variance


@dataclass(frozen=True)
class Roots:
    """Samples of the scan (parameter, chi1 - 1), the roots, and what a reader must know."""

    scan: tuple[Sample, ...]
    points: tuple[CriticalPoint, ...]
    notes: tuple[str, ...]
    complete: bool


def sampled_roots(
    draw: Draw, isometry: Callable[[float], Estimate], name: str, ends: tuple[float, float],
    start: Sequence[float] | None = None,
) -> Roots:  # fmt: skip
    """Scan the range (or the values in ``start``), then fit a line at every change of sign."""
    low, high = ends
    values = start if start is not None else low + (high - low) * np.linspace(0.0, 1.0, GRID) ** 1.5
    notes: list[str] = []
    scan: list[Sample] = []
    points: list[CriticalPoint] = []
    complete = True
    try:
        for number, value in enumerate(values):
            sample = draw(float(value), COARSE_TOL, number)
            scan += [sample] if sample is not None else []
        if len(scan) < len(values):
            notes.append(f"at {len(values) - len(scan)} of {len(values)} values the chain decays to zero, diverges or "
                         "does not settle; roots near them are not seen")  # fmt: skip
        for number, (left, right) in enumerate(_changes(scan)):
            point = _root(draw, name, left, right, 1000 * (number + 1))
            points.append(_with_isometry(point, isometry(point[name])))
    except BudgetSpent as spent:
        notes.append(f"{spent}: {len(points)} roots finished")
        complete = False
    return Roots(tuple(scan), tuple(points), tuple(notes), complete)


def _with_isometry(point: CriticalPoint, variance: Estimate) -> CriticalPoint:
    numbers, errors = dict(point.numbers), dict(point.errors)
    numbers["isometry_variance"], errors["isometry_variance"] = variance.value, variance.error
    return replace(point, numbers=numbers, errors=errors)


def _changes(scan: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    """Neighbours that are surely on different sides of one; what is not sure is passed over."""
    sure = [sample for sample in scan if abs(sample.chi1 - 1.0) > SURE * sample.error]
    return [(a, b) for a, b in pairwise(sure) if (a.chi1 - 1.0) * (b.chi1 - 1.0) < 0]


def _root(draw: Draw, name: str, left: Sample, right: Sample, number: int) -> CriticalPoint:
    """Narrow the bracket where a line does not fit, then fit one near the root."""
    known = [left, right]
    for turn in range(ROUNDS):
        own = sorted(known, key=lambda sample: sample.value)
        a, b = _bracket(own)
        guess = a.value + (b.value - a.value) * (1.0 - a.chi1) / (b.chi1 - a.chi1)
        width = 0.25 * (b.value - a.value)
        places = [guess] if turn < 2 else [max(guess - width, a.value), guess, min(guess + width, b.value)]
        for place in places:
            number += 1
            sample = draw(float(place), FINE_TOL, number)
            known += [sample] if sample is not None else []
        near = sorted(known, key=lambda sample, g=guess: abs(sample.value - g))[:FITTED]  # type: ignore[misc]
        if len(near) == FITTED:
            root, error, ratio = _line(near)
            if ratio <= GOOD_FIT and min(s.value for s in near) <= root <= max(s.value for s in near):
                return _point(name, root, error, ratio, near)
    root, error, ratio = _line(sorted(known, key=lambda sample: abs(sample.chi1 - 1.0))[:FITTED])
    return _point(name, root, error, ratio, known)


def _bracket(own: Sequence[Sample]) -> tuple[Sample, Sample]:
    """The narrowest pair of samples surely on either side of one."""
    sure = [s for s in own if abs(s.chi1 - 1.0) > SURE * s.error]
    pairs = [(a, b) for a, b in pairwise(sure) if (a.chi1 - 1.0) * (b.chi1 - 1.0) < 0]
    return min(pairs, key=lambda pair: pair[1].value - pair[0].value)


def _line(near: Sequence[Sample]) -> tuple[float, float, float]:
    """Root of a weighted straight line, its standard error, and the scatter about the line over that expected."""
    x, y, error = (np.array(column) for column in zip(*((s.value, s.chi1 - 1.0, s.error) for s in near), strict=True))
    centre = float(np.average(x, weights=error**-2))
    design = np.stack([np.ones_like(x), x - centre], axis=1) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    level, slope = covariance @ (design.T @ (y / error))
    scatter = (y - level - slope * (x - centre)) / error
    ratio = float(np.sqrt(np.sum(scatter**2) / max(len(x) - 2, 1)))
    shift = -level / slope
    spread = np.sqrt(covariance[0, 0] + 2 * shift * covariance[0, 1] + shift**2 * covariance[1, 1]) / abs(slope)
    return centre + float(shift), float(max(ratio, 1.0) * spread), ratio


def _point(name: str, root: float, error: float, ratio: float, near: Sequence[Sample]) -> CriticalPoint:
    """The root with numbers of the sample nearest to it."""
    best = min(near, key=lambda sample: abs(sample.value - root))
    numbers: dict[str, Any] = {"chi1": 1.0, "isometry_variance": float("nan")}
    errors: dict[str, Any] = {"chi1": float(np.median([s.error for s in near])), "isometry_variance": float("inf")}
    for key in ("q", "Q"):
        table = getattr(best.result, key)
        numbers[key] = {item: own.value for item, own in table.items()}
        errors[key] = {item: own.standard_error for item, own in table.items()}
    verdict = CONVERGED
    if ratio > GOOD_FIT:
        verdict = (
            f"not converged: chi1 scatters {ratio:.1f} standard errors about a line through the root. (a) the state "
            "jumps between two solutions near it: give a narrower --range on either side; (b) chi1 is curved: the same"
        )
    return CriticalPoint({name: root}, {name: error}, numbers, errors, "active", True, 1, verdict,
                         notes=("sampled closure: errors are standard errors of the fit",))  # fmt: skip
