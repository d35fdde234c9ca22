"""Edges inside the range of L, at resolution eta: there the averages have poles near the real axis and are no tables.

Quadrature for many solutions at once, with the place of the pole as a hint.
"""

from __future__ import annotations

import numpy as np

from derive.elementary import FunctionTable, X
from solvers.codegen.emit import compile_function
from solvers.codegen.quadrature import gaussian_average_batch
from solvers.grid.edge import LAM, EdgeProgram, log_radius
from solvers.grid.scan import settle
from solvers.spectrum.support import ETA

COARSE, FINE = 1e-4, 1e-10
"""Relative accuracy of averages while the edge is looked for, and where it is settled."""

PLACES = 40
"""Places between the ends of the range of L at which the edge is looked for, closer to each other towards the end."""

MARGIN = 20.0
"""Resolutions by which an edge may lie beyond the range for want of resolution only."""

POINTS = 512
"""Solutions that are worked on together."""


class RangeGain:
    """ln of the spectral radius of K at side * x + i eta, for x within the range of L."""

    def __init__(self, program: EdgeProgram, functions: FunctionTable) -> None:
        inputs = [symbol for symbol, _ in program.given]
        plain = program.plain
        self.sizes = plain.blocks
        self.integrands = [compile_function([X, LAM, *inputs], [e], functions) for _, e, _, _ in plain.averages]
        moments = [m for _, _, mean, variance in plain.averages for m in (mean, variance)]
        self.moments = compile_function(inputs, moments, functions)
        poles = [pole for pole in program.poles if pole.function]
        self.functions = [pole.function for pole in poles]
        places = [e for p in poles for e in (p.low, p.high, p.mean, p.variance)]
        self.poles = compile_function(inputs, places, functions)
        names = [name for name, *_ in plain.averages]
        self.entries = compile_function([LAM, *names, *inputs], plain.entries, functions)

    def __call__(self, lam: np.ndarray, given: np.ndarray, rtol: float) -> np.ndarray:
        """ln of the radius at lam (n,) of solutions given by (inputs, n)."""
        moments = [np.broadcast_to(np.asarray(m, float), lam.shape) for m in self.moments(*given)]
        hints = self._hints(lam, given)
        averages = []
        for k, f in enumerate(self.integrands):
            mean, spread = moments[2 * k], np.sqrt(np.maximum(moments[2 * k + 1], 0.0))

            def integrand(xi: np.ndarray, index: np.ndarray, f=f, mean=mean, spread=spread) -> np.ndarray:  # type: ignore[no-untyped-def]
                here = (column[index] for column in given)
                value = f(mean[index] + spread[index] * xi, lam[index], *here)[0]
                return np.real(np.broadcast_to(value, xi.shape))[None]

            averages.append(gaussian_average_batch(integrand, lam.size, rtol=rtol, atol=1e-300, hints=hints).value[0])
        with np.errstate(all="ignore"):
            rows = np.array([np.real(np.broadcast_to(e, lam.shape)) for e in self.entries(lam, *averages, *given)])
            return log_radius(rows, self.sizes)

    def _hints(self, lam: np.ndarray, given: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Where in the Gaussian an eigenvalue of L is lam, and how wide the pole is there; for either orientation."""
        found: list[tuple[np.ndarray, np.ndarray]] = []
        columns = [np.broadcast_to(np.asarray(c, float), lam.shape) for c in self.poles(*given)]
        for k, name in enumerate(self.functions):
            low, high, mean, variance = columns[4 * k : 4 * k + 4]
            with np.errstate(all="ignore"):
                share = np.clip((lam - low) / (high - low), 1e-12, 1 - 1e-12)
                argument = np.log(share / (1 - share)) * (0.5 if name == "tanh" else 1.0)
                slope = np.abs(high - low) * share * (1 - share) * (2.0 if name == "tanh" else 1.0)
                spread = np.sqrt(variance)
                centre = np.clip(np.nan_to_num((argument - mean) / spread), -40, 40)
                width = np.clip(np.nan_to_num(ETA / (slope * spread), nan=1.0), 1e-6, 1.0)
            found += [(centre, width), (-centre, width)]
        return found


def edges_in_range(
    gain: RangeGain, side: np.ndarray, low: np.ndarray, high: np.ndarray, given: np.ndarray, moved: np.ndarray,
    share: np.ndarray, tol: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The outermost place between low and high (n,) beyond which the gain is below one, and its error; nan if none.

    side : of the real axis; given, moved : (inputs, n), at the solution and at a shifted one; share : error in shifts.
    """
    edge, error = np.full(side.size, np.nan), np.full(side.size, np.nan)
    for k in range(0, side.size, POINTS):
        part = np.arange(k, min(k + POINTS, side.size))
        edge[part], error[part] = _edges(
            gain, side[part], low[part], high[part], given[:, part], moved[:, part], share[part], tol
        )
    return edge, error


def _edges(
    gain: RangeGain, side: np.ndarray, low: np.ndarray, high: np.ndarray, given: np.ndarray, moved: np.ndarray,
    share: np.ndarray, tol: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    size = side.size
    way = np.linspace(0.0, 1.0, PLACES) ** 2  # from the outer end inwards
    outer, inner = np.full(size, np.nan), np.full(size, np.nan)
    waiting, before = np.arange(size), high + MARGIN * ETA
    waiting = waiting[gain(side * before, given, COARSE) < 0]
    for place in way:
        x = high[waiting] + (low - high)[waiting] * place
        value = gain(side[waiting] * x, given[:, waiting], COARSE)
        crossed = value > 0
        inner[waiting[crossed]], outer[waiting[crossed]] = x[crossed], before[waiting[crossed]]
        before[waiting] = x
        waiting = waiting[~crossed]
        if not waiting.size:
            break
    edge, error = np.full(size, np.nan), np.full(size, np.nan)
    met = np.nonzero(inner < outer)[0]
    if not met.size:
        return edge, error

    def excess(x: np.ndarray, points: np.ndarray) -> np.ndarray:
        return gain(side[met[points]] * x, given[:, met[points]], FINE)

    root, slope, gap = settle(excess, np.arange(met.size), inner[met], outer[met], tol)
    shift = gain(side[met] * root, moved[:, met], FINE) - gap
    with np.errstate(all="ignore"):
        edge[met] = root
        error[met] = (np.abs(gap) + 4.0 * FINE + np.abs(shift) * share[met]) / np.abs(slope)
    return edge, error
