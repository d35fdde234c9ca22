"""Where the support ends: closed boundary curves, spectral radius and abscissa at a stated resolution.

The support at resolution eta is {lam : radius of K(Re lam + i max(|Im lam|, eta)) > 1}.  It is symmetric about
the real axis, and every component of it touches the spectrum of L, so the search starts there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import contourpy
import numpy as np
from scipy.optimize import brentq

from solvers.spectrum.gain import GainMatrix

ETA = 1e-3
COARSE = 1e-3
FINE = 1e-11
FLAT = 1e-9
"""Spread of the eigenvalues of L below which they have no continuous law: nothing to resolve."""
GRID = 48
SAME_VERTEX, NEAR = 1e-6, 0.02
"""In grid spacings: vertices this close are one; how far averages as exact as COARSE may mislead."""



@dataclass(frozen=True)
class Support:
    """boundary : closed curves, complex arrays whose first point is repeated at the end; radius, abscissa : of the
    support (None if empty), with absolute errors; eta : the resolution they refer to; edge_eta : the same of radius and
    abscissa, where those are known at another."""

    boundary: tuple[np.ndarray, ...]
    radius: float | None
    abscissa: float | None
    radius_error: float
    abscissa_error: float
    eta: float
    edge_eta: float | None = None


class Gain(Protocol):
    """What gives the radius of K."""

    def log_radius(self, lam: np.ndarray, rtol: float) -> tuple[np.ndarray, np.ndarray]:
        """ln of the spectral radius of K (n,), and its absolute error."""


class Resolved:
    """ln radius of K at resolution eta."""

    def __init__(self, gain: Gain, eta: float) -> None:
        self.gain, self.eta = gain, eta

    def error(self, lam: complex) -> float:
        """Absolute error of the finest value at one point."""
        shifted = complex(lam.real, max(abs(lam.imag), self.eta))
        return float(self.gain.log_radius(np.array([shifted]), FINE)[1][0])

    def __call__(self, lam: np.ndarray, rtol: float) -> np.ndarray:
        lam = np.asarray(lam, complex)
        shifted = lam.real + 1j * np.maximum(np.abs(lam.imag), self.eta)
        value = self.gain.log_radius(shifted.ravel(), rtol)[0].reshape(lam.shape)
        return np.clip(np.nan_to_num(value, nan=-700.0, neginf=-700.0, posinf=700.0), -700.0, 700.0)


def needed_resolution(site_eigenvalues: np.ndarray, eta: float = ETA) -> float:
    """``eta``, or 0 where the eigenvalues (n, S) of L have no continuous law: the edge is exact there."""
    return 0.0 if np.ptp(site_eigenvalues.real, axis=0).max() < FLAT else eta


def find_support(
    gain: GainMatrix, site_eigenvalues: np.ndarray, *, eta: float = ETA, curves: bool = True, level: float = 0.0
) -> Support:
    """Boundary and extreme points of the support.

    site_eigenvalues : (n, S) sample of the eigenvalues of L; curves : trace the boundary finely (else only as
    far as radius and abscissa need); level : ln of the value of the radius of K on the boundary.
    """
    eta = needed_resolution(site_eigenvalues, eta)
    resolved = Resolved(gain, eta)
    if gain.empty:
        return Support((), None, None, 0.0, 0.0, eta)

    def excess(lam: np.ndarray, rtol: float) -> np.ndarray:
        return resolved(lam, rtol) - level

    grid = GRID if curves else GRID // 2
    outlines = [line for box in _boxes(excess, site_eigenvalues) for line in _outline(excess, box, grid)]
    outlines = _without_repeats(outlines)
    if not outlines:
        return Support((), None, None, 0.0, 0.0, eta)
    polished = tuple(_polish(excess, line, 1e-9) if curves else line for line in outlines)
    radius, radius_error = _extreme(excess, resolved, polished, np.abs, _outward)
    abscissa, abscissa_error = _extreme(excess, resolved, polished, np.real, _rightward)
    return Support(polished, radius, abscissa, radius_error, abscissa_error, eta)


Excess = Callable[[np.ndarray, float], np.ndarray]
Box = tuple[float, float, float]


def _boxes(excess: Excess, site_eigenvalues: np.ndarray) -> list[Box]:
    """(left, right, height) of boxes that hold the components, each adapted in size to what it holds."""
    boxes: list[Box] = []
    for centre in _centres(site_eigenvalues):
        if any(left < centre.real < right and abs(centre.imag) < top for left, right, top in boxes):
            continue
        reach = _reach(excess, centre)
        if reach is None:
            continue
        boxes.append(_tighten(excess, (centre.real - reach, centre.real + reach, abs(centre.imag) + reach)))
    return boxes


def _centres(site_eigenvalues: np.ndarray) -> list[complex]:
    """Typical eigenvalues of L: the middle and the quantiles of each, upper half plane."""
    centres: list[complex] = []
    for column in site_eigenvalues.T:
        order = column[np.argsort(column.real)]
        for q in (0.5, 0.1, 0.9, 0.01, 0.99):
            value = complex(order[int(q * (len(order) - 1))])
            value = complex(value.real, abs(value.imag))
            if not any(abs(value - other) < 1e-9 for other in centres):
                centres.append(value)
    return centres


def _reach(excess: Excess, centre: complex) -> float | None:
    """Radius of a circle about ``centre`` outside of which the gain stays below one; None if nothing is inside."""
    angles = np.exp(1j * np.linspace(0, np.pi, 13))
    scales = 2.0 ** np.arange(12, -30, -1)
    inside = excess(centre + scales[:, None] * angles[None, :], COARSE).max(axis=1) > 0
    if not inside.any():
        return None
    first = int(np.argmax(inside))
    return float(scales[max(first - 1, 0)])


def _tighten(excess: Excess, box: Box) -> Box:
    """Shrink a box to what it holds, a few times, so that the grid resolves small components."""
    for _ in range(8):
        x, y = _axes(box, 12)
        inside = excess(x[None, :] + 1j * y[:, None], COARSE) > 0
        if not inside.any():
            return box
        columns, rows = np.nonzero(inside.any(axis=0))[0], np.nonzero(inside.any(axis=1))[0]
        dx, dy = x[1] - x[0], y[1] - y[0]
        new = (x[columns[0]] - 1.6 * dx, x[columns[-1]] + 1.6 * dx, max(y[rows[-1]] + 1.6 * dy, 1e-6))
        settled = (new[1] - new[0]) > 0.8 * (box[1] - box[0]) and new[2] > 0.8 * box[2]
        box = new
        if settled:
            break
    return box


def _axes(box: Box, count: int) -> tuple[np.ndarray, np.ndarray]:
    left, right, top = box
    return np.linspace(left, right, 2 * count), np.linspace(0.0, top, count)


def _outline(excess: Excess, box: Box, grid: int) -> list[np.ndarray]:
    """Closed zero lines on a grid that is mirrored about the real axis."""
    x, y = _axes(box, grid)
    upper = excess(x[None, :] + 1j * y[:, None], COARSE)
    table = np.concatenate([upper[:0:-1], upper])
    rows = np.concatenate([-y[:0:-1], y])
    lines = contourpy.contour_generator(x, rows, np.clip(table, -5.0, 5.0)).lines(0.0)
    vertices = [np.asarray(line) for line in lines]
    curves = [line[:, 0] + 1j * line[:, 1] for line in vertices if len(line) > 3]
    return [curve for curve in curves if abs(curve[0] - curve[-1]) < 1e-12 * (1 + abs(curve[0]))]


def _without_repeats(outlines: list[np.ndarray]) -> list[np.ndarray]:
    kept: list[np.ndarray] = []
    for line in outlines:
        middle, size = line.mean(), np.ptp(line.real) + np.ptp(line.imag)
        if not any(abs(other.mean() - middle) < 0.05 * size and
                   abs(np.ptp(other.real) + np.ptp(other.imag) - size) < 0.1 * size for other in kept):  # fmt: skip
            kept.append(line)
    return kept


def _polish(excess: Excess, line: np.ndarray, rtol: float) -> np.ndarray:
    """Move every vertex along its normal onto the boundary, by at most the grid spacing.

    Vertices below the real axis are mirror images and are not worked out again.
    """
    vertices = line[:-1]
    tangent = np.roll(vertices, -1) - np.roll(vertices, 1)
    length = np.abs(tangent)
    normal = 1j * tangent / np.where(length > 0, length, 1.0)
    spacing = float(np.median(length)) + 1e-300
    below = vertices.imag < 0
    upper, outward = np.where(below, vertices.conj(), vertices), np.where(below, normal.conj(), normal)
    _, first, same = np.unique(np.round(upper / (SAME_VERTEX * spacing)), return_index=True, return_inverse=True)
    moved = vertices + _shifts(excess, upper[first], outward[first], spacing, rtol)[same] * normal
    return np.append(moved, moved[0])


def _shifts(excess: Excess, points: np.ndarray, normal: np.ndarray, spacing: float, rtol: float) -> np.ndarray:
    """How far along its normal each point is from the boundary; 0 where that is not met within the spacing."""
    whole = np.full(points.size, spacing)
    rough, _ = _secants(excess, points, normal, (-whole, whole), COARSE, 0.1 * NEAR * spacing)
    near = np.full(points.size, NEAR * spacing)
    shift, found = _secants(excess, points, normal, (rough - near, rough + near), rtol, 1e-9 * spacing)
    lost = ~found  # rough averages have led astray
    if lost.any():
        ends = (-whole[lost], whole[lost])
        shift[lost] = _secants(excess, points[lost], normal[lost], ends, rtol, 1e-9 * spacing)[0]
    return shift


def _secants(
    excess: Excess,
    points: np.ndarray,
    normal: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    rtol: float,
    close: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Crossings between two ends, by the Illinois rule, each until it moves less than ``close``; and which have one."""
    low, high = ends[0].copy(), ends[1].copy()
    low_value, high_value = excess(points + low * normal, rtol), excess(points + high * normal, rtol)
    usable = np.sign(low_value) != np.sign(high_value)
    shift = np.zeros(points.size)
    active, side = np.nonzero(usable)[0], np.zeros(points.size)
    for _ in range(30):
        if not active.size:
            break
        a, b, fa, fb = (column[active] for column in (low, high, low_value, high_value))
        with np.errstate(all="ignore"):
            trial = (a * fb - b * fa) / (fb - fa)
        trial = np.where(np.isfinite(trial), trial, 0.5 * (a + b))
        moved, shift[active] = np.abs(trial - shift[active]), trial
        value = excess(points[active] + trial * normal[active], rtol)
        at_low = np.sign(value) == np.sign(fa)
        # Illinois: an end that is kept twice counts half, so that neither gets stuck.
        kept = np.where(side[active] == np.where(at_low, 1, -1), 0.5, 1.0)
        side[active] = np.where(at_low, 1, -1)
        low[active], low_value[active] = np.where(at_low, trial, a), np.where(at_low, value, kept * fa)
        high[active], high_value[active] = np.where(at_low, b, trial), np.where(at_low, kept * fb, value)
        active = active[moved >= close]
    return shift, usable


