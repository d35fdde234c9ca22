"""What a sweep costs beside the numbers themselves, and what networks cost.

    python tests/benchmarks/sweep.py store 300 1000 3000     # points along each of two parameters
    python tests/benchmarks/sweep.py networks 400 1000       # units
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sweeping import arithmetic, sweep_with

from derive.cell import load, resolve
from solvers.simulate import Network, eigenvalues, relax
from solvers.simulate.together import relax_together
from solvers.threads import one_thread

STARTS = 8


def store(sizes: list[int]) -> None:
    """A grid whose points cost next to nothing: design, chunks, checksums, files; then the check of what is there."""
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path, times = Path(folder) / "out.zarr", []
            for _ in range(2):
                start = time.perf_counter()
                sweep_with(arithmetic, {"sigma_w": f"0.5:2.5:{n}", "mu_b": f"0:1:{n}"}, path, chunk=40_000, jobs=1)
                times.append(time.perf_counter() - start)
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{n * n:>9} points: filled in {times[0]:.2f} s, {1e6 * times[0] / n**2:.2f} us a point; checked in "
              f"{times[1]:.2f} s; {size / n**2:.0f} bytes a point; largest memory so far {memory:.0f} MB")  # fmt: skip


@one_thread
def networks(sizes: list[int]) -> None:
    """Initial states one by one and together, and eigenvalues, in double and in single precision."""
    cell = load("vanilla")
    settings = resolve(cell, {"sigma_w": 0.95, "sigma_b": 0.3})
    for N in sizes:
        for dtype, tolerance in ((np.float64, 1e-10), (np.float32, 1e-5)):
            network = Network(cell, settings, N, np.random.default_rng(0), dtype=dtype)
            initial = np.stack([network.random_state() for _ in range(STARTS)], axis=-1)
            start = time.perf_counter()
            alone = [relax(network, initial[..., m], tolerance=tolerance) for m in range(STARTS)]
            middle = time.perf_counter()
            together = relax_together(network, initial, tolerance=tolerance)
            end = time.perf_counter()
            matrix = network.jacobian(alone[0].state).astype(dtype)
            before = time.perf_counter()
            eigenvalues(matrix)
            after = time.perf_counter()
            assert all(point.converged for point in (*alone, *together))
            print(f"N = {N}, {dtype.__name__}: {STARTS} initial states one by one {middle - start:.3f} s, together "
                  f"{end - middle:.3f} s; eigenvalues {after - before:.2f} s")  # fmt: skip


if __name__ == "__main__":
    {"store": store, "networks": networks}[sys.argv[1]]([int(text) for text in sys.argv[2:]])
