"""Worker processes of this machine: they end with the process that started them, however it ends."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from types import TracebackType

from threadpoolctl import threadpool_limits


class Pool:
    """Processes that can be replaced when one of them dies.

    ``submit`` and ``executor`` are those of the present processes; ``renew`` ends them, and the next work finds new
    ones.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._start()

    def _start(self) -> None:
        context = _context()
        self._end_of_workers, self._end_of_ours = context.Pipe(duplex=False)
        self.executor = ProcessPoolExecutor(
            self.jobs, mp_context=context, initializer=_begin, initargs=(self._end_of_workers,)
        )

    def renew(self) -> None:
        """New processes in place of broken ones."""
        self._stop()
        self._start()

    def _stop(self) -> None:
        self._end_of_ours.close()  # the workers' signal to leave, whatever they are doing
        self.executor.shutdown(wait=False, cancel_futures=True)
        self._end_of_workers.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()


def _context() -> multiprocessing.context.BaseContext:
    """Processes are copied from one that has imported what they need, and has no threads yet.

    A copy of this process itself, which has, might inherit a lock that nobody will release.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["solvers.sweep.chunk", "solvers.sweep.tabulated", "solvers.sweep.networks"])
    return context


def _begin(line: Connection) -> None:
    """Set up a worker: interrupts are for the parent, one thread for linear algebra, no life after the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(limits=1, user_api="blas")
    threading.Thread(target=_leave_with, args=(line,), daemon=True).start()


def _leave_with(line: Connection) -> None:
    """Wait until the other end of the line is closed, by will or by death, and end this process."""
    try:
        line.poll(None)
    finally:
        os._exit(0)
