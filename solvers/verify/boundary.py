"""Claims ``boundary = X``: X vanishes exactly where the spectral radius of K(lambda) is one.

Points of the boundary are found on rays from the middle of the spectrum; X is evaluated on them and at smaller and
larger distance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp
from scipy.optimize import brentq

from derive.verify.meaning import Claim
from solvers.verify.evaluate import Numbers, spectral_radius
from solvers.verify.points import GenericPoint, Manifold

ANGLES = (0.35, 0.9, 1.6, 2.4)
TRIED = 20
REACH = tuple(float(r) for r in np.geomspace(40.0, 0.02, 30))
SLOPE_STEP = 1e-5
OFF = (0.85, 1.18)
STEPS = 12
SCAN, UNSURE = 1e-4, 1e-2
"""Relative error of averages that tell inside from outside, and the distance of ln radius from 0 where they do not."""


class BoundaryPoints:
    """Where the spectral radius of K is one, along rays."""

    def __init__(self, claim: Claim, numbers: Numbers, manifold: Manifold) -> None:
        assert claim.theory.spectrum is not None
        self.claim, self.numbers, self.manifold = claim, numbers, manifold
        self.K: sp.Matrix = claim.theory.spectrum.K

    def radius(self, values: Mapping[sp.Symbol, Any], lam: Any, rtol: float | None = None) -> Any:
        """Spectral radius of K(lambda), from averages with relative error ``rtol``; None: thirty digits."""
        table = mp.matrix(self.K.rows, self.K.cols)
        for i in range(self.K.rows):
            for j in range(self.K.cols):
                table[i, j] = self.numbers.at(self.K[i, j], values, lam, rtol)[0]
        return spectral_radius(table)

    def on_ray(
        self, values: Mapping[sp.Symbol, Any], centre: float, angle: float, *, precise: bool, rtol: float
    ) -> Any | None:
        """A lambda = centre + r e^(i angle) of the boundary, far out, or None if this ray does not meet it.

        ``values`` to thirty digits, if it is to be precise; rtol : of averages in float64.
        """
        direction = mp.expj(angle)

        def excess(r: Any, rtol: float | None = rtol) -> Any:
            return mp.log(self.radius(values, centre + r * direction, rtol))

        def inside(r: float) -> bool:
            rough = excess(mp.mpf(r), SCAN)
            return bool((rough if abs(rough) > UNSURE else excess(mp.mpf(r))) > 0)

        first = next((k for k, r in enumerate(REACH) if inside(r)), 0)
        if first == 0:
            return None
        low, high, fine = REACH[first], REACH[first - 1], rtol / 10
        r = mp.mpf(brentq(lambda x: float(excess(mp.mpf(x))), low, high, xtol=fine, rtol=fine))
        if precise:
            slope = (excess(r * (1 + SLOPE_STEP)) - excess(r * (1 - SLOPE_STEP))) / (2 * SLOPE_STEP * r)
            r = _polished(lambda x: excess(x, None), r, slope)
        return centre + r * direction


def _polished(f: Callable[[Any], Any], a: Any, slope: Any) -> Any:
    """A root to thirty digits and more by secants, from one in float64 and the slope there."""
    fa = f(a)
    b = a - fa / slope
    for _ in range(STEPS):
        if abs(b - a) < mp.mpf(10) ** -34 * abs(b):
            break
        fb = f(b)
        if fb == fa:
            break
        a, b, fa = b, b - fb * (b - a) / (fb - fa), fb
    return b


class BoundaryTest:
    """X on the boundary, where it must vanish, and off it on both sides, where it must not."""

    def __init__(self, claim: Claim, numbers: Numbers, manifold: Manifold) -> None:
        self.claim, self.numbers, self.manifold = claim, numbers, manifold
        self.points = BoundaryPoints(claim, numbers, manifold)

    def sites(self, *, precise: bool, rtol: float) -> Iterator[tuple[GenericPoint, Mapping[sp.Symbol, Any], Any, Any]]:
        """(point, values, lambda on the boundary, centre of the ray), where a ray of some point meets the boundary."""
        centre = 0.0 if self.claim.theory.site.discrete else -1.0
        for number, point in enumerate(islice(self.manifold.points(), TRIED)):
            values = self.manifold.precise(point) if precise else self.manifold.rough(point)
            lam = self.points.on_ray(values, centre, ANGLES[number % len(ANGLES)], precise=precise, rtol=rtol)
            if lam is not None:
                yield point, values, lam, mp.mpf(centre)

    def size(
        self, values: Mapping[sp.Symbol, Any], lam: Any, *, precise: bool, rtol: float
    ) -> tuple[Any, Any]:
        """X and its error at one lambda."""
        return self.numbers.at(self.claim.right, values, lam, None if precise else rtol)

    def off(self, values: Mapping[sp.Symbol, Any], lam: Any, centre: Any, rtol: float) -> list[tuple[Any, Any]]:
        """X and its error nearer to the centre and further out."""
        return [self.size(values, centre + factor * (lam - centre), precise=False, rtol=rtol) for factor in OFF]
