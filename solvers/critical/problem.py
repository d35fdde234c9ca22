"""The unknowns of a criticality problem: feedback moments and free parameters, as coordinates of one space.

A variance q enters as sqrt(q), and its equation q = G as ln(G/q) = 0, which leaves out the trivial zero and stays
regular where a branch ends in the zero state.  Moments of either sign enter as they are.  Unknowns that vanish
identically on a branch are held at zero: on the branch of the zero state nothing but parameters is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy as sp

from derive.cell.parameters import Settings
from derive.theory import Theory
from solvers.averages import Evaluator
from solvers.equations import Completed, Equations, relative_errors
from solvers.fixed_point import SCAN_RTOL, derivative
from solvers.solve import parameter_values

Array = npt.NDArray[np.float64]

AT_ZERO_RTOL = 1e-9

VANISHED = 1e-5
"""A branch ends in the zero state where the root of a variance gets as small as this."""


@dataclass(frozen=True)
class Space:
    """A theory with some parameters free.

    free : symbols of the free parameters; fixed : the values of all parameters (those of free ones are overwritten).
    """

    theory: Theory
    evaluator: Evaluator
    equations: Equations
    free: tuple[sp.Symbol, ...]
    fixed: Mapping[sp.Symbol, float]

    @classmethod
    def of(cls, theory: Theory, settings: Settings, free: tuple[str, ...]) -> Space:
        """Compile the theory once; ``settings`` are those of the fixed parameters."""
        evaluator = Evaluator(theory.law, theory.implicit)
        fixed = parameter_values(theory, settings)
        equations = Equations(theory.system, theory.law, evaluator, fixed)
        return cls(theory, evaluator, equations, tuple(theory.site.parameters[name] for name in free), fixed)

    def parameters(self, free: Array) -> dict[sp.Symbol, float]:
        """All parameters, the free ones at the values given."""
        return dict(self.fixed) | {s: float(value) for s, value in zip(self.free, free, strict=True)}


@dataclass(frozen=True)
class Branch:
    """Which feedback unknowns vary; the others are exactly zero.

    Coordinates y: roots of variances and signed moments in the order of ``active``, then the free parameters.
    """

    space: Space
    active: tuple[int, ...]

    @property
    def zero(self) -> bool:
        """Whether this is the zero state: unknowns there are, and all of them vanish."""
        return not self.active and (bool(self.space.equations.feedback) or self.space.theory.closure == "sampled")

    @property
    def signed(self) -> Array:
        """For each active unknown whether it may be negative."""
        feedback = self.space.equations.feedback
        return np.array([not feedback[k].is_nonnegative for k in self.active], bool)

    def coordinates(self, x: Array, free: Array) -> Array:
        """y from the feedback unknowns x and the free parameters."""
        own = x[list(self.active)]
        return np.concatenate([np.where(self.signed, own, np.sqrt(np.maximum(own, 0.0))), free])

    def split(self, y: Array) -> tuple[Array, Array]:
        """Feedback unknowns x and free parameters of coordinates y."""
        x = np.zeros(len(self.space.equations.feedback))
        own = y[: len(self.active)]
        x[list(self.active)] = np.where(self.signed, own, own**2)
        return x, y[len(self.active) :]

    def complete(self, y: Array, rtol: float = SCAN_RTOL) -> Completed:
        """Every unknown at y."""
        x, free = self.split(y)
        return self.space.equations.at(self.space.parameters(free)).complete(x, rtol)

    def residual(self, y: Array, rtol: float = SCAN_RTOL) -> Array:
        """(n,): zero on the branch."""
        return self.gap(y, self.complete(y, rtol))[0]

    def gap(self, y: Array, done: Completed) -> tuple[Array, Array]:
        """Residual and its error from what has been evaluated already, each (n,)."""
        x, _ = self.split(y)
        chosen, signed = list(self.active), self.signed
        x, image, error = x[chosen], done.image[chosen], done.image_error[chosen]
        with np.errstate(all="ignore"):
            return np.where(signed, image - x, np.log(image / x)), np.where(signed, error, error / np.abs(image))

    def map_slopes(self, y: Array, slopes: Array) -> Array:
        """dG/dx of the active unknowns from the derivative of the residual in y, (n, n)."""
        n = len(self.active)
        z, unit = y[:n], np.eye(n)
        rows = np.where(self.signed, 1.0, z**2)[:, None]
        columns = np.where(self.signed, 1.0, 2 * z)[None, :]
        shift = np.where(self.signed[:, None], unit, 2 * unit / z[:, None])
        return rows * (slopes[:, :n] + shift) / columns

    def attracting(self, y: Array, slopes: Array) -> bool:
        """Whether the iterated map of the moments is drawn to this solution."""
        if self.active:
            own = self.map_slopes(y, slopes)
        elif not self.space.equations.feedback:
            return True
        else:
            x, free = self.split(y)
            own = derivative(self.space.equations.at(self.space.parameters(free)), x, AT_ZERO_RTOL)
        return bool(np.all(np.isfinite(own)) and np.max(np.abs(np.linalg.eigvals(own))) < 1.0)

    def share(self, done: Completed) -> float:
        """Relative error of what has been evaluated."""
        return max(relative_errors(done.values, done.errors), default=0.0)


def branch_of(space: Space, x: Array) -> Branch:
    """The branch of a solution, by which of its unknowns are exactly zero."""
    return Branch(space, tuple(int(k) for k in np.nonzero(x)[0]))
