"""All points of a chunk at once, from tables of averages; what those cannot give is solved point by point.

Which engine evaluates a sweep is decided once, from the theory and what is asked, and is part of the job.  Points that
go the slower way give the same numbers within their errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from derive.cell.arithmetic import names_in
from derive.cell.parameters import evaluate, input_settings
from derive.cell.reader import parse_cell
from derive.cell.spec import Cell
from derive.errors import ParameterError
from derive.theory import Theory
from solvers.budget import check_budget
from solvers.grid import Found, Plan, Unsupported
from solvers.grid.scalar import compiler_version
from solvers.sweep.design import Array
from solvers.sweep.engine import ABSENT, CONVERGED, NO_SOLUTION, NOT_CONVERGED, Answer, Engine, Points, Request
from solvers.sweep.pointwise import POINTWISE, evaluate_points, theory_of
from solvers.sweep.quantities import Quantity

POINTS = 16_384
"""Points of a chunk: a fraction of a second, and arrays that stay in the cache."""

DOUBTFUL = 1e-7
"""Relative error above which a point is solved on its own, where averages are as exact as they can be: near folds."""


def engine_for(
    theory: Theory, quantities: Sequence[Quantity], fixed: Mapping[str, float], swept: Sequence[str]
) -> Engine:
    """The engine that evaluates these quantities of a theory; its note says why, where it is not the quick one."""
    try:
        Plan(theory, fixed, swept, [q.name for q in quantities], compiler=False)
    except Unsupported as reason:
        return replace(POINTWISE, note=f"every point is solved on its own: {reason}")
    version = compiler_version()
    note = "" if version else "Numba is not installed: tables are read by NumPy, which takes about ten times as long"
    return Engine(f"tables, numba {version}" if version else "tables, numpy", POINTS, evaluate_from_tables, note)


@lru_cache(maxsize=4)
def plan_of(
    cell: str, ansatz: str, fixed: tuple[tuple[str, float], ...], swept: tuple[str, ...], names: tuple[str, ...]
) -> Plan:
    """The compiled plan of a job, made once in each process."""
    return Plan(theory_of(cell, ansatz), dict(fixed), swept, names)


def evaluate_from_tables(request: Request, points: Points) -> Answer:
    """Solve all points of a chunk.

    Raises
    ------
    BudgetSpent : the time is over; nothing of the chunk is returned.
    """
    check_budget()
    swept = tuple(points.swept)
    names = tuple(quantity.name for quantity in request.quantities)
    plan = plan_of(request.cell, request.ansatz, tuple(sorted(request.parameters.items())), swept, names)
    answer = Answer.empty(request, len(points))
    good = ~refused(parse_cell(request.cell), request.parameters, points.swept)
    index = np.nonzero(good)[0]
    if index.size:
        run = points.shape[-1] if index.size == len(points) else 1
        found = plan.evaluate(
            [points.swept[name][index] for name in swept], run, request.tol, largest=request.solutions is None
        )
        good[index] &= settled(found)
        _record(answer, request, found, index, good)
    alone = np.nonzero(~good)[0]
    if alone.size:
        _merge(answer, alone, evaluate_points(request, _some(points, alone)))
    return answer


def settled(found: Found) -> NDArray[np.bool_]:
    """Points of which everything asked is known to more than `DOUBTFUL`."""
    good = found.known.copy()
    for name, values in found.values.items():
        edge = name.startswith("spectral")
        missing = np.isnan(values) & found.exists & ~(found.empty if edge else False)
        with np.errstate(invalid="ignore"):
            poor = found.exists & ~np.isnan(values) & ~(found.errors[name] <= DOUBTFUL * np.abs(values) + 1e-300)
        good &= ~(missing | poor).any(axis=1)
    return good


def _record(
    answer: Answer, request: Request, found: Found, index: NDArray[np.int64], good: NDArray[np.bool_]
) -> None:
    """Put what is settled into the answer of the chunk."""
    keep = good[index]
    rows, exists = index[keep], found.exists[keep]
    count = exists.sum(axis=1)
    answer.found[rows] = count
    room = 1 if request.solutions is None else request.solutions
    first = np.maximum(count - room, 0)  # of too many solutions those with the largest Q are kept
    for place in range(room):
        column = first + place
        has = column < count
        where = rows[has] if request.solutions is None else (rows[has], place)
        taken = np.nonzero(keep)[0][has], column[has]
        for quantity in request.quantities:
            answer.values[quantity.name][where] = _columns(found.values, quantity, taken)
            answer.errors[quantity.name][where] = _columns(found.errors, quantity, taken)
        answer.judge(where, CONVERGED, "")
        if request.solutions is not None:
            answer.verdict[rows[~has & (count > 0)], place] = ABSENT
    answer.judge(rows[count == 0], NO_SOLUTION, "no solution was found")
    crowded = rows[count > room] if request.solutions is not None else rows[:0]
    for k in crowded:
        answer.judge(
            k, NOT_CONVERGED, f"more than {room} solutions: those with the largest Q are kept; raise --solutions"
        )


def _columns(
    table: Mapping[str, Array], quantity: Quantity, taken: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Array:
    if not quantity.dimension:
        return table[quantity.name][taken]
    return np.stack([table[f"{quantity.name}[{label}]"][taken] for label in quantity.labels], axis=-1)


def _some(points: Points, index: NDArray[np.int64]) -> Points:
    return Points({n: v[index] for n, v in points.swept.items()}, points.numbers[index], (index.size,))


def _merge(answer: Answer, index: NDArray[np.int64], own: Answer) -> None:
    for name, values in own.values.items():
        answer.values[name][index] = values
    for name, errors in own.errors.items():
        answer.errors[name][index] = errors
    answer.verdict[index], answer.reason[index], answer.found[index] = own.verdict, own.reason, own.found


# Parameters that no distribution has -------------------------------------------------------------------------------


def refused(cell: Cell, fixed: Mapping[str, float], swept: Mapping[str, Array]) -> NDArray[np.bool_]:
    """Points at which a gain, bias or input has no distribution; each declaration is looked at for the values of its
    own parameters only, so that a grid costs as much as its axes."""
    found = np.zeros(len(next(iter(swept.values()))), bool)
    for names, check in _declarations(cell):
        own = sorted(names & set(swept))
        if not own:
            continue
        values, place = np.unique(np.stack([swept[name] for name in own]), axis=1, return_inverse=True)
        numbers = [dict(zip(own, map(float, column), strict=True)) for column in values.T]
        found |= np.array([not _allowed(check, {**fixed, **given}) for given in numbers])[place.ravel()]
    return found


def _declarations(cell: Cell) -> Iterator[tuple[set[str], Callable[[Mapping[str, float]], bool]]]:
    """Names of parameters that a declaration holds, and whether values of them are allowed."""
    for weight in cell.weights.values():
        yield names_in(weight.gain), lambda values, g=weight.gain: evaluate(g, values) >= 0  # type: ignore[misc]
    for bias in cell.biases.values():
        yield names_in(bias.std), lambda values, s=bias.std: evaluate(s, values) >= 0  # type: ignore[misc]
        yield names_in(bias.mean), lambda values, m=bias.mean: np.isfinite(evaluate(m, values))  # type: ignore[misc]
    for drive in cell.inputs.values():
        names = names_in(drive.variance) | names_in(drive.mean) | names_in(drive.correlation)
        yield names, lambda values, d=drive: bool(input_settings(d, values))  # type: ignore[misc]


def _allowed(check: Callable[[Mapping[str, float]], bool], values: Mapping[str, float]) -> bool:
    try:
        return bool(check(values))
    except ParameterError:
        return False
