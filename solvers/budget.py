"""A wall-clock budget that long work checks as it goes; when it is spent, work stops with what it has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from derive.errors import GatefieldError

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


class BudgetSpent(GatefieldError):  # noqa: N818 - running out of time is an outcome, not an error
    """The time given with ``--budget`` is over."""


@contextmanager
def budget(seconds: float | None) -> Iterator[None]:
    """Limit the work inside to ``seconds`` of wall-clock time (None: no limit), and to what is left of a budget around.
    """
    limits = [_deadline.get(), None if seconds is None else time.monotonic() + seconds]
    token = _deadline.set(min((limit for limit in limits if limit is not None), default=None))
    try:
        yield
    finally:
        _deadline.reset(token)


def check_budget() -> None:
    """Raise BudgetSpent if the time is over."""
    if (deadline := _deadline.get()) is not None and time.monotonic() > deadline:
        raise BudgetSpent("stopped by the time budget")


def time_left() -> float | None:
    """Seconds left, never negative; None without a limit."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())
