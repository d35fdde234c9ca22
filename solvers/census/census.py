"""The fixed points of one network: found from many starts, told apart, sorted by unstable directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice, product

import numpy as np

from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from solvers.averages import Estimate
from solvers.budget import BudgetSpent
from solvers.census.descent import descend
from solvers.census.residual import SiteResidual
from solvers.census.richness import unseen
from solvers.census.starts import starts
from solvers.simulate.elementwise import Array
from solvers.simulate.fixed_point import state_moments, velocity
from solvers.simulate.network import Network
from solvers.simulate.spectra import eigenvalues

SAME = 1e-6
"""Largest difference, relative to the state, of two searches that ended at one fixed point."""

AT_ZERO = 1e-7
"""Root mean square of the state of units at rest at zero."""

MOST_SIGNS = 6
"""States up to which sign changes that leave the equations as they are are looked for."""


@dataclass
class Kind:
    """Fixed points that differ by a sign symmetry alone.

    state : (S, N) of one of them; copies : how many they are; unstable : directions that grow; captures : searches that
    ended at one of them; Q : mean square by state.
    """

    state: Array
    copies: int
    unstable: int
    Q: Mapping[str, float]
    captures: int = 1


@dataclass
class NetworkCensus:
    """kinds : of fixed points, the zero state left out; zero : whether it is one; tried : starts; lost : searches that
    ended at no fixed point; stopped : why there are fewer starts than asked, "" where there are not."""

    zero: bool
    kinds: list[Kind] = field(default_factory=list)
    tried: int = 0
    lost: int = 0
    stopped: str = ""

    @property
    def found(self) -> int:
        """Fixed points met, copies under symmetries counted, the zero state left out."""
        return sum(kind.copies for kind in self.kinds)

    @property
    def estimated(self) -> Estimate:
        """With those that were missed."""
        if not self.kinds:
            return Estimate(0.0, 0.0)
        missed = unseen([kind.captures for kind in self.kinds])
        copies = max(kind.copies for kind in self.kinds)
        return Estimate(self.found + copies * missed.value, copies * missed.error)


def take_census(
    cell: Cell, settings: Settings, N: int, sequence: np.random.SeedSequence, residual: SiteResidual, searches: int
) -> NetworkCensus:
    """Search one network of N units from ``searches`` starts; ends early, saying so, when the time is over."""
    rng = np.random.default_rng(sequence)
    network = Network(cell, settings, N, rng)
    origin = np.zeros((len(network.states), N))
    found = NetworkCensus(zero=not velocity(network, origin).any())
    signs = _symmetries(network)
    try:
        for start in islice(starts(network, rng), searches):
            end = descend(network, residual, start)
            found.tried += 1
            if not end.found:
                found.lost += 1
            elif not (found.zero and np.sqrt(np.mean(end.state**2)) <= AT_ZERO):
                _enter(found, network, end.state, signs)
    except BudgetSpent as spent:
        found.stopped = str(spent)
    return found


def _enter(found: NetworkCensus, network: Network, state: Array, signs: list[Array]) -> None:
    images = _distinct([state * sign for sign in signs])
    for kind in found.kinds:
        if any(_same(kind.state, image) for image in images):
            kind.captures += 1
            return
    found.kinds.append(Kind(state, len(images), _unstable(network, state), state_moments(network, state)))


def _distinct(images: list[Array]) -> list[Array]:
    kept: list[Array] = []
    for image in images:
        if not any(_same(image, other) for other in kept):
            kept.append(image)
    return kept


def _same(one: Array, other: Array) -> bool:
    return bool(np.max(np.abs(one - other)) <= SAME * max(1.0, float(np.max(np.abs(one)))))


def _unstable(network: Network, state: Array) -> int:
    spectrum = eigenvalues(network.jacobian(state))
    return int(np.sum(np.abs(spectrum) > 1.0 if network.cell.time == "discrete" else spectrum.real > 0.0))


def _symmetries(network: Network) -> list[Array]:
    """(S, 1) signs of the states under which velocities change with them, the trivial one first."""
    S = len(network.states)
    trivial = np.ones((S, 1))
    if S > MOST_SIGNS:
        return [trivial]
    state = np.random.default_rng(0).standard_normal((S, network.N))
    moved = velocity(network, state)
    every = (np.array(signs)[:, None] for signs in product((1.0, -1.0), repeat=S))
    return [sign for sign in every if np.allclose(velocity(network, sign * state), sign * moved, rtol=1e-9, atol=1e-12)]
