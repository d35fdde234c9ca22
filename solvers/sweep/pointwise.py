"""One point after the other by `solvers.solve.solve`: any theory, every quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from derive.cell.reader import parse_cell
from derive.errors import GatefieldError, ParameterError
from derive.pipeline import derive_theory
from derive.theory import Theory
from solvers.budget import BudgetSpent, check_budget
from solvers.result import CONVERGED as GOOD
from solvers.solution import Solution, Solved
from solvers.solve import solve
from solvers.sweep.design import Array
from solvers.sweep.engine import (
    ABSENT,
    CONVERGED,
    FAILED,
    NO_SOLUTION,
    NOT_CONVERGED,
    REFUSED,
    Answer,
    Engine,
    Points,
    Request,
)
from solvers.sweep.quantities import Quantity

POINTS = 16
"""Points of a chunk: seconds to a minute of work, which is what a kill may cost."""


@lru_cache(maxsize=4)
def theory_of(cell: str, ansatz: str) -> Theory:
    """The theory of a cell file's text, derived once in each process."""
    return derive_theory(parse_cell(cell), ansatz)


def evaluate_points(request: Request, points: Points) -> Answer:
    """Solve every point.

    A point that cannot be solved gets its verdict and reason, and the others are solved all the same.

    Raises
    ------
    BudgetSpent : the time is over; nothing of the chunk is returned, for a part of it would not be known as one.
    """
    theory = theory_of(request.cell, request.ansatz)
    answer = Answer.empty(request, len(points))
    for k in range(len(points)):
        check_budget()
        try:
            solved = solve(theory, {**request.parameters, **points.at(k)}, tol=request.tol, seed=request.seed)
        except BudgetSpent:
            raise
        except ParameterError as error:
            answer.judge(k, REFUSED, str(error))
        except GatefieldError as error:
            answer.judge(k, FAILED, str(error))
        except MemoryError:
            answer.judge(k, FAILED, "out of memory")
        except Exception as error:  # a bug at one point must not cost the others; its reason is kept
            answer.judge(k, FAILED, f"unexpected {type(error).__name__}: {error}; this is a bug in gatefield")
        else:
            check_budget()  # `solve` returns what it has when the time is over
            _record(answer, k, request, solved)
    return answer


def _record(answer: Answer, k: int, request: Request, solved: Solved) -> None:
    solutions = solved.solutions
    answer.found[k] = min(len(solutions), np.iinfo(np.int16).max)
    if not solutions:
        answer.judge(k, NO_SOLUTION, "; ".join(solved.notes) or "no solution was found")
        return
    doubt = "" if solved.complete else "the search for solutions is not complete: " + "; ".join(solved.notes)
    if request.solutions is None:
        _put(answer, (k,), request.quantities, solutions[-1], doubt)
        return
    room = request.solutions
    if len(solutions) > room:
        doubt = f"{len(solutions)} solutions, of which the {room} with the largest Q are kept; raise --solutions"
    for j, solution in enumerate(solutions[-room:]):
        _put(answer, (k, j), request.quantities, solution, doubt)
    answer.verdict[k, len(solutions) :] = ABSENT


def _put(
    answer: Answer, place: tuple[int, ...], quantities: Sequence[Quantity], solution: Solution, doubt: str
) -> None:
    for quantity in quantities:
        if quantity.name == "stable":
            answer.values["stable"][place] = np.nan if solution.stable is None else float(solution.stable)
            continue
        answer.values[quantity.name][place] = numbers_of(quantity, solution.numbers)
        answer.errors[quantity.name][place] = numbers_of(quantity, solution.errors)
    reason = "; ".join(text for text in (solution.verdict if solution.verdict != GOOD else "", doubt) if text)
    answer.judge(place, NOT_CONVERGED if reason else CONVERGED, reason)


def numbers_of(quantity: Quantity, table: Mapping[str, Any]) -> Array | float:
    """The numbers of a quantity in the order of its labels; nan for what does not exist."""
    found = table.get(quantity.name)
    if not quantity.dimension:
        return np.nan if found is None else float(found)
    if isinstance(found, Mapping):
        return np.array([_number(found.get(label)) for label in quantity.labels])
    return np.array([np.nan] * len(quantity.labels) if found is None else [_number(value) for value in found])


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


POINTWISE = Engine("pointwise", POINTS, evaluate_points)

