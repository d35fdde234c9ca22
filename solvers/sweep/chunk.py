"""The work of one chunk in whatever process it lands: one at a time, linear algebra on one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

from solvers.budget import BudgetSpent, budget
from solvers.sweep.engine import FAILED, Answer, Points, Request
from solvers.threads import one_thread

Evaluate = Callable[[Request, Points], Answer]

_alone = threading.Lock()
"""Workers of some executors have several threads; symbolic algebra does not stand that."""


def evaluate_chunk(evaluate: Evaluate, request: Request, points: Points, seconds: float | None) -> Answer | None:
    """The answer of a chunk; None if the time was over before it was complete.

    Whatever goes wrong inside becomes the verdict of its points, so that an exception from here is one of the
    executor: a worker that died, or a machine that was lost.
    """
    with _alone, budget(seconds):
        try:
            return one_thread(evaluate)(request, points)
        except BudgetSpent:
            return None
        except MemoryError:
            return failed(request, points, "out of memory")
        except Exception as error:
            return failed(request, points, f"{type(error).__name__}: {error}")


def failed(request: Request, points: Points, reason: str) -> Answer:
    """The answer of a chunk of which nothing could be computed."""
    answer = Answer.empty(request, len(points))
    answer.judge(slice(None), FAILED, reason)
    return answer
