"""Generated loops over points, compiled to machine code by Numba where it is installed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from solvers.grid import lookup

_KERNELS = '''
def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x)) if x > -690.0 else 1e-300


def softplus(x):
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def ndtr(x):
    return 0.5 * math.erfc(-0.7071067811865476 * x)


def normal_cdf(x):
    return ndtr(x)


def step(x):
    return 1.0 if x > 0.0 else (0.5 if x == 0.0 else 0.0)


def exp_negative(x):
    return math.exp(min(x, 0.0))


def expm1_negative(x):
    return math.expm1(min(x, 0.0))


def ratio(above, below):
    if below == 0.0:
        return 0.0 if above == 0.0 else np.inf * above
    return above / below


def root(variance):
    return math.sqrt(max(variance, 0.0))


def correlation(covariance, left, right):
    return min(max(ratio(covariance, root(left) * root(right)), -1.0), 1.0)


def arcsine(x):
    return math.asin(min(max(x, -1.0), 1.0))


def damped_sinh(x, damping):
    return -0.5 * np.sign(x) * math.exp(abs(x) - damping) * math.expm1(-2.0 * abs(x))


def erf(x):
    return math.erf(x)
'''


@cache
def _numba() -> ModuleType | None:
    try:
        import numba
    except ImportError:
        return None
    return numba


def compiler_version() -> str | None:
    """Version of Numba, None where it is not installed."""
    found = _numba()
    return None if found is None else str(found.__version__)


@cache
def _space() -> dict[str, Any]:
    """Kernels and table lookups as compiled functions of scalars."""
    numba = _numba()
    assert numba is not None
    space: dict[str, Any] = {"math": math, "np": np}
    exec(compile(_KERNELS, "<gatefield kernels>", "exec"), space)
    for name in [name for name, item in space.items() if callable(item) and hasattr(item, "__code__")]:
        space[name] = numba.njit(space[name], error_model="numpy")
    for kernel in (lookup.line, lookup.plane):
        # "contract" lets multiplication and addition be one rounding: polynomials at twice the speed.
        space[kernel.__name__] = numba.njit(kernel, error_model="numpy", fastmath={"contract"})
    return space


MARCH = '''
def march(left, right, starts, slopes, bounds, {columns}, tol, out):
    for p in range(left.size):
        width = right[p] - left[p]
        for i in range(left[p] + 1, right[p]):
            t = (i - left[p]) / width
            log = 0.0
            for k in range(starts.shape[1] - 1, -1, -1):
                log = log * t + starts[p, k]
            slope = (1.0 - t) * slopes[p, 0] + t * slopes[p, 1]
            share, settled = {rough}, 0.0
            gap = point(log, {here})[0]
            for turn in range({turns}):
                if gap != gap:  # a tile is missing at log
                    break
                step = -gap / slope
                left_over = abs(step) * share
                log += step
                if left_over < 0.01 * tol:
                    gap, settled = left_over * abs(slope), 1.0
                    break
                value = point(log, {here})[0]
                fresh = (value - gap) / step
                if abs(step) > 1e-7 and fresh != 0.0:
                    slope = fresh
                share = min(abs(value / (slope * step)), 1.0)
                gap = value
            if not (log > bounds[p, 0] and log < bounds[p, 1]):
                settled = 0.0
            out[0, i], out[1, i], out[2, i], out[3, i] = log, slope, gap, settled
'''
"""The rule of `follow.march` for one point after the other: same steps, same ends."""


@cache
def compiled_loops(source: str) -> tuple[Callable[..., int], Callable[..., None]] | None:
    """``loop`` and ``march`` of a generated source; None without Numba."""
    numba = _numba()
    if numba is None:
        return None
    space = dict(_space())
    exec(compile(source, "<gatefield generated>", "exec"), space)
    for name in ("point", "loop", "march"):
        space[name] = numba.njit(space[name], error_model="numpy", nogil=True)
    return space["loop"], space["march"]


def compiles(loop: Callable[..., int], arguments: Sequence[object]) -> bool:
    """Whether the loop can be compiled for such arguments: a cell's own functions may use what Numba does not know."""
    numba = _numba()
    assert numba is not None
    try:
        loop(*arguments)
    except numba.core.errors.NumbaError:
        return False
    return True
