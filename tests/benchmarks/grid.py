"""A grid of static fixed points and spectral radii, against quadrature point by point, in one run on one thread.

    python tests/benchmarks/grid.py [points on a side, 1000]

The baselines solve some of the same points as somebody would who has derived the equations of this cell by hand:
SciPy's quad and brentq with NumPy integrands, the same with integrands compiled by Numba, and a trapezoid rule over all
points at once in NumPy.  Their numbers are compared with those of the grid.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import resource
import sys
import time
from collections.abc import Callable

import numba
import numpy as np
from scipy import LowLevelCallable
from scipy.integrate import quad
from scipy.optimize import brentq

import derive
from derive.cell.parameters import resolve
from solvers.grid.engine import Plan

G, R = (2.05, 6.0), (0.0, 4.0)
"""Ranges of sigma_h and sigma_r: a non-zero solution everywhere."""

Average = Callable[[float, float], float]
"""E[f(s xi + m)] of s and m."""


def density(x: float) -> float:
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def logistic(x: float) -> float:
    return 1.0 / (1.0 + np.exp(-x))


def by_quad(f: Callable[[float], float]) -> Average:
    def average(s: float, m: float = 0.0) -> float:
        return quad(lambda x: density(x) * f(s * x + m), -9, 9, epsabs=0, epsrel=1e-11, limit=200)[0]

    return average


def compiled(text: str) -> Average:
    """quad over an integrand that is machine code."""
    space: dict[str, object] = {}
    exec(f"import math\ndef f(y):\n    return {text}\n", space)
    f = numba.njit(space["f"])

    @numba.cfunc("float64(intc, CPointer(float64))")
    def integrand(n, x):  # type: ignore[no-untyped-def]
        return math.exp(-0.5 * x[0] * x[0]) / 2.5066282746310002 * f(x[1] * x[0] + x[2])

    call = LowLevelCallable(integrand.ctypes)
    return lambda s, m=0.0: quad(call, -9, 9, args=(s, m), epsabs=0, epsrel=1e-11, limit=200)[0]


import math  # noqa: E402  the integrands name it


def one_point(averages: dict[str, Average], g: float, r: float) -> tuple[float, float]:
    """q of the candidate's product and spectral radius, by brentq over averages."""

    def excess(Q: float) -> float:
        q = g * g * averages["gate"](r * math.sqrt(Q), 0.0) * Q
        return averages["state"](math.sqrt(q), 0.0) / Q - 1.0

    Q = brentq(excess, 1e-10, 1.0, xtol=1e-14, rtol=1e-11)
    s = r * math.sqrt(Q)
    A, B = averages["gate"](s, 0.0), averages["gate slope"](s, 0.0)
    q = g * g * A * Q
    C = averages["state slope"](math.sqrt(q), 0.0)
    update = math.sqrt(Q)

    def gain(lam: float) -> float:
        return g * g * (A + r * r * B * Q) * C * averages["gate"](update, -math.log((lam - 1) / lam)) / lam**2 - 1.0

    return q, brentq(gain, 1.0 + 1e-9, 1.0 + g * (1.0 + r), xtol=1e-14, rtol=1e-11)


