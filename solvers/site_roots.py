"""Roots of implicit site equations, one set of states for every quadrature node.

Of several roots the one is taken that the site's own dynamics reaches from s = 0 under constant fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sympy as sp

from derive.elementary import FunctionTable
from derive.theory import Theory
from solvers.codegen.emit import broadcast_rows, compile_function

MAX_STEPS = 200


ROOT_SITES = 256
ROOT_GRID = np.sinh(np.linspace(-9.0, 9.0, 1201))


def several_roots(theory: Theory, values: Mapping[sp.Symbol, float]) -> tuple[str, ...]:
    """A note where the equation of the one implicit state has several roots at some sites.

    Sign changes of the residual are counted on a fine grid at sites drawn from the Gaussian law.
    """
    if len(theory.implicit) != 1:
        return ("several implicit states: whether their equations have further roots was not examined",)
    (state, residual), law = theory.implicit[0], theory.law
    gaussians = sorted(law.depends[state], key=str)
    numbers = {s: sp.Float(v, 17) for s, v in values.items()}
    covariance = np.array(
        [[float(law.covariance(s, t).xreplace(numbers)) for t in gaussians] for s in gaussians]
    ).reshape(len(gaussians), len(gaussians))
    mean = np.array([float(law.mean_of(s).xreplace(numbers)) for s in gaussians])
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal(mean, covariance, ROOT_SITES) if gaussians else np.zeros((1, 0))
    f = compile_function([*gaussians, state], [residual.xreplace(numbers)], law.functions)
    with np.errstate(all="ignore"):
        table = broadcast_rows(f(*np.repeat(draws, ROOT_GRID.size, axis=0).T, np.tile(ROOT_GRID, len(draws))),
                               len(draws) * ROOT_GRID.size).reshape(len(draws), -1)  # fmt: skip
    signs = np.sign(table)
    changes = np.sum((signs[:, 1:] * signs[:, :-1] < 0) & np.isfinite(table[:, 1:] - table[:, :-1]), axis=1)
    share = float(np.mean(changes > 1))
    if share == 0.0:
        return ()
    return (f"the equation of {state} has several roots at {share:.1%} of the sites; the one reached from 0 is taken",)


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
        left = np.arange(nodes)
        given = list(arguments)
        state, step = s.copy(), np.full(nodes, 0.5)
        residual, jacobian = self._evaluate(given, state)
        for _ in range(MAX_STEPS):
            size = np.abs(residual).max(axis=0)
            done = ~(size > 1e-14 * (1 + np.abs(state).max(axis=0)))
            if done.any():
                s[:, left[done]] = np.where(np.isfinite(size[done]), state[:, done], np.nan)
                keep = ~done
                left, state, step = left[keep], state[:, keep], step[keep]
                residual, jacobian, size = residual[:, keep], jacobian[:, :, keep], size[keep]
                given = [_some(x, keep) for x in given]
            if not left.size:
                return s
            trial = state + self._implicit_step(residual, jacobian, step)
            trial_residual, trial_jacobian = self._evaluate(given, trial)
            better = np.abs(trial_residual).max(axis=0) <= np.maximum(2.0 * size, 1e-13)
            state = np.where(better, trial, state)
            residual = np.where(better, trial_residual, residual)
            jacobian = np.where(better, trial_jacobian, jacobian)
            step = np.where(better, np.minimum(step * 4.0, 1e12), step * 0.25)
        size = np.abs(residual).max(axis=0)
        s[:, left] = np.where(size <= 1e-9 * (1 + np.abs(state).max(axis=0)), state, np.nan)
        return s

    def _implicit_step(self, residual: np.ndarray, jacobian: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Implicit Euler in pseudo-time, (1/dt - J) ds = R: the dynamics for small dt, Newton for large."""
        if self.count == 1:
            with np.errstate(all="ignore"):
                return residual / (1.0 / step - jacobian[0])
        matrices = np.moveaxis(np.eye(self.count)[:, :, None] / step - jacobian, -1, 0)
        try:
            return np.linalg.solve(matrices, residual.T[:, :, None])[:, :, 0].T
        except np.linalg.LinAlgError:
            return residual * np.minimum(step, 0.5)


def _some(value: object, keep: np.ndarray) -> object:
    """The kept nodes of an argument that has one entry a node."""
    array = np.asarray(value)
    return array[keep] if array.ndim == 1 and array.size == keep.size else value
