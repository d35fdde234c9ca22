"""Solved points of a pencil, kept as starts for their neighbours, also on other site measures of the same fields."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
Mask = npt.NDArray[np.bool_]

CLOSE = 0.4
"""Distance in ln s up to which a known point is a start for another."""


class PencilMemory:
    """s, alpha and beta of points inside the support; pencils that differ in their pairs of fields share none."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Array, Complex, Complex]] = {}

    def add(self, s: Array, alpha: Complex, beta: Complex) -> None:
        """Keep points s (n,) with alpha and beta (n, P)."""
        inside = s > 0.0
        if not inside.any():
            return
        own = np.log(s[inside]), alpha[inside], beta[inside]
        old = self._known.get(alpha.shape[1])
        if old is not None:
            own = (np.concatenate([old[0], own[0]]), np.concatenate([old[1], own[1]]), np.concatenate([old[2], own[2]]))
        self._known[alpha.shape[1]] = own

    def near(self, s: Array, pairs: int) -> tuple[Mask, Complex, Complex]:
        """Which of s (n,) have a known point close by, and alpha and beta (k, P) there, of these alone."""
        none: Complex = np.zeros((0, pairs), complex)
        if pairs not in self._known or not s.size:
            return np.zeros(s.shape, bool), none, none
        log_s, alpha, beta = self._known[pairs]
        with np.errstate(all="ignore"):
            distance = np.abs(np.log(s)[:, None] - log_s)
        nearest = np.argmin(distance, axis=1)
        close = distance[np.arange(s.size), nearest] < CLOSE
        return close, alpha[nearest[close]], beta[nearest[close]]
