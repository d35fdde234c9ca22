"""One factor of a Mehler average: tabulated on a product rule in its own few directions, and analysed there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from solvers.budget import check_budget
from solvers.codegen.axes import AxisRule, largest_gap
from solvers.codegen.hermite import weighted_hermite
from solvers.codegen.rules import ROUNDOFF

Factor = Callable[[np.ndarray], np.ndarray]
"""Standard normal coordinates (p, n) to values (n,)."""

_CHUNK = 400_000
_RESOLVED = 0.75  # share of the Nyquist frequency up to which a Hermite polynomial counts as resolved
_CORE = 5.0  # beyond this distance the normal law has weight 1e-6, and coarser nodes do no harm
_HIGHEST = 600


@dataclass(frozen=True)
class FactorTable:
    """f(x) sqrt(w(x)) on the nodes of a product rule inside a ball; zero outside it.

    rules: one per direction, p in all; table: (n_1, ..., n_p); evaluations: nodes inside the ball.
    """

    rules: tuple[AxisRule, ...]
    radius: float
    table: np.ndarray
    evaluations: int

    @property
    def dimension(self) -> int:
        """Number of directions."""
        return len(self.rules)

    @cached_property
    def grams(self) -> list[np.ndarray]:
        """E[f(.., x_i, ..) f(.., x_j, ..)] over all directions but one, weights of that one included; (n, n) each."""
        found = []
        for axis in range(self.dimension):
            check_budget()
            rows = np.moveaxis(self.table, axis, 0).reshape(self.table.shape[axis], -1)
            found.append(rows @ rows.T)
        return found

    @cached_property
    def norm(self) -> float:
        """E[f^2]."""
        return float(np.trace(self.grams[0]))

    def resolved(self, axis: int) -> int:
        """Highest degree that the nodes of a direction resolve: h_n oscillates with wave number sqrt(n) at most."""
        return resolved_degree(self.rules[axis])

    def tails(self, axis: int, degree: int) -> np.ndarray:
        """Share of E[f^2] in Hermite degrees above n = 0 ... degree of one direction, (degree + 1,).

        Parseval: E[f^2] minus the squares of the coefficients up to n, never claimed to be less than what rounding
        and the rule leave uncertain.
        """
        rule, gram = self.rules[axis], self.grams[axis]
        basis = weighted_hermite(rule.nodes, rule.weights, degree)
        energy = np.cumsum(np.einsum("ni,ij,nj->n", basis, gram, basis, optimize=True))
        uncertain = float(rule.error((np.diag(gram) / rule.weights)[None, :])[0]) + ROUNDOFF * self.norm
        return np.asarray(np.abs(self.norm - energy) + uncertain)

    def coefficients(self, degrees: Sequence[int]) -> np.ndarray:
        """E[f h_n1(x_1) ... h_np(x_p)], shape (d_1 + 1, ..., d_p + 1)."""
        return _transformed(self.table, self._bases(degrees))

    def products(self, coefficients: np.ndarray) -> np.ndarray:
        """Terms of the average of f times a sum of Hermite polynomials; the shape of the table."""
        bases = self._bases([n - 1 for n in coefficients.shape])
        return np.asarray(self.table * _transformed(coefficients, [basis.T for basis in bases]))

    def shell(self) -> np.ndarray:
        """Which nodes lie in the outermost half unit of the ball."""
        return np.asarray(_square(self.rules) >= (self.radius - 0.5) ** 2)

    def _bases(self, degrees: Sequence[int]) -> list[np.ndarray]:
        return [weighted_hermite(rule.nodes, rule.weights, n) for rule, n in zip(self.rules, degrees, strict=True)]


def tabulate(f: Factor, rules: Sequence[AxisRule], radius: float) -> FactorTable:
    """Evaluate a factor on the nodes inside the ball, slab by slab along the first direction."""
    nodes, weights = [rule.nodes for rule in rules], [rule.weights for rule in rules]
    table = np.zeros([x.size for x in nodes])
    thickness = max(1, _CHUNK // max(1, table[0].size))
    square = _square(rules)
    used = 0
    for start in range(0, nodes[0].size, thickness):
        check_budget()
        part = slice(start, start + thickness)
        inside = square[part] <= radius**2
        picks = np.nonzero(inside)
        x = np.array([nodes[0][part][picks[0]], *(own[pick] for own, pick in zip(nodes[1:], picks[1:], strict=True))])
        scale = weights[0][part][picks[0]]
        for own, pick in zip(weights[1:], picks[1:], strict=True):
            scale = scale * own[pick]
        with np.errstate(all="ignore"):
            table[part][inside] = f(x) * np.sqrt(scale)
        used += x.shape[1]
    return FactorTable(tuple(rules), radius, table, used)


def resolved_degree(rule: AxisRule) -> int:
    """Highest Hermite degree whose oscillations the nodes of a rule follow where the normal law has weight."""
    return min(int((_RESOLVED * np.pi / largest_gap(rule, _CORE)) ** 2), _HIGHEST)


def resolving(rule: AxisRule, degree: int) -> AxisRule:
    """The same rule, its nodes close enough for Hermite polynomials up to a degree."""
    return rule.spaced(_RESOLVED * np.pi / np.sqrt(min(degree, _HIGHEST) + 1.0), _CORE)


def _square(rules: Sequence[AxisRule]) -> np.ndarray:
    total = np.zeros([1] * len(rules))
    for axis, rule in enumerate(rules):
        total = total + (rule.nodes**2).reshape([-1 if k == axis else 1 for k in range(len(rules))])
    return total


def _transformed(table: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Every axis of the table multiplied by its matrix (new, old)."""
    for matrix in matrices:
        table = np.tensordot(table, matrix, axes=(0, 1))  # takes the first axis, returns it as the last
    return table
