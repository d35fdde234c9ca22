"""From several network sizes to one number, and from that number and the theory's to a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from solvers.simulate.elementwise import Array

AGREES, DISAGREES, INCONCLUSIVE = "agrees", "disagrees", "inconclusive"
LEVEL = 0.0027
"""Two-sided level of three standard deviations, shared among the rows (Bonferroni)."""

PRECISION = 0.02
VISIBLE, POWER = 0.05, 2.0
"""A row may agree only if its error is below 2 % of the scale and, where the scale is theory's number itself, so small
that a deviation of 5 % would be past the threshold by two more standard errors: agreement then means something."""

BEND = 2.5  # standard errors beyond which two extrapolations differ

ROUNDING = 1e-10
SIZES = ((4, 4), (2, 2), (1, 1))
"""(divisor of N, networks per network of N units): what the small ones cost is little, and each size then weighs
about the same."""


def network_sizes(N: int, seeds: int) -> tuple[tuple[int, int], ...]:
    """(units, number of networks), smallest first, so that a budget that ends early leaves the cheap ones."""
    return tuple((N // divisor, count * seeds) for divisor, count in SIZES)


@dataclass(frozen=True)
class Sizes:
    """One quantity measured at several sizes.

    values : units -> one value per network, nan where a network gave none; power : the quantity approaches its limit
    as N^-power (1: averages over units; 1/2: counts at an edge, whose width is N^-1/2); excess : a count whose limit
    is approached faster than that from above, so that less than nothing means nothing.
    """

    quantity: str
    values: Mapping[int, Array]
    power: float = 1.0
    excess: bool = False


@dataclass(frozen=True)
class Limit:
    """value, standard_error : extrapolated to N -> infinity; dof : degrees of freedom of the standard error;
    correction : limit minus what the fit says at the largest N; residual : what the extrapolation may have left."""

    value: float
    standard_error: float
    dof: float
    correction: float
    residual: float


def limit_of(sizes: Sizes) -> Limit:
    """Fit m(N) = m + c N^-p by least squares.

    The scatter of a few networks is itself uncertain by a third, so each size's own variance is averaged with what
    all sizes together say by the laws N^-1 for averages and N^-3/2 for counts at an edge (measured for independent
    Gaussian matrices: the standard deviation falls by 1.68 = 2^(3/4) per doubling).  The residual is what a next term
    c N^-(p + 1/2), as large as the first, would do to m.
    """
    values = {units: table[np.isfinite(table)] for units, table in sizes.values.items()}
    largest = max(values)
    if min(len(table) for table in values.values()) < 2:
        rest = values[largest]
        return Limit(float(rest.mean()) if rest.size else math.nan, math.inf, 1.0, 0.0, 0.0)
    units = np.array([float(n) for n in values])
    counts = np.array([float(len(table)) for table in values.values()])
    means = np.array([float(table.mean()) for table in values.values()])
    law = np.column_stack([np.ones(units.size), (units / largest) ** -sizes.power])
    own = np.array([float(table.var(ddof=1)) for table in values.values()])
    freedom = counts - 1.0
    fall = (units / largest) ** -(1.0 if sizes.power == 1.0 else 1.5)
    variances = 0.5 * (own + fall * float(np.sum(freedom * own / fall) / freedom.sum()))
    weights = counts / np.where(variances > 0, variances, 1.0)
    solve = np.linalg.solve(law.T @ (weights[:, None] * law), (weights[:, None] * law).T)
    limit, slope = solve @ means
    parts = solve[0] ** 2 * variances / counts
    variance = float(parts.sum())
    dof = float(freedom.sum())
    if variance > 0:  # Welch-Satterthwaite, with the freedom of an average of an own and a common variance
        shared = 4.0 / (1.0 / freedom + 3.0 / freedom.sum())
        dof = 1.0 / float(np.sum((parts / variance) ** 2 / shared))  # ratios: the square of a variance may underflow
    residual = abs(slope) * abs(float(solve[0] @ (units / largest) ** -(sizes.power + 0.5))) / math.sqrt(largest)
    residual = max(residual, _curvature(units, means, variances / counts, sizes.power, limit, variance))
    if sizes.excess:
        limit = max(limit, 0.0)
    return Limit(float(limit), math.sqrt(variance), dof, -float(slope), residual)


def _curvature(
    units: Array, means: Array, errors: Array, power: float, limit: float, variance: float
) -> float:
    """How far the limit moves if the smallest networks are left out, where that is more than chance.

    Near a transition the corrections fall more slowly than N^-p, and the fit bends: then N is too small to tell.
    """
    if len(units) < 3:
        return 0.0
    two = np.argsort(units)[-2:]
    small, large = units[two] ** -power
    weights = np.array([-large, small]) / (small - large)
    moved = abs(float(weights @ means[two]) - limit)
    chance = math.sqrt(max(float(weights**2 @ errors[two]) - variance, 0.0))
    return moved if moved > BEND * chance else 0.0


@dataclass(frozen=True)
class ComparisonRow:
    """One line of a comparison.

    solution : index in the theory's list; measured, standard_error : extrapolated to N -> infinity; combined : theory
    error, standard error and what the extrapolation leaves; scale : what 2 % refers to; z : in standard normals,
    corrected for the few degrees of freedom.
    """

    solution: int
    quantity: str
    theory: float
    theory_error: float
    measured: float
    standard_error: float
    combined: float
    dof: float
    scale: float
    finite_size: float = 0.0
    z: float = math.nan
    verdict: str = INCONCLUSIVE
    settled: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of this row."""
        return {
            "solution": self.solution,
            "quantity": self.quantity,
            "theory": _plain(self.theory),
            "theory_error": _plain(self.theory_error),
            "measured": _plain(self.measured),
            "standard_error": _plain(self.standard_error),
            "finite_size": _plain(self.finite_size),
            "z": _plain(self.z),
            "verdict": self.verdict,
        }


