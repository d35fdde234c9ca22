"""Fractions of eigenvalues in a region: the integral of G along its boundary, (1/2 pi i) oint G dlam.

G(conj lam) = conj G(lam): about a region that is symmetric it is enough to follow the upper half,
(1/pi) Im int G dlam.  Where the boundary crosses the edge of the support G has a kink, and where it crosses the real
range of L outside the support G jumps; panels are halved there until they no longer matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import leggauss

from solvers.budget import check_budget
from solvers.codegen.rules import gauss_kronrod
from solvers.spectrum.density.of_measure import MeasureDensity
from solvers.spectrum.density.potential import Array, ComplexArray
from solvers.spectrum.density.regions import Curve, Region

TOLERANCE = 1e-5
"""Absolute error of a fraction that the quadrature aims at."""

NARROWEST = 1e-6
MOST_PANELS = 4000
GRADING = (0.0, 1e-4, 1e-3, 1e-2, 0.1)

ORDER = 7
NODES, WEIGHTS = gauss_kronrod(ORDER)
GAUSS = np.zeros_like(WEIGHTS)
GAUSS[1::2] = leggauss(ORDER)[1]


@dataclass(frozen=True)
class Fraction:
    """A fraction of all eigenvalues; error : of the quadrature and the equations; on_edge : the share of eigenvalues
    that no field moves and that lie on the boundary of the region; residual : of the equations."""

    value: float
    error: float
    on_edge: float
    residual: float


def fraction_in(density: MeasureDensity, region: Region, reach: float, tolerance: float = TOLERANCE) -> Fraction:
    """The fraction of eigenvalues in a region; reach : radius about zero that holds all of them."""
    value, error, residual = 0.0, 0.0, 0.0
    pieces = region.boundary(reach)

    def integrand(lam: ComplexArray, slope: ComplexArray) -> tuple[Array, Array]:
        G, left = density.coupled_G(lam)
        return (G * slope).imag, left

    for curve, factor in pieces:
        part, own, left = _along(integrand, curve, tolerance / max(len(pieces), 1) / abs(factor))
        value, error = value + factor * part, error + abs(factor) * own
        residual = max(residual, left)
    free, weights = density.free.points, density.free.weights
    value += float(weights[region.contains(free)].sum()) / density.states
    edge = region.distance(free) <= 1e-9 * (1.0 + np.abs(free))
    return Fraction(value, error + residual, float(weights[edge].sum()) / density.states, residual)


def mass_on(density: MeasureDensity, curve: Curve, tolerance: float = TOLERANCE) -> tuple[float, float]:
    """int rho |dlam| along a curve in the upper half plane, and its error."""

    def integrand(lam: ComplexArray, slope: ComplexArray) -> tuple[Array, Array]:
        points = density(lam)
        return points.rho * np.abs(slope), points.residual

    value, error, residual = _along(integrand, curve, tolerance)
    return value, error + residual


Integrand = Callable[[ComplexArray, ComplexArray], tuple[Array, Array]]
"""Values and residuals at points lam (m,) of a curve with slopes dlam/dt (m,)."""


def _along(integrand: Integrand, curve: Curve, tolerance: float) -> tuple[float, float, float]:
    """The integral along a curve, its error, and the largest residual."""
    grading = np.array(GRADING)
    edges = np.concatenate([grading, np.linspace(0.1, 0.9, 7)[1:-1], 1.0 - grading[::-1]])
    left, right = edges[:-1], edges[1:]
    total, error, worst = 0.0, 0.0, 0.0
    while left.size:
        check_budget()
        value, own, residual = _panels(integrand, curve, left, right)
        worst = max(worst, residual)
        width = right - left
        fine = (own <= tolerance * np.maximum(width, 0.02)) | (width < NARROWEST) | (left.size > MOST_PANELS)
        total, error = total + float(value[fine].sum()), error + float(own[fine].sum())
        left, right = left[~fine], right[~fine]
        middle = 0.5 * (left + right)
        edges_left, edges_right = np.concatenate([left, middle]), np.concatenate([middle, right])
        order = np.argsort(edges_left)
        left, right = edges_left[order], edges_right[order]
    return total, error, worst


def _panels(integrand: Integrand, curve: Curve, left: Array, right: Array) -> tuple[Array, Array, float]:
    """Kronrod's values on panels, their difference from Gauss's, and the largest residual."""
    half = 0.5 * (right - left)
    t = (0.5 * (left + right)[:, None] + half[:, None] * NODES).ravel()
    found, residual = integrand(*curve(t))
    values = found.reshape(left.size, NODES.size)
    return half * (values @ WEIGHTS), half * np.abs(values @ (WEIGHTS - GAUSS)), float(residual.max(initial=0.0))
