"""A compiled program as a function of one unknown, at points given by its other inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from solvers.grid.compile import Compiled
from solvers.grid.edge import log_radius
from solvers.grid.follow import Pieces


class Along:
    """A program's first output as a function of its first input, at points given by the other inputs (n,) each."""

    def __init__(self, program: Compiled, columns: Sequence[np.ndarray], sizes: tuple[int, ...] = (0,)) -> None:
        self.program, self.columns, self.sizes = program, columns, sizes

    def __call__(self, log: np.ndarray, points: np.ndarray) -> np.ndarray:
        return log_radius(self.program(log, *self._at(points)), self.sizes)

    def march(self, pieces: Pieces, tol: float, size: int) -> np.ndarray | None:
        """A root followed along pieces, as by `follow.march`; None where there is no compiled loop for it."""
        if self.sizes != (0,):
            return None
        return self.program.march(pieces, self.columns, tol, size)

    def _at(self, points: np.ndarray) -> list[np.ndarray]:
        return [column[points] for column in self.columns]
