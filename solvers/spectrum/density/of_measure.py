"""rho, G and Phi of one site measure, with every solved point a start for its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from derive.stability.minors import MOST_FIELDS
from solvers.measure import SiteMeasure
from solvers.spectrum.density.components import components
from solvers.spectrum.density.memory import DensityMemory
from solvers.spectrum.density.minors import MinorPotential
from solvers.spectrum.density.pencil import PencilPotential
from solvers.spectrum.density.potential import Array, ComplexArray, Potential
from solvers.spectrum.density.stationary import TOLERANCE, Stationary, stationary

CHUNK = 1_500_000
"""Numbers in the largest array of one batch of points."""

MOST_POINTS = 48
FIRST_POINTS = 2
BOLDEST = 1.0
"""Largest change of a parameter that the tangent of a neighbour may predict."""

ACCEPTED = 1e3 * TOLERANCE
"""Residual up to which a point that missed the tolerance still counts as solved; it is in the error."""


@dataclass(frozen=True)
class Points:
    """lam : (m,); value : Phi / S; G : G / S, so that the total mass is one; rho : density of that mass (free
    eigenvalues, see `Components`, are in value and G and not in rho); inside : whether any component's support holds
    the point; residual : largest relative gradient left, (m,)."""

    lam: ComplexArray
    value: Array
    G: ComplexArray
    rho: Array
    inside: npt.NDArray[np.bool_]
    residual: Array

    @property
    def solved(self) -> npt.NDArray[np.bool_]:
        """Where (m,) the equations are solved."""
        return np.asarray(self.residual <= ACCEPTED)


class MeasureDensity:
    """The eigenvalue density of infinitely large networks whose units follow one site measure.

    memory : points that are known, also of other measures of the same units; this one adds to it.
    """

    def __init__(self, measure: SiteMeasure, memory: DensityMemory | None = None) -> None:
        self.measure, self.states = measure, measure.states
        parts = components(measure)
        self.free = parts.free
        self.components = tuple(_Component(part, memory or DensityMemory()) for part in parts.coupled)
        self.site_eigenvalues: ComplexArray = np.linalg.eigvals(measure.L).astype(complex)

    def __call__(self, lam: ComplexArray) -> Points:
        """Everything at points lam of any shape, flattened."""
        lam = np.atleast_1d(np.asarray(lam, complex)).ravel()
        upper = np.where(lam.imag < 0, lam.conj(), lam)
        value, G = self._of_free(upper)
        rho, residual, inside = np.zeros(lam.size), np.zeros(lam.size), np.zeros(lam.size, bool)
        for component in self.components:
            own = component(upper)
            value, G, rho = value + own.value, G + own.G, rho + own.rho
            residual, inside = np.maximum(residual, own.residual), inside | own.inside
        G = np.where(lam.imag < 0, G.conj(), G)
        return Points(lam, value / self.states, G / self.states, rho / self.states, inside, residual)

    def coupled_G(self, lam: ComplexArray) -> tuple[ComplexArray, Array]:
        """G / S without the free eigenvalues, and the residual, at lam (m,) with Im lam >= 0 or below it."""
        lower = lam.imag < 0
        upper = np.where(lower, lam.conj(), lam)
        G: ComplexArray = np.zeros(lam.size, complex)
        residual: Array = np.zeros(lam.size)
        for component in self.components:
            own = component(upper)
            G, residual = G + own.G, np.maximum(residual, own.residual)
        return np.asarray(np.where(lower, G.conj(), G) / self.states, complex), residual

    def _of_free(self, lam: ComplexArray) -> tuple[Array, ComplexArray]:
        """Phi and G of eigenvalues that no field moves."""
        points, weights = _grouped(self.free.points, self.free.weights)
        if not points.size:
            return np.zeros(lam.size), np.zeros(lam.size, complex)
        distance = lam[:, None] - points
        with np.errstate(all="ignore"):
            return 2.0 * np.log(np.abs(distance)) @ weights, (1.0 / distance) @ weights.astype(complex)

    def radius(self) -> float:
        """Radius of a circle about zero that holds all eigenvalues."""
        largest = float(np.abs(self.site_eigenvalues).max(initial=0.0))
        reach = max(1.0001 * largest, 1e-3)
        ring = np.exp(1j * np.linspace(0.0, np.pi, 25))
        for _ in range(60):
            if all((part.potential.log_radius(reach * ring) < 0).all() for part in self.components):
                return reach
            reach *= 1.25
        return reach


def _grouped(points: ComplexArray, weights: Array) -> tuple[ComplexArray, Array]:
    distinct, where = np.unique(points, return_inverse=True)
    return distinct, np.asarray(np.bincount(where.ravel(), weights=weights, minlength=distinct.size), float)


def dense(part: SiteMeasure) -> bool:
    """Whether minors do not serve: fields share a matrix, or are too many."""
    return len(set(part.matrices)) < len(part.matrices) or len(part.fields) > MOST_FIELDS


class _Component:
    """One potential and the points at which it has been solved."""

    def __init__(self, part: SiteMeasure, memory: DensityMemory) -> None:
        self.potential: Potential = PencilPotential(part) if dense(part) else MinorPotential(part)
        width = part.nodes * (self.potential.parameters + 3)
        self._batch = int(np.clip(CHUNK // width, 1, MOST_POINTS))
        self._known = memory.of((type(self.potential), part.fields, part.states), self.potential.parameters)

    def __call__(self, lam: ComplexArray) -> Stationary:
        found: list[Stationary] = []
        done = 0
        while not found or done < lam.size:
            # A point without neighbours costs as much as a dozen that have some.
            batch = min(self._batch, max(FIRST_POINTS, self._known.lam.size))
            found.append(self._solved(lam[done : done + batch]))
            done += batch
        names = ("theta", "tangent", "inside", "residual", "value", "G", "rho")
        return Stationary(*(np.concatenate([getattr(part, name) for part in found]) for name in names))

    def _solved(self, lam: ComplexArray) -> Stationary:
        result = stationary(self.potential, lam, self._guess(lam))
        self._known.add(lam, result, result.inside & (result.residual <= ACCEPTED) & np.isfinite(result.tangent).all(1))
        return result

    def _guess(self, lam: ComplexArray) -> Array | None:
        """From the nearest solved point, along its tangent."""
        if not self._known.lam.size:
            return None
        theta, change = self._known.beside(lam)
        return self.potential.moved(theta, np.clip(change, -BOLDEST, BOLDEST))
