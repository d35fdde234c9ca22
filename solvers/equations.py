"""A closed system as a map of as few unknowns as possible.

The dependency graph of the equations is cut at a smallest feedback set; everything else is explicit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import sympy as sp

from derive.errors import SizeError
from derive.gaussian.average import Average, Law
from derive.theory import System
from solvers.averages import Evaluator, Values

MAX_UNKNOWNS = 40


@dataclass(frozen=True)
class Completed:
    """All unknowns given the feedback ones; image: what the equations return for those; (relative) errors."""

    values: dict[sp.Symbol, float]
    errors: dict[sp.Symbol, float]
    image: np.ndarray
    image_error: np.ndarray


class Equations:
    """``x -> G(x)`` on the feedback unknowns of a system at given parameter values."""

    def __init__(self, system: System, law: Law, evaluator: Evaluator, parameters: Values) -> None:
        self.law, self.evaluator, self.parameters = law, evaluator, dict(parameters)
        self.system = share_common_factors(system, law)
        graph = {symbol: self.system.dependencies(symbol, law) for symbol in self.system.equations}
        self.feedback = feedback_set(graph)
        self.order = _topological(graph, set(self.feedback))

    def at(self, parameters: Values) -> Equations:
        """The same equations, graph and compiled averages at other parameter values."""
        other = copy(self)
        other.parameters = dict(parameters)
        return other

    def complete(self, x: Sequence[float] | np.ndarray, rtol: float) -> Completed:
        """Evaluate every unknown in order, then the feedback equations."""
        values: dict[sp.Symbol, float] = dict(self.parameters)
        errors: dict[sp.Symbol, float] = {}
        values.update(zip(self.feedback, (float(value) for value in x), strict=True))
        for symbol in self.order:
            estimate = self.evaluator(self.system.equations[symbol], values, rtol)
            values[symbol] = max(estimate.value, 0.0) if symbol.is_nonnegative else estimate.value
            errors[symbol] = estimate.error
        image = [self.evaluator(self.system.equations[symbol], values, rtol) for symbol in self.feedback]
        carried = sum(relative_errors(values, errors))
        return Completed(
            values,
            errors,
            np.array([estimate.value for estimate in image]),
            np.array([estimate.error + carried * abs(estimate.value) for estimate in image]),
        )


def is_covariance(law: Law, values: Values) -> bool:
    """Whether the second moments of every block of Gaussians are those of a law: a positive semidefinite matrix.

    Equations evaluated outside that cone can have roots that mean nothing.  Blocks not known yet pass.
    """
    blocks: dict[str, list[sp.Symbol]] = {}
    for symbol, label in law.blocks.items():
        if symbol not in law.unknown and symbol not in law.depends:
            blocks.setdefault(label, []).append(symbol)
    for members in blocks.values():
        table = sp.Matrix(len(members), len(members), lambda i, j, m=members: law.covariance(m[i], m[j]))
        known = _known_block(table, set(values))
        table = table.extract(known, known)
        if len(known) < 2:
            continue
        dense = np.array(table.xreplace({s: sp.Float(values[s], 17) for s in table.free_symbols}), float)
        varying = np.diag(dense) > 0
        if np.any(np.abs(dense[~varying]) > 1e-9 * np.max(np.diag(dense))):
            return False  # what does not vary has no covariance
        dense = dense[np.ix_(varying, varying)]
        size = np.sqrt(np.diag(dense))
        if size.size and np.linalg.eigvalsh(dense / np.outer(size, size)).min() < -1e-6:
            return False
    return True


def _known_block(table: sp.Matrix, values: set[sp.Symbol]) -> list[int]:
    """Members whose covariances with each other are all known: replicas and perturbations share a block with fields
    whose own law is solved first."""
    known: list[int] = []
    for k in range(table.rows):
        if all(table[k, m].free_symbols <= values for m in (*known, k)):
            known.append(k)
    return known


def relative_errors(values: Values, errors: Mapping[sp.Symbol, float]) -> list[float]:
    """Errors relative to the natural scale of each unknown.

    A variance is its own scale; a mean or a covariance may vanish, and is measured against the variances.
    """
    largest = max((abs(values[s]) for s in errors if s.is_nonnegative), default=0.0)
    floor = min(largest, largest**0.5)
    scales = {s: abs(values[s]) if s.is_nonnegative else max(abs(values[s]), floor) for s in errors}
    return [error / scales[s] for s, error in errors.items() if scales[s] > 0]


def share_common_factors(system: System, law: Law) -> System:
    """Give a name to an average or closed form that several unknowns are multiples of, so that they count as one.

    q_1 = s_1^2 E[h^2] and q_2 = s_2^2 E[h^2] become two multiples of one new unknown.
    """
    splits = {symbol: _split_constant(right, system) for symbol, right in system.equations.items()}
    cores = [core for _, core in splits.values() if core.has(Average, sp.Function) or isinstance(core, sp.Add)]
    shared = {
        core: sp.Symbol(f"shared[{number}]", nonnegative=True)
        for number, core in enumerate(dict.fromkeys(core for core in cores if cores.count(core) > 1))
        if all(symbol.is_nonnegative for symbol, (_, own) in splits.items() if own == core)
    }
    equations = {
        symbol: factor * shared[core] if core in shared else system.equations[symbol]
        for symbol, (factor, core) in splits.items()
    }
    return System(equations | {symbol: core for core, symbol in shared.items()}, system.names)


def _split_constant(right: sp.Expr, system: System) -> tuple[sp.Expr, sp.Expr]:
    """Factor out what holds neither averages nor unknowns."""
    factors = sp.Mul.make_args(right)
    constant = [f for f in factors if not f.has(Average) and not f.free_symbols & set(system.equations)]
    return sp.Mul(*constant), sp.Mul(*[f for f in factors if f not in constant])


def feedback_set(graph: Mapping[sp.Symbol, frozenset[sp.Symbol]]) -> tuple[sp.Symbol, ...]:
    """A smallest set of unknowns without which the dependency graph has no cycle.

    Raises SizeError beyond `MAX_UNKNOWNS` unknowns.
    """
    if len(graph) > MAX_UNKNOWNS:
        raise SizeError(f"{len(graph)} coupled unknowns (limit {MAX_UNKNOWNS})")
    core = _cyclic_core(graph)
    candidates = sorted(core, key=lambda symbol: (not symbol.is_nonnegative, str(symbol)))
    for size in range(len(candidates) + 1):
        for chosen in combinations(candidates, size):
            if not _cyclic_core({s: d - set(chosen) for s, d in graph.items() if s not in chosen}):
                return chosen
    return tuple(candidates)


def _cyclic_core(graph: Mapping[sp.Symbol, frozenset[sp.Symbol]]) -> set[sp.Symbol]:
    """What is left after removing unknowns that need nothing left, or that nothing left needs."""
    left = dict(graph)
    while True:
        needed = set().union(*left.values()) if left else set()
        free = [s for s, d in left.items() if not (d & set(left)) or s not in needed]
        if not free:
            return set(left)
        for symbol in free:
            del left[symbol]


def _topological(graph: Mapping[sp.Symbol, frozenset[sp.Symbol]], known: set[sp.Symbol]) -> tuple[sp.Symbol, ...]:
    order: list[sp.Symbol] = []
    waiting = [symbol for symbol in graph if symbol not in known]
    while waiting:
        ready = next(s for s in waiting if graph[s] <= known)
        waiting.remove(ready)
        known = known | {ready}
        order.append(ready)
    return tuple(order)
