"""One-dimensional rules for product integration: sinh-mapped trapezoid and composite Gauss-Kronrod panels.

Both judge and refine themselves from the marginal of the integrand along their axis, so a product rule needs no
extra evaluations to know which axis errs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from solvers.codegen.rules import NODES, SIZE, WEIGHTS, panel_sums

_SQRT_2PI = float(np.sqrt(2.0 * np.pi))
_STEEPEST = 1e12


def density(x: np.ndarray) -> np.ndarray:
    """Standard normal density."""
    return np.asarray(np.exp(-0.5 * x * x) / _SQRT_2PI)


class AxisRule(Protocol):
    """A rule with ``nodes`` and ``weights`` (density included) of shape ``(n,)``."""

    @property
    def nodes(self) -> np.ndarray: ...

    @property
    def weights(self) -> np.ndarray: ...

    def error(self, marginal: np.ndarray) -> np.ndarray:
        """Absolute error ``(m,)`` from the marginal ``(m, n)`` of the integrand at the nodes."""

    def refined(self, marginal: np.ndarray, goal: np.ndarray) -> AxisRule:
        """A finer rule meant to bring the error down to the goal ``(m,)``."""

    def extended(self, radius: float) -> AxisRule:
        """The same rule reaching out to a larger radius."""

    def spaced(self, limit: float, core: float) -> AxisRule:
        """The same rule or a finer one, with neighbouring nodes no further apart than ``limit`` in abs(xi) <= core."""


def largest_gap(rule: AxisRule, core: float) -> float:
    """Largest distance between neighbouring nodes with abs(xi) <= core."""
    nodes = rule.nodes
    inside = np.minimum(np.abs(nodes[1:]), np.abs(nodes[:-1])) <= core
    return float(np.max(np.diff(nodes)[inside], initial=0.0))


@dataclass(frozen=True)
class SinhRule:
    """Trapezoid in t for xi = centre + 2 sinh(t) / steepness, cut at abs(xi) = radius.

    All scales between 1 / steepness and 1 around the centre are resolved logarithmically.
    """

    centre: float
    steepness: float
    step: float
    radius: float
    expected: float = np.inf  # relative error the last refinement aimed at

    @property
    def _counts(self) -> np.ndarray:
        ends = np.arcsinh(0.5 * self.steepness * (np.array([-self.radius, self.radius]) - self.centre))
        return np.arange(int(np.ceil(ends[0] / self.step)), int(np.floor(ends[1] / self.step)) + 1)

    @property
    def nodes(self) -> np.ndarray:
        return np.asarray(self.centre + 2.0 * np.sinh(self.step * self._counts) / self.steepness)

    @property
    def weights(self) -> np.ndarray:
        jacobian = 2.0 * np.cosh(self.step * self._counts) / self.steepness
        return np.asarray(self.step * jacobian * density(self.nodes))

    def error(self, marginal: np.ndarray) -> np.ndarray:
        """Extrapolate the spectrum of the terms from the Nyquist frequency to twice that, where it is the error.

        Only the decay over the last few per cent is trusted: a kink or a jump leaves a plateau that a faster decay
        at lower frequencies would hide.  Moduli over bands are used because single values may vanish by phase.
        """
        terms = marginal * self.weights
        length = 4 * 2 ** int(np.ceil(np.log2(max(terms.shape[1], 4))))
        spectrum = np.abs(np.fft.fft(terms, n=length, axis=1))
        frequency = 2.0 * np.abs(np.fft.fftfreq(length))

        def band(low: float, high: float) -> np.ndarray:
            inside = (frequency >= low) & (frequency <= high)
            return np.asarray(spectrum[:, inside].max(axis=1))

        top = band(0.94, 1.0)  # no floor: an integrand that is zero has no error
        decay = np.minimum(top / np.maximum(band(0.84, 0.88), 1e-300), 1.0)
        return np.asarray(10.0 * top * decay**3)

    def refined(self, marginal: np.ndarray, goal: np.ndarray) -> SinhRule:
        size = np.maximum(np.abs(marginal * self.weights).sum(axis=1), 1e-300)
        now = self.error(marginal) / size
        disappointed = bool(np.max(now) > 30.0 * self.expected)
        if self.steepness < _STEEPEST and (disappointed or self.steepness > 30.0) and self._rough_at_centre(marginal):
            return replace(self, steepness=100.0 * self.steepness, expected=np.inf)
        reached = np.log(np.clip(now, 1e-16, 0.5))
        wanted = np.log(np.clip(goal / size, 1e-16, 0.5))
        ratio = float(np.clip(np.min(reached / wanted), 0.0, 1.0) ** 0.85)
        shrink = float(np.clip(ratio, 0.6, 0.9))
        # Exponential convergence: the logarithm of the error goes like the inverse step.
        return replace(self, step=self.step * shrink, expected=float(np.exp(np.max(reached) / shrink)))

    def _rough_at_centre(self, marginal: np.ndarray) -> bool:
        """Whether the roughest spot in t is the centre itself: then steeper, not finer, is the cure."""
        terms = marginal * self.weights
        spectrum = np.fft.fft(terms, axis=1)
        spectrum[:, 2.0 * np.abs(np.fft.fftfreq(terms.shape[1])) < 0.78] = 0.0
        rough = np.abs(np.fft.ifft(spectrum, axis=1))
        rough = (rough / np.maximum(np.abs(terms).sum(axis=1, keepdims=True), 1e-300)).max(axis=0)
        t = self.step * self._counts
        return bool(abs(t[int(np.argmax(rough))]) <= max(0.7, 2.0 * self.step))

    def extended(self, radius: float) -> SinhRule:
        return replace(self, radius=radius)

    def spaced(self, limit: float, core: float) -> SinhRule:
        gap = largest_gap(self, core)
        return replace(self, step=self.step * min(1.0, limit / gap), expected=np.inf) if gap > limit else self


@dataclass(frozen=True)
class PanelRule:
    """Composite Gauss-Kronrod rule on the panels between sorted edges."""

    edges: tuple[float, ...]

    @property
    def _half(self) -> np.ndarray:
        return 0.5 * np.diff(self.edges)

    @property
    def nodes(self) -> np.ndarray:
        edges = np.asarray(self.edges)
        return np.asarray((0.5 * (edges[1:] + edges[:-1])[:, None] + self._half[:, None] * NODES).ravel())

    @property
    def weights(self) -> np.ndarray:
        return np.asarray((self._half[:, None] * WEIGHTS).ravel() * density(self.nodes))

    def _panel_errors(self, marginal: np.ndarray) -> np.ndarray:
        values = (marginal * density(self.nodes)).reshape(marginal.shape[0], -1, SIZE)
        return panel_sums(values, self._half).error

    def error(self, marginal: np.ndarray) -> np.ndarray:
        return np.asarray(self._panel_errors(marginal).sum(axis=1))

    def refined(self, marginal: np.ndarray, goal: np.ndarray) -> PanelRule:
        errors = self._panel_errors(marginal)
        split = (errors > goal[:, None] / (2.0 * errors.shape[1])).any(axis=0)
        edges = np.asarray(self.edges)
        return PanelRule(tuple(np.sort(np.concatenate([edges, 0.5 * (edges[1:] + edges[:-1])[split]])).tolist()))

    def extended(self, radius: float) -> PanelRule:
        inside = [edge for edge in self.edges if abs(edge) < radius - 0.5]
        return PanelRule((-radius, *inside, radius))

    def spaced(self, limit: float, core: float) -> PanelRule:
        rule = self
        while largest_gap(rule, core) > limit:
            edges = np.asarray(rule.edges)
            rule = PanelRule(tuple(np.sort(np.concatenate([edges, 0.5 * (edges[1:] + edges[:-1])])).tolist()))
        return rule


def graded_panels(centres: list[tuple[float, float]], radius: float) -> PanelRule:
    """Panels of width about 2, narrowing geometrically towards each (centre, scale); scale 0 gives one bare edge."""
    regular = set(np.linspace(-radius, radius, 2 * int(np.ceil(radius / 3.0)) + 1).tolist())
    edges: set[float] = set()
    for centre, scale in centres:
        regular.difference_update([e for e in regular if abs(e - centre) < 0.4 and abs(e) < radius])
        edges.update(graded_edges(centre, scale))
    return PanelRule(tuple(sorted(e for e in edges | regular if abs(e) <= radius)))


def graded_edges(centre: float, scale: float) -> set[float]:
    """The centre, and, for a transition of non-zero width, edges around it; a bare kink keeps just two of them."""
    if scale == 0:
        return {centre}
    if scale < 1e-5:
        return {centre - 2.0 * scale, centre + 2.0 * scale}
    offsets = 2.0 * scale * 4.0 ** np.arange(0, max(0.0, np.log(0.5 / scale) / np.log(4.0)))
    return {centre, *(centre - offsets).tolist(), *(centre + offsets).tolist()}
