"""Fractions of a network's eigenvalues outside the curves rho(K(lam)) = 1 and 0.8.

The theory's value is zero: no eigenvalue outside, isolated ones, atoms and the filament apart.  At finite N the edge
is blurred over N^-1/2, so that a fraction of order N^-1/2 lies outside rho(K) = 1 (an independent Gaussian matrix:
1/sqrt(2 pi N), 1.26 % at N = 1000) and an exponentially small one outside 0.8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from derive.cell.parameters import Settings
from derive.theory import Theory
from solvers.averages import Evaluator, Values
from solvers.codegen.emit import compile_function
from solvers.simulate.elementwise import Array
from solvers.spectrum.gain import GainMatrix, spectral_radii
from solvers.spectrum.result import SpectrumResult

LEVELS = (1.0, 0.8)
NEAR = 0.02
LogRadius = Callable[[Array], Array]
CHUNK = 2_000_000


def theory_log_radius(theory: Theory, values: Values, evaluator: Evaluator, eta: float) -> LogRadius:
    """ln of the spectral radius of K at resolution eta, exact to 1e-7 where it is near a level, to 1e-3 elsewhere."""
    gain = GainMatrix(theory, values, evaluator, 1e-10)

    def log_radius(lam: Array) -> Array:
        shifted = _resolved(lam, eta)
        rough = gain.log_radius(shifted, 1e-4)[0]
        near = np.min([np.abs(rough - np.log(level)) for level in LEVELS], axis=0) < NEAR
        if near.any():
            rough[near] = gain.log_radius(shifted[near], 1e-7)[0]
        return np.asarray(rough)

    return log_radius


def _resolved(lam: Array, eta: float) -> Array:
    return np.asarray(lam.real + 1j * np.maximum(np.abs(lam.imag), eta))


class SiteGain:
    """rho(K(lam)) with E over the measured units of one network instead of the theory's measure."""

    def __init__(self, theory: Theory, settings: Settings) -> None:
        spectrum = theory.spectrum
        assert spectrum is not None
        site = theory.site
        self._pairs, self._blocks = spectrum.pairs, spectrum.blocks
        self._gain = [settings.gains[site.fields[k].weight] ** 2 for k in spectrum.fields]
        self._size = spectrum.T.rows
        columns = {item.symbol: item.name for item in site.fields}
        columns |= {item.symbol: item.name for item in site.quenched}
        columns |= {state: str(state) for state in site.states}
        used = sorted(spectrum.T.free_symbols - {spectrum.lam}, key=str)
        self._columns = [(columns.get(s), str(s)) for s in used]
        self._parameters = settings.parameters
        self._function = compile_function((*used, spectrum.lam), list(spectrum.T), theory.law.functions)
        self.trivial = not any(name for name, _ in self._columns)

    def log_radius(self, sites: Mapping[str, Array], eta: float) -> LogRadius:
        """The function of lam for one network's columns."""
        units = len(next(iter(sites.values())))
        arguments = [
            sites[column][None, :] if column is not None else self._parameters[name] for column, name in self._columns
        ]

        def log_radius(lam: Array) -> Array:
            step = max(1, CHUNK // (units * self._size**2))
            shifted = _resolved(lam, eta)
            parts = [self._radius(arguments, shifted[k : k + step], units) for k in range(0, lam.size, step)]
            with np.errstate(divide="ignore"):
                return np.log(np.concatenate(parts)) if parts else np.zeros(0)

        return log_radius

    def _radius(self, arguments: Sequence[Array | float], lam: Array, units: int) -> Array:
        with np.errstate(all="ignore"):
            values = self._function(*arguments, lam[:, None])
        T = np.empty((self._size, self._size, lam.size, units), complex)
        for entry, value in zip(np.ndindex(self._size, self._size), values, strict=True):
            T[entry] = value
        K = np.zeros((lam.size, len(self._pairs), len(self._pairs)), complex)
        for row, (k, m) in enumerate(self._pairs):
            for column, (j, n) in enumerate(self._pairs):
                K[:, row, column] = self._gain[k] * np.mean(T[k, j] * T[m, n].conj(), axis=1)
        radius = np.zeros(lam.size)
        for block in self._blocks:
            radius = np.maximum(radius, spectral_radii(K[:, block][:, :, block]))
        return radius


def countable(eigenvalues: Array, spectrum: SpectrumResult, size: float) -> Array:
    """Eigenvalues that the support has to account for: atoms and the filament left out, one for each isolated one.

    size : extent of the support, the unit of what counts as near.
    """
    kept = np.ones(eigenvalues.size, bool)
    for atom in spectrum.atoms:
        if atom.low == atom.high:
            kept &= np.abs(eigenvalues - atom.low) > 1e-4 * size
        else:
            kept &= ~_on_stretch(eigenvalues, atom.low.real, atom.high.real, 1e-6 * size)
    if spectrum.filament is not None:
        kept &= ~_on_stretch(eigenvalues, *spectrum.filament, spectrum.eta)
    for outlier in spectrum.outliers:
        distance = np.where(kept, np.abs(eigenvalues - outlier), np.inf)
        nearest = int(np.argmin(distance))
        if distance[nearest] < 0.25 * size:
            kept[nearest] = False
    return kept


def _on_stretch(eigenvalues: Array, low: float, high: float, width: float) -> Array:
    return (np.abs(eigenvalues.imag) <= width) & (eigenvalues.real >= low - width) & (eigenvalues.real <= high + width)


ROUNDED = 1e-9
"""In ln rho(K): all eigenvalues of an orthogonal matrix lie on one curve, and rounding puts them on either side."""


def outside(eigenvalues: Array, kept: Array, log_radius: LogRadius) -> dict[float, float]:
    """Fraction of all eigenvalues that are kept and outside each level's curve; those on it count as inside."""
    chosen = eigenvalues[kept]
    upper = chosen[chosen.imag >= 0]  # conjugate pairs share their fate
    value = log_radius(upper)
    count = np.where(upper.imag > 0, 2.0, 1.0)
    return {level: float(count[value < np.log(level) - ROUNDED].sum() / eigenvalues.size) for level in LEVELS}


__all__ = ["LEVELS", "SiteGain", "countable", "outside", "theory_log_radius"]
