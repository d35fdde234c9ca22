"""How many kinds there are when some were seen once and some twice: the estimator of Chao (1984), bias-corrected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from solvers.averages import Estimate

LOWER = (
    "estimated: fixed points found and those missed, by how many were met once and twice (Chao1); a lower bound where "
    "some are much harder to reach than others"
)


def unseen(captures: Sequence[int]) -> Estimate:
    """Kinds that were never met, from how often each of the others was, with a standard error.

    captures : at least one for each kind that was met.
    """
    table = np.asarray(captures, dtype=int)
    total, kinds = int(table.sum()), int(table.size)
    if not kinds:
        return Estimate(0.0, np.inf)
    once, twice = int(np.sum(table == 1)), int(np.sum(table == 2))
    share = (total - 1) / total
    if twice:
        ratio = once / twice
        variance = twice * (share * ratio**2 / 2 + share**2 * ratio**3 + share**2 * ratio**4 / 4)
        return Estimate(share * once * (once - 1) / (2 * (twice + 1)), float(np.sqrt(variance)))
    value = share * once * (once - 1) / 2
    variance = value + share**2 * once * (2 * once - 1) ** 2 / 4 - share**2 * once**4 / (4 * (kinds + value))
    return Estimate(value, float(np.sqrt(max(variance, 0.0))))
