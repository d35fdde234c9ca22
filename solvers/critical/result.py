"""What a search for criticality returns: points, curves, folds and jumps, each with errors and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from derive.theory import Theory
from solvers.result import CONVERGED
from solvers.solution import plain


@dataclass(frozen=True)
class CriticalPoint:
    """One critical initialisation.

    free, free_errors : the free parameters by name; numbers, errors : the criterion (chi1, or spectral_radius or
    spectral_abscissa), isometry_variance, Q and q, under the same keys; decides : "support" or "outlier", which of
    them is at the line of stability or beyond it (static theories); state : "zero" or "active"; attracting : whether
    the moments are drawn to this solution; branch : number of the solution branch or of the curve.
    """

    free: Mapping[str, float]
    free_errors: Mapping[str, float]
    numbers: Mapping[str, Any]
    errors: Mapping[str, Any]
    state: str
    attracting: bool
    branch: int
    verdict: str
    decides: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether every number met its tolerance."""
        return self.verdict == CONVERGED

    def __getitem__(self, name: str) -> float:
        """A free parameter, or a number by its key."""
        found = self.free[name] if name in self.free else self.numbers[name]
        return float(found)

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of this point."""
        found: dict[str, Any] = dict(self.free) | dict(self.numbers)
        found |= {"state": self.state, "attracting": self.attracting, "branch": self.branch}
        if self.decides is not None:
            found["decides"] = self.decides
        found["error"] = dict(self.free_errors) | dict(self.errors)
        found["verdict"] = self.verdict
        if self.notes:
            found["notes"] = list(self.notes)
        return dict(plain(found))


@dataclass(frozen=True)
class Turn:
    """A fold of a solution branch: beyond it the two solutions that meet here do not exist.

    excess : the criterion minus its critical value at the fold; beyond : the same for what attracts on the other side;
    crosses : whether the attracting solution jumps over criticality here, with no critical solution in between.
    """

    parameter: float
    error: float
    branch: int
    excess: float
    beyond: tuple[float, ...]
    crosses: bool

    def as_dict(self, name: str, criterion: str) -> dict[str, Any]:
        """The JSON object of this fold."""
        return dict(plain({name: self.parameter, "branch": self.branch, f"{criterion}_excess": self.excess,
                           "beyond": list(self.beyond), "discontinuous": self.crosses,
                           "error": {name: self.error}}))  # fmt: skip


@dataclass(frozen=True)
class BranchInfo:
    """A solution branch that was followed: (parameter, excess, attracting) along it, and why either end is one."""

    number: int
    state: str
    free: np.ndarray
    excess: np.ndarray
    attracting: np.ndarray
    ends: tuple[str, str]

    def as_dict(self, name: str) -> dict[str, Any]:
        """The JSON object of this branch, without its points."""
        span = [float(self.free.min()), float(self.free.max())]
        return {"branch": self.number, "state": self.state, name: span, "ends": list(self.ends)}


@dataclass(frozen=True)
class CurveInfo:
    """A piece of a critical curve: its points are ``points[first:last]`` of the result."""

    number: int
    state: str
    first: int
    last: int
    closed: bool
    ends: tuple[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of this piece."""
        return {"branch": self.number, "state": self.state, "points": [self.first, self.last], "closed": self.closed,
                "ends": list(self.ends)}  # fmt: skip


@dataclass(frozen=True)
class Critical:
    """All critical points of one free parameter, or points of the critical curves of two.

    ranges : by free parameter; criterion : name of the number that is critical; closed_form : (condition, equations) as
    text; best : number of the point nearest to isometry, None where it is unknown.
    """

    theory: Theory
    parameters: Mapping[str, float]
    ranges: Mapping[str, tuple[float, float]]
    criterion: str
    points: tuple[CriticalPoint, ...]
    branches: tuple[BranchInfo, ...] = ()
    turns: tuple[Turn, ...] = ()
    curves: tuple[CurveInfo, ...] = ()
    closed_form: tuple[Mapping[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    complete: bool = True
    best_note: str = field(default="")

    @property
    def converged(self) -> bool:
        """Whether the search was finished and every point of it converged; a search may well find nothing."""
        return self.complete and all(point.converged for point in self.points)

    @property
    def best(self) -> int | None:
        """Number of the point with the least isometry variance."""
        known = [(point["isometry_variance"], k) for k, point in enumerate(self.points)
                 if np.isfinite(point["isometry_variance"])]  # fmt: skip
        return min(known)[1] if known else None

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield critical``."""
        names = list(self.ranges)
        fixed = {name: value for name, value in self.parameters.items() if name not in self.ranges}
        found: dict[str, Any] = {
            "cell": self.theory.site.cell.name,
            "ansatz": self.theory.ansatz,
            "parameters": fixed,
            "free": {name: list(ends) for name, ends in self.ranges.items()},
            "criterion": self.criterion,
            "critical": [point.as_dict() for point in self.points],
        }
        if len(names) == 1:
            found["branches"] = [branch.as_dict(names[0]) for branch in self.branches]
            found["folds"] = [turn.as_dict(names[0], self.criterion) for turn in self.turns]
        else:
            found["curves"] = [curve.as_dict() for curve in self.curves]
            found["best"] = self.best
        if self.closed_form:
            found["closed_form"] = [dict(form) for form in self.closed_form]
        notes = [note for note in (*self.notes, self.best_note) if note]
        if notes:
            found["notes"] = notes
        return found
