"""Fields of one step of the untied chain: Gaussians whose covariances are means over a population of sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from solvers.chain.streams import CanonicalSite

Array = npt.NDArray[np.float64]

DEGENERATE = 1e-13  # a conditional variance this much below the variance is rounding


class Conditioner:
    """Gaussians with the covariance gain^2 <w_i w_j> of vectors that become known one after the other.

    rows : Cholesky factor, row by row; a row whose conditional variance is rounding gets no noise of its own.
    """

    def __init__(self, gain: float) -> None:
        self.gain2 = gain**2
        self.known: list[Any] = []
        self.rows: list[list[float]] = []
        self.noise: list[Array] = []

    def extend(self, w: Any, rng: np.random.Generator, size: int) -> tuple[Any, float]:
        """The Gaussian that belongs to ``w``, (M,), and its variance."""
        variance = self.gain2 * mean_product(w, w, size)
        row: list[float] = []
        for earlier, other in zip(self.known, self.rows, strict=True):
            left = self.gain2 * mean_product(w, earlier, size)
            left -= sum(x * y for x, y in zip(row, other, strict=False))
            row.append(left / other[-1] if other[-1] > 0 else 0.0)
        pivot = variance - sum(x * x for x in row)
        row.append(float(np.sqrt(pivot)) if pivot > DEGENERATE * variance else 0.0)
        self.known.append(w)
        self.rows.append(row)
        self.noise.append(rng.standard_normal(size))
        return combined(row, self.noise), variance


def combined(row: Sequence[float], noise: Sequence[Array]) -> Any:
    """One row of a Cholesky factor times the noise so far."""
    value: Any = 0.0
    for factor, part in zip(row, noise, strict=True):
        if factor != 0.0:
            value = value + factor * part
    return value


@dataclass
class FieldLaw:
    """The joint law of the fields of one step, to draw them at other sites.

    rows : per field, its group, and its row of the group's Cholesky factor.
    """

    rows: list[tuple[int, list[float]]] = field(default_factory=list)

    def draw(self, rng: np.random.Generator, size: int) -> list[Any]:
        """The fields at ``size`` fresh sites."""
        noise: dict[int, list[Array]] = {}
        found = []
        for group, row in self.rows:
            known = noise.setdefault(group, [])
            # A row reaches over the noise of both replicas where there are two; what comes after it is not used.
            known.extend(rng.standard_normal(size) for _ in range(len(row) - len(known)))
            found.append(combined(row, known))
        return found


def draw_quenched(
    site: CanonicalSite, two: bool, rng: np.random.Generator, second: np.random.Generator, size: int
) -> tuple[list[Any], list[Any]]:
    """Biases and inputs of replicas a and b; what is b's alone comes from the generator ``second``."""
    own: list[Any] = []
    other: list[Any] = []
    for item in site.draws:
        if item.std == 0.0:
            own.append(np.float64(item.mean))
            other.append(own[-1])
            continue
        noise = rng.standard_normal(size)
        own.append(item.mean + item.std * noise)
        if not two or item.shared == 1.0:
            other.append(own[-1])
            continue
        fresh = second.standard_normal(size)
        other.append(item.mean + item.std * (item.shared * noise + np.sqrt(1.0 - item.shared**2) * fresh))
    return own, other


def mean_product(x: Any, y: Any, size: int) -> float:
    """Mean over ``size`` sites of x y, each an array over sites or one number."""
    if np.ndim(x) == 1 and np.ndim(y) == 1:
        return float(np.dot(x, y)) / size
    # np.mean spends more time on its arguments than on a few thousand sites.
    product = x * y
    return float(np.add.reduce(product)) / size if np.ndim(product) else float(product)