def _outward(point: complex) -> tuple[complex, complex]:
    """Base and direction of the ray on which |lam| grows."""
    return 0.0, point / abs(point) if point else 1.0


def _rightward(point: complex) -> tuple[complex, complex]:
    return complex(0.0, point.imag), 1.0


def _extreme(
    excess: Excess,
    resolved: Resolved,
    curves: tuple[np.ndarray, ...],
    measure: Callable[[np.ndarray], np.ndarray],
    ray: Callable[[complex], tuple[complex, complex]],
) -> tuple[float, float]:
    """Largest ``measure`` on the boundary: the vertex, refined along its ray, and along the real axis."""
    points = np.concatenate(curves)
    best = complex(points[int(np.argmax(measure(points)))])
    candidates = [best, *(complex(curve.real.max(), 0.0) for curve in curves)]
    candidates += [complex(curve.real.min(), 0.0) for curve in curves]
    size = max(float(np.ptp(points.real)), float(np.ptp(points.imag)), 1e-12)
    values = [_on_ray(excess, point, size, ray) for point in candidates]
    turned = _turn(excess, best, size, measure, ray)
    best = max([*values, turned], key=lambda value: float(measure(np.array([value]))[0]))
    top = float(measure(np.array([best]))[0])
    return top, _edge_error(excess, resolved.error(best), best, size, ray) + 1e-12 * abs(top)


