"""Errors of averages over correlated time series, from the means of batches."""

from __future__ import annotations

import numpy as np

from solvers.simulate.elementwise import Array


def batch_errors(series: Array, batches: int) -> Array:
    """Standard error of the mean over the first axis of (n, ...), from the scatter of the means of its parts.

    Right where a part is longer than the correlation time; nan where there are fewer entries than parts.
    """
    if len(series) < batches:
        return np.full(np.shape(series)[1:], np.nan)
    means = np.array([part.mean(axis=0) for part in np.array_split(series, batches)])
    with np.errstate(invalid="ignore"):
        return np.asarray(means.std(axis=0, ddof=1) / np.sqrt(batches))
