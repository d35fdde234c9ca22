"""Adaptive one-dimensional Gaussian averages, for one or many parameter values at once.

All panels that still carry too much error, of all batch members, are split together, so a round costs one vectorised
call of the integrand whatever the number of members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from solvers.budget import check_budget
from solvers.codegen.rules import EPS, NODES, ROUNDOFF, SIZE, panel_sums

Integrand = Callable[[np.ndarray, np.ndarray], np.ndarray]

LIMIT = 38.5
"""Beyond this the Gaussian density underflows; panels reach up to here so that growing integrands are covered."""

_NEGLIGIBLE = 13.5  # density below 1e-40: a node out here may be dropped against a charge on the error
_SECTIONS = 4  # pieces a panel is split into: half the rounds of bisection at the same number of nodes
_CHUNK = 400_000  # nodes per call of the integrand
_STALLS = 2  # splits without gain after which a panel is taken to be at the noise level of the integrand
_SQRT_2PI = float(np.sqrt(2.0 * np.pi))


@dataclass(frozen=True)
class Panels:
    """A set of panels [left, right], each belonging to one batch member; arrays of shape ``(panels,)``."""

    left: np.ndarray
    right: np.ndarray
    member: np.ndarray


@dataclass(frozen=True)
class AdaptiveResult:
    """Arrays of shape ``(m, members)``; ``converged`` says which errors met the tolerance."""

    value: np.ndarray
    error: np.ndarray
    converged: np.ndarray
    evaluations: int
    panels: Panels


@dataclass
class _State:
    """Panels with their sums: left, right, member, stalls of shape (p,); value, error, roundoff (m, p)."""

    left: np.ndarray
    right: np.ndarray
    member: np.ndarray
    stalls: np.ndarray
    value: np.ndarray
    error: np.ndarray
    roundoff: np.ndarray

    def keep(self, mask: np.ndarray) -> _State:
        return _State(
            self.left[mask], self.right[mask], self.member[mask], self.stalls[mask],
            self.value[:, mask], self.error[:, mask], self.roundoff[:, mask],
        )  # fmt: skip

    def join(self, other: _State) -> _State:
        def cat(name: str) -> np.ndarray:
            return np.concatenate([getattr(self, name), getattr(other, name)], axis=-1)

        return _State(*(cat(name) for name in self.__dataclass_fields__))


def start_edges(width: float, centres: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Panel edges ``(members, edges)`` over [-LIMIT, LIMIT], graded around hints ``(members, hints)``.

    Uniform panels of the given width up to 5 (whose borders include 0, the commonest kink), coarser ones outside.
    """
    inner = np.arange(1, int(np.ceil(5.0 / width)) + 1) * width
    half = np.concatenate([inner, np.arange(inner[-1] + 0.5, 9.6, 0.5), [12.0, 16.0, 22.0, 30.0, LIMIT]])
    base = np.concatenate([-half[::-1], [0.0], half])
    members = centres.shape[0]
    columns = [np.broadcast_to(base, (members, base.size))]
    if centres.size:
        columns.append(centres)
        smallest = np.min(scales[scales > 0], initial=1.0)
        steps = int(np.ceil(np.log(max(width / smallest, 1.0)) / np.log(4.0))) + 1
        for k in range(steps):
            # Members with wider transitions (or bare kinks) collapse onto the centre: empty panels, dropped later.
            offset = 2.0 * scales * 4.0**k
            offset = np.where(offset < 2.0 * width, offset, 0.0)
            columns += [centres - offset, centres + offset]
    return np.sort(np.clip(np.concatenate(columns, axis=1), -LIMIT, LIMIT), axis=1)


def panels_from_edges(edges: np.ndarray) -> Panels:
    """All non-empty panels between neighbouring edges; edges: ``(members, edges)``, sorted."""
    member = np.broadcast_to(np.arange(edges.shape[0])[:, None], (edges.shape[0], edges.shape[1] - 1))
    left, right = edges[:, :-1], edges[:, 1:]
    keep = right > left
    return Panels(left[keep], right[keep], member[keep])


