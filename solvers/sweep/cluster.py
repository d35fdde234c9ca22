"""Workers of a dask cluster as an executor; the only module that imports distributed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from distributed import Client

from solvers.sweep.job import versions
from solvers.sweep.loop import ExecutorError

PATIENCE = 20
"""Seconds to wait for a scheduler, and for its first worker."""


@contextmanager
def cluster_executor(address: str) -> Iterator[tuple[Executor, int]]:
    """The workers of the scheduler at an address such as ``tcp://host:8786``, and how many there are.

    Raises
    ------
    ExecutorError : no scheduler answers, it has no workers, or these have other versions of what numbers depend on.
    """
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ExecutorError(
            f"--dask {address}: no scheduler answers ({type(error).__name__}). Start one with `dask scheduler` and "
            "workers with `dask worker ADDRESS --nthreads 1`; the address is the one that the scheduler prints."
        ) from None
    with client:
        yield client.get_executor(), _count(client, address)


def _count(client: Client, address: str) -> int:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise ExecutorError(f"--dask {address}: the scheduler has no workers; start `dask worker {address}`") from None
    ours = versions()
    try:
        found = client.run(versions)
    except ModuleNotFoundError as error:
        raise ExecutorError(f"--dask {address}: a worker cannot import {error.name}; install gatefield there") from None
    for worker, theirs in found.items():
        for name, version in theirs.items():
            if version != ours[name]:
                raise ExecutorError(
                    f"--dask {address}: {name} is {version} on {worker} and {ours[name]} here; numbers of different "
                    "versions do not belong into one store. Install the same version."
                )
    return sum(client.nthreads().values())
