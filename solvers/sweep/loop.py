"""Chunks out to an executor, answers into the store, until all are there, the time is over or nothing works any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any, TypeVar

from derive.errors import GatefieldError
from solvers.budget import BudgetSpent, check_budget, time_left
from solvers.output import refusal
from solvers.sweep.chunk import evaluate_chunk, failed
from solvers.sweep.engine import Answer
from solvers.sweep.job import Job
from solvers.sweep.lock import Lock
from solvers.sweep.pool import Pool
from solvers.sweep.store import Store

DEATHS = 2
"""A chunk has failed when it has ended this many processes while it was alone in them."""

ATTEMPTS = 3
"""After this many failures of the executor itself at one chunk, the run stops."""

TICK = 0.5
"""Seconds between looks at lock, budget and progress while nothing arrives."""


Result = TypeVar("Result")


class ExecutorError(GatefieldError):
    """The executor does not work; the store is whole and the sweep can be resumed."""


class Immediately(Executor):
    """Everything is done here and now, in this process."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """As `Executor.submit`; the future is finished when it is returned."""
        future: Future[Result] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Loop:
    """One run over chunks.

    workers : a `Pool`, whose processes are renewed when one dies, or any executor; ahead : chunks that are under way
    at once; said : called with (chunk, answer) once it is in the store, and with None now and then.
    """

    def __init__(
        self, job: Job, store: Store, lock: Lock, workers: Pool | Executor, ahead: int,
        said: Callable[[int | None, Answer | None], None],
    ) -> None:  # fmt: skip
        self.job, self.store, self.lock, self.workers, self.ahead, self.said = job, store, lock, workers, ahead, said
        self._flying: dict[Future[Answer | None], int] = {}
        self._suspects: deque[int] = deque()  # were under way when a process died: each goes alone
        self._again: deque[int] = deque()
        self._alone: int | None = None  # the suspect that is under way
        self._deaths: dict[int, int] = {}
        self._attempts: dict[int, int] = {}

    def run(self, chunks: Iterator[int]) -> bool:
        """Whether all chunks are in the store at the end; False if the time was over before.

        Raises
        ------
        OutputError : a chunk could not be written.
        ExecutorError : the executor does not work.
        """
        try:
            while self._fill(chunks):
                done, _ = wait(self._flying, timeout=TICK, return_when=FIRST_COMPLETED)
                self.lock.check()
                check_budget()
                broken = [self._take(future, self._flying.pop(future)) for future in done]
                if any(broken):
                    self._renew()
                self.said(None, None)
        except BudgetSpent:
            return False
        finally:
            for future in self._flying:
                future.cancel()
        return True

    def _fill(self, chunks: Iterator[int]) -> bool:
        """Hand out work; False if there is none left and none under way."""
        if self._suspects:
            if not self._flying:
                self._alone = self._suspects.popleft()
                self._submit(self._alone)
            return True
        while len(self._flying) < self.ahead:
            number = self._again.popleft() if self._again else next(chunks, None)
            if number is None:
                break
            if not self._submit(number):
                break
        return bool(self._flying or self._suspects)

    def _submit(self, number: int) -> bool:
        executor = self.workers.executor if isinstance(self.workers, Pool) else self.workers
        given = (self.job.engine.evaluate, self.job.request, self.job.points(number), time_left())
        try:
            self._flying[executor.submit(evaluate_chunk, *given)] = number
        except BrokenExecutor as error:  # a process died while nobody was looking
            self._suspects.append(number)
            self._require_pool(error)
            self._renew()
            return False
        except GatefieldError:  # the budget, where work is done as it is handed out
            raise
        except Exception as error:  # every executor has its own
            raise ExecutorError(f"the executor takes no more work: {str(error)[:300]} {_RESUME}") from None
        return True

    def _take(self, future: Future[Answer | None], number: int) -> bool:
        """Put an answer into the store; True if the processes have to be renewed."""
        error = None if future.cancelled() else future.exception()
        if isinstance(error, BrokenExecutor):
            self._require_pool(error)
            self._bury(number, 1)
            return True
        if error is not None and type(error).__name__ == "KilledWorker":  # by dask, which has tried several times
            self._bury(number, DEATHS)
        elif error is not None or future.cancelled():
            self._repeat(number, error)
        else:
            answer = future.result()
            if answer is None:
                raise BudgetSpent("stopped by the time budget")
            self._write(number, answer)
        return False

    def _bury(self, number: int, deaths: int) -> None:
        """Processes died over this chunk, or beside it."""
        if number == self._alone:
            self._deaths[number] = self._deaths.get(number, 0) + deaths
        if self._deaths.get(number, 0) >= DEATHS:
            self._write(number, self._lost(number))
        else:
            self._suspects.append(number)

    def _repeat(self, number: int, error: BaseException | None) -> None:
        self._attempts[number] = self._attempts.get(number, 0) + 1
        if self._attempts[number] >= ATTEMPTS:
            what = "its work was cancelled" if error is None else f"{type(error).__name__}: {str(error)[:300]}"
            raise ExecutorError(f"the executor failed {ATTEMPTS} times at the same chunk: {what}. {_RESUME}")
        self._again.append(number)

    def _renew(self) -> None:
        """New processes; what was under way is done again, each chunk alone until it is known which of them kills."""
        assert isinstance(self.workers, Pool)
        finished = [future for future in self._flying if future.done() and not future.exception()]
        for future in finished:
            self._take(future, self._flying.pop(future))
        self._suspects.extend(self._flying.values())
        self._flying.clear()
        self.workers.renew()

    def _require_pool(self, error: BaseException) -> None:
        if not isinstance(self.workers, Pool):
            raise ExecutorError(f"the executor is broken: {str(error)[:300]}. {_RESUME}") from None

    def _lost(self, number: int) -> Answer:
        reason = "the process that computed it died, again and again: out of memory, or a crash in a library"
        return failed(self.job.request, self.job.points(number), reason)

    def _write(self, number: int, answer: Answer) -> None:
        try:
            self.store.write(number, answer)
        except OSError as error:
            raise refusal(self.store.path, error, f"What is there is whole; free some space. {_RESUME}") from None
        self.said(number, answer)


_RESUME = "The same command again goes on from there."
