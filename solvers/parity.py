"""Averages that vanish by symmetry at given parameter values: no quadrature could resolve them relatively.

The symbolic parity rule needs means that are zero as symbols.  Here the numbers are known: a parameter that happens to
be zero, or replicas that happen to be uncorrelated, open more sign changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import sympy as sp

from derive.elementary import FunctionTable

MAX_COMPONENTS = 10


class ParityRule:
    """Decides, once for every pattern of zeros in means and covariances, whether an average vanishes."""

    def __init__(self, integrand: sp.Expr, symbols: Sequence[sp.Symbol], functions: FunctionTable) -> None:
        self.integrand, self.symbols, self.functions = integrand, tuple(symbols), functions
        self._known: dict[bytes, bool] = {}

    def vanishes(self, mean: np.ndarray, covariance: np.ndarray) -> bool:
        """mean (n,) and covariance (n, n) of the Gaussian symbols."""
        linked = np.abs(covariance) > 0
        centred = mean == 0
        key = np.packbits(np.concatenate([linked.ravel(), centred])).tobytes()
        if key not in self._known:
            self._known[key] = self._decide(linked, centred)
        return self._known[key]

    def _decide(self, linked: np.ndarray, centred: np.ndarray) -> bool:
        fixed = {s: sp.S.Zero for k, s in enumerate(self.symbols) if centred[k] and not linked[k, k]}
        integrand = self.integrand.xreplace(fixed)
        free = [group for group in _components(linked) if all(centred[k] and linked[k, k] for k in group)]
        flips = [frozenset(self.symbols[k] for k in group) for group in free]
        flips = [flip for flip in flips if integrand.free_symbols & flip][:MAX_COMPONENTS]
        return any(
            self.functions.parity_of(integrand, frozenset().union(*chosen)) == -1
            for size in range(1, len(flips) + 1)
            for chosen in combinations(flips, size)
        )


def _components(linked: np.ndarray) -> list[list[int]]:
    """Connected components of a symmetric relation."""
    left, found = set(range(len(linked))), []
    while left:
        group, frontier = set(), {min(left)}
        while frontier:
            group |= frontier
            frontier = {int(j) for k in frontier for j in np.nonzero(linked[k])[0]} - group
        left -= group
        found.append(sorted(group))
    return found
