"""The one-dimensional Gauss-Kronrod rule with 21 nodes and its error estimate from null rules.

The table is computed at import from Legendre polynomials: the ten Gauss nodes are interlaced with the zeros of the
Stieltjes polynomial of degree 11, and the weights are the interpolatory ones.  The error of a panel is judged from
*null rules*: functionals on the tabulated values that vanish on polynomials below degree 22, 21, 20, ...  They show
how fast the Legendre spectrum of the integrand decays, so that a resolved panel (fast decay) is told apart from a
kink or from rounding noise (no decay), which a single difference of two rules cannot do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

EPS = float(np.finfo(float).eps)
ROUNDOFF = 10.0 * EPS
"""Smallest relative error ever claimed, in units of the sum of absolute contributions."""

_NULL_SAFETY = 4.0
_NULL_PAIRS = 4


def _stieltjes_nodes(order: int) -> np.ndarray:
    """Zeros of the Stieltjes polynomial of degree ``order + 1``: the nodes Kronrod adds to the Gauss rule."""
    x, w = legendre.leggauss(2 * order + 4)
    basis = legendre.legvander(x, order + 1)
    gram = np.einsum("n,n,nj,nk->jk", w, basis[:, order], basis[:, : order + 1], basis[:, : order + 2])
    # The row j = 0 vanishes identically for k < order, the column of the parity opposite to order+1 decouples;
    # least squares picks the minimal (correct, parity pure) solution.
    low, *_ = np.linalg.lstsq(gram[:, : order + 1], -gram[:, order + 1], rcond=None)
    coefficients = np.append(low, 1.0)
    nodes = np.sort(legendre.legroots(coefficients).real)
    derivative = legendre.legder(coefficients)
    for _ in range(3):
        nodes = nodes - legendre.legval(nodes, coefficients) / legendre.legval(nodes, derivative)
    return nodes


def gauss_kronrod(order: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [-1, 1], shape ``(2 * order + 1,)`` each, of the Kronrod extension of Gauss-``order``."""
    nodes = np.sort(np.concatenate([legendre.leggauss(order)[0], _stieltjes_nodes(order)]))
    nodes = 0.5 * (nodes - nodes[::-1])
    moments = np.zeros(2 * order + 1)
    moments[0] = 2.0
    vandermonde = legendre.legvander(nodes, 2 * order).T
    weights = np.linalg.solve(vandermonde, moments)
    weights += np.linalg.solve(vandermonde, moments - vandermonde @ weights)
    return nodes, 0.5 * (weights + weights[::-1])


def _functionals(nodes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Columns: the Kronrod rule, its difference from the Gauss rule, and orthogonal null rules of descending degree.

    The null rules are scaled to the norm of the Kronrod rule, so that noise has the same size in all of them.
    """
    gauss = np.zeros_like(weights)
    gauss[2:-2:2] = legendre.leggauss((nodes.size - 3) // 2)[1]
    orthogonal, _ = np.linalg.qr(legendre.legvander(nodes, nodes.size - 1))
    null = orthogonal[:, ::-1][:, : 2 * _NULL_PAIRS] * np.linalg.norm(weights)
    return np.column_stack([weights, weights - gauss, null])


def _with_ends(nodes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add weightless nodes just inside the ends, or a jump between the last node and the end would go unseen.

    They keep a distance from the end itself, where a jump placed on the border of two panels is ambiguous.
    """
    end = 1.0 - 1e-12
    return np.concatenate([[-end], nodes, [end]]), np.concatenate([[0.0], weights, [0.0]])


NODES, WEIGHTS = _with_ends(*gauss_kronrod())
_FUNCTIONALS = _functionals(NODES, WEIGHTS)
SIZE = NODES.size


@dataclass(frozen=True)
class PanelSums:
    """Integral, error estimate (at least the roundoff) and roundoff level of panels, each of shape ``(m, panels)``."""

    value: np.ndarray
    error: np.ndarray
    roundoff: np.ndarray


def panel_sums(values: np.ndarray, half: np.ndarray) -> PanelSums:
    """Integrate tabulated values.

    values: ``(m, panels, SIZE)`` integrand (weight function included) at the nodes; half: ``(panels,)`` half widths.
    """
    if np.iscomplexobj(values):
        real, imaginary = values.real @ _FUNCTIONALS, values.imag @ _FUNCTIONALS
        sums = real[..., 0] + 1j * imaginary[..., 0]
        sizes = np.hypot(real[..., 1:], imaginary[..., 1:])
    else:
        real = values @ _FUNCTIONALS
        sums, sizes = real[..., 0], np.abs(real[..., 1:])
    pairs = np.maximum(sizes[..., 1::2], sizes[..., 2::2])
    difference = sizes[..., 0]
    first, second = pairs[..., 0], pairs[..., 1]
    ratio = np.max(pairs[..., :-1] / np.maximum(pairs[..., 1:], 1e-300), axis=-1)
    # Only ratios among the highest degrees enter: a plateau there is either noise or a singularity, and in both
    # cases the level of the plateau is the error.
    ratio = np.minimum(ratio, 1.0)
    level = np.maximum(np.maximum(first, second * ratio), difference)
    error = _NULL_SAFETY * half * level * np.minimum(2.0 * ratio, 1.0) ** 3
    roundoff = ROUNDOFF * half * (np.abs(values) @ WEIGHTS)
    return PanelSums(sums * half, np.maximum(error, roundoff), roundoff)
