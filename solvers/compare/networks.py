"""Finite networks at the state that one static solution speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from derive.cell.parameters import Settings
from derive.theory import Theory
from solvers.mean_field_draw import MeanFieldDraw
from solvers.simulate import Network, eigenvalues, newton_from, plant, relax
from solvers.simulate.elementwise import Array
from solvers.simulate.fixed_point import FixedPoint
from solvers.simulate.linearisation import Linearisation
from solvers.solution import Solution

ZERO, RELAXED, SEARCHED, PLANTED = "zero", "relaxed", "searched", "planted"
TRIAL_UNITS = 250
TRIALS = 2
NEARLY_AT_REST = 1e-3


@dataclass(frozen=True)
class Prepared:
    """A network and its fixed point (S, N); state is None where none of this solution's kind was reached.

    units : columns of states and fields at which derivatives are taken, where the state itself sits on a kink.
    """

    network: Network
    state: Array | None
    outcome: str
    units: Mapping[str, Array] | None = None

    def linearise(self) -> Linearisation:
        """The derivative of the network there."""
        if self.units is None:
            assert self.state is not None
            return self.network.linearise(self.state)
        state = np.array([self.units[name] for name in self.network.states])
        return self.network.linearise(state, fields=self.units)


class Preparation:
    """How networks are brought to one solution.

    way : "zero" (the state zero is an exact fixed point, stable or not), "relaxed" (the dynamics lead there, from a
    mean-field draw of the states), "searched" (Newton's method from such a draw), "planted" (weights conditioned on
    W v = u for drawn units, see `plant`).
    """

    def __init__(
        self, theory: Theory, settings: Settings, solution: Solution, others: Sequence[Solution], seed: int
    ) -> None:
        self.theory, self.settings, self.solution, self.others = theory, settings, solution, others
        self.cell = theory.site.cell
        self._draw = MeanFieldDraw(theory, solution.values)
        self._off_kink = MeanFieldDraw(theory, solution.linearised_at).given
        self.way = self._choose(seed)

    def _choose(self, seed: int) -> str:
        if all(value == 0 for value in self.solution.numbers["Q"].values()):
            return ZERO
        if self.solution.stable:
            return RELAXED
        trials = np.random.SeedSequence([seed, 7]).spawn(TRIALS)
        found = [self._prepare(SEARCHED, sequence, TRIAL_UNITS).state is not None for sequence in trials]
        return SEARCHED if all(found) else PLANTED

    def __call__(self, sequence: np.random.SeedSequence, N: int) -> Prepared:
        """One network of N units at the solution."""
        return self._prepare(self.way, sequence, N)

    def _prepare(self, way: str, sequence: np.random.SeedSequence, N: int) -> Prepared:
        network = Network(self.cell, self.settings, N, np.random.default_rng(sequence))
        if way == ZERO:
            state = np.zeros((len(self.cell.states), N))
            if np.any(network.evaluate(state).new_state):
                return Prepared(network, None, "zero is no fixed point")
            units = None
            if self.solution.off_kink:  # no derivative at zero: slopes of units of vanishing activity
                units = self._off_kink(network.biases | network.inputs, N, network.rng)
            return Prepared(network, state, "zero is an exact fixed point", units)
        if way == PLANTED:
            point = plant(network, self._draw(N, network.rng))
            near = point.displacement <= 1e-3 * np.sqrt(np.mean(point.state**2))
            if "haar" in self.settings.ensembles.values():  # W v = u moves the units by O(1/sqrt N) there
                near = point.converged and self._is_own_branch(point)
            return Prepared(network, point.state if point.converged and near else None, point.outcome)
        columns = self._draw.given(network.biases | network.inputs, N, network.rng)
        start = np.array([columns[name] for name in network.states])
        point = _relaxed(network, start) if way == RELAXED else newton_from(network, start)
        if not point.converged:
            return Prepared(network, None, point.outcome)
        same = self._is_own_branch(point)
        return Prepared(network, point.state if same else None, point.outcome if same else "another branch was reached")

    def _is_own_branch(self, point: FixedPoint) -> bool:
        """Whether this solution is the nearest of all in ln Q."""
        own, *rest = [_distance(point, s) for s in (self.solution, *self.others)]
        return all(own < other for other in rest)


def _relaxed(network: Network, start: Array) -> FixedPoint:
    """Follow the dynamics; units whose gates are nearly shut outlast any patience, and Newton takes over."""
    point = relax(network, start)
    if point.converged or not point.residual < NEARLY_AT_REST:
        return point
    return newton_from(network, point.state)


def _distance(point: FixedPoint, solution: Solution) -> float:
    tiny = 1e-12
    return max(abs(float(np.log((point.Q[name] + tiny) / (q + tiny)))) for name, q in solution.numbers["Q"].items())


def spectrum_by_blocks(jacobian: Array) -> Array:
    """All eigenvalues of a dense matrix, by its strongly connected components.

    At a zero state gates and cells often decouple exactly; blocks of a block-triangular matrix cost far less.
    """
    count, labels = connected_components(csr_matrix(jacobian), directed=True, connection="strong")
    if count == 1:
        return eigenvalues(jacobian)
    sizes = np.bincount(labels, minlength=count)
    single = sizes[labels] == 1
    found = [np.diag(jacobian)[single].astype(complex)]
    for label in np.nonzero(sizes > 1)[0]:
        members = np.nonzero(labels == label)[0]
        found.append(eigenvalues(jacobian[np.ix_(members, members)]))
    return np.concatenate(found)
