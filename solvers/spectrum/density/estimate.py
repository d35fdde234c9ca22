"""Densities and counts with errors: the same numbers from several independent sets of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from derive.theory import Theory
from solvers.averages import Values
from solvers.measure import SiteMeasure, StaticSites, mixture
from solvers.result import CONVERGED
from solvers.spectrum.density.components import components
from solvers.spectrum.density.counting import TOLERANCE, Fraction, fraction_in, mass_on
from solvers.spectrum.density.memory import DensityMemory
from solvers.spectrum.density.of_measure import MeasureDensity, Points, dense
from solvers.spectrum.density.potential import Array, ComplexArray
from solvers.spectrum.density.regions import Disk, HalfPlane, Region, arc, line
from solvers.spectrum.support import ETA
from solvers.threads import one_thread

SCRAMBLES = 4
LOG2_NODES, LOG2_DENSE_NODES = 12, 10
PROBED, MOST_FITTED = 4, 4
"""log2 of the units that show the structure; how many times the usual nodes a product rule may have if determinants
are needed."""

STUDENT = 3.2
"""The 95 % point of Student's t with three degrees of freedom."""

SAMPLE = 24
COARSE_RTOL = 1e-4
UNCONVERGED = (
    "not converged: at {count} of {total} points a relative residual of {worst:.1e} is left; (a) the point is very "
    "close to the edge of the support: move it; (b) fields of very different size: report the cell"
)
MOST_ERROR, ROUGHEST = 0.01, 0.05
"""Errors of a fraction of all eigenvalues up to which it counts as known: of its contour, and with the nodes'."""

ASIDE = 1e-3
"""Relative change of a region that shows how much lies along its boundary."""

ALONG = (
    "not converged: the fraction is known to {error:.1g} only, for the boundary of the region runs along eigenvalues "
    "of finite weight (a singular ring, or a line of L): move the boundary"
)
ROUGH = (
    "not converged: the fraction is known to {error:.1g} only: (a) a region with fewer eigenvalues near its boundary; "
    "(b) a heavy-tailed site measure: move a parameter"
)


@dataclass(frozen=True)
class Count:
    """theory : fraction of the S N eigenvalues (outliers, O(1/N), are in no fraction); error : absolute, of nodes,
    quadrature and equations together; verdict : "converged" or what is wrong; notes : what else is to be known."""

    region: str
    theory: float
    error: float
    verdict: str = CONVERGED
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grid:
    """rho (y, x) on a grid of real and imaginary parts, mirrored about the real axis; error : largest difference in a
    sample of its points; verdict : as everywhere; eta : points closer to the real axis stand for this distance."""

    re: Array
    im: Array
    rho: Array
    error: float
    eta: float
    verdict: str = CONVERGED


