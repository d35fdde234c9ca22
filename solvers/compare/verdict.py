"""From two network sizes to one number, and from that number and the theory's to a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from solvers.simulate.elementwise import Array

AGREES, DISAGREES, INCONCLUSIVE = "agrees", "disagrees", "inconclusive"
LEVEL = 0.0027
"""Two-sided level of three standard deviations, shared among the rows (Bonferroni)."""

PRECISION = 0.02
VISIBLE = 0.05
"""A row may agree only if its error is below 2 % of the scale and, where theory's number is not zero, small enough
for a deviation of 5 % to be seen at the threshold."""

ROUNDING = 1e-10
HALF_SEEDS = 2
"""Networks of N/2 units per network of N: they are cheap, and the extrapolation magnifies their error."""


@dataclass(frozen=True)
class Sizes:
    """One quantity measured at two sizes.

    full, half : one value per network of N and of N/2 units; power : the quantity approaches its limit as
    N^-power (1: averages over units; 1/2: counts at an edge, whose width is N^-1/2);
    excess : a count whose limit is approached faster than that from above, so that less than nothing means nothing.
    """

    quantity: str
    full: Array
    half: Array
    power: float = 1.0
    excess: bool = False


@dataclass(frozen=True)
class Limit:
    """value, standard_error : extrapolated to N -> infinity; dof : degrees of freedom of the standard error;
    correction : limit minus the value at N; residual : what the extrapolation may have left."""

    value: float
    standard_error: float
    dof: float
    correction: float
    residual: float


def limit_of(sizes: Sizes, N: int) -> Limit:
    """m(N) = m + c N^-p, so m = m(N) + (m(N) - m(N/2)) / (2^p - 1).

    The next term of the law is smaller by a factor of order N^-1/2 (taken at N/2), which is the residual.
    The extrapolation magnifies the standard error (p = 1, twice as many networks of N/2: by sqrt(5)); that is the price.
    """
    full, half = _finite(sizes.full), _finite(sizes.half)
    if full.size < 2 or half.size < 2:
        value = float(full.mean()) if full.size else math.nan
        return Limit(value, math.inf, 1.0, 0.0, 0.0)
    gain = 1.0 / (2.0**sizes.power - 1.0)
    correction = gain * (full.mean() - half.mean())
    parts = np.array([(1.0 + gain) ** 2 * full.var(ddof=1) / full.size, gain**2 * half.var(ddof=1) / half.size])
    variance = float(parts.sum())
    dof = full.size + half.size - 2.0
    if variance > 0:  # Welch-Satterthwaite
        dof = variance**2 / float(parts[0] ** 2 / (full.size - 1) + parts[1] ** 2 / (half.size - 1))
    value = float(full.mean() + correction)
    if sizes.excess:
        value = max(value, 0.0)
    return Limit(value, math.sqrt(variance), dof, float(correction), abs(float(correction)) * math.sqrt(2.0 / N))


def _finite(values: Array) -> Array:
    return np.asarray(values)[np.isfinite(values)]


@dataclass(frozen=True)
class ComparisonRow:
    """One line of a comparison.

    solution : index in the theory's list; measured, standard_error : extrapolated from N/2 and N; combined : theory
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
    solution: int, sizes: Sizes, N: int, theory: float, theory_error: float, scale: float, *, settled: bool = True
) -> ComparisonRow:
    """A row without its verdict, which needs the number of all rows."""
    limit = limit_of(sizes, N)
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
    precise = row.combined < PRECISION * row.scale
    precise = precise and (row.theory == 0.0 or threshold * row.combined < VISIBLE * row.scale)
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
