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

    def _bands(self, marginal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sum of magnitudes of the terms, and their spectrum near the Nyquist frequency and near half of it.

        Doubling or quadrupling the step would change the sum by the spectrum exactly there, but with a phase that
        may cancel by accident; the largest modulus over a band has no such accidents.
        """
        terms = marginal * self.weights
        length = 4 * 2 ** int(np.ceil(np.log2(max(terms.shape[1], 4))))
        spectrum = np.abs(np.fft.fft(terms, n=length, axis=1))
        frequency = 2.0 * np.abs(np.fft.fftfreq(length))
        high = spectrum[:, frequency >= 0.85].max(axis=1)
        middle = spectrum[:, (frequency >= 0.4) & (frequency <= 0.55)].max(axis=1)
        return np.abs(terms).sum(axis=1), high, middle

    def error(self, marginal: np.ndarray) -> np.ndarray:
        _, high, middle = self._bands(marginal)
        return np.asarray(10.0 * high * np.minimum(1.0, high / np.maximum(middle, 1e-300)))

    def refined(self, marginal: np.ndarray, goal: np.ndarray) -> SinhRule:
        size = np.maximum(self._bands(marginal)[0], 1e-300)
        now = self.error(marginal) / size
        disappointed = bool(np.max(now) > 30.0 * self.expected)
        if self.steepness < _STEEPEST and (disappointed or self.steepness > 30.0) and self._rough_at_centre(marginal):
            return replace(self, steepness=10.0 * self.steepness, expected=np.inf)
        reached = np.log(np.clip(now, 1e-16, 0.5))
        wanted = np.log(np.clip(goal / size, 1e-16, 0.5))
        ratio = float(np.clip(np.min(reached / wanted), 0.0, 1.0) ** 0.85)
        shrink = float(np.clip(ratio, 0.6, 0.9))
        # Exponential convergence: the logarithm of the error goes like the inverse step.
        return replace(self, step=self.step * shrink, expected=float(np.exp(np.max(reached) / shrink)))

    def _rough_at_centre(self, marginal: np.ndarray) -> bool:
        """Whether the roughest spot in t is the centre itself: then steeper, not finer, is the cure."""
        terms = marginal * self.weights
        if terms.shape[1] < 12:
            return False
        rough = np.abs(np.diff(terms, n=6, axis=1))
        rough = (rough / np.maximum(np.abs(terms).sum(axis=1, keepdims=True), 1e-300)).max(axis=0)
        t = self.step * self._counts[3:-3]
        return bool(abs(t[int(np.argmax(rough))]) <= max(0.7, 2.0 * self.step))

    def extended(self, radius: float) -> SinhRule:
        return replace(self, radius=radius)


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


def graded_panels(centres: list[tuple[float, float]], radius: float) -> PanelRule:
    """Panels of width about 2, narrowing geometrically towards each (centre, scale); scale 0 gives one bare edge."""
    edges = set(np.linspace(-radius, radius, 2 * int(np.ceil(radius / 3.0)) + 1).tolist())
    for centre, scale in centres:
        close = [e for e in edges if abs(e - centre) < 0.3 and abs(e) < radius]
        edges.difference_update(close if scale == 0 else [])
        edges.add(centre)
        offset = 2.0 * scale
        while 0 < offset < 1.0:
            edges.update((centre - offset, centre + offset))
            offset *= 4.0
    return PanelRule(tuple(sorted(e for e in edges if abs(e) <= radius)))
