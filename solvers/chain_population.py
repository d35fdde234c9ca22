"""One self-consistent population of sites of the untied chain: two replicas and their perturbations.

Every step draws biases, inputs and fields afresh.  Fields of one matrix are jointly Gaussian over their products
and the two replicas, with covariance gain^2 times the population's mean of v_k v_l.  Arrays over sites have the
shape (M,); matrices of such arrays are nested lists, or dictionaries by (row, column) where most entries vanish.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from solvers.chain_streams import CanonicalSite
from solvers.codegen.emit import compile_function

Array = npt.NDArray[np.float64]
Entries = Mapping[tuple[int, int], Any]

DEGENERATE = 1e-13  # a conditional variance this much below the variance is rounding
MERGED = 1e-20  # replicas whose mean squared difference is this small a part of Q are equal
SWAPPED = 0.05  # part of the sites in which replica b starts elsewhere than replica a
FAINT = 1e-100  # second moment below which a decaying state is scaled up, long before it underflows
LIFT = 1e45
FEW = 0.05  # |mean Sigma|^2 / mean |Sigma|^2 below which few sites carry the mean


@dataclass(frozen=True)
class Local:
    """The values of one replica at one step: next states and the non-zero entries of L, a, b and e."""

    moved: tuple[Any, ...]
    arguments: tuple[Any, ...]
    L: Entries
    a: Entries
    b: Entries
    e: Entries


class Model:
    """The compiled site form.

    divergent : an entry of L, a, b or e is the derivative of a jump, so that its square has no mean
    """

    def __init__(self, site: CanonicalSite) -> None:
        self.site = site
        leading = [*site.states, *(item.symbol for item in site.draws), *(symbol for symbol, _ in site.constants)]
        fields = [item.symbol for item in site.fields]
        self.constants = [np.float64(value) for _, value in site.constants]
        self.operands = [
            compile_function([*leading, *fields[:k]], [item.v], site.functions) for k, item in enumerate(site.fields)
        ]
        entries = _derivatives(site)
        self.divergent = any(site.functions.has_delta(value) for value in entries.values())
        self.places = () if self.divergent else tuple(entries)
        derivatives = [] if self.divergent else list(entries.values())
        arguments = [argument for _, argument in site.arguments]
        everything = [*leading, *fields]
        self._full = compile_function(everything, [*site.F, *arguments, *derivatives], site.functions)
        self._moved = compile_function(everything, list(site.F), site.functions)
        self._two = compile_function(everything, [*site.F, *derivatives], site.functions)
        numbers = range(len(site.fields))
        self.partners = [[m for m in numbers if site.fields[m].group == site.fields[k].group] for k in numbers]

    def move(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """F alone."""
        return self._moved(*values)

    def local(self, values: Sequence[Any], *, arguments: bool) -> Local:
        """F and the site derivatives, with or without the arguments of the definitions."""
        out = (self._full if arguments else self._two)(*values)
        states = len(self.site.states)
        skip = states + (len(self.site.arguments) if arguments else 0)
        tables: dict[str, dict[tuple[int, int], Any]] = {"L": {}, "a": {}, "b": {}, "e": {}}
        for (kind, row, column), value in zip(self.places, out[skip:], strict=True):
            tables[kind][row, column] = value
        return Local(out[:states], out[states:skip], **tables)


def _derivatives(site: CanonicalSite) -> dict[tuple[str, int, int], sp.Expr]:
    """Non-zero entries of L = dF/ds, a = dF/du, b = dv/ds, e = dv/du (theory, section 1)."""
    fields = [item.symbol for item in site.fields]
    operands = [item.v for item in site.fields]
    found: dict[tuple[str, int, int], sp.Expr] = {}
    for kind, rows, columns in (
        ("L", site.F, site.states),
        ("a", site.F, fields),
        ("b", operands, site.states),
        ("e", operands, fields),
    ):
        for row, expression in enumerate(rows):
            for column, symbol in enumerate(columns):
                value = expression.diff(symbol)
                if value != 0:
                    found[kind, row, column] = value
    return found


class _Conditioner:
    """Gaussians with the covariance gain^2 <w_i w_j> of vectors that become known one after the other.

    Row by row Cholesky factor; a row whose conditional variance is rounding gets no noise of its own.
    """

    def __init__(self, gain: float) -> None:
        self.gain2 = gain**2
        self.known: list[Any] = []
        self.rows: list[list[float]] = []
        self.noise: list[Array] = []

    def extend(self, w: Any, rng: np.random.Generator, size: int) -> tuple[Any, float]:
        """The Gaussian that belongs to ``w``, (M,), and its variance."""
        variance = self.gain2 * _mean_product(w, w, size)
        row: list[float] = []
        for earlier, other in zip(self.known, self.rows, strict=True):
            left = self.gain2 * _mean_product(w, earlier, size)
            left -= sum(x * y for x, y in zip(row, other, strict=False))
            row.append(left / other[-1] if other[-1] > 0 else 0.0)
        pivot = variance - sum(x * x for x in row)
        row.append(float(np.sqrt(pivot)) if pivot > DEGENERATE * variance else 0.0)
        self.known.append(w)
        self.rows.append(row)
        self.noise.append(rng.standard_normal(size))
        value: Any = 0.0
        for factor, noise in zip(row, self.noise, strict=True):
            if factor != 0.0:
                value = value + factor * noise
        return value, variance


def _mean_product(x: Any, y: Any, size: int) -> float:
    if np.ndim(x) == 1 and np.ndim(y) == 1:
        return float(np.dot(x, y)) / size
    return _mean(x * y, size)


def _mean(x: Any, size: int) -> float:
    # np.mean spends more time on its arguments than on a few thousand sites.
    return float(np.add.reduce(x)) / size if np.ndim(x) else float(x)


class Population:
    """M sites with their own self-consistent field variances.

    Attributes
    ----------
    a, b : (S, M), states of the replicas; b is None until `split`
    alive : False once a state is not finite or has grown beyond ``limit``
    spread : how often the mean perturbation, of one and of two replicas, was given to every site
    """

    def __init__(self, model: Model, size: int, sequence: np.random.SeedSequence, limit: float) -> None:
        self.model, self.size, self.limit = model, size, limit
        # Replica b draws from a generator of its own: what it does never changes replica a.
        self._rng, self._other = (np.random.Generator(np.random.SFC64(child)) for child in sequence.spawn(2))
        self.a: Array = self._rng.standard_normal((len(model.site.states), size))
        self.b: Array | None = None
        self.merged = False
        self.alive = True
        self.spread = [0, 0]
        self._pair: list[Any] = []
        self._cross: list[Any] = []

    def split(self) -> None:
        """Start replica b and the perturbations.

        Replica b equals a, but for a small part of the sites, where it takes the state of another site: C starts
        slightly below Q, and replica b has the law of replica a from the start.
        """
        self.b = self.a.copy()
        count = max(1, round(SWAPPED * self.size))
        self.b[:, :count] = self.a[:, self.size - count :]
        states = range(len(self.a))
        self._pair = [[np.full(self.size, float(i == j)) for j in states] for i in states]
        self._cross = [[np.full(self.size, float(i == j)) for j in states] for i in states]

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
        second = [_mean_product(row, row, self.size) for row in self.a]
        values, others, variances = self._draw()
        if single:
            self._replace(model.move(values), None)
            return [*second, *variances]
        overlap = self._overlap(second)
        own = model.local(values, arguments=True)
        other = own if self.merged else model.local(others, arguments=False)
        growth = self._perturb(own, other)
        self._replace(own.moved, None if self.merged else other.moved)
        total = [float(np.var(argument)) for argument in own.arguments]
        return [*second, *variances, *total, *overlap, *growth]

    def _draw(self) -> tuple[list[Any], list[Any], list[float]]:
        """Arguments of the compiled functions for replicas a and b, and gain^2 E[v^2] of each field."""
        model, two = self.model, self.b is not None and not self.merged
        quenched, theirs = self._draw_quenched(two)
        values: list[Any] = [*self.a, *quenched, *model.constants]
        others: list[Any] = [*self.b, *theirs, *model.constants] if two and self.b is not None else values
        groups: dict[int, _Conditioner] = {}
        variances = []
        for item, operand in zip(model.site.fields, model.operands, strict=True):
            group = groups.setdefault(item.group, _Conditioner(item.gain))
            (v,) = operand(*values)
            # The difference of the replicas is drawn rather than replica b, so that it keeps its relative
            # precision while the replicas merge.
            difference = v - operand(*others)[0] if two else None
            u, variance = group.extend(v, self._rng, self.size)
            variances.append(variance)
            values.append(u)
            if two:
                du, _ = group.extend(difference, self._other, self.size)
                others.append(u - du)
        return values, others, variances

    def _draw_quenched(self, two: bool) -> tuple[list[Any], list[Any]]:
        own: list[Any] = []
        other: list[Any] = []
        for item in self.model.site.draws:
            if item.std == 0.0:
                own.append(np.float64(item.mean))
                other.append(own[-1])
                continue
            noise = self._rng.standard_normal(self.size)
            own.append(item.mean + item.std * noise)
            if not two or item.shared == 1.0:
                other.append(own[-1])
                continue
            fresh = self._other.standard_normal(self.size)
            other.append(item.mean + item.std * (item.shared * noise + np.sqrt(1.0 - item.shared**2) * fresh))
        return own, other

    def _overlap(self, second: Sequence[float]) -> list[float]:
        if self.b is None or self.merged:
            return list(second)
        products = [_mean_product(x, y, self.size) for x, y in zip(self.a, self.b, strict=True)]
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
            if 0.0 < _mean_product(row, row, self.size) < FAINT:
                row *= LIFT
                if self.b is not None:
                    self.b[number] *= LIFT

    # Perturbations (theory, section 2) ------------------------------------------------------------------------------

    def _perturb(self, own: Local, other: Local) -> list[float]:
        """Growth of tr mean Sigma for one replica, and of mean Sigma along itself for two."""
        if self.model.divergent:
            return [0.0, 0.0]  # the growth is infinite, and not sampled
        before = self._spread(self._pair, 0)
        self._pair = self._transported(own, own, self._pair)
        after = _means(self._pair, self.size)
        growth = float(np.trace(after) / np.trace(before))
        self._pair = _normalised(self._pair, float(np.trace(after)), self.size)
        if self.merged:
            return [growth, growth]
        before = self._spread(self._cross, 1)
        self._cross = self._transported(own, other, self._cross)
        after = _means(self._cross, self.size)
        along = float(np.sum(after * before) / np.sum(before * before))
        self._cross = _normalised(self._cross, float(np.linalg.norm(after)), self.size)
        return [growth, along]

    def _spread(self, sigma: list[Any], number: int) -> Array:
        """Mean Sigma, (S, S).  Where few sites carry it, every site is given the mean.

        A product of many L has a heavy tail, and a finite population would show its typical and not its mean growth.
        What is lost is the correlation of Sigma and state, for as long as a site remembers its state.
        """
        mean = _means(sigma, self.size)
        square = sum(_mean_product(value, value, self.size) for row in sigma for value in row)
        if float(np.sum(mean**2)) < FEW * square:
            self.spread[number] += 1
            for i, row in enumerate(sigma):
                row[:] = [np.full(self.size, mean[i, j]) for j in range(len(row))]
        return mean

    def _transported(self, own: Local, other: Local, sigma: list[Any]) -> list[Any]:
        """L_a Sigma L_b^T + sum over k, l of one matrix of a_k a_l^T Delta_kl, per site."""
        delta = self._delta(own, other, sigma)
        states = range(len(sigma))
        symmetric = own is other
        half_L = [_row_times(own.L, i, sigma, states) for i in states]
        half_a = [self._half_field(own.a, i, delta) for i in states]
        new: list[list[Any]] = [[0.0 for _ in states] for _ in states]
        for i in states:
            for j in states:
                if symmetric and j < i:
                    new[i][j] = new[j][i]
                    continue
                total: Any = 0.0
                for n, value in half_L[i].items():
                    if (j, n) in other.L:
                        total = total + value * other.L[j, n]
                for k, value in half_a[i].items():
                    if (j, k) in other.a:
                        total = total + value * other.a[j, k]
                new[i][j] = total
        return new

    def _half_field(self, a: Entries, i: int, delta: Array) -> dict[int, Any]:
        """sum_k a_ik Delta_kl by l."""
        found: dict[int, Any] = {}
        for k, partners in enumerate(self.model.partners):
            if (i, k) not in a:
                continue
            for m in partners:
                if delta[k, m] != 0.0:
                    found[m] = found.get(m, 0.0) + a[i, k] * delta[k, m]
        return found

    def _delta(self, own: Local, other: Local, sigma: list[Any]) -> Array:
        """Delta_kl = gain^2 (mean b_k Sigma b_l^T + sum_mn mean(e_km e_ln) Delta_mn), (K, K), in dependency order."""
        fields = self.model.site.fields
        delta = np.zeros((len(fields), len(fields)))
        states = range(len(sigma))
        symmetric = own is other
        left = [_row_times(own.b, k, sigma, states) for k in range(len(fields))]
        for k, item in enumerate(fields):
            for m in self.model.partners[k]:
                if m > k:
                    continue
                delta[k, m] = item.gain**2 * self._source(own, other, left, delta, k, m)
                if m < k:
                    delta[m, k] = (
                        delta[k, m] if symmetric else item.gain**2 * self._source(own, other, left, delta, m, k)
                    )
        return delta

    def _source(
        self, own: Local, other: Local, left: Sequence[Mapping[int, Any]], delta: Array, k: int, m: int
    ) -> float:
        total = 0.0
        for n, value in left[k].items():
            if (m, n) in other.b:
                total += _mean_product(value, other.b[m, n], self.size)
        for p in range(k):
            for r in range(m):
                if delta[p, r] != 0.0 and (k, p) in own.e and (m, r) in other.e:
                    total += _mean_product(own.e[k, p], other.e[m, r], self.size) * delta[p, r]
        return total


def _row_times(matrix: Entries, row: int, sigma: list[Any], states: range) -> dict[int, Any]:
    """Row of a sparse matrix times Sigma, by column; empty where the row is."""
    present = [m for m in states if (row, m) in matrix]
    if not present:
        return {}
    found: dict[int, Any] = {}
    for n in states:
        total: Any = 0.0
        for m in present:
            entry = matrix[row, m]
            term = sigma[m][n] if np.ndim(entry) == 0 and entry == 1 else entry * sigma[m][n]
            total = term if m == present[0] else total + term
        found[n] = total
    return found


def _stacked(values: Sequence[Any], size: int) -> Array:
    rows = np.empty((len(values), size))
    for row, value in zip(rows, values, strict=True):
        row[:] = value
    return rows


def _means(sigma: list[Any], size: int) -> Array:
    return np.array([[_mean(value, size) for value in row] for row in sigma])


def _normalised(sigma: list[Any], scale: float, size: int) -> list[Any]:
    """Sigma / scale; where nothing was passed on it starts afresh, so that the growth stays zero."""
    if not abs(scale) > 0.0 or not np.isfinite(scale):
        return [[np.full(size, float(i == j)) for j in range(len(sigma))] for i in range(len(sigma))]
    # Blocks below the diagonal may be the very arrays above it: nothing is scaled in place.
    return [[value / scale for value in row] for row in sigma]


def columns(site: CanonicalSite) -> tuple[tuple[str, str], ...]:
    """(quantity, name) of the columns of `Population.run` after `split`."""
    fields = tuple(("q", item.name) for item in site.fields)
    totals = tuple(("q_total", name) for name, _ in site.arguments)
    squares = tuple(("Q", name) for name in site.state_names)
    overlaps = tuple(("C_star", name) for name in site.state_names)
    return (*squares, *fields, *totals, *overlaps, ("chi1", ""), ("chi_star", ""))
