"""The time budget of a command: work that asks stops by itself, work that does not is stopped by a timer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from solvers.budget import BudgetSpent, budget

GRACE = 1.0
"""Seconds after the end of the budget in which work may stop of its own accord, with what it has."""


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Limit the work inside to ``seconds`` (None: no limit); raises BudgetSpent where nothing catches it earlier."""
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        with budget(seconds):
            yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)
    try:
        with budget(seconds):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def stop_alarm() -> None:
    """No alarm any more: the work has stopped, and what is left is to write what it found."""
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _ring(number: int, frame: FrameType | None) -> None:
    raise BudgetSpent("stopped by the time budget")
