"""Points known roughly, finished at full accuracy and turned into numbers with errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from derive.errors import GatefieldError
from solvers.averages import Estimate, Values
from solvers.budget import BudgetSpent
from solvers.critical.criterion import Criterion, Edge, linearised_at
from solvers.critical.problem import Array, Branch
from solvers.critical.result import CriticalPoint
from solvers.equations import Completed
from solvers.fixed_point import SCAN_RTOL
from solvers.result import CONVERGED, FixedPoint
from solvers.solve import moments_at
from solvers.spectrum import SpectrumResult, spectrum_of

Valued = Callable[[Array], tuple[Array, Array]]
"""y -> F(y) and the absolute error of its values."""

FINE = 1e-11
SHIFT = 1e-3
STEPS = 12


@dataclass(frozen=True)
class Settled:
    """y, its errors, what is left of F, and dF/dy."""

    y: Array
    errors: Array
    residual: float
    slopes: Array


def settle(function: Valued, y: Array, scale: Array, rough: Valued | None = None) -> Settled:
    """Newton's method (Broyden's corrections) to the nearest zero of F, square or with one unknown more.

    rough : F to the accuracy of a search, for derivatives, where F itself is dear.

    The error of y is what F leaves over, with its own error, carried back by the inverse derivative; along a curve
    only displacements across it count.
    """
    slopes = _slopes(rough or function, y, scale)
    matrix, step, last = slopes.copy(), np.zeros(len(y)), np.inf
    value, error = function(y)
    for number in range(STEPS):
        if number:
            matrix = matrix + np.outer(value, step) / max(float(step @ step), 1e-300)
        step = -np.linalg.pinv(matrix) @ value
        size = float(np.max(np.abs(step)))
        if not np.isfinite(size) or size > 2 * last or (number and np.all(np.abs(value) <= 0.1 * error)):
            break
        y = y + step * scale
        value, error = function(y)
        last = size
        if size < 1e-14:
            break
    inverse = np.abs(np.linalg.pinv(slopes))
    errors = inverse @ (np.abs(value) + error) * scale
    return Settled(y, errors, float(np.max(np.abs(value), initial=0.0)), slopes / scale)


def _slopes(function: Valued, y: Array, scale: Array) -> Array:
    columns = []
    for unit in np.eye(len(y)) * scale:
        ahead, behind = function(y + SHIFT * unit)[0], function(y - SHIFT * unit)[0]
        if np.all(np.isfinite(ahead)) and np.all(np.isfinite(behind)):
            columns.append((ahead - behind) / (2 * SHIFT))
            continue
        here = function(y)[0]
        columns.append((ahead - here) / SHIFT if np.all(np.isfinite(ahead)) else (here - behind) / SHIFT)
    return np.array(columns).T.reshape(-1, len(y))


class Spread(Protocol):
    """What knows the isometry variance; ``reason``: why it does not."""

    reason: str

    def variance(self, values: Values, rtol: float) -> Estimate:
        """At the values of parameters and unknowns."""


class Finisher:
    """Makes `CriticalPoint` records on branches of one space."""

    def __init__(self, criterion: Criterion, isometry: Spread, names: tuple[str, ...], tol: float) -> None:
        self.criterion, self.isometry, self.names, self.tol = criterion, isometry, names, tol
        self.rtol = min(max(0.1 * tol, FINE), 1e-7)

    def equations(self, branch: Branch, rtol: float) -> Valued:
        """The residual of the moments and the criterion's excess, with errors."""

        def function(y: Array) -> tuple[Array, Array]:
            done = branch.complete(y, rtol)
            gap, error = branch.gap(y, done)
            excess = self._excess(branch, y, done, rtol)
            return np.append(gap, excess.value), np.append(error, excess.error)

        return function

    def _excess(self, branch: Branch, y: Array, done: Completed, rtol: float) -> Estimate:
        space = branch.space
        return self.criterion.excess(space.theory, linearised_at(branch, y, done), space.evaluator, rtol)

    def settle(self, branch: Branch, y: Array) -> Settled:
        """A zero of the moments' residual and the criterion together, from nearby."""
        return settle(self.equations(branch, self.rtol), y, _scale(branch, y), self.equations(branch, SCAN_RTOL))

    def point(self, branch: Branch, settled: Settled, number: int) -> CriticalPoint:
        """Everything that is said about a settled point."""
        space, y = branch.space, settled.y
        done = branch.complete(y, self.rtol)
        at = linearised_at(branch, y, done)
        n = len(branch.active)
        of_moments = settled.errors[:n] / np.maximum(np.abs(y[:n]), 1e-6)
        of_parameters = settled.errors[n:] / np.maximum(np.abs(y[n:]), 0.1)
        share = max(2 * float(np.max([*of_moments, *of_parameters])), branch.share(done))
        fixed = FixedPoint(done.values, {s: share * abs(done.values[s]) for s in done.values}, 0.0, np.nan)
        numbers, errors = self._moments(branch, fixed)
        decides, verdict, notes = None, self._verdict(settled, y), list[str]()
        if isinstance(self.criterion, Edge):
            spectrum = spectrum_of(space.theory, at, space.evaluator, self.rtol, curves=False, isolated=not branch.zero)
            decides = self._edge(space.theory.site.discrete, spectrum, numbers, errors)
            verdict = _worse(verdict, spectrum.verdict, self._contradiction(numbers, errors))
        else:
            excess = self._excess(branch, y, done, self.rtol)
            numbers["chi1"], errors["chi1"] = 1.0 + excess.value, excess.error + settled.residual
        variance = self._isometry(branch, at, notes)
        numbers["isometry_variance"] = variance.value
        errors["isometry_variance"] = variance.error + 4 * share * abs(variance.value + 1.0)
        free, own = branch.split(y)[1] + 0.0, settled.errors[n:]
        return CriticalPoint(
            dict(zip(self.names, map(float, free), strict=True)), dict(zip(self.names, map(float, own), strict=True)),
            _ordered(numbers), _ordered(errors), "zero" if branch.zero else "active",
            branch.attracting(y, settled.slopes[:n]), number, verdict, decides, tuple(notes),
        )  # fmt: skip

    def _moments(self, branch: Branch, fixed: FixedPoint) -> tuple[dict[str, Any], dict[str, Any]]:
        space, site = branch.space, branch.space.theory.site
        if space.theory.closure != "sampled":
            return moments_at(space.theory, space.evaluator, fixed, self.rtol)
        nothing = {"q": dict.fromkeys((item.name for item in site.fields), 0.0),
                   "Q": dict.fromkeys(map(str, site.states), 0.0)}  # fmt: skip
        return dict(nothing), dict(nothing)

    def _isometry(self, branch: Branch, at: Any, notes: list[str]) -> Estimate:
        try:
            variance = self.isometry.variance(at, self.rtol)
        except BudgetSpent:
            raise
        except GatefieldError as error:
            notes.append(f"isometry_variance: {error}")
            return Estimate(np.nan, np.inf)
        if not np.isfinite(variance.value):
            notes.append(f"isometry_variance is unknown: {self.isometry.reason or 'a moment it needs has no value'}")
        return variance

    def _edge(self, discrete: bool, spectrum: SpectrumResult, numbers: dict[str, Any], errors: dict[str, Any]) -> str:
        """Adds radius or abscissa, and outliers; says which of them is farthest out."""
        key = self.criterion.name
        edge = spectrum.radius if discrete else spectrum.abscissa
        numbers[key] = np.nan if edge is None else edge
        errors[key] = spectrum.radius_error if discrete else spectrum.abscissa_error
        numbers["outliers"] = [[z.real, z.imag] for z in spectrum.outliers]
        errors["outliers"] = list(spectrum.outlier_errors)
        numbers["eta"], errors["eta"] = spectrum.edge_eta, 0.0
        reach = [abs(z) if discrete else z.real for z in spectrum.outliers]
        return "outlier" if any(value > (edge or 0.0) for value in reach) else "support"

    def _contradiction(self, numbers: dict[str, Any], errors: dict[str, Any]) -> str:
        """The edge of the support, found on its own, must be where the gain says it is."""
        wanted = 1.0 if self.criterion.name == "spectral_radius" else 0.0
        off = abs(numbers[self.criterion.name] - wanted)
        if off <= 10 * errors[self.criterion.name] + 1e-6:
            return CONVERGED
        return (
            f"not converged: the gain is one on the line of stability, but the edge of the support is {off:.1e} away; "
            "another part of the support reaches farther: see gatefield spectrum"
        )

    def _verdict(self, settled: Settled, y: Array) -> str:
        share = float(np.max(settled.errors / np.maximum(np.abs(y), 1e-2)))
        if share <= max(100 * self.tol, 1e-7):
            return CONVERGED
        return (
            f"not converged: residual {settled.residual:.1e}, relative error {share:.1e}, asked {self.tol:.0e}. "
            "(a) the criterion hardly depends on the free parameter here: free another; (b) a fold is near: move a "
            "parameter a little; (c) averages in many directions: raise --tol"
        )


def _scale(branch: Branch, y: Array) -> Array:
    return np.maximum(np.abs(y), 1e-2)


def _worse(*verdicts: str) -> str:
    return next((verdict for verdict in verdicts if verdict != CONVERGED), CONVERGED)


def _ordered(numbers: dict[str, Any]) -> dict[str, Any]:
    """The criterion and the isometry first."""
    first = ("chi1", "spectral_radius", "spectral_abscissa", "outliers", "eta", "isometry_variance")
    return {key: numbers[key] for key in first if key in numbers} | {key: numbers[key] for key in ("q", "Q")}
