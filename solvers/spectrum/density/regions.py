"""Regions of the complex plane in which eigenvalues are counted: disks, annuli and half planes.

A region is bounded by curves, each made of pieces lam(t), t in [0, 1], counter-clockwise about what it encloses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from derive.errors import ParameterError

ComplexArray = npt.NDArray[np.complex128]
Curve = Callable[[npt.NDArray[np.float64]], tuple[ComplexArray, ComplexArray]]


@dataclass(frozen=True)
class Disk:
    """|lam - centre| < radius."""

    centre: complex
    radius: float

    def contains(self, lam: ComplexArray) -> npt.NDArray[np.bool_]:
        """Which points (m,) lie inside."""
        return np.asarray(np.abs(lam - self.centre) < self.radius)

    def boundary(self, reach: float) -> list[tuple[Curve, float]]:
        """Pieces with the factor by which the imaginary part of the integral of G counts, see `counting`.

        reach : no eigenvalue is further from zero.
        """
        if self.centre.imag == 0.0:
            return [(arc(self.centre, self.radius, 0.0, np.pi), 1.0 / np.pi)]
        return [(arc(self.centre, self.radius, -np.pi, np.pi), 0.5 / np.pi)]

    def distance(self, lam: ComplexArray) -> npt.NDArray[np.float64]:
        """Distance of points (m,) from the boundary."""
        return np.asarray(np.abs(np.abs(lam - self.centre) - self.radius))

    def grown(self, share: float) -> Disk:
        """With a radius that is larger by a share of itself."""
        return Disk(self.centre, self.radius * (1.0 + share))


@dataclass(frozen=True)
class HalfPlane:
    """Re lam > left."""

    left: float

    def contains(self, lam: ComplexArray) -> npt.NDArray[np.bool_]:
        """Which points (m,) lie inside."""
        return np.asarray(lam.real > self.left)

    def boundary(self, reach: float) -> list[tuple[Curve, float]]:
        """The upper half of a box that holds all of the spectrum on the right of the line."""
        if abs(self.left) >= reach:
            return [(arc(0.0, 1.01 * reach, 0.0, np.pi), 1.0 / np.pi)] if self.left < 0 else []
        right, top = 1.1 * reach, 1.1 * reach
        corners = (right + 0.0j, right + 1j * top, self.left + 1j * top, self.left + 0.0j)
        return [(line(a, b), 1.0 / np.pi) for a, b in pairwise(corners)]

    def distance(self, lam: ComplexArray) -> npt.NDArray[np.float64]:
        """Distance of points (m,) from the boundary."""
        return np.asarray(np.abs(lam.real - self.left))

    def grown(self, share: float) -> HalfPlane:
        """Moved to the left by a share of its distance from zero, or of one."""
        return HalfPlane(self.left - share * max(abs(self.left), 1.0))


@dataclass(frozen=True)
class Annulus:
    """inner < |lam - centre| < outer."""

    centre: complex
    inner: float
    outer: float

    def contains(self, lam: ComplexArray) -> npt.NDArray[np.bool_]:
        """Which points (m,) lie inside."""
        distance = np.abs(lam - self.centre)
        return np.asarray((distance > self.inner) & (distance < self.outer))

    def boundary(self, reach: float) -> list[tuple[Curve, float]]:
        """Both circles, the inner one with the opposite sign."""
        outer, inner = Disk(self.centre, self.outer).boundary(reach), Disk(self.centre, self.inner).boundary(reach)
        return [*outer, *((curve, -factor) for curve, factor in inner)]

    def distance(self, lam: ComplexArray) -> npt.NDArray[np.float64]:
        """Distance of points (m,) from the boundary."""
        distance = np.abs(lam - self.centre)
        return np.asarray(np.minimum(np.abs(distance - self.inner), np.abs(distance - self.outer)))

    def grown(self, share: float) -> Annulus:
        """Both circles moved outwards from what is between them, by a share of the radii."""
        return Annulus(self.centre, self.inner * (1.0 - share), self.outer * (1.0 + share))


Region = Disk | HalfPlane | Annulus

FORMS = "disk:RE,R  disk:RE,IM,R  annulus:RE,R1,R2  re>X"


def parse_region(text: str) -> Region:
    """A region from its text, such as ``disk:0.3,0.5``.

    Raises ParameterError for what is no region, and for regions that hold no point.
    """
    plain = "".join(text.split()).lower()
    if plain.startswith("re>"):
        return HalfPlane(_numbers(text, plain[3:], (1,))[0])
    kind, colon, rest = plain.partition(":")
    if colon and kind == "disk":
        numbers = _numbers(text, rest, (2, 3))
        centre = complex(numbers[0], numbers[1] if len(numbers) == 3 else 0.0)
        return Disk(centre, _positive(text, numbers[-1]))
    if colon and kind == "annulus":
        real, inner, outer = _numbers(text, rest, (3,))
        if not 0.0 < inner < outer:
            raise _error(text, f"the radii {inner:g} and {outer:g} hold nothing between them; 0 < R1 < R2 is needed")
        return Annulus(complex(real), inner, outer)
    raise _error(text, "this is not a region")


def _numbers(text: str, part: str, counts: tuple[int, ...]) -> list[float]:
    try:
        numbers = [float(piece) for piece in part.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts or not all(math.isfinite(number) for number in numbers):
        raise _error(text, f"`{part[:60]}` is not {' or '.join(map(str, counts))} finite numbers between commas")
    return numbers


def _positive(text: str, radius: float) -> float:
    if not radius > 0.0:
        raise _error(text, f"a disk of radius {radius:g} holds nothing; the radius must be above 0")
    return radius


def _error(text: str, what: str) -> ParameterError:
    return ParameterError(f"region `{text[:80]}`: {what}. Regions are  {FORMS} ; for example  disk:0.3,0.5")


def arc(centre: complex, radius: float, start: float, end: float) -> Curve:
    """Part of a circle, counter-clockwise if end > start."""

    def curve(t: npt.NDArray[np.float64]) -> tuple[ComplexArray, ComplexArray]:
        direction = np.exp(1j * (start + (end - start) * t))
        lam = centre + radius * direction
        if centre.imag == 0.0 and start == 0.0:
            lam = lam.real + 1j * np.maximum(lam.imag, 0.0)
        return lam, 1j * (end - start) * radius * direction

    return curve


def line(start: complex, end: complex) -> Curve:
    """A straight piece."""

    def curve(t: npt.NDArray[np.float64]) -> tuple[ComplexArray, ComplexArray]:
        return np.asarray(start + (end - start) * t, complex), np.full(t.size, end - start, complex)

    return curve
