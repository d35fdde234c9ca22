"""Spectra of a finite network's Jacobian, all in float64 by dense LAPACK routines."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from solvers.simulate.elementwise import Array


def eigenvalues(jacobian: Array) -> Array:
    """All eigenvalues of a square matrix, complex (n,), in LAPACK's order.

    In discrete time the line of instability is |lambda| = 1, in continuous time Re lambda = 0 (per unit of time).

    Raises
    ------
    numpy.linalg.LinAlgError, ValueError : the QR iteration fails, or the matrix is not finite
    """
    return np.asarray(linalg.eigvals(jacobian), dtype=complex)


def singular_values(jacobian: Array) -> Array:
    """All singular values of a matrix, largest first, real (n,).

    Raises
    ------
    numpy.linalg.LinAlgError, ValueError : the iteration fails, or the matrix is not finite
    """
    return np.asarray(linalg.svdvals(jacobian))


def spectral_radius(spectrum: Array) -> float:
    """Largest |lambda| of a spectrum: what decides stability in discrete time."""
    return float(np.max(np.abs(spectrum)))


def spectral_abscissa(spectrum: Array) -> float:
    """Largest real part of a spectrum: what decides stability in continuous time (per unit of time)."""
    return float(np.max(np.real(spectrum)))
