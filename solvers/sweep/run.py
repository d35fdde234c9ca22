"""The verb: a sweep, begun or resumed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.errors import ParameterError
from derive.write.cell_file import cell_file
from solvers.output import refusal
from solvers.solve import DEFAULT_TOL
from solvers.sweep.design import Design, Given, blocks_of, design_of, with_networks
from solvers.sweep.engine import CONVERGED, NOT_COMPUTED, VERDICTS, Answer, Networks, Request
from solvers.sweep.job import Job
from solvers.sweep.layout import OWN_NAMES
from solvers.sweep.lock import Lock
from solvers.sweep.loop import Immediately, Loop
from solvers.sweep.networks import networks_engine
from solvers.sweep.pace import Pace
from solvers.sweep.pointwise import theory_of
from solvers.sweep.pool import Pool
from solvers.sweep.quantities import network_quantities, theory_quantities
from solvers.sweep.store import Store, count_verdicts, has_failed, make_folder, stored_record
from solvers.sweep.tabulated import engine_for

LARGEST, ALL = "largest", "all"
MOST_SOLUTIONS = 8
SHOWN = 5
"""Reasons that a summary quotes."""

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Swept:
    """A sweep as far as it has come.

    counts : verdict -> points (with ``solution``, ``N`` or ``seed`` dimensions: entries); computed : points of this
    run, resumed : points that were there before; reasons : the first points without a good verdict, and why.
    """

    path: Path
    job: Job
    counts: Mapping[str, int]
    computed: int
    resumed: int
    complete: bool
    reasons: Sequence[tuple[int, str]]

    @property
    def converged(self) -> bool:
        """Whether every point is there and none has a doubt."""
        good = {VERDICTS[CONVERGED], "no_further_solution"}
        return self.complete and not any(n for name, n in self.counts.items() if name not in good)

    def dataset(self) -> xr.Dataset:
        """The store as a Dataset; values are read when they are used."""
        return xr.open_zarr(self.path, chunks=None)

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield sweep``."""
        job = self.job
        return {
            "cell": job.name,
            "ansatz": job.request.ansatz,
            "store": str(self.path),
            "parameters": dict(job.request.parameters),
            "over": {_shown(name): axis["as"] for name, axis in job.record()["over"].items()},
            "quantities": [quantity.name for quantity in job.request.quantities],
            "engine": job.engine.name,
            "points": job.design.size,
            "computed": self.computed,
            "resumed": self.resumed,
            "verdicts": {name: n for name, n in self.counts.items() if n},
            "complete": self.complete,
            "notes": [job.engine.note] if job.engine.note else [],
            "reasons": [
                {"point": {_shown(name): value for name, value in job.design.point(k).items()}, "reason": text}
                for k, text in self.reasons
            ],
        }


