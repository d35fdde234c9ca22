"""Weighted units of one large network: all that the random-matrix theory asks of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SiteMeasure:
    """Site derivatives at weighted nodes, over all fields that a state feeds (fields of inputs alone are dropped).

    A perturbation of one unit obeys  ds' = L ds + a du,  du_k = W_k (b ds + e du)_k  (theory, section 1).

    weights : (n,), sum 1; L : (n, S, S); a : (n, S, K); b : (n, K, S); e : (n, K, K);
    v : (n, K) what is multiplied; u : (n, K) the products alone, nan where they were not asked for (`static_measure`:
    they may need more directions than everything else);
    fields : name of each field; matrices : the matrix of each field, the same name is the same matrix;
    gains : (K,); ensembles : "gaussian" or "haar" for each field; discrete : whether the cell is a map or a flow.
    """

    weights: Array
    L: Array
    a: Array
    b: Array
    e: Array
    u: Array
    v: Array
    fields: tuple[str, ...]
    matrices: tuple[str, ...]
    gains: Array
    ensembles: tuple[str, ...]
    discrete: bool

    @property
    def nodes(self) -> int:
        """Number n of nodes."""
        return int(self.weights.size)

    @property
    def states(self) -> int:
        """Number S of states of a unit."""
        return int(self.L.shape[1])

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Field positions by matrix, in order of first appearance."""
        found: dict[str, tuple[int, ...]] = {}
        for number, name in enumerate(self.matrices):
            found[name] = (*found.get(name, ()), number)
        return found

    def mean(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """E of values (n, ...) at the nodes; shape (...)."""
        return np.asarray(np.tensordot(self.weights, values, axes=1))

    def subset(self, chosen: npt.NDArray[Any]) -> SiteMeasure:
        """The nodes in ``chosen`` (indices or mask), with weights that sum to one again."""
        weights = self.weights[chosen]
        columns: dict[str, Any] = {name: getattr(self, name)[chosen] for name in ("L", "a", "b", "e", "u", "v")}
        return replace(self, weights=weights / weights.sum(), **columns)


def mixture(parts: Sequence[SiteMeasure]) -> SiteMeasure:
    """The nodes of several measures of one cell together, each measure with the same weight."""
    first = parts[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ("L", "a", "b", "e", "u", "v")
    }
    return replace(first, weights=np.concatenate([part.weights for part in parts]) / len(parts), **columns)
