"""Roots of implicit site equations, one set of states for every quadrature node.

Of several roots the one is taken that the site's own dynamics reaches from s = 0 under constant fields.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp

from derive.elementary import FunctionTable
from solvers.codegen.emit import broadcast_rows, compile_function

MAX_STEPS = 400


class SiteRoots:
    """Solves R(s, nodes) = 0 for s at many nodes: pseudo-time steps from zero, finished by Newton.

    ``residuals`` are F - s (discrete) or F (continuous), so that following ds/dt = R is the site's dynamics
    (for a map: its lazy version, which has the same fixed points and cannot overshoot).
    """

    def __init__(
        self,
        states: Sequence[sp.Symbol],
        residuals: Sequence[sp.Expr],
        arguments: Sequence[sp.Symbol],
        functions: FunctionTable,
    ) -> None:
        self.count = len(states)
        jacobian = [residual.diff(state) for residual in residuals for state in states]
        self._function = compile_function((*arguments, *states), [*residuals, *jacobian], functions)

    def _evaluate(self, arguments: Sequence[object], s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(all="ignore"):
            rows = broadcast_rows(self._function(*arguments, *s), s.shape[1])
        return rows[: self.count], rows[self.count :].reshape(self.count, self.count, -1)

    def solve(self, arguments: Sequence[object], nodes: int) -> np.ndarray:
        """States (S, nodes); nan where no root was reached."""
        s = np.zeros((self.count, nodes))
        step = np.full(nodes, 0.5)
        residual, jacobian = self._evaluate(arguments, s)
        for _ in range(MAX_STEPS):
            size = np.abs(residual).max(axis=0)
            if not np.any(size > 1e-14 * (1 + np.abs(s).max(axis=0))):
                break
            trial = s + self._implicit_step(residual, jacobian, step)
            trial_residual, trial_jacobian = self._evaluate(arguments, trial)
            better = np.abs(trial_residual).max(axis=0) <= np.maximum(2.0 * size, 1e-13)
            s = np.where(better, trial, s)
            residual = np.where(better, trial_residual, residual)
            jacobian = np.where(better, trial_jacobian, jacobian)
            step = np.where(better, np.minimum(step * 2.0, 1e12), step * 0.25)
        size = np.abs(residual).max(axis=0)
        return np.where(size <= 1e-9 * (1 + np.abs(s).max(axis=0)), s, np.nan)

    def _implicit_step(self, residual: np.ndarray, jacobian: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Implicit Euler in pseudo-time, (1/dt - J) ds = R: the dynamics for small dt, Newton for large."""
        identity = np.eye(self.count)[:, :, None]
        matrices = np.moveaxis(identity / step - jacobian, -1, 0)
        try:
            return np.linalg.solve(matrices, residual.T[:, :, None])[:, :, 0].T
        except np.linalg.LinAlgError:
            return residual * np.minimum(step, 0.5)
