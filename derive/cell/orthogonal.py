"""Another cell from a cell: some weights orthogonal instead of Gaussian (``--orthogonal``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from derive.cell.names import did_you_mean
from derive.cell.spec import Cell
from derive.errors import ParameterError


def orthogonal(cell: Cell, names: Iterable[str]) -> Cell:
    """The cell with each weight of ``names`` its gain times a Haar-orthogonal matrix.

    Raises
    ------
    ParameterError : a name that is no weight of the cell.
    """
    weights = dict(cell.weights)
    for name in names:
        if name not in weights:
            guess = did_you_mean(name, list(weights))
            raise ParameterError(
                f"--orthogonal {name}: {cell.name} has no weight `{name}`; there are {', '.join(weights) or 'none'}. "
                f"{guess}".strip()
            )
        weights[name] = replace(weights[name], ensemble="haar")
    return replace(cell, weights=weights)


def weight_names(texts: Iterable[str]) -> list[str]:
    """``W_h,W_z`` and the like, split at commas."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]