def _edge_error(
    excess: Excess, known: float, point: complex, size: float, ray: Callable[[complex], tuple[complex, complex]]
) -> float:
    """How far the crossing can be off: what is left of the excess, plus its known error, over the slope."""
    direction, h = ray(point)[1], 1e-4 * size
    value = excess(np.array([point - h * direction, point, point + h * direction]), FINE)
    slope = abs(value[2] - value[0]) / (2 * h)
    return float((abs(value[1]) + known) / slope) if slope > 0 else float("inf")


def _on_ray(
    excess: Excess, point: complex, size: float, ray: Callable[[complex], tuple[complex, complex]]
) -> complex:
    """Outermost crossing near ``point`` along its ray."""
    base, direction = ray(point)
    start = ((point - base) / direction).real
    steps = size * np.concatenate([-(2.0 ** np.arange(-3, -20, -1.0)), [0.0], 2.0 ** np.arange(-19, -2, 1.0)])
    t = start + steps
    value = excess(base + t * direction, 1e-8)
    inside = np.nonzero(value > 0)[0]
    if not inside.size or inside[-1] == len(t) - 1:
        return point if inside.size else base + t[0] * direction
    low, high = float(t[inside[-1]]), float(t[inside[-1] + 1])

    def alone(place: float) -> float:
        return float(excess(np.array([base + place * direction]), FINE)[0])

    # An end of the bracket may be on the boundary, as far as the first look could tell.
    if alone(low) <= 0.0:
        return base + low * direction
    if alone(high) >= 0.0:
        return base + high * direction
    return base + float(brentq(alone, low, high, xtol=1e-14, rtol=1e-13)) * direction


def _turn(
    excess: Excess,
    point: complex,
    size: float,
    measure: Callable[[np.ndarray], np.ndarray],
    ray: Callable[[complex], tuple[complex, complex]],
) -> complex:
    """Improve an extreme point off the real axis: parabola through the crossings of neighbouring rays."""
    if abs(point.imag) < 1e-6 * size:
        return _on_ray(excess, complex(point.real), size, ray)
    step = 0.02 * size
    for _ in range(3):
        around = [_on_ray(excess, point + shift * 1j * _tangent(point, ray), size, ray) for shift in (-step, 0.0, step)]
        m = measure(np.array(around))
        bend = m[0] - 2 * m[1] + m[2]
        offset = 0.5 * step * (m[0] - m[2]) / bend if bend < 0 else 0.0
        offset = float(np.clip(offset, -step, step))
        point = _on_ray(excess, around[1] + offset * 1j * _tangent(point, ray), size, ray)
        step *= 0.3
    return point


def _tangent(point: complex, ray: Callable[[complex], tuple[complex, complex]]) -> complex:
    return ray(point)[1]