def trapezoid_grid(g: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All points at once, over a trapezoid rule with 181 nodes."""
    xi = np.linspace(-9, 9, 181)
    weight = (xi[1] - xi[0]) * density(xi)

    def average(f: Callable[[np.ndarray], np.ndarray], s: np.ndarray, m: np.ndarray | float = 0.0) -> np.ndarray:
        return f(np.asarray(m)[..., None] + s[:, None] * xi) @ weight

    def gate(x: np.ndarray) -> np.ndarray:
        return logistic(x) ** 2

    def excess(log: np.ndarray) -> np.ndarray:
        Q = np.exp(log)
        q = g * g * average(gate, r * np.sqrt(Q)) * Q
        return np.log(average(lambda y: np.tanh(y) ** 2, np.sqrt(q))) - log

    log = enclosed(excess, -12.0, g.size)
    Q = np.exp(log)
    A, B = average(gate, r * np.sqrt(Q)), average(lambda y: (logistic(y) * logistic(-y)) ** 2, r * np.sqrt(Q))
    q = g * g * A * Q
    C = average(lambda y: 1 / np.cosh(y) ** 4, np.sqrt(q))

    def gain(log: np.ndarray) -> np.ndarray:
        lam = 1.0 + np.exp(log)
        D = average(gate, np.sqrt(Q), -np.log((lam - 1) / lam)) / lam**2
        return np.log(g * g * (A + r * r * B * Q) * C * D)

    return q, 1.0 + np.exp(enclosed(gain, -12.0, g.size))


def enclosed(f: Callable[[np.ndarray], np.ndarray], low: float, size: int) -> np.ndarray:
    """Roots of a decreasing function between ``low`` and 3 by the Illinois rule, all at once."""
    a, b = np.full(size, low), np.full(size, 3.0)
    fa, fb = f(a), f(b)
    side = np.zeros(size)
    for _ in range(60):
        c = (a * fb - b * fa) / (fb - fa)
        fc = f(c)
        if np.max(np.abs(fc)) < 1e-11:
            break
        right = fc > 0
        kept = np.where(side == np.where(right, 1, -1), 0.5, 1.0)
        side = np.where(right, 1, -1)
        a, fa, b, fb = np.where(right, c, a), np.where(right, fc, kept * fa), np.where(right, b, c), np.where(
            right, kept * fb, fc)  # fmt: skip
    return c


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    began = time.process_time()
    cell = derive.load("gru")
    theory = derive.mean_field(cell, "static")
    derived = time.process_time()
    plan = Plan(theory, resolve(cell, {}).parameters, ["sigma_h", "sigma_r"], ["q[W_h]", "spectral_radius"])
    planned = time.process_time()
    g, r = np.linspace(*G, side), np.linspace(*R, side)
    q, radius, error = (np.empty((side, side)) for _ in range(3))
    rows = max(1, 16_000 // side)
    pieces = []
    for k in range(0, side, rows):
        start = time.process_time()
        columns = [x.ravel() for x in np.meshgrid(g[k : k + rows], r, indexing="ij")]
        found = plan.evaluate(columns, side, 1e-10, largest=True)
        q[k : k + rows] = found.values["q[W_h]"].reshape(-1, side)
        radius[k : k + rows] = found.values["spectral_radius"].reshape(-1, side)
        error[k : k + rows] = (found.errors["spectral_radius"] / found.values["spectral_radius"]).reshape(-1, side)
        pieces.append(time.process_time() - start)
    whole, rate = sum(pieces), 0.0
    print(f"derive {derived - began:.2f} s, plan and compile {planned - derived:.2f} s")
    again = time.process_time()
    for k in range(0, side, rows):
        columns = [x.ravel() for x in np.meshgrid(g[k : k + rows], r, indexing="ij")]
        plan.evaluate(columns, side, 1e-10, largest=True)
    rate = (time.process_time() - again) / side**2
    print(f"grid of {side * side} points: {whole:.2f} s of CPU with {whole - rate * side**2:.2f} s of tables, "
          f"{rate * 1e6:.2f} us a point; largest relative error estimate {error.max():.1e}; "
          f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")  # fmt: skip
    rng = np.random.default_rng(0)
    plain = {
        "gate": by_quad(lambda y: logistic(y) ** 2),
        "gate slope": by_quad(lambda y: (logistic(y) * logistic(-y)) ** 2),
        "state": by_quad(lambda y: np.tanh(y) ** 2),
        "state slope": by_quad(lambda y: 1 / np.cosh(y) ** 4),
    }
    fast = {
        "gate": compiled("1/(1+math.exp(-y))**2"),
        "gate slope": compiled("(0.5/math.cosh(0.5*y))**4"),
        "state": compiled("math.tanh(y)**2"),
        "state slope": compiled("math.cosh(y)**-4"),
    }
    for name, averages, count in (("quad + brentq", plain, 60), ("quad over compiled integrands", fast, 600)):
        chosen = rng.integers(0, side, (count, 2))
        start = time.process_time()
        values = [one_point(averages, g[i], r[j]) for i, j in chosen]
        each = (time.process_time() - start) / count
        report(name, each, rate, values, q[tuple(chosen.T)], radius[tuple(chosen.T)])
    i, j = rng.integers(0, side, (2, 4000))
    start = time.process_time()
    blocks = [trapezoid_grid(g[i[k : k + 500]], r[j[k : k + 500]]) for k in range(0, 4000, 500)]
    each = (time.process_time() - start) / 4000
    values = [pair for block in blocks for pair in zip(*block, strict=True)]
    report("vectorised NumPy trapezoid rule", each, rate, values, q[i, j], radius[i, j])


def report(
    name: str, each: float, rate: float, values: list[tuple[float, float]], q: np.ndarray, radius: np.ndarray
) -> None:
    theirs = np.array(values)
    off = np.max(np.abs(theirs[:, 0] / q - 1)), np.max(np.abs(theirs[:, 1] / radius - 1))
    print(f"{name}: {each * 1e6:.1f} us a point, {each / rate:.0f} x; largest differences {off[0]:.1e}, {off[1]:.1e}")


if __name__ == "__main__":
    main()
