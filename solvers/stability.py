"""Stability of a static solution by all eigenvalues of its Jacobian: support, outliers and atoms."""

from __future__ import annotations

from derive.theory import Theory
from solvers.spectrum import SpectrumResult

ON_LINE = 1e-9
"""Distance from the line of stability within which an exact eigenvalue of single units lies on it."""

MARGINAL = (
    "marginally stable: exact eigenvalues lie on the line of stability and none beyond it, so that a perturbation "
    "along them neither grows nor decays (maximal exponent 0)"
)


def is_stable(theory: Theory, spectrum: SpectrumResult) -> bool | None:
    """All of support, outliers and atoms inside the unit disk (discrete) or the left half plane (continuous).

    None where the spectrum diverges.  What lies on the line, the edge within its error and atoms within rounding, is
    not stable.
    """
    if spectrum.divergent:
        return None
    atoms = _excess(theory, [end for atom in spectrum.atoms for end in (atom.low, atom.high)])
    outliers = _excess(theory, list(spectrum.outliers))
    return _edge(theory, spectrum) < 0.0 and all(x < 0.0 for x in outliers) and all(x < -ON_LINE for x in atoms)


def is_marginal(theory: Theory, spectrum: SpectrumResult) -> bool:
    """Whether atoms lie on the line of stability and everything else on its stable side."""
    if spectrum.divergent:
        return False
    atoms = _excess(theory, [end for atom in spectrum.atoms for end in (atom.low, atom.high)])
    outliers = _excess(theory, list(spectrum.outliers))
    on_line = any(abs(x) <= ON_LINE for x in atoms) and all(x <= ON_LINE for x in atoms)
    return on_line and _edge(theory, spectrum) < 0.0 and all(x < 0.0 for x in outliers)


def _edge(theory: Theory, spectrum: SpectrumResult) -> float:
    """How far the support reaches beyond the line, its error included; minus infinity where there is none."""
    if theory.site.discrete:
        return (spectrum.radius or 0.0) + spectrum.radius_error - 1.0
    return -float("inf") if spectrum.abscissa is None else spectrum.abscissa + spectrum.abscissa_error


def _excess(theory: Theory, points: list[complex]) -> list[float]:
    return [abs(z) - 1.0 if theory.site.discrete else z.real for z in points]
