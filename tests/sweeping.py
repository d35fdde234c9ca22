"""Sweeps with an engine that costs nothing, so that tests of the machinery take no time; also run as a script.

    python sweeping.py STORE POINTS SECONDS JOBS

sweeps POINTS points in chunks of two, each chunk taking SECONDS, and says ``begun`` when the work begins.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from derive.cell import load
from solvers.sweep import Swept, run, sweep
from solvers.sweep.engine import CONVERGED, Answer, Engine, Points, Request

CELL = "vanilla"


def deadly_mark(token: float) -> Path:
    """While this file exists, `deadly` ends its process where mu_b is negative and sigma_v is ``token``."""
    return Path(tempfile.gettempdir()) / f"gatefield-deadly-{token:.0f}"


def arithmetic(request: Request, points: Points) -> Answer:
    """Numbers that depend on all parameters; the chunk takes ``sigma_b`` seconds."""
    time.sleep(float(points.swept.get("sigma_b", np.array([request.parameters.get("sigma_b", 0.0)]))[0]))
    answer = Answer.empty(request, len(points))
    for quantity in request.quantities:
        value = points.swept["sigma_w"] + np.sin(points.swept.get("mu_b", 0.0))
        answer.values[quantity.name][...] = value.reshape(-1, *[1] * (answer.values[quantity.name].ndim - 1))
        answer.errors[quantity.name][...] = 1e-10
    answer.verdict[...] = CONVERGED
    answer.found[...] = 1
    return answer


def deadly(request: Request, points: Points) -> Answer:
    """As `arithmetic`, but some points end the process, see `deadly_mark`."""
    if np.any(points.swept["mu_b"] < 0) and deadly_mark(request.parameters["sigma_v"]).exists():
        os._exit(1)
    return arithmetic(request, points)


def sweep_with(
    evaluate: Any, over: Mapping[str, Any], store: Path, executor: Executor | None = None, chunk: int = 2, **given: Any
) -> Swept:
    """A sweep of chi1 and q with an engine of this module in place of the usual one."""
    before = run.engine_for
    run.engine_for = lambda *_: Engine("test", 16, evaluate)
    try:
        return sweep(load(CELL), over, ["chi1", "q"], store, ansatz="untied", chunk=chunk, executor=executor, **given)
    finally:
        run.engine_for = before


def digest(store: Path) -> dict[str, str]:
    """A checksum of every file in a folder, by its path."""
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }


def main() -> None:
    """Sweep as the arguments say."""
    store, points, seconds, jobs = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    said = []

    def progress(text: str) -> None:
        if not said and "/s" in text:
            said.append(text)
            print("begun", flush=True)

    sweep_with(arithmetic, {"sigma_w": np.linspace(0.5, 2.5, points // 4), "mu_b": "0:1:4"}, store,
               parameters={"sigma_b": seconds}, jobs=jobs, progress=progress)  # fmt: skip


if __name__ == "__main__":
    main()
