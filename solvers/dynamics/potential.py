"""Sompolinsky's equation V(Delta_0) = V(Delta_f) solved by quadrature alone: a yardstick that shares no numerics.

For Delta >= 0 the field has covariance  c(Delta) = gain^2 E_zeta[(E_eta v(sqrt(Delta_0 - Delta) eta +
sqrt(Delta) zeta))^2],  and the work  integral of drive^2 c - rate^2 Delta  from Delta_f, where the force vanishes, to
Delta_0 is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from derive.cell.parameters import Settings
from derive.meanfield.stationary import potential_of
from derive.site import SiteForm
from solvers.budget import check_budget
from solvers.codegen.emit import compile_function
from solvers.dynamics.result import StationaryState

_REACH, _COARSE, _FINE = 9.0, 121, 241
_PANEL = 32
_LARGEST = 1e6
_SLACK = 3.0


@dataclass(frozen=True)
class PotentialSolution:
    """Variance Delta_0 of the state, variance q = c(Delta_0) of the field, and their absolute errors."""

    variance: float
    q: float
    error: float
    q_error: float


def solve_potential(site: SiteForm, settings: Settings, near: float) -> PotentialSolution | None:
    """The solution next to ``near``; None where the site has no potential or no root is bracketed there."""
    found = potential_of(site)
    if found is None or site.functions.parity_of(found.v, frozenset({found.state})) != -1:
        return None  # the work is taken from Delta_f = 0, which an odd v makes a place of rest
    names = tuple(site.parameters.values())
    values = [settings.parameters[name] for name in site.parameters]
    rate, drive, gain = (float(compile_function(names, [e], site.functions)(*values)[0])
                         for e in (found.rate, found.drive, found.gain))  # fmt: skip
    generated = compile_function((*names, found.state), [found.v], site.functions)

    def v(x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.asarray(generated(*values, x)[0], dtype=float), x.shape)

    fine, coarse = (_root(_Work(v, rate, (drive * gain) ** 2, nodes), near) for nodes in (_FINE, _COARSE))
    if fine is None or coarse is None:
        return None
    qs = [gain**2 * _Work(v, rate, 1.0, nodes).average(root, root)
          for nodes, root in ((_FINE, fine), (_COARSE, coarse))]  # fmt: skip
    return PotentialSolution(fine, qs[0], abs(fine - coarse) + 1e-11 * fine, abs(qs[0] - qs[1]) + 1e-11 * qs[0])


def compared(state: StationaryState, site: SiteForm, settings: Settings) -> StationaryState:
    """The state with a note on the potential's solution beside it; another verdict if the two disagree."""
    name = str(site.states[0])
    found = solve_potential(site, settings, state.Q[name])
    if found is None:
        return state
    apart, allowed = abs(found.variance - state.Q[name]), found.error + state.error["Q"][name]
    note = f"V(Delta_0) = V(Delta_f), solved by quadrature alone, gives Q[{name}] = {found.variance:.10g}"
    if apart <= _SLACK * allowed:
        return replace(state, notes=(*state.notes, f"{note}, in agreement"))
    note = f"{note}, which is {apart:.1e} away where errors allow {allowed:.1e}"
    return replace(state, notes=(*state.notes, note), verdict="not converged: two methods disagree, see the notes")


class _Work:
    """The integral of the force, on trapezoidal nodes of two normals (exponentially accurate if v is smooth)."""

    def __init__(self, v: Callable[[np.ndarray], np.ndarray], rate: float, strength: float, nodes: int) -> None:
        self._v, self._rate, self._strength = v, rate, strength
        self._x = np.linspace(-_REACH, _REACH, nodes)
        weights = np.exp(-0.5 * self._x**2)
        self._w = weights / weights.sum()

    def average(self, delta: float, variance: float) -> float:
        """E[v v~] at covariance ``delta``."""
        spread, common = np.sqrt(max(variance - delta, 0.0)), np.sqrt(delta)
        if spread == 0.0:
            return float(self._w @ self._v(common * self._x) ** 2)
        inner = self._w @ self._v(spread * self._x[:, None] + common * self._x[None, :])
        return float(self._w @ inner**2)

    def __call__(self, variance: float) -> float:
        """From Delta = 0 to ``variance``, in units of variance squared."""
        check_budget()
        nodes, weights = np.polynomial.legendre.leggauss(_PANEL)
        deltas = 0.5 * variance * (nodes + 1.0)
        force = [self._strength * self.average(d, variance) - self._rate**2 * d for d in deltas]
        return float(0.5 * weights @ force) / variance


def _root(work: _Work, near: float) -> float | None:
    low, high = 0.97 * near, 1.03 * near
    if not 0.0 < near < _LARGEST or work(low) * work(high) > 0:
        return None
    return float(brentq(work, low, high, xtol=1e-13 * near, rtol=1e-13))