class AdaptiveIntegrator:
    """Refines panels until every integrand of every member meets its tolerance or no progress is possible.

    f(xi, index) takes nodes and member numbers of shape ``(n,)`` and returns ``(m, n)``; ``atol`` broadcasts to
    ``(m, members)``.  A non-finite integrand at a node that matters makes that value nan with error inf.
    """

    def __init__(self, f: Integrand, members: int, rtol: float, atol: np.ndarray | float, max_evaluations: float):
        self.f = f
        self.members = members
        self.rtol = rtol
        self.atol = atol
        self.max_evaluations = max_evaluations
        self.evaluations = 0
        self.charge: np.ndarray | float = 0.0
        self.poison: np.ndarray | bool = False

    def run(self, start: Panels) -> AdaptiveResult:
        """Integrate from the given starting panels."""
        state = self._tabulate(start.left, start.right, start.member)
        while True:
            value, error, done = self._totals(state)
            chosen = self._choose(state, value, done)
            cost = int(chosen.sum()) * _SECTIONS * SIZE
            if cost == 0 or self.evaluations + cost > self.max_evaluations:
                break
            state = self._split(state, chosen)
        value = np.where(self.poison, np.nan, value)
        error = np.where(self.poison, np.inf, error)
        panels = Panels(state.left, state.right, state.member)
        return AdaptiveResult(value, error, np.asarray(done & np.isfinite(error)), self.evaluations, panels)

    def _evaluate(self, left: np.ndarray, right: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = 0.5 * (right - left)
        nodes = (0.5 * (right + left))[:, None] + half[:, None] * NODES
        x, index = nodes.ravel(), np.repeat(member, SIZE)
        parts = []
        with np.errstate(all="ignore"):
            for k in range(0, x.size, _CHUNK):
                check_budget()
                parts.append(np.atleast_2d(self.f(x[k : k + _CHUNK], index[k : k + _CHUNK])))
        values = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if values.ndim != 2 or values.shape[1] != x.size:
            raise ValueError(f"the integrand returned shape {values.shape} for {x.size} nodes, expected (m, n)")
        if values.dtype.kind not in "fc":
            values = values.astype(float)
        self.evaluations += x.size
        density = np.exp(-0.5 * x * x) / _SQRT_2PI
        with np.errstate(all="ignore"):
            weighted = values * density
        if not np.isfinite(weighted.sum()):
            weighted = self._handle_nonfinite(values, weighted, x, index, density * np.repeat(half, SIZE))
        return weighted.reshape(values.shape[0], left.size, SIZE), half

    def _handle_nonfinite(
        self, values: np.ndarray, weighted: np.ndarray, x: np.ndarray, index: np.ndarray, mass: np.ndarray
    ) -> np.ndarray:
        """Zero the non-finite entries: an error charge for nan in the far tail, fatal otherwise.

        An infinity is fatal everywhere: an overflowing integrand has no bound to charge.
        """
        bad = ~np.isfinite(weighted)
        shape = (values.shape[0], self.members)
        poison, charge, largest = np.zeros(shape, dtype=bool), np.zeros(shape), np.zeros(shape)
        size = np.where(np.isfinite(values), np.abs(values), 0.0)
        for row in range(values.shape[0]):
            near = bad[row] & ((np.abs(x) <= _NEGLIGIBLE) | np.isinf(values[row]))
            poison[row, index[near]] = True
            np.maximum.at(largest[row], index, size[row])
            far = bad[row] & ~near
            np.add.at(charge[row], index[far], mass[far])
        self.poison = self.poison | poison
        self.charge = self.charge + np.where(charge > 0, charge * largest, 0.0)
        return np.where(bad, 0.0, weighted)

    def _tabulate(self, left: np.ndarray, right: np.ndarray, member: np.ndarray) -> _State:
        values, half = self._evaluate(left, right, member)
        sums = panel_sums(values, half)
        return _State(
            left, right, member, np.zeros(left.size, dtype=int), sums.value, sums.error, sums.roundoff
        )

    def _per_member(self, member: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Sum ``(m, p)`` over the panels of each member to ``(m, members)``."""
        if self.members == 1:
            total: np.ndarray = values.sum(axis=1, keepdims=True)
            return total
        if np.iscomplexobj(values):
            return self._per_member(member, values.real) + 1j * self._per_member(member, values.imag)
        return np.array([np.bincount(member, weights=row, minlength=self.members) for row in values])

    def _totals(self, state: _State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        value = self._per_member(state.member, state.value)
        error = self._per_member(state.member, state.error) + self.charge
        done = (error <= self._tolerance(value)) | self.poison
        return value, error, done

    def _tolerance(self, value: np.ndarray) -> np.ndarray:
        return np.maximum(self.atol, self.rtol * np.abs(value))

    def _choose(self, state: _State, value: np.ndarray, done: np.ndarray) -> np.ndarray:
        """Panels above their share: those left alone add up to at most half the tolerance."""
        count = np.bincount(state.member, minlength=self.members)
        share = np.where(done, np.inf, self._tolerance(value) / (2.0 * np.maximum(count, 1)))
        heavy = (state.error > share[:, state.member]) & (state.error > 2.0 * state.roundoff)
        widest = np.maximum(np.abs(state.left), np.abs(state.right))
        splittable = (state.right - state.left > 64.0 * EPS * widest) & (state.stalls < _STALLS)
        return heavy.any(axis=0) & splittable

    def _split(self, state: _State, chosen: np.ndarray) -> _State:
        parent = state.keep(chosen)
        cuts = parent.left[:, None] + (parent.right - parent.left)[:, None] * np.linspace(0.0, 1.0, _SECTIONS + 1)
        cuts[:, -1] = parent.right
        children = self._tabulate(cuts[:, :-1].ravel(), cuts[:, 1:].ravel(), np.repeat(parent.member, _SECTIONS))
        children.stalls = np.repeat(self._stalls(parent, children), _SECTIONS)
        return state.keep(~chosen).join(children)

    @staticmethod
    def _stalls(parent: _State, children: _State) -> np.ndarray:
        """Count splits that neither moved the value nor lowered the error: a sign of noise in the integrand."""
        shape = (parent.value.shape[0], -1, _SECTIONS)
        error = children.error.reshape(shape).sum(axis=2)
        value = children.value.reshape(shape).sum(axis=2)
        size = parent.roundoff / ROUNDOFF
        moved = np.abs(value - parent.value) > 1e-7 * size
        gained = error < 0.5 * parent.error
        at_roundoff = parent.error <= 2.0 * parent.roundoff
        progress = ((moved | gained) & ~at_roundoff).any(axis=0)
        # Noise is small against the panel itself; a jump is not, and one unlucky split of it must not end the search.
        step = np.where((parent.error < 1e-8 * size).all(axis=0), 2, 1)
        return np.where(progress, 0, parent.stalls + step)
