"""Solved points of potentials, kept as starts for their neighbours, also on other nodes of the same fields."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from solvers.spectrum.density.potential import Array, ComplexArray
from solvers.spectrum.density.stationary import Stationary

REMEMBERED = 3000


@dataclass
class SolvedPoints:
    """lam (n,), theta (n, p) and its derivative by lam (n, p)."""

    lam: ComplexArray
    theta: Array
    tangent: ComplexArray

    @classmethod
    def none(cls, parameters: int) -> SolvedPoints:
        """No points yet."""
        return cls(np.zeros(0, complex), np.zeros((0, parameters)), np.zeros((0, parameters), complex))

    def add(self, lam: ComplexArray, found: Stationary, keep: np.typing.NDArray[np.bool_]) -> None:
        """Keep some of the points (m,) that were solved."""
        self.lam = np.concatenate([self.lam, lam[keep]])[-REMEMBERED:]
        self.theta = np.concatenate([self.theta, found.theta[keep]])[-REMEMBERED:]
        self.tangent = np.concatenate([self.tangent, found.tangent[keep]])[-REMEMBERED:]

    def beside(self, lam: ComplexArray) -> tuple[Array, Array]:
        """theta (m, p) at the nearest point of each lam (m,), and its change on the way, along the tangent."""
        nearest = np.argmin(np.abs(lam[:, None] - self.lam), axis=1)
        return self.theta[nearest], 2.0 * (self.tangent[nearest] * (lam - self.lam[nearest])[:, None]).real


@dataclass
class DensityMemory:
    """Points by what they belong to: the densities of several measures may share one."""

    points: dict[Hashable, SolvedPoints] = field(default_factory=dict)

    def of(self, key: Hashable, parameters: int) -> SolvedPoints:
        """The points known of one component."""
        return self.points.setdefault((key, parameters), SolvedPoints.none(parameters))
