"""Numbers of many single sites at a static solution: L, a, b, for atoms and for the range of L."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derive.theory import Theory
from solvers.averages import CompiledAverage, Values
from solvers.codegen.emit import compile_function
from solvers.codegen.sampling import normal_points

LOG2_SITES = 12
NEGLIGIBLE, SUSPECT = 1e-13, 1e-9
"""A mode is free where its coupling is zero to rounding.  Where many more are free at the second, looser bound,
couplings are merely small (saturated gates), and no atom is reported."""

LEAST_FRACTION = 2e-3
NEAR = 1e-6
"""Free modes this close to a point mass belong to it; many more at the looser bound mean saturation."""


@dataclass(frozen=True)
class Atom:
    """Exact eigenvalues of the Jacobian that no field can move.

    low, high : the real range they fill (equal for a point mass; complex points have an imaginary part);
    fraction : their share of all S*N eigenvalues.
    """

    low: complex
    high: complex
    fraction: float


@dataclass(frozen=True)
class SiteSpectrum:
    """Eigenvalues of L over sites: a typical sample (n, S), the real range (inf allowed) and the atoms."""

    sample: np.ndarray
    range: tuple[float, float] | None
    continuous: bool
    atoms: tuple[Atom, ...]


def site_spectrum(theory: Theory, values: Values) -> SiteSpectrum:
    """Sample the eigenvalues of L, find their range in the limit of extreme sites, and the atoms."""
    spectrum = theory.spectrum
    assert spectrum is not None
    size, live = spectrum.L.rows, len(spectrum.fields)
    compiled = CompiledAverage([*spectrum.L, *spectrum.a, *spectrum.b], theory.law, theory.implicit)
    acting = _acting(theory, values)
    dimension = compiled.geometry(values)[0].dimension
    points = normal_points(max(dimension, 1), LOG2_SITES)[:dimension]
    if dimension == 0:
        points = np.zeros((0, 1))
    L, a, b = _matrices(compiled.sites(values, points), size, live)
    a, b = a[:, :, acting], b[:, acting]
    eigenvalues = np.linalg.eigvals(L)
    continuous = bool(np.ptp(eigenvalues.real, axis=0).max() > 1e-9 or np.ptp(eigenvalues.imag, axis=0).max() > 1e-9)
    return SiteSpectrum(eigenvalues, _range(compiled, values, points, size, live), continuous,
                        _atoms(eigenvalues, L, a, b))  # fmt: skip


def _acting(theory: Theory, values: Values) -> np.ndarray:
    """Which of the spectrum's fields (K,) have a gain that is not zero: no other field moves anything."""
    spectrum = theory.spectrum
    assert spectrum is not None
    symbols = sorted(theory.site.parameters.values(), key=str)
    gains = [theory.site.fields[k].gain for k in spectrum.fields]
    found = compile_function(symbols, gains, theory.law.functions)(*(values[symbol] for symbol in symbols))
    return np.array([float(gain) != 0.0 for gain in found], dtype=bool)


def _matrices(rows: np.ndarray, size: int, live: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = rows.shape[1]
    first, second = size * size, size * size + size * live
    return (
        rows[:first].T.reshape(n, size, size),
        rows[first:second].T.reshape(n, size, live),
        rows[second:].T.reshape(n, live, size),
    )


def _range(
    compiled: CompiledAverage, values: Values, points: np.ndarray, size: int, live: int
) -> tuple[float, float] | None:
    """Extreme real eigenvalues of L, as the site's Gaussians go to their limits."""
    low, high = np.inf, -np.inf
    history = []
    for scale in (1.0, 4.0, 16.0, 1e2, 1e4, 1e6):
        L = _matrices(compiled.sites(values, scale * points), size, live)[0]
        L = L[np.isfinite(L).all(axis=(1, 2))]
        found = np.linalg.eigvals(L)
        real = found.real[np.abs(found.imag) <= 1e-9 * (1 + np.abs(found))]
        if real.size:
            low, high = min(low, float(real.min())), max(high, float(real.max()))
            history.append((low, high))
    if not history:
        return None
    before, last = history[max(len(history) - 2, 0)], history[-1]
    growing = [abs(last[k] - before[k]) > 1.0 + 2.0 * abs(before[k]) for k in (0, 1)]
    return (-np.inf if growing[0] else _tiny_to_zero(last[0])), (np.inf if growing[1] else _tiny_to_zero(last[1]))


def _tiny_to_zero(value: float) -> float:
    """The logistic kernel is kept above 1e-300; as the end of a range that is zero."""
    return 0.0 if abs(value) < 1e-200 else value


def _atoms(eigenvalues: np.ndarray, L: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[Atom, ...]:
    """Modes of L that no field excites (left vector with l.a = 0) or that excite no field (b.r = 0)."""
    sites, size = eigenvalues.shape
    strict = eigenvalues[_free_modes(eigenvalues, L, a, b, NEGLIGIBLE)]
    loose = eigenvalues[_free_modes(eigenvalues, L, a, b, SUSPECT)]
    wider = sum(atom.fraction for atom in _group(loose, sites, size) if atom.low != atom.high)

    def clear(atom: Atom) -> bool:
        near = np.mean(np.abs(loose - atom.low) <= NEAR) * loose.size / (sites * size)
        return (near if atom.low == atom.high else wider) < 1.1 * atom.fraction

    return tuple(atom for atom in _group(strict, sites, size) if clear(atom))


def _free_modes(
    eigenvalues: np.ndarray, L: np.ndarray, a: np.ndarray, b: np.ndarray, bound: float
) -> np.ndarray:
    """Which modes (n, S) of L no field excites or reads, to within ``bound``."""
    sites, size = eigenvalues.shape
    scale = bound * (1.0 + np.abs(L).max(axis=(1, 2)))
    unmoved = np.zeros((sites, size), bool)
    for mode in range(size):
        here = eigenvalues[:, mode]
        shifted = here[:, None, None] * np.eye(size) - L
        free = np.maximum(
            _defect(np.concatenate([shifted, a], axis=2), scale), _defect(np.concatenate([shifted, b], axis=1), scale)
        )
        earlier = np.sum(np.abs(eigenvalues[:, :mode] - here[:, None]) <= 1e-9 * (1 + np.abs(here[:, None])), axis=1)
        unmoved[:, mode] = earlier < free  # of a repeated eigenvalue only so many copies are free
    return unmoved


def _defect(pencils: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """How many independent vectors each pencil annihilates (Popov-Belevitch-Hautus)."""
    values = np.linalg.svd(pencils, compute_uv=False)
    return np.sum(values <= scale[:, None], axis=1)


def _group(free: np.ndarray, sites: int, size: int) -> tuple[Atom, ...]:
    """Point masses one by one; what is left is a continuous stretch."""
    total = sites * size
    if free.size == 0:
        return ()
    rounded = np.round(free, 9)
    points, counts = np.unique(rounded, return_counts=True)
    heavy = counts >= max(2, LEAST_FRACTION * total) if sites > 1 else np.ones(points.size, bool)
    atoms = [Atom(complex(p), complex(p), float(c / total)) for p, c in zip(points[heavy], counts[heavy], strict=True)]
    rest = free[~np.isin(rounded, points[heavy])]
    if rest.size >= LEAST_FRACTION * total:
        atoms.append(Atom(complex(rest.real.min()), complex(rest.real.max()), float(rest.size / total)))
    return tuple(atoms)
