"""A compiled program as a function of one unknown, at points given by its other inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from solvers.grid.compile import Compiled
from solvers.grid.edge import log_radius


class Along:
    """A program's first output as a function of its first input, at points given by the other inputs (n,) each."""

    def __init__(self, program: Compiled, columns: Sequence[np.ndarray], sizes: tuple[int, ...] = (0,)) -> None:
        self.program, self.columns, self.sizes = program, columns, sizes

    def __call__(self, log: np.ndarray, points: np.ndarray) -> np.ndarray:
        return log_radius(self.program(log, *self._at(points)), self.sizes)

    def secants(self, log: np.ndarray, slope: np.ndarray, points: np.ndarray, tol: float) -> np.ndarray | None:
        """Roots near ``log``, or None where there is no compiled loop for them."""
        if self.sizes != (0,):
            return None
        return self.program.secants(log, slope, self._at(points), tol)

    def _at(self, points: np.ndarray) -> list[np.ndarray]:
        return [column[points] for column in self.columns]
