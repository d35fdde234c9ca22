"""Isolated eigenvalues outside the support of a non-zero fixed point: roots of det(1 - A(lam))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import brentq

from solvers.spectrum.gain import OutlierMap
from solvers.spectrum.support import Resolved, Support

REAL_POINTS = 160
GRID = 20
TOL = 1e-9


@dataclass(frozen=True)
class Outliers:
    """values : roots, both of a conjugate pair, right-most first; errors : absolute."""

    values: tuple[complex, ...]
    errors: tuple[float, ...]


class Condition(Protocol):
    """What vanishes at isolated eigenvalues."""

    def determinant(self, lam: np.ndarray, rtol: float) -> np.ndarray:
        """det(1 - A) at lam (n,)."""


class Region(Protocol):
    """Where isolated eigenvalues are sought: negative there, at resolution eta."""

    @property
    def eta(self) -> float:
        """Distance from the real axis at which its points are taken."""

    def __call__(self, lam: np.ndarray, rtol: float) -> np.ndarray:
        """ln of the spectral radius of a gain at lam (n,)."""


def find_outliers(outlier: OutlierMap, resolved: Resolved, support: Support, reach: tuple[float, float]) -> Outliers:
    """Roots outside the support within a disk beyond which no root can be.

    reach : real range of L; on it lam is approached from above at the resolution eta.
    """
    if outlier.empty:
        return Outliers((), ())
    finite = [x for x in reach if np.isfinite(x)]
    size = max([1.0, *(abs(x) for x in finite), support.radius or 0.0])
    radius = _outer_radius(outlier, size)
    real = real_roots(outlier, resolved, radius)
    others = complex_roots(outlier, resolved, radius)
    values = sorted([*real, *others, *(r.conjugate() for r in others)], key=lambda z: (-z.real, z.imag))
    return Outliers(tuple(values), tuple(1e-8 * max(abs(v), 1.0) for v in values))


def _outer_radius(outlier: OutlierMap, size: float) -> float:
    """A circle on which A has come close to its limit at infinity, so that nothing lies beyond."""
    angles = np.exp(1j * np.linspace(0.05, np.pi - 0.05, 9))
    far = outlier.matrix(1e9 * size * angles[:1], 1e-4)[0]
    radius = 2.0 * size
    for _ in range(12):
        change = np.abs(outlier.matrix(radius * angles, 1e-4) - far).sum(axis=2).max()
        if change < 0.3:
            break
        radius *= 1.6
    return radius


def _shifted(lam: np.ndarray, eta: float) -> np.ndarray:
    return lam.real + 1j * np.maximum(np.abs(lam.imag), eta)


def real_roots(outlier: Condition, resolved: Region, radius: float) -> list[complex]:
    """Real roots within a circle about zero, in the region."""
    eta = 1e-9
    x = radius * np.sinh(np.linspace(-3, 3, REAL_POINTS)) / np.sinh(3)
    x = np.unique(np.concatenate([x, np.linspace(-radius, radius, REAL_POINTS)]))
    outside = resolved(x, 1e-5) < 0
    value = outlier.determinant(_shifted(x.astype(complex), resolved.eta), 1e-6).real
    roots = []
    for k in range(len(x) - 1):
        if outside[k] and outside[k + 1] and np.sign(value[k]) != np.sign(value[k + 1]):
            root = _bracketed(outlier, float(x[k]), float(x[k + 1]), resolved.eta)
            if root is not None and resolved(np.array([root]), 1e-6)[0] < -eta:
                roots.append(complex(root))
    return roots


def _bracketed(outlier: Condition, low: float, high: float, eta: float) -> float | None:
    """Root between two real points; with no shift where L has no spectrum there, else at resolution eta."""

    def value(shift: float):  # type: ignore[no-untyped-def]
        return lambda t: float(outlier.determinant(np.array([t + 1j * shift]), TOL)[0].real)

    for shift in (1e-12, eta):
        f = value(shift)
        ends = f(low), f(high)
        if np.all(np.isfinite(ends)) and np.sign(ends[0]) != np.sign(ends[1]):
            root = float(brentq(f, low, high, xtol=1e-12, rtol=1e-12))
            if abs(f(root)) < 1e-3 * max(abs(ends[0]), abs(ends[1])):  # a sign change through a pole is no root
                return root
    return None


def complex_roots(outlier: Condition, resolved: Region, radius: float) -> list[complex]:
    """Newton from local minima of |det| on a grid of the upper half plane."""
    x, y = np.linspace(-radius, radius, 2 * GRID), radius * np.linspace(0.02, 1.0, GRID) ** 1.5
    lam = x[None, :] + 1j * y[:, None]
    size = np.abs(outlier.determinant(lam.ravel(), 1e-5)).reshape(lam.shape)
    padded = np.pad(size, 1, constant_values=np.inf)
    around = np.min(
        [padded[1 + i : padded.shape[0] - 1 + i, 1 + j : padded.shape[1] - 1 + j]
         for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)], axis=0)  # fmt: skip
    starts = lam[(size <= around) & (size < 0.9)]
    roots: list[complex] = []
    for start in starts:
        root = newton_root(outlier, complex(start))
        if root is None or root.imag < 1e-4 * radius or abs(root) > 1.05 * radius:
            continue
        if resolved(np.array([root]), 1e-6)[0] < 0 and not any(abs(root - other) < 1e-6 * radius for other in roots):
            roots.append(root)
    return roots


def newton_root(outlier: Condition, z: complex) -> complex | None:
    """The root in the upper half plane that Newton's method finds from z, None where it finds none."""
    for _ in range(40):
        h = 1e-5 * max(abs(z), 1e-3)
        value = outlier.determinant(np.array([z, z + h, z - h]), TOL)
        slope = (value[1] - value[2]) / (2 * h)
        if slope == 0 or not np.isfinite(value).all():
            return None
        step = value[0] / slope
        z = complex(z - step)
        z = complex(z.real, abs(z.imag))
        if abs(step) < 1e-10 * max(abs(z), 1e-3):
            return z
    return None
