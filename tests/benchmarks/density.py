"""Speed of the eigenvalue density, as ratios measured in one run.

python tests/benchmarks/density.py

1. rho on a 100 x 100 grid about the support of a gated cell, against the eigenvalues of one matrix of N = 2000 units;
2. cost of a point inside the support, against the equations of the theory iterated with batched `numpy.linalg.inv` on
   the same nodes to the same accuracy.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time

import numpy as np

from derive import load
from solvers.measure import static_measure
from solvers.solve import solve
from solvers.spectrum.density import MeasureDensity

CELL, GIVEN = "gru", {"sigma_z": 2.0, "sigma_r": 2.0, "sigma_h": 3.0}
GRID, UNITS, POINTS = 100, 2000, 4


def plain_density(measure, lam: complex, tolerance: float = 1e-8) -> complex:  # type: ignore[no-untyped-def]
    """G(lam) by plain iteration of P and Q, matrices of every node inverted in a batch."""
    K, S = len(measure.fields), measure.states
    inverse = np.linalg.inv(lam * np.eye(S) - measure.L)
    T = measure.b @ inverse @ measure.a + measure.e
    slope = -measure.b @ inverse @ inverse @ measure.a
    adjoint = T.conj().transpose(0, 2, 1)
    variance, weights = measure.gains**2, measure.weights
    P, Q = np.ones(K), np.ones(K)
    for _ in range(5000):
        inner = adjoint @ (Q[:, None] * T)
        M = np.linalg.inv(np.eye(K) + P[:, None] * inner)
        new_P = variance * np.einsum("n,nkk->k", weights, T @ M @ (P[:, None] * adjoint)).real
        new_Q = variance * np.einsum("n,nkk->k", weights, inner @ M).real
        tilt = np.sqrt(new_Q.sum() / new_P.sum())
        new_P, new_Q = 0.5 * (P + new_P * tilt), 0.5 * (Q + new_Q / tilt)
        moved = max(np.abs(new_P - P).max() / P.max(), np.abs(new_Q - Q).max() / Q.max())
        P, Q = new_P, new_Q
        if moved < tolerance:
            break
    inner = np.einsum("n,nkk->", weights, M @ (P[:, None] * adjoint) @ (Q[:, None] * slope))
    return complex(np.einsum("n,nss->", weights, inverse) + inner) / S


def main() -> None:
    """Print the times and their ratios."""
    solved = solve(load(CELL), GIVEN)
    measure = static_measure(solved.theory, solved.solutions[-1].linearised_at)
    axis_x, axis_y = np.linspace(-0.5, 1.15, GRID), np.linspace(-0.7, 0.7, GRID)
    started = time.perf_counter()
    density = MeasureDensity(measure)
    heights = np.unique(np.abs(axis_y).round(12))
    points = density((axis_x[None, :] + 1j * heights[:, None]).ravel())
    grid = time.perf_counter() - started
    inside = int(points.inside.sum())
    print(f"{GRID} x {GRID} grid, {measure.nodes} nodes: {grid:.2f} s, {inside} points solved (one half by symmetry)")
    matrix = np.random.default_rng(0).standard_normal((UNITS, UNITS)) / np.sqrt(UNITS)
    started = time.perf_counter()
    np.linalg.eigvals(matrix)
    eigenvalues = time.perf_counter() - started
    print(f"eigenvalues of one matrix, N = {UNITS}: {eigenvalues:.2f} s; grid / eigenvalues = {grid / eigenvalues:.2f}")
    chosen = np.nonzero(points.inside)[0][:: max(1, inside // POINTS)][:POINTS]
    started = time.perf_counter()
    plain = [plain_density(measure, complex(points.lam[k])) for k in chosen]
    each = (time.perf_counter() - started) / len(chosen)
    own = grid / inside
    worst = float(np.abs(np.array(plain) - points.G[chosen]).max())
    print(f"one point: {own * 1e3:.2f} ms here, {each * 1e3:.0f} ms plain, ratio {each / own:.0f}; G to {worst:.1e}")


if __name__ == "__main__":
    main()
