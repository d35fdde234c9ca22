"""The potential whose stationary points give the density, and what it must offer to be solved.

    Phi(lam; P, Q) = E log|det(lam - L)|^2 + E log det(1 + P T^dagger Q T) - sum_g C_g(P_g Q_g)

with C(X) = tr X / sigma^2 for a Gaussian matrix and log det(1 + X / sigma^2) for a Haar-orthogonal one (theory,
sections 3 and 4: p = sigma^2 Y, and p = sigma^2 Y / (1 - qY)).  It is stationary in P and Q, so that G = d Phi/d lam
explicitly and rho = (1/pi) d^2 Phi / d lam d conj(lam), in total.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class Slopes:
    """Derivatives of Phi at points lam (m,) and parameters theta (m, p), which are real coordinates of P and Q.

    value : Phi (m,); equations : (m, p) what vanishes at the solution, each relative to its own size, so that a field
    that fades from the solution is not mistaken for one; jacobian : (m, p, p) of these; hessian : (m, p, p) of Phi;
    G : dPhi/dlam (m,); mixed : d^2 Phi / dtheta d lam (m, p), complex; curvature : d^2 Phi / dlam dconj(lam) (m,), at
    fixed P and Q.
    """

    value: Array
    equations: Array
    jacobian: Array
    hessian: Array
    G: ComplexArray
    mixed: ComplexArray
    curvature: Array

    def replace(self, at: npt.NDArray[np.intp], other: Slopes, chosen: npt.NDArray[np.bool_]) -> None:
        """Overwrite the points ``at`` with the ``chosen`` ones of another set."""
        for item in fields(self):
            getattr(self, item.name)[at] = getattr(other, item.name)[chosen]


class Potential(Protocol):
    """One irreducible component of the Jacobian."""

    parameters: int

    def log_radius(self, lam: ComplexArray) -> Array:
        """ln of the spectral radius of K (m,): above zero the point is inside."""

    def outside(self, lam: ComplexArray) -> tuple[Array, ComplexArray]:
        """Phi and G where P = Q = 0."""

    def start(self, lam: ComplexArray) -> Array:
        """Parameters (m, p) to begin with where no neighbour is known."""

    def slopes(self, lam: ComplexArray, theta: Array) -> Slopes:
        """All derivatives at (lam, theta)."""

    def iterated(self, lam: ComplexArray, theta: Array) -> Array:
        """One step of the plain iteration P <- sigma^2 E[...], Q <- sigma^2 E[...], balanced."""

    def moved(self, theta: Array, step: Array) -> Array:
        """theta + step, shortened where that leaves the domain."""

    def gauge(self, theta: Array) -> Array:
        """The direction (m, p), of length one, along which Phi is constant: P -> cP, Q -> Q/c."""
