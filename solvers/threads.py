"""Linear algebra on one thread, where there are many small matrices and threads only wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

Given = ParamSpec("Given")
Result = TypeVar("Result")


def one_thread(work: Callable[Given, Result]) -> Callable[Given, Result]:
    """Work that never uses more than one thread for linear algebra; before and after, the limits are the caller's."""

    @wraps(work)
    def alone(*given: Given.args, **named: Given.kwargs) -> Result:
        with threadpool_limits(limits=1, user_api="blas"):
            return work(*given, **named)

    return alone
