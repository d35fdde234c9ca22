"""Support, filament, outliers and atoms put together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derive.theory import Theory
from solvers.averages import Evaluator, Values
from solvers.budget import check_budget
from solvers.result import CONVERGED
from solvers.spectrum.gain import GainMatrix, OutlierMap
from solvers.spectrum.holes import find_in_holes
from solvers.spectrum.outliers import Outliers, find_outliers
from solvers.spectrum.real_edge import without_resolution
from solvers.spectrum.sites import Atom, SiteSpectrum, site_spectrum
from solvers.spectrum.support import ETA, Resolved, Support, find_support
from solvers.threads import one_thread


@dataclass(frozen=True)
class SpectrumResult:
    """Everything said about the eigenvalues at one solution.

    boundary : closed curves (complex, first point repeated) at resolution eta; radius, abscissa : of the support at
    resolution edge_eta (0 where they lie on the real axis beyond the range of L), None where there is no support;
    filament : real range of L beyond the support (eigenvalues of vanishing density);
    outliers : isolated eigenvalues outside the support; inner : those in holes of it, where ``curves`` are asked for;
    atoms : exact eigenvalues of L that no field moves; divergent : the gain matrix averages the square of a delta
    function.
    """

    boundary: tuple[np.ndarray, ...]
    radius: float | None
    abscissa: float | None
    radius_error: float
    abscissa_error: float
    filament: tuple[float, float] | None
    outliers: tuple[complex, ...]
    outlier_errors: tuple[float, ...]
    atoms: tuple[Atom, ...]
    eta: float
    inner: tuple[complex, ...] = ()
    inner_errors: tuple[float, ...] = ()
    edge_eta: float = 0.0
    divergent: bool = False
    verdict: str = CONVERGED
    notes: tuple[str, ...] = ()


@one_thread
def spectrum_of(
    theory: Theory, values: Values, evaluator: Evaluator, tol: float, *, curves: bool = True, eta: float = ETA,
    isolated: bool = True,
) -> SpectrumResult:  # fmt: skip
    """Spectrum at one solution of a static theory.

    values : parameters and unknowns; curves : trace the boundary finely; eta : resolution on the real range of L;
    isolated : look for outliers (there are none where v = 0, also where ``values`` are those of vanishing activity).
    """
    check_budget()
    spectrum = theory.spectrum
    assert spectrum is not None
    functions = theory.law.functions
    if any(functions.has_delta(entry) for entry in [*spectrum.T, *spectrum.L]):
        return _divergent(eta)
    sites = site_spectrum(theory, values)
    gain = GainMatrix(theory, values, evaluator, min(tol, 1e-10))
    support = without_resolution(gain, find_support(gain, sites.sample, eta=eta, curves=curves), sites.range)
    check_budget()
    outliers, inner, orthogonal = Outliers((), ()), Outliers((), ()), orthogonal_weights(theory)
    if isolated and orthogonal and curves and support.boundary:
        inner = find_in_holes(theory, values, float(np.abs(np.concatenate(support.boundary)).max()))
    if isolated:
        outliers = find_outliers(
            OutlierMap(theory, values, evaluator, min(tol, 1e-10)), Resolved(gain, support.eta), support,
            sites.range or (0.0, 0.0),
        )  # fmt: skip
    return SpectrumResult(
        support.boundary,
        support.radius,
        support.abscissa,
        support.radius_error,
        support.abscissa_error,
        _filament(sites, support),
        outliers.values,
        outliers.errors,
        sites.atoms,
        support.eta,
        inner.values,
        inner.errors,
        edge_eta=support.eta if support.edge_eta is None else support.edge_eta,
        verdict=_verdict(support),
        notes=(ORTHOGONAL.format(", ".join(orthogonal)),) if orthogonal else (),
    )


ORTHOGONAL = (
    "{} is orthogonal: the support may have holes inside the boundary, where the density is zero; isolated eigenvalues "
    "in holes are sought where every field has a matrix of its own and moves every unit"
)


def orthogonal_weights(theory: Theory) -> tuple[str, ...]:
    """Orthogonal matrices that act on a state."""
    site = theory.site
    fed = {site.fields[k].weight for k in range(len(site.fields)) if k not in site.input_fields}
    return tuple(w.name for w in site.cell.weights.values() if w.ensemble == "haar" and w.name in fed)


def _filament(sites: SiteSpectrum, support: Support) -> tuple[float, float] | None:
    """The range of L to the right of the support's edge, where L has a continuous law."""
    if not sites.continuous or sites.range is None or not support.boundary:
        return None
    edge = max(float(curve.real.max()) for curve in support.boundary)
    if support.abscissa is not None:
        edge = support.abscissa
    return (edge, sites.range[1]) if sites.range[1] > edge else None


def _verdict(support: Support) -> str:
    if support.radius is None or support.radius_error <= 1e-5 * max(1.0, abs(support.radius)):
        return CONVERGED
    return (
        f"the edge of the support is known to {support.radius_error:.1e} only; "
        "(a) the gain is flat there (a critical line): move a parameter; (b) averages in many dimensions: see error"
    )


def _divergent(eta: float) -> SpectrumResult:
    return SpectrumResult(
        (), None, None, np.inf, np.inf, None, (), (), (), eta, divergent=True,
        notes=("the gain matrix diverges: it averages the square of a delta function (the derivative of a jump)",),
    )  # fmt: skip
