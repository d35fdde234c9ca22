"""Claims ``boundary = X``: X vanishes exactly where the spectral radius of K(lambda) is one.

Points of the boundary are found on rays from the middle of the spectrum; X is evaluated on them and at smaller and
larger distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from derive.verify.meaning import Claim
from solvers.verify.evaluate import Numbers, spectral_radius
from solvers.verify.points import GenericPoint, Manifold

ANGLES = (0.35, 0.9, 1.6, 2.4)
POINTS = 5
REACH = np.geomspace(0.02, 40.0, 60)
OFF = (0.85, 1.18)
STEPS = 12


class BoundaryPoints:
    """Where the spectral radius of K is one, along rays."""

    def __init__(self, claim: Claim, numbers: Numbers, manifold: Manifold) -> None:
        assert claim.theory.spectrum is not None
        self.claim, self.numbers, self.manifold = claim, numbers, manifold
        self.K: sp.Matrix = claim.theory.spectrum.K

    def radius(self, values: Mapping[sp.Symbol, Any], lam: Any, *, precise: bool) -> Any:
        """Spectral radius of K(lambda)."""
        evaluate = self.numbers.precise if precise else self.numbers.rough
        table = mp.matrix(self.K.rows, self.K.cols)
        for i in range(self.K.rows):
            for j in range(self.K.cols):
                table[i, j] = evaluate(self.K[i, j], values, lam)[0]
        return spectral_radius(table)

    def on_ray(self, values: Mapping[sp.Symbol, Any], centre: float, angle: float, *, precise: bool) -> Any | None:
        """The outermost lambda = centre + r e^(i angle) of the boundary, or None if this ray does not meet it."""
        direction = mp.expj(angle)

        def excess(r: Any, precise: bool) -> Any:
            return mp.log(self.radius(values, centre + r * direction, precise=precise))

        rough = [float(excess(mp.mpf(float(r)), False)) for r in REACH]
        signs = [k for k in range(len(REACH) - 1) if rough[k] > 0 >= rough[k + 1]]
        if not signs:
            return None
        low, high = (mp.mpf(float(REACH[signs[-1] + k])) for k in (0, 1))
        for _ in range(14):
            middle = (low + high) / 2
            low, high = (middle, high) if excess(middle, False) > 0 else (low, middle)
        if not precise:
            for _ in range(30):
                middle = (low + high) / 2
                low, high = (middle, high) if excess(middle, False) > 0 else (low, middle)
            return centre + (low + high) / 2 * direction
        return centre + _secant(lambda r: excess(r, True), low, high) * direction


def _secant(f: Any, a: Any, b: Any) -> Any:
    fa, fb = f(a), f(b)
    for _ in range(STEPS):
        if fb == fa or abs(b - a) < mp.mpf(10) ** -34 * abs(b):
            break
        a, b, fa = b, b - fb * (b - a) / (fb - fa), fb
        fb = f(b)
    return b


class BoundaryTest:
    """X on the boundary, where it must vanish, and off it on both sides, where it must not."""

    def __init__(self, claim: Claim, numbers: Numbers, manifold: Manifold) -> None:
        self.claim, self.numbers, self.manifold = claim, numbers, manifold
        self.points = BoundaryPoints(claim, numbers, manifold)

    def sites(self, *, precise: bool) -> list[tuple[GenericPoint, Mapping[sp.Symbol, Any], Any, Any]]:
        """(point, values, lambda on the boundary, centre of the ray)."""
        centre = 0.0 if self.claim.theory.site.discrete else -1.0
        found: list[tuple[GenericPoint, Mapping[sp.Symbol, Any], Any, Any]] = []
        for number, point in enumerate(islice(self.manifold.points(), 4 * POINTS)):
            values = self.manifold.precise(point) if precise else self.manifold.rough(point)
            lam = self.points.on_ray(values, centre, ANGLES[number % len(ANGLES)], precise=precise)
            if lam is not None:
                found.append((point, values, lam, mp.mpf(centre)))
            if len(found) == POINTS:
                break
        return found

    def size(self, values: Mapping[sp.Symbol, Any], lam: Any, *, precise: bool) -> tuple[Any, Any]:
        """X and its error at one lambda."""
        evaluate = self.numbers.precise if precise else self.numbers.rough
        value, error = evaluate(self.claim.right, values, lam)
        return value, error

    def off(self, values: Mapping[sp.Symbol, Any], lam: Any, centre: Any) -> list[Any]:
        """X nearer to the centre and further out."""
        return [self.size(values, centre + factor * (lam - centre), precise=False)[0] for factor in OFF]


