"""Sites by quadrature: tensor grids of Gaussian directions, averages on them, pairs of replicas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Params = dict[str, float]
Kernel = Callable[[complex], dict[tuple[str, str], float]]


class BeyondError(Exception):
    """The evaluator cannot say."""


class NoSolutionError(Exception):
    """No solution of the kind asked for at this parameter point."""


@cache
def line(step: float = 0.25, reach: float = 7.5) -> tuple[Array, Array]:
    """Nodes and weights of the trapezoidal rule for a standard normal variable."""
    count = round(reach / step)
    nodes = step * np.arange(-count, count + 1)
    weights = np.exp(-nodes * nodes / 2)
    return nodes, weights / weights.sum()


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def mean(f: Callable[[Array], Array], centre: float, variance: float) -> float:
    """E f(a), a ~ N(centre, variance)."""
    nodes, weights = line(0.1)
    return float(weights @ f(centre + np.sqrt(variance) * nodes))


def pair(f: Callable[[Array], Array], g: Callable[[Array], Array], centre: float, variance: float, cov: float) -> float:
    """E f(a) g(b), both N(centre, variance) with covariance cov."""
    if variance == 0:
        return mean(f, centre, 0) * mean(g, centre, 0)
    nodes, weights = line()
    sd = np.sqrt(variance)
    rest = np.sqrt(max(variance - cov * cov / variance, 0.0))
    first = f(centre + sd * nodes)
    second = g(centre + cov / sd * nodes[:, None] + rest * nodes[None, :])
    return float((weights * first) @ (second @ weights))


@dataclass
class Axes:
    """Axes of a tensor grid; every array has one entry of its shape for each."""

    rules: list[tuple[Array, Array]]

    def normal(self, axis: int, centre: float, variance: float) -> Array:
        """A Gaussian variable along one axis."""
        return self.along(axis, centre + np.sqrt(variance) * self.rules[axis][0])

    def along(self, axis: int, values: Array) -> Array:
        shape = [1] * len(self.rules)
        shape[axis] = len(values)
        return values.reshape(shape)

    def average(self, values: Array) -> complex:
        """Average over all axes; an axis of length one is one that the values do not depend on."""
        values = np.asarray(values)
        if values.ndim == 0:
            return complex(values)
        for axis in reversed(range(values.ndim)):
            weights = self.rules[axis][1]
            values = values[..., 0] if values.shape[axis] == 1 else values @ weights
        return complex(values)


@dataclass
class Site:
    """One solution of a cell: its numbers, its site variables on a grid, its gain matrix.

    Numbers may be functions, called when first asked for. `other` is the same site with another rule for the states
    of which only two moments are known: averages in which the two differ are beyond this evaluator.
    """

    params: Params
    axes: Axes
    variables: dict[str, Array]
    derivatives: dict[str, Array]
    numbers: dict[str, float | Callable[[], float]]
    kernel: Kernel | None = None
    centre: complex = 0.0
    other: Site | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def number(self, name: str) -> float:
        if name not in self.numbers:
            raise BeyondError(f"no number {name}")
        value = self.numbers[name]
        if callable(value):
            value = self.numbers[name] = float(value())
        return value


def two_moments(average: float, second: float) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Two rules that share mean and second moment and differ in the third."""
    sd = np.sqrt(second - average * average)
    plain = (average + sd * np.array([-1.0, 1.0]), np.array([0.5, 0.5]))
    nodes = np.array([-1.6, 0.1, 1.2])
    weights = np.linalg.solve(np.vander(nodes, 3, increasing=True).T, [1.0, 0.0, 1.0])
    return plain, (average + sd * nodes, weights)


def iterate(step: Callable[[float], float], start: float) -> float:
    """A fixed point by plain iteration."""
    value = start
    for _ in range(3000):
        new = step(value)
        if abs(new - value) <= 1e-15 * abs(new) + 1e-300:
            return new
        value, last = new, value
        if abs(value - last) < 4e-15 * abs(value):
            return value
    raise NoSolutionError("plain iteration does not converge")


def positive(step: Callable[[float], float]) -> float:
    """A fixed point above zero, from one down."""
    value = iterate(step, 1.0)
    if value < 1e-2:
        raise NoSolutionError("only the trivial solution")
    return value


def slope(f: Callable[[float], float], at: float, scale: float, ceiling: float) -> float:
    """df/dx by differences of sixth order, from below where f is not defined above the ceiling."""
    step = 2e-3 * scale
    if at + 3 * step < ceiling:
        offsets, weights = [-3, -2, -1, 1, 2, 3], [-1 / 60, 3 / 20, -3 / 4, 3 / 4, -3 / 20, 1 / 60]
    else:
        offsets = [0, -1, -2, -3, -4, -5, -6]
        weights = [49 / 20, -6, 15 / 2, -20 / 3, 15 / 4, -6 / 5, 1 / 6]
    return sum(w * f(at + k * step) for k, w in zip(offsets, weights, strict=True)) / step


def replica_numbers(overlap: Callable[[float, float], float], Q: float, correlation: float) -> dict[str, Any]:
    """C*, chi_star and xi from the map of the overlap C at input correlation Sigma."""
    found: dict[str, float] = {}

    def fixed() -> float:
        if "C" not in found:
            value = Q / 2
            for _ in range(5000):
                new = min(overlap(value, correlation), Q)
                if abs(new - value) <= 2e-15 * Q:
                    break
                value = new
            else:
                raise NoSolutionError("overlaps do not converge")
            found["C"] = new
        return found["C"]

    def chi() -> float:
        if "chi" not in found:
            found["chi"] = slope(lambda C: overlap(C, correlation), fixed(), Q, Q)
        return found["chi"]

    return {"C_star[h]": fixed, "chi_star": chi, "xi": lambda: -1 / np.log(chi())}