class Density:
    """The eigenvalue density of a measure, and of the parts by which its nodes are judged.

    whole : what numbers come from; parts : independent node sets for the error (none where the nodes are exact);
    memory : points that any of them has solved.
    """

    def __init__(self, whole: SiteMeasure, parts: Sequence[SiteMeasure] = (), *, scrambles: bool = False) -> None:
        self.measure = whole
        self.memory = DensityMemory()
        self.whole = MeasureDensity(whole, self.memory)
        self.parts = tuple(MeasureDensity(part, self.memory) for part in parts)
        self._scrambles = scrambles
        self.reach = max(density.radius() for density in (self.whole, *self.parts))
        self.random_L = random_L(whole)

    @one_thread
    def __call__(self, lam: ComplexArray) -> Points:
        """rho, G and Phi at points of any shape, flattened; rho is 0 outside the support."""
        return self.whole(lam)

    @one_thread
    def count(self, region: Region, text: str, tolerance: float = TOLERANCE) -> Count:
        """The fraction of eigenvalues in a region; tolerance : absolute error that the contour's quadrature aims at."""
        own = fraction_in(self.whole, region, self.reach, tolerance)
        others = np.array([fraction_in(part, region, self.reach, tolerance).value for part in self.parts])
        contour = own.error
        if contour > MOST_ERROR:
            contour = max(contour, self._beside(region, own.value))
        error = contour + float(self._spread(np.array([own.value]), others[:, None])[0])
        value = float(np.clip(own.value, 0.0, 1.0))
        return Count(text, value, error, self._verdict(own, contour, error), self._notes(own, value))

    def _beside(self, region: Region, value: float) -> float:
        """How much a fraction changes where the boundary moves a little to either side: mass may lie along it."""
        moved = (region.grown(share) for share in (-ASIDE, ASIDE))
        around = [fraction_in(self.whole, other, self.reach, 0.1 * MOST_ERROR).value for other in moved]
        return max(abs(other - value) for other in around)

    def _spread(self, own: Array, others: Array) -> Array:
        """Error of values (m,) from those of the parts (parts, m)."""
        if not len(others):
            return np.zeros(own.size)
        if self._scrambles:
            return np.asarray(STUDENT * others.std(axis=0, ddof=1) / np.sqrt(len(others)))
        return np.asarray(np.abs(others - own).max(axis=0))

    @staticmethod
    def _verdict(own: Fraction, contour: float, error: float) -> str:
        if not own.residual <= 1e-6:
            return UNCONVERGED.format(count="some", total="all", worst=own.residual)
        if contour > MOST_ERROR:
            return ALONG.format(error=contour)
        if not error <= ROUGHEST:
            return ROUGH.format(error=error)
        return CONVERGED

    @staticmethod
    def _notes(own: Fraction, value: float) -> tuple[str, ...]:
        notes = []
        if value < 1e-12:
            notes.append("the region holds no part of the spectrum (outliers apart)")
        if value > 1.0 - 1e-12:
            notes.append("the region holds the whole spectrum (outliers apart)")
        if own.on_edge > 0:
            notes.append(f"atoms of mass {own.on_edge:.6g} lie on the boundary and are left out")
        return tuple(notes)

    @one_thread
    def grid(self, re: Array, im: Array) -> Grid:
        """rho on a grid; ``im`` may hold both signs."""
        eta = ETA if self.random_L else 0.0
        heights, where = np.unique(np.abs(im), return_inverse=True)
        raised = np.maximum(heights, eta)
        lam = (re[None, :] + 1j * raised[:, None]).ravel()
        points = self.whole(lam)
        rho = np.maximum(points.rho, 0.0).reshape(heights.size, re.size)[where.ravel()]
        inside = np.nonzero(points.inside)[0]
        chosen = inside[np.unique(np.linspace(0, inside.size - 1, SAMPLE).astype(int))] if inside.size else inside
        others = np.array([part(lam[chosen]).rho for part in self.parts]).reshape(len(self.parts), chosen.size)
        left = float(points.residual.max(initial=0.0))
        error = float(self._spread(points.rho[chosen], others).max(initial=0.0)) + left
        bad = ~points.solved
        verdict = CONVERGED
        if bad.any():
            verdict = UNCONVERGED.format(count=int(bad.sum()), total=int(points.inside.sum()), worst=left)
        return Grid(re, im, rho, error, eta, verdict)

    @one_thread
    def radial_marginal(self, radii: Array, centre: float = 0.0) -> Array:
        """Mass per unit of distance from a point on the real axis, r int rho dphi, of the support at each radius."""
        return np.array([2.0 * mass_on(self.whole, arc(complex(centre), float(r), 0.0, np.pi))[0] for r in radii])

    @one_thread
    def real_marginal(self, places: Array) -> Array:
        """Mass per unit of Re lam, int rho d Im lam, of the support at each place."""
        top = 1j * self.reach
        return np.array([2.0 * mass_on(self.whole, line(complex(x), complex(x) + top))[0] for x in places])

    @one_thread
    def slow(self, epsilon: float) -> Count:
        """Fraction of slow modes: |1 - lam| < epsilon for a map, Re lam > -epsilon for a flow."""
        if self.measure.discrete:
            return self.count(Disk(1.0 + 0.0j, epsilon), f"disk:1,{epsilon:g}")
        return self.count(HalfPlane(-epsilon), f"re>{-epsilon:g}")


def random_L(measure: SiteMeasure) -> bool:
    """Whether L differs from unit to unit, so that its eigenvalues fill a stretch of the real axis."""
    return bool(np.ptp(measure.L, axis=0).max(initial=0.0) > 1e-9)


def static_density(
    theory: Theory, values: Values, *, log2_nodes: int | None = None, fewer: int = 0
) -> Density:
    """The density at one static solution (`Solution.linearised_at`).

    log2_nodes : how many nodes where they are Sobol points; by default fewer where fields share matrices.
    fewer : how often the number of nodes is halved below that, where they are Sobol points.

    A product rule where L is the same at every unit and one or two directions suffice, judged by a coarser
    one; otherwise several scrambled nets, together the nodes and singly the error.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    """
    sites = StaticSites(theory, values)
    pencil = _pencil_size(sites) > 0
    if log2_nodes is None:
        log2_nodes = LOG2_DENSE_NODES if pencil else LOG2_NODES
    log2_nodes -= fewer
    rule = sites.rule(log2_nodes=log2_nodes)
    whole = sites.measure(rule)
    if sites.dimension == 0:
        return Density(whole)
    if rule.fitted and not random_L(whole) and not (pencil and whole.nodes > MOST_FITTED * 2**log2_nodes):
        coarse = sites.rule(log2_nodes=log2_nodes, rtol=COARSE_RTOL)
        return Density(whole, [sites.measure(coarse)])
    nets = [
        sites.measure(sites.rule(log2_nodes=log2_nodes - 2, scramble=k, fitted=False)) for k in range(SCRAMBLES)
    ]
    return Density(mixture(nets), nets, scrambles=True)


def pencil_size(theory: Theory, values: Values) -> int:
    """The number of states and fields of the largest component whose density needs determinants, zero if none does.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    """
    return _pencil_size(StaticSites(theory, values))


def _pencil_size(sites: StaticSites) -> int:
    few = sites.measure(sites.rule(log2_nodes=PROBED, fitted=False))  # units that tell what feeds what
    return max((part.states + len(part.fields) for part in components(few).coupled if dense(part)), default=0)
