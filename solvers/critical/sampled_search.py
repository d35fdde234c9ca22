"""Criticality where the moments do not close: the zero state without noise, driven states by sampling the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from derive.cell.parameters import resolve
from solvers.critical.problem import Space
from solvers.critical.ranges import Range
from solvers.critical.result import BranchInfo, Critical, CriticalPoint, CurveInfo
from solvers.critical.sampled import Roots, chain_at, isometry_at, sampled_roots
from solvers.critical.work import Work, one_parameter, parameters_of, two_parameters
from solvers.critical.zero_state import ZeroIsometry, zero_growth

ACROSS = 6
"""Values of the second parameter at which the first is solved for, where there is no zero state to follow."""

ZERO_ONLY = (
    "there is a zero state at these parameters, and criticality is looked for on it alone; drive the cell (a bias or "
    "an input) for others"
)


def sampled_search(space: Space, names: tuple[str, ...], ends: Mapping[str, Range], tol: float, seed: int) -> Critical:
    """Critical points or curves of a theory whose single-site chain is sampled."""
    theory = space.theory
    settings = resolve(theory.site.cell, parameters_of(space))
    growth = zero_growth(theory, settings)
    if growth is not None:
        work = Work(space, names, ends, tol, growth, ZeroIsometry(theory))
        found = one_parameter(work) if len(names) == 1 else two_parameters(work)
        return replace(found, notes=(*found.notes, ZERO_ONLY))
    return _one(space, names[0], ends, seed) if len(names) == 1 else _two(space, names, ends, seed)


def _one(space: Space, name: str, ends: Mapping[str, Range], seed: int) -> Critical:
    theory, given = space.theory, parameters_of(space)
    isometry = isometry_at(theory, given, name, seed)
    roots = sampled_roots(chain_at(theory, given, name, seed), isometry, name, ends[name])
    return Critical(
        theory, given, dict(ends), "chi1", roots.points, (_info(roots),) if roots.scan else (),
        notes=(*theory.notes, *roots.notes), complete=roots.complete,
    )  # fmt: skip


def _info(roots: Roots) -> BranchInfo:
    values = np.array([sample.value for sample in roots.scan])
    excess = np.array([sample.chi1 - 1.0 for sample in roots.scan])
    ends = ("first value sampled", "last value sampled")
    return BranchInfo(1, "active", values, excess, np.ones(len(values), bool), ends)


def _two(space: Space, names: tuple[str, ...], ends: Mapping[str, Range], seed: int) -> Critical:
    """The first parameter solved for at a few values of the second, each search beginning at the last root."""
    theory, given = space.theory, parameters_of(space)
    first, second = names
    low, high = ends[second]
    points: list[CriticalPoint] = []
    notes: list[str] = [f"sampled closure: the curve is {first} at {ACROSS} values of {second}"]
    complete, start = True, None
    for number, value in enumerate(np.linspace(low, high, ACROSS)):
        own, key = {**given, second: float(value)}, seed + 104729 * number
        draw, isometry = chain_at(theory, own, first, key), isometry_at(theory, own, first, key)
        roots = sampled_roots(draw, isometry, first, ends[first], start)
        if start is not None and not roots.points and roots.complete:
            roots = sampled_roots(draw, isometry, first, ends[first])
        complete = complete and roots.complete
        own_notes = roots.notes if roots.complete else (f"stopped by the time budget at {second} = {value:g}",)
        notes += [note for note in own_notes if note not in notes]
        for root in roots.points:
            points.append(replace(root, free={first: root.free[first], second: float(value)},
                                  free_errors={first: root.free_errors[first], second: 0.0}))  # fmt: skip
        start = _near(roots.points[0].free[first], ends[first]) if roots.points else None
        if not complete:
            break
    begin, end = (f"{second} = {points[k].free[second] if points else low:g}" for k in (0, -1))
    curve = CurveInfo(0, "active", 0, len(points), False, (begin, end))
    return Critical(
        theory, given, dict(ends), "chi1", tuple(points), curves=(curve,) if points else (),
        notes=(*theory.notes, *notes), complete=complete,
    )  # fmt: skip


def _near(root: float, ends: Range) -> list[float]:
    """Values about the last root."""
    low, high = ends
    return sorted({float(np.clip(root * factor, low, high)) for factor in (0.6, 0.85, 1.15, 1.5)})
