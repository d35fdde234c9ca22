"""``gatefield sweep``."""

from __future__ import annotations

import argparse
import shlex
from concurrent.futures import Executor
from contextlib import ExitStack

from derive.errors import ParameterError
from solvers.cli.arguments import MAX_UNITS
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_found
from solvers.cli.progress import Progress
from solvers.sweep import Networks, sweep
from solvers.sweep.design import split
from solvers.tables.sweep import sweep_text


def run(given: argparse.Namespace) -> int:
    """Fill the store of a sweep, and print how far it has come."""
    cell = chosen_cell(given)
    over: dict[str, str] = {}
    for text in given.over:
        name, values = split(text)
        if name in over:
            raise ParameterError(f"--over {name}: the parameter is swept already")
        over[name] = values
    quantities = [name.strip() for text in given.quantity for name in text.split(",") if name.strip()]
    with ExitStack() as stack:
        executor, jobs = _workers(given, stack)
        progress = stack.enter_context(Progress(f"sweeping {cell.name}"))
        found = sweep(
            cell, over, quantities, given.output, assignments(given.parameters), ansatz=given.ansatz,
            branch=given.branch, solutions=given.solutions, tol=given.tol, seed=given.seed, samples=given.samples,
            chunk=given.chunk, jobs=jobs, executor=executor, retry_failed=given.retry_failed, command=_command(given),
            progress=progress, networks=_networks(given),
        )  # fmt: skip
    print_found(given, found.as_dict(), sweep_text)
    return 0 if found.converged else 3


def _networks(given: argparse.Namespace) -> Networks | None:
    """The networks asked for.  Raises ParameterError."""
    if not given.simulate:
        for option, value in (("-N", given.N), ("--seeds", given.seeds), ("--starts", given.starts)):
            if value is not None:
                raise ParameterError(f"{option} is about networks: add --simulate")
        if given.float32:
            raise ParameterError("--float32 is about networks: add --simulate")
        return None
    if given.branch == "all":
        raise ParameterError("--branch is about solutions of the theory; networks go where their dynamics lead")
    try:
        sizes = tuple(int(text) for text in (given.N or "1000").split(","))
    except ValueError:
        raise ParameterError(f"-N {given.N[:40]}: write sizes as whole numbers, such as  -N 200,400") from None
    if max(sizes) > MAX_UNITS:
        raise ParameterError(f"-N {given.N[:40]}: at most {MAX_UNITS} units")
    return Networks(sizes, given.seeds or 8, given.starts or 1, "float32" if given.float32 else "float64")


def _workers(given: argparse.Namespace, stack: ExitStack) -> tuple[Executor | None, int | None]:
    if given.dask is None:
        return None, given.jobs
    try:
        from solvers.sweep.cluster import cluster_executor  # optional dependency
    except ModuleNotFoundError as error:
        raise ParameterError(f"--dask needs {error.name}: pip install 'gatefield[cluster]'") from None
    executor, workers = stack.enter_context(cluster_executor(given.dask))
    return executor, given.jobs or workers


def _command(given: argparse.Namespace) -> str:
    """The command that gives the same numbers, without what does not decide them."""
    words = ["gatefield", "sweep", given.cell]
    for name in ("set", "limit", "orthogonal", "over", "quantity"):
        words += [word for value in getattr(given, name) for word in (f"--{name}", value)]
    words += [word for value in given.parameters for word in ("-p", value)]
    words += ["--ansatz", given.ansatz, "--branch", given.branch, "--tol", f"{given.tol:g}", "--seed", str(given.seed)]
    if given.branch == "all":
        words += ["--solutions", str(given.solutions)]
    if given.samples is not None:
        words += ["--samples", str(given.samples)]
    if given.simulate:
        words += ["--simulate", *(("-N", given.N) if given.N else ())]
        words += [word for option, value in (("--seeds", given.seeds), ("--starts", given.starts)) if value is not None
                  for word in (option, str(value))]  # fmt: skip
        words += ["--float32"] if given.float32 else []
    return shlex.join(words)
