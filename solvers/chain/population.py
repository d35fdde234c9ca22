"""One self-consistent population of sites of the untied chain: two replicas and what they pass on.

Every step draws biases, inputs and fields afresh.  Fields of one matrix are jointly Gaussian over their products
and the two replicas, with covariance gain^2 times the population's mean of v_k v_l.  Arrays over sites have the
shape (M,).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from solvers.chain.fields import Conditioner, FieldLaw, draw_quenched, mean_product
from solvers.chain.model import Local, Model
from solvers.chain.perturbation import Between, Perturbed
from solvers.chain.streams import CanonicalSite

Array = npt.NDArray[np.float64]

MERGED = 1e-20  # replicas whose mean squared difference is this small a part of Q are equal
SWAPPED = 0.05  # part of the sites in which replica b starts elsewhere than replica a
FAINT = 1e-100  # second moment below which a decaying state is scaled up, long before it underflows
LIFT = 1e40  # its square times FAINT stays far below what counts as a moment


class Population:
    """M sites with their own self-consistent field variances.

    Attributes
    ----------
    a, b : (S, M), states of the replicas; b is None until `split`
    alive : False once a state is not finite or has grown beyond ``limit``
    """

    def __init__(self, model: Model, size: int, sequence: np.random.SeedSequence, limit: float) -> None:
        self.model, self.size, self.limit = model, size, limit
        # Replica b and the perturbations draw from generators of their own: what they do never changes replica a.
        generators = [np.random.Generator(np.random.SFC64(child)) for child in sequence.spawn(3)]
        self._rng, self._other, self._apart = generators
        self.a: Array = self._rng.standard_normal((len(model.site.states), size))
        self.b: Array | None = None
        self.merged = False
        self.alive = True
        self._pair: Perturbed | None = None
        self._cross: Between | None = None

    @property
    def spread(self) -> int:
        """How often the mean perturbation between replicas was given to every site."""
        return 0 if self._cross is None else self._cross.spread

    def split(self) -> None:
        """Start replica b and the perturbations.

        Replica b equals a, but for a small part of the sites, where it takes the state of another site: C starts
        slightly below Q, and replica b has the law of replica a from the start.
        """
        self.b = self.a.copy()
        count = max(1, round(SWAPPED * self.size))
        self.b[:, :count] = self.a[:, self.size - count :]
        if not self.model.divergent:
            self._pair = Perturbed(self.model, self._apart, self.a)
            self._cross = Between(self.model, self.size)

    def run(self, steps: int) -> Array:
        """(steps, columns): see `columns`.  Stops early, with fewer rows, where the states diverge."""
        rows = []
        with np.errstate(all="ignore"):
            for _ in range(steps):
                row = self._step()
                if not self.alive:
                    break
                rows.append(row)
        return np.array(rows).reshape(len(rows), -1)

    def _step(self) -> list[float]:
        """Q (S), then q (K); after `split` also q_total (D), C (S), and the growth of one and of two replicas."""
        model, single = self.model, self.b is None
        self._lift()
        second = [mean_product(row, row, self.size) for row in self.a]
        values, others, variances, law = self._draw()
        if single:
            self._replace(model.move(values), None)
            return [*second, *variances]
        overlap = self._overlap(second)
        own = model.local(values, arguments=True)
        other = own if self.merged else model.local(others, arguments=False)
        self._replace(own.moved, None if self.merged else other.moved)
        growth = self._perturb(own, other, law)
        total = [float(np.var(argument)) for argument in own.arguments]
        return [*second, *variances, *total, *overlap, *growth]

    def _draw(self) -> tuple[list[Any], list[Any], list[float], FieldLaw]:
        """Arguments of the compiled functions for replicas a and b, gain^2 E[v^2] of each field, and their law."""
        model, two = self.model, self.b is not None and not self.merged
        quenched, theirs = draw_quenched(model.site, two, self._rng, self._other, self.size)
        values: list[Any] = [*self.a, *quenched, *model.constants]
        others: list[Any] = [*self.b, *theirs, *model.constants] if two and self.b is not None else values
        groups: dict[int, Conditioner] = {}
        variances, law = [], FieldLaw()
        for item, operand in zip(model.site.fields, model.operands, strict=True):
            group = groups.setdefault(item.group, Conditioner(item.gain))
            (v,) = operand(*values)
            # The difference of the replicas is drawn rather than replica b, so that it keeps its relative
            # precision while the replicas merge.
            difference = v - operand(*others)[0] if two else None
            u, variance = group.extend(v, self._rng, self.size)
            law.rows.append((item.group, group.rows[-1]))
            variances.append(variance)
            values.append(u)
            if two:
                du, _ = group.extend(difference, self._other, self.size)
                others.append(u - du)
        return values, others, variances, law

    def _overlap(self, second: Sequence[float]) -> list[float]:
        if self.b is None or self.merged:
            return list(second)
        products = [mean_product(x, y, self.size) for x, y in zip(self.a, self.b, strict=True)]
        if all(item.shared == 1.0 for item in self.model.site.draws):
            gaps = [float(np.mean((x - y) ** 2)) for x, y in zip(self.a, self.b, strict=True)]
            self.merged = all(gap <= MERGED * q for gap, q in zip(gaps, second, strict=True))
        return products

    def _replace(self, moved: Sequence[Any], others: Sequence[Any] | None) -> None:
        self.a = _stacked(moved, self.size)
        if others is not None:
            self.b = _stacked(others, self.size)
        self.alive = bool(np.max(np.mean(self.a**2, axis=1)) <= self.limit)  # false for nan

    def _lift(self) -> None:
        """Keep a state that decays to zero from underflowing; so close to zero every update is homogeneous."""
        for number, row in enumerate(self.a):
            if 0.0 < mean_product(row, row, self.size) < FAINT:
                row *= LIFT
                if self.b is not None:
                    self.b[number] *= LIFT
                if self._pair is not None:
                    self._pair.lift(number, LIFT, self.a[number])

    def _perturb(self, own: Local, other: Local, law: FieldLaw) -> list[float]:
        """Growth of the mean perturbation of one replica, and of two."""
        if self._pair is None or self._cross is None:
            return [0.0, 0.0]  # the growth is infinite, and not sampled
        growth = self._pair.step(own, self.a, law)
        return [growth, growth if self.merged else self._cross.step(own, other)]


def _stacked(values: Sequence[Any], size: int) -> Array:
    rows = np.empty((len(values), size))
    for row, value in zip(rows, values, strict=True):
        row[:] = value
    return rows


def columns(site: CanonicalSite) -> tuple[tuple[str, str], ...]:
    """(quantity, name) of the columns of `Population.run` after `split`."""
    fields = tuple(("q", item.name) for item in site.fields)
    totals = tuple(("q_total", name) for name, _ in site.arguments)
    squares = tuple(("Q", name) for name in site.state_names)
    overlaps = tuple(("C_star", name) for name in site.state_names)
    return (*squares, *fields, *totals, *overlaps, ("chi1", ""), ("chi_star", ""))