def sweep(
    cell: Cell,
    over: Mapping[str, Given],
    quantities: Sequence[str],
    store: str | os.PathLike[str],
    parameters: Mapping[str, object] | None = None,
    *,
    ansatz: str = "static",
    branch: str = LARGEST,
    solutions: int = MOST_SOLUTIONS,
    tol: float = DEFAULT_TOL,
    seed: int = 0,
    samples: int | None = None,
    chunk: int | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    retry_failed: bool = False,
    networks: Networks | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Swept:
    """Solve a cell's mean field at all points of a design and keep the numbers in a zarr store; resume what is there.

    over : parameter -> text such as "0:4:1000" (see `solvers.sweep.design`) or numbers; store : path of the store;
    branch : "largest", the solution with the largest Q of the first state, or "all", with a dimension ``solution`` of
    length ``solutions``; tol, seed, ansatz : as in `solvers.solve.solve`; samples : of Latin hypercubes, drawn from
    ``seed``; chunk : points that are computed and written together; jobs : processes, by default one for each
    processor; executor : anything with the interface of `concurrent.futures.Executor` in their place,
    with ``jobs`` workers; retry_failed : compute chunks with failed points again; networks : measure
    these in place of solving the theory; command : what to note in the store.

    Raises
    ------
    ParameterError : a parameter or quantity is unknown, or a value of a design is not a finite number.
    AnsatzError : the ansatz does not apply to this cell.
    OutputError : the store cannot be written, belongs to another sweep, or is in use.
    ExecutorError : the executor does not work.
    """
    if branch not in (LARGEST, ALL):
        raise ParameterError(f"the branch is `{LARGEST}` or `{ALL}`, not `{branch}`")
    design = design_of(over, samples, seed)
    fixed = fixed_parameters(cell, parameters or {}, design)
    text = cell_file(cell)
    if networks is None:
        theory = theory_of(text, ansatz)
        chosen = theory_quantities(theory, quantities)
        engine = engine_for(theory, chosen, fixed, design.names)
    else:
        engine = networks_engine(cell, ansatz, networks)
        chosen = network_quantities(cell, ansatz, quantities)
        design = with_networks(design, networks.sizes, networks.seeds)
    request = Request(text, ansatz, fixed, chosen, solutions if branch == ALL else None, tol, seed, networks)
    path = Path(store)
    blocks = blocks_of(design.shape, chunk or _stored_chunk(path, engine.points))
    job = Job(cell.name, request, design, blocks, engine, command)
    return carry_out(job, path, jobs=jobs, executor=executor, retry_failed=retry_failed, progress=progress)


def fixed_parameters(cell: Cell, parameters: Mapping[str, object], design: Design) -> dict[str, float]:
    """The parameters that are not swept, with their defaults.

    Raises
    ------
    ParameterError : one is unknown, missing, swept as well, or none of a few points of the design is allowed.
    """
    for name in design.names:
        if name in parameters:
            raise ParameterError(f"`{name}` is swept and set as well; leave out one of the two")
    refused = None
    for k in (0, design.size // 2, design.size - 1):
        try:
            values = resolve(cell, {**parameters, **design.point(k)}).parameters
        except ParameterError as error:
            refused = refused or error
        else:
            return {name: value for name, value in values.items() if name not in design.names}
    assert refused is not None
    raise refused


def carry_out(
    job: Job, path: Path, *, jobs: int | None, executor: Executor | None, retry_failed: bool, progress: Progress | None
) -> Swept:
    """Compute what the store of a job lacks."""
    make_folder(path)
    with ExitStack() as stack:
        lock = stack.enter_context(Lock(path))
        store = Store(path, job)
        try:
            store.prepare()
        except OSError as error:
            raise refusal(path, error, "Free some space, or give another path.") from None
        run = _Run(job, store, lock, retry_failed, progress)
        missing = run.survey()
        complete = True
        if missing.any():
            jobs = min(jobs or _processors(), int(missing.sum()))
            workers: Pool | Executor = executor or (Immediately() if jobs == 1 else stack.enter_context(Pool(jobs)))
            ahead = 1 if isinstance(workers, Immediately) else 2 * jobs
            complete = Loop(job, store, lock, workers, ahead, run.note).run(_numbers(missing))
        return run.result(path, complete)


class _Run:
    """What is counted while a sweep runs."""

    def __init__(self, job: Job, store: Store, lock: Lock, retry_failed: bool, progress: Progress | None) -> None:
        self.job, self.store, self.lock, self.retry, self.progress = job, store, lock, retry_failed, progress
        self.counts = np.zeros(len(VERDICTS), np.int64)
        self.doubtful: list[int] = []  # the first chunks in which some point has no good verdict
        self.pace = Pace(job.design.size)

    def survey(self) -> np.ndarray:
        """Which chunks are to be computed, (chunks,)."""
        missing = np.ones(len(self.job.blocks), bool)
        before = 0
        for number in range(len(missing)):
            self.lock.check()
            if self.progress is not None and number % 100 == 0:
                self.progress(f"looking at what is there: chunk {number} of {len(missing)}")
            counts = self.store.verdicts(number)
            if counts is None or (self.retry and has_failed(counts)):
                continue
            missing[number] = False
            before += self.job.numbers(number).size
            self._count(number, counts)
        self.pace.begin(before)
        return missing

    def note(self, number: int | None, answer: Answer | None) -> None:
        """A chunk is in the store; or nothing happened, and a line of progress is due."""
        if number is not None and answer is not None:
            self.pace.now += len(answer.found)
            self._count(number, count_verdicts(answer.verdict))
        if self.progress is not None:
            self.progress(self.pace.text())

    def _count(self, number: int, counts: np.ndarray) -> None:
        by_code = dict(zip(VERDICTS, counts, strict=True))
        self.counts += np.where(np.array(list(VERDICTS)) == NOT_COMPUTED, 0, counts)
        if any(n for code, n in by_code.items() if code in (1, 2, 3, 4)):
            self.doubtful = sorted([*self.doubtful, number])[:SHOWN]

    def result(self, path: Path, complete: bool) -> Swept:
        """The summary."""
        reasons = [item for number in self.doubtful for item in self.store.reasons(number)][:SHOWN]
        counts = {name: int(n) for name, n in zip(VERDICTS.values(), self.counts, strict=True)}
        return Swept(path, self.job, counts, self.pace.now, self.pace.before, complete, reasons)


def _shown(name: str) -> str:
    return OWN_NAMES.get(name, name)


def _numbers(missing: np.ndarray) -> Iterator[int]:
    return (int(k) for k in np.flatnonzero(missing))


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _stored_chunk(path: Path, usual: int) -> int:
    """Points of a chunk: those of the store, if there is one."""
    record = stored_record(path)
    chunk = (record or {}).get("chunk")
    if isinstance(chunk, list) and chunk and all(isinstance(n, int) and n > 0 for n in chunk):
        return math.prod(chunk)
    return usual