def compare_row(
    solution: int, sizes: Sizes, theory: float, theory_error: float, scale: float, *, settled: bool = True
) -> ComparisonRow:
    """A row without its verdict, which needs the number of all rows."""
    limit = limit_of(sizes)
    rounding = ROUNDING * max(scale, abs(theory))
    combined = math.sqrt(theory_error**2 + limit.standard_error**2 + limit.residual**2 + rounding**2)
    return ComparisonRow(
        solution, sizes.quantity, theory, theory_error, limit.value, limit.standard_error, combined, limit.dof, scale,
        limit.correction, settled=settled,
    )  # fmt: skip


def judge(rows: Sequence[ComparisonRow]) -> tuple[ComparisonRow, ...]:
    """Give every row its z and verdict; the threshold is corrected for the number of rows."""
    if not rows:
        return ()
    threshold = float(stats.norm.isf(0.5 * LEVEL / len(rows)))
    return tuple(_judged(row, threshold) for row in rows)


def _judged(row: ComparisonRow, threshold: float) -> ComparisonRow:
    if not (math.isfinite(row.combined) and math.isfinite(row.measured) and math.isfinite(row.theory)):
        return replace(row, verdict=INCONCLUSIVE)
    t = (row.measured - row.theory) / row.combined if row.combined > 0 else 0.0
    # Few networks make the standard error itself uncertain: Student's law, said in standard normals.  What is not
    # of statistical origin in the combined error has no such uncertainty.
    share = (row.standard_error / row.combined) ** 2 if row.combined > 0 else 0.0
    dof = row.dof / max(share, 1e-6) ** 2
    p = 2.0 * float(stats.t.sf(abs(t), dof))
    z = math.copysign(float(stats.norm.isf(0.5 * p)) if p > 0 else abs(t), t) if t else 0.0
    if abs(z) > 1e3 or not math.isfinite(z):
        z = t
    needed = float(stats.t.isf(stats.norm.sf(threshold), dof))  # the threshold in combined errors
    precise = row.combined < PRECISION * row.scale
    vanishing = abs(row.theory) < 0.5 * row.scale  # measured against a natural scale, not against itself
    precise = precise and (vanishing or (needed + POWER) * row.combined < VISIBLE * row.scale)
    verdict = INCONCLUSIVE
    if row.settled and precise:
        verdict = AGREES if abs(z) < threshold else DISAGREES
    elif row.settled and abs(z) >= threshold and abs(row.measured - row.theory) > VISIBLE * row.scale:
        verdict = DISAGREES  # far off, whatever the precision
    return replace(row, z=z, verdict=verdict)


def overall(rows: Sequence[ComparisonRow]) -> str:
    """One row that disagrees decides; agreement needs all of them."""
    verdicts = {row.verdict for row in rows}
    if DISAGREES in verdicts:
        return DISAGREES
    return AGREES if verdicts == {AGREES} else INCONCLUSIVE


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
