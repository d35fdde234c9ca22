"""Sweeps: the numbers are those of `solve`, and the store survives whatever happens to the run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sweeping import arithmetic, deadly, deadly_mark, digest, sweep_with

from derive.cell import load, parse_cell
from derive.errors import ParameterError
from solvers.budget import budget
from solvers.cli import main
from solvers.output import OutputError
from solvers.solve import solve
from solvers.sweep import ExecutorError, StoreError, sweep
from solvers.sweep.engine import CONVERGED, NO_SOLUTION, REFUSED, Answer, Points, Request
from solvers.sweep.lock import Lock, LockedError
from solvers.sweep.store import make_folder

OVER = {"sigma_w": "0.5:2.5:6", "mu_b": "0:1:4"}
SCRIPT = [sys.executable, str(Path(__file__).with_name("sweeping.py"))]

PAIR = """
equations = "x' = erf(W @ x + b)"
[weights]
W = "g"
[biases]
b = { mean = "m", std = 0.1 }
[parameters]
g = 1.0
m = 0.0
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of an undisturbed run over OVER."""
    path = tmp_path_factory.mktemp("whole") / "out.zarr"
    assert sweep_with(arithmetic, OVER, path, jobs=1).complete
    return path


def test_numbers_are_those_of_solve(tmp_path: Path) -> None:
    cell = parse_cell(PAIR)
    found = sweep(cell, {"g": "list:0.5,2", "m": [0.0, -0.3, 0.7]}, ["chi1", "q", "Q", "xi", "stable"],
                  tmp_path / "a.zarr", ansatz="untied", jobs=1, chunk=2)  # fmt: skip
    assert found.converged
    data = xr.open_zarr(found.path)
    assert data["q"].dims == ("g", "m", "field")
    assert data["Q"].dims == ("g", "m", "state")
    assert data["chi1"].dims == ("g", "m")
    for g in (0.5, 2.0):
        for m in (0.0, -0.3, 0.7):
            own = solve(cell, {"g": g, "m": m}, ansatz="untied").solutions[-1]
            point = data.sel(g=g, m=m)
            assert float(point["chi1"]) == own["chi1"]
            assert float(point["chi1_error"]) == own.error("chi1")
            assert float(point["q"].sel(field="W")) == own["q[W]"]
            assert float(point["Q_error"].sel(state="x")) == own.error("Q[x]")
            assert bool(point["stable"]) == own.stable
            assert int(point["verdict"]) == CONVERGED
            assert str(point["reason"].values) == ""
    assert parse_cell(data.attrs["cell"]) == cell
    assert "numpy" in data.attrs["versions"]


def test_all_branches_have_a_dimension_and_more_than_fit_are_told(tmp_path: Path) -> None:
    cell = parse_cell("equations = \"x' = erf(W @ x)\"\n[weights]\nW = \"g\"\n[parameters]\ng = 1.0\n")
    over = {"g": "list:0.5,1.5"}
    found = sweep(cell, over, ["Q", "spectral_radius"], tmp_path / "a.zarr", branch="all", solutions=3, jobs=1)
    data = found.dataset()
    assert data["Q"].dims == ("g", "solution", "state")
    assert data["solutions"].values.tolist() == [1, 2]
    assert data["verdict"].values.tolist() == [[0, 5, 5], [0, 0, 5]]
    own = solve(cell, {"g": 1.5}).solutions
    radii = np.array([solution["spectral_radius"] for solution in own])
    error = np.array([solution.error("spectral_radius") for solution in own])
    error += data["spectral_radius_error"].values[1, :2]
    assert (abs(data["spectral_radius"].values[1, :2] - radii) <= error).all()
    assert np.isnan(data["spectral_radius"].values[1, 2])
    assert found.converged
    few = sweep(cell, over, ["Q", "spectral_radius"], tmp_path / "b.zarr", branch="all", solutions=1, jobs=1)
    assert not few.converged
    assert abs(few.dataset()["spectral_radius"].values[1, 0] - radii[-1]) <= error[-1]
    assert "raise --solutions" in str(few.dataset()["reason"].values[1, 0])


def test_a_point_that_is_refused_costs_no_other(tmp_path: Path) -> None:
    found = sweep(parse_cell(PAIR), {"g": [-1.0, 0.5]}, ["chi1"], tmp_path / "a.zarr", ansatz="untied", jobs=1)
    data = found.dataset()
    assert data["verdict"].values.tolist() == [REFUSED, CONVERGED]
    assert "negative" in str(data["reason"].values[0])
    assert np.isnan(data["chi1"].values[0])
    assert [k for k, _ in found.reasons] == [0]
    assert not found.converged


def test_an_error_of_the_engine_is_the_verdict_of_its_chunk(tmp_path: Path) -> None:
    def sometimes(request: Request, points: Points) -> Answer:
        if 2 in points.numbers:
            raise ArithmeticError("no such luck")
        return arithmetic(request, points)

    found = sweep_with(sometimes, {"sigma_w": "1:2:6"}, tmp_path / "a.zarr", jobs=1)
    assert found.complete
    assert found.counts["failed"] == 2
    assert found.counts["converged"] == 4
    assert "ArithmeticError: no such luck" in found.reasons[0][1]
    again = sweep_with(arithmetic, {"sigma_w": "1:2:6"}, tmp_path / "a.zarr", jobs=1)
    assert again.computed == 0
    retried = sweep_with(arithmetic, {"sigma_w": "1:2:6"}, tmp_path / "a.zarr", jobs=1, retry_failed=True)
    assert retried.computed == 2
    assert retried.converged


def test_same_bytes_from_threads_and_processes(whole: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as executor:
        assert sweep_with(arithmetic, OVER, tmp_path / "a.zarr", executor, jobs=3).complete
    assert digest(tmp_path / "a.zarr") == digest(whole)
    assert sweep_with(arithmetic, OVER, tmp_path / "b.zarr", jobs=2).complete
    assert digest(tmp_path / "b.zarr") == digest(whole)


def test_the_budget_stops_and_the_same_call_goes_on(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"

    def slow(request: Request, points: Points) -> Answer:
        time.sleep(0.1)
        return arithmetic(request, points)

    with budget(0.35):
        part = sweep_with(slow, OVER, path, jobs=1)
    assert not part.complete
    assert 0 < part.computed < 24
    rest = sweep_with(arithmetic, OVER, path, jobs=1)
    assert rest.resumed == part.computed
    assert rest.computed == 24 - part.computed
    assert digest(path) == digest(whole)


@pytest.mark.parametrize("harm", ["truncate", "empty", "flip", "remove", "metadata"])
def test_damage_is_found_and_mended(harm: str, whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.zarr"
    sweep_with(arithmetic, OVER, path, jobs=1)
    file = path / ("chi1/zarr.json" if harm == "metadata" else "q/c/2/0/0")
    content = file.read_bytes()
    changed = {"truncate": content[:-7], "empty": b"", "flip": content[:9] + bytes([content[9] ^ 1]) + content[10:],
               "metadata": content[:50]}  # fmt: skip
    if harm == "remove":
        file.unlink()
    else:
        file.write_bytes(changed[harm])
    found = sweep_with(arithmetic, OVER, path, jobs=1)
    assert found.computed == (0 if harm == "metadata" else 2)
    assert digest(path) == digest(whole)


def test_another_sweep_is_refused_by_what_differs(whole: Path) -> None:
    before = digest(whole)
    with pytest.raises(StoreError, match=r"another sweep: swept mu_b: 0:1:4, 4 values there, 0:2:4, 4 values here\."):
        sweep_with(arithmetic, {**OVER, "mu_b": "0:2:4"}, whole, jobs=1)
    with pytest.raises(StoreError, match=r"sigma_b: 0\.0 there, 0\.5 here; tolerance: 1e-10 there, 1e-06 here"):
        sweep_with(arithmetic, OVER, whole, parameters={"sigma_b": 0.5}, tol=1e-6, jobs=1)
    assert digest(whole) == before


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    sweep_with(arithmetic, OVER, path, jobs=1)
    root = json.loads((path / "zarr.json").read_text())
    record = json.loads(root["attributes"]["job"])
    record["versions"]["gatefield"] = "0.0.1"
    root["attributes"]["job"] = json.dumps(record)
    (path / "zarr.json").write_text(json.dumps(root))
    before = digest(path)
    with pytest.raises(StoreError, match=r"another version: version of gatefield: 0\.0\.1 there"):
        sweep_with(arithmetic, OVER, path, jobs=1)
    assert digest(path) == before


def test_what_is_no_store_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("irreplaceable")
    with pytest.raises(StoreError, match="not the store of a sweep"):
        sweep_with(arithmetic, OVER, folder, jobs=1)
    assert [item.name for item in folder.iterdir()] == ["chapter.txt"]
    with pytest.raises(StoreError, match="not the store of a sweep"):
        sweep_with(arithmetic, OVER, folder / "chapter.txt", jobs=1)
    (folder / "zarr.json").write_text('{"attributes": {}}')
    with pytest.raises(StoreError, match="does not describe a sweep"):
        sweep_with(arithmetic, OVER, folder, jobs=1)
    with pytest.raises(OutputError, match="No such file or directory"):
        sweep_with(arithmetic, OVER, tmp_path / "no" / "such.zarr", jobs=1)


@pytest.fixture
def powerless() -> Iterator[None]:
    """Rights of an ordinary user, which the superuser lays down for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, powerless: None) -> None:
    folder = tmp_path / "closed"
    if os.geteuid() == 65534:
        folder = Path("/")  # of the superuser alone
    else:
        folder.mkdir(mode=0o555)
    with pytest.raises(OutputError, match="Permission denied"):
        make_folder(folder / "gatefield-test.zarr")
    with pytest.raises(OutputError, match="Permission denied"), Lock(folder):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_stops_the_run_and_leaves_what_is_there(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.zarr"

    def filling(request: Request, points: Points) -> Answer:
        if 12 in points.numbers:  # from here on, whatever is written goes to a device that is full
            (path / ".partial").symlink_to("/dev/full")
        return arithmetic(request, points)

    with pytest.raises(OutputError, match=r"No space left on device\. What is there is whole; free some space"):
        sweep_with(filling, OVER, path, jobs=1)
    there = {name: text for name, text in digest(path).items() if "/c/" in name}
    assert 0 < len(there) < len(digest(whole))
    assert there.items() <= digest(whole).items()
    found = sweep_with(arithmetic, OVER, path, jobs=1)
    assert found.resumed == 12
    assert digest(path) == digest(whole)


def test_two_runs_on_one_store_refuse_each_other(tmp_path: Path) -> None:
    path = tmp_path / "out.zarr"
    under_way, over = threading.Event(), threading.Event()

    def waiting(request: Request, points: Points) -> Answer:
        under_way.set()
        over.wait(60)
        return arithmetic(request, points)

    thread = threading.Thread(target=sweep_with, args=(waiting, OVER, path), kwargs={"jobs": 1})
    thread.start()
    assert under_way.wait(30)
    with pytest.raises(LockedError, match="this process"):
        sweep_with(arithmetic, OVER, path, jobs=1)
    other = subprocess.run([*SCRIPT, str(path), "24", "0", "1"], capture_output=True, text=True, timeout=120)
    over.set()
    thread.join()
    assert other.returncode != 0
    assert f"process {os.getpid()} on" in other.stderr
    assert sweep_with(arithmetic, OVER, path, jobs=1).resumed == 24


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    with Lock(tmp_path) as lock:
        named = json.loads(lock.path.read_text())
    assert not lock.path.exists()
    lock.path.write_text(json.dumps({**named, "pid": int(dead.stdout)}))
    with Lock(tmp_path):
        pass
    lock.path.write_text(json.dumps({**named, "host": "elsewhere"}))
    with pytest.raises(LockedError, match="on elsewhere is writing"), Lock(tmp_path):
        pass
    assert lock.path.exists()
    os.utime(lock.path, (time.time() - 1000, time.time() - 1000))  # no sign of life for a long time
    with Lock(tmp_path):
        pass


def test_a_run_that_lost_its_lock_stops(tmp_path: Path) -> None:
    with Lock(tmp_path) as lock:
        lock._renew()
        lock.check()
        lock.path.write_text('{"host": "elsewhere"}')
        lock._renew()
        with pytest.raises(LockedError, match="taken over"):
            lock.check()
    assert lock.path.exists()  # it is the other's now


def test_signs_of_life_while_a_chunk_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("solvers.sweep.lock"), "RENEW", 0.05)
    with Lock(tmp_path) as lock:
        os.utime(lock.path, (1.0, 1.0))
        time.sleep(0.5)
        assert lock.path.stat().st_mtime > 1.0


def test_a_worker_that_dies_costs_its_own_chunk_only(tmp_path: Path) -> None:
    over = {"sigma_w": [1.5], "mu_b": "list:0.1,-0.5,0.2,0.3"}
    given: dict[str, Any] = {"chunk": 1, "parameters": {"sigma_v": float(os.getpid())}}
    undisturbed, path, mark = tmp_path / "a.zarr", tmp_path / "b.zarr", deadly_mark(os.getpid())
    sweep_with(deadly, over, undisturbed, jobs=1, **given)
    mark.touch()
    try:
        found = sweep_with(deadly, over, path, jobs=2, **given)
    finally:
        mark.unlink()
    assert found.complete
    assert found.counts["failed"] == 1
    assert found.counts["converged"] == 3
    assert "died" in found.reasons[0][1]
    assert sweep_with(deadly, over, path, jobs=1, retry_failed=True, **given).computed == 1
    assert digest(path) == digest(undisturbed)


class KilledWorker(Exception):  # noqa: N818 - the name that dask gives it
    """What dask says of everything that was on a worker that died."""


class Fragile(Executor):
    """Work that is handed out together shares one worker, and dies with it."""

    def __init__(self) -> None:
        self.batch: list[tuple[Future[Any], Any, tuple[Any, ...]]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.batch.append((Future(), fn, args))
        if len(self.batch) == 1:
            threading.Timer(0.1, self.work).start()
        return self.batch[-1][0]

    def work(self) -> None:
        batch, self.batch = self.batch, []
        dies = any(np.any(args[2].swept["mu_b"] < 0) for _, _, args in batch)
        for future, fn, args in batch:
            if dies:
                future.set_exception(KilledWorker())
            else:
                future.set_result(fn(*args))


def test_only_the_chunk_that_kills_dask_workers_has_failed(tmp_path: Path) -> None:
    over = {"sigma_w": "1:2:2", "mu_b": "list:0.1,-0.5,0.2,0.3"}
    found = sweep_with(arithmetic, over, tmp_path / "a.zarr", Fragile(), chunk=1, jobs=2)
    assert found.complete
    assert [k for k, _ in found.reasons] == [1, 5]
    assert found.counts["failed"] == 2


def test_an_executor_that_does_not_work_stops_the_run(whole: Path, tmp_path: Path) -> None:
    class Unreliable(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(ConnectionResetError("the line was cut"))
            return future

    path = tmp_path / "out.zarr"
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(ExecutorError, match="takes no more work"):
        sweep_with(arithmetic, OVER, path, executor)
    with pytest.raises(ExecutorError, match="3 times at the same chunk: ConnectionResetError: the line was cut"):
        sweep_with(arithmetic, OVER, path, Unreliable())
    assert not list(path.rglob("verdict/c/*"))
    sweep_with(arithmetic, OVER, path, jobs=1)
    assert digest(path) == digest(whole)


def test_nothing_found_is_a_verdict(tmp_path: Path) -> None:
    cell = parse_cell("equations = \"x' = W @ x + b\"\n[weights]\nW = \"g\"\n[biases]\nb = 1\n[parameters]\ng = 1.0\n")
    found = sweep(cell, {"g": "list:0.5,2"}, ["Q"], tmp_path / "a.zarr", jobs=1)
    own = [solve(cell, {"g": g}).solutions for g in (0.5, 2.0)]
    assert found.dataset()["solutions"].values.tolist() == [len(solutions) for solutions in own]
    expected = [CONVERGED if solutions else NO_SOLUTION for solutions in own]
    assert found.dataset()["verdict"].values.tolist() == expected
    assert NO_SOLUTION in expected


def kill_and_resume(path: Path, points: int, seconds: float, jobs: int, moments: list[float], begun: bool) -> int:
    """Run the script, killing it after each of ``moments`` (of its work, or of its whole life), and then to the end.

    Returns how many runs were killed before their end.
    """
    command = [*SCRIPT, str(path), str(points), str(seconds), str(jobs)]
    killed = 0
    for moment in moments:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if begun:
                process.stdout.readline()
            time.sleep(moment)
            killed += process.poll() is None
            process.send_signal(signal.SIGKILL)
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return killed


def test_killed_runs_end_with_the_same_bytes(tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm.zarr", tmp_path / "killed.zarr"
    sweep_with(arithmetic, {"sigma_w": np.linspace(0.5, 2.5, 12), "mu_b": "0:1:4"}, calm, jobs=1,
               parameters={"sigma_b": 0.02})  # fmt: skip
    moments = [random.uniform(0, 0.2) for _ in range(2)]
    assert kill_and_resume(killed, 48, 0.02, 1, moments, begun=True) == 2
    assert digest(killed) == digest(calm)


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    code = """
import os, time
from solvers.sweep.pool import Pool
if __name__ == "__main__":
    with Pool(1) as pool:
        print(pool.executor.submit(os.getpid).result(), flush=True)
        pool.executor.submit(time.sleep, 600)
        time.sleep(600)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        os.kill(worker, 0)
        process.send_signal(signal.SIGKILL)
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("the worker lives on")


@pytest.mark.slow
def test_fifty_kills_lose_nothing(tmp_path: Path) -> None:
    count = 0
    for jobs, seconds, reach in ((1, 0.02, 0.6), (2, 0.05, 1.5)):
        calm, killed = tmp_path / f"calm{jobs}.zarr", tmp_path / f"killed{jobs}.zarr"
        kill_and_resume(calm, 200, seconds, jobs, [], begun=True)
        for round_of in range(3):
            moments = [random.uniform(0, reach) for _ in range(10)]
            count += kill_and_resume(killed, 200, seconds, jobs, moments, begun=round_of != 2)
            assert digest(killed) == digest(calm)
            for file in killed.rglob("*"):
                if "c" in file.parts and file.is_file() and random.random() < 0.3:
                    file.unlink()  # and begin again from something incomplete
    print(f"{count} runs were killed")
    assert count >= 50


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three dask workers, each a process of its own, restarted when it dies."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


def test_dask_workers_one_of_which_is_killed(cluster: Any, tmp_path: Path) -> None:
    given: dict[str, Any] = {"parameters": {"sigma_b": 0.1}}
    killed: list[int] = []
    with cluster.get_client() as client:
        pids = client.run(os.getpid)

        def kill_one(text: str) -> None:
            if not killed and "] " in text and not text.startswith("[ "):  # some chunks are in the store
                killed.append(next(iter(pids.values())))
                os.kill(killed[0], signal.SIGKILL)

        found = sweep_with(arithmetic, OVER, tmp_path / "a.zarr", client.get_executor(), jobs=3, progress=kill_one,
                           **given)  # fmt: skip
        assert found.converged
        assert killed
        assert killed[0] not in client.run(os.getpid).values()
    sweep_with(arithmetic, OVER, tmp_path / "b.zarr", jobs=1, **given)
    assert digest(tmp_path / "a.zarr") == digest(tmp_path / "b.zarr")


def test_a_dask_cluster_by_its_address(
    cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, store = tmp_path / "pair.toml", tmp_path / "a.zarr"
    cell.write_text(PAIR)
    command = ["sweep", str(cell), "--ansatz", "untied", "--over", "g=0.5:2:4", "--quantity", "chi1", "--chunk", "1",
               "-o", str(store), "--dask"]  # fmt: skip
    monkeypatch.setattr(import_module("solvers.sweep.cluster"), "PATIENCE", 1)
    assert main([*command, "tcp://127.0.0.1:9"]) == 2
    assert "no scheduler answers" in capsys.readouterr().err
    with type(cluster)(n_workers=0, dashboard_address=":0") as empty:
        assert main([*command, empty.scheduler_address]) == 2
        assert "has no workers" in capsys.readouterr().err
    monkeypatch.undo()
    with monkeypatch.context() as patched:
        patched.setattr(import_module("solvers.sweep.job"), "_version", lambda name: "0.0.1")
        assert main([*command, cluster.scheduler_address]) == 2
        assert "gatefield is" in capsys.readouterr().err
    assert main([*command, cluster.scheduler_address]) == 0
    assert "converged  4" in capsys.readouterr().out
    assert main([*command[:-1], "--jobs", "1"]) == 0
    assert "there before   4" in capsys.readouterr().out


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = tmp_path / "pair.toml"
    cell.write_text(PAIR)
    store = str(tmp_path / "a.zarr")
    command = ["sweep", str(cell), "--ansatz", "untied", "--over", "g=0.5:2:4", "--over", "m=list:0,0.5", "--quantity",
               "chi1,q", "--quantity", "xi", "-o", store, "--jobs", "1"]  # fmt: skip
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "8 points over g = 0.5:2:4, m = list:0,0.5" in text
    assert "computed now   8" in text
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["computed"] == 0
    assert found["resumed"] == 8
    assert found["verdicts"] == {"converged": 8}
    assert xr.open_zarr(store).attrs["command"].endswith("--tol 1e-10 --seed 0")
    for extra, told in (
        (["--quantity", "spectral_radius"], "there are q, q_total, Q, chi1"),
        (["--over", "g=0:1:2"], "swept already"),
        (["-p", "g=1"], "swept and set"),
        (["--over", "k=0:1:2"], "`k` is not a parameter"),
        (["--over", "m=0:1:2"], "swept already"),
        (["--samples", "4"], "latin"),
    ):
        assert main([*command, *extra]) == 2
        assert told in capsys.readouterr().err


def test_other_commands_do_not_load_the_store() -> None:
    code = """
import sys
from solvers.cli import main
main(["solve", "rate", "--json"])
print([name for name in ("zarr", "numba", "dask", "distributed", "xarray") if name in sys.modules], file=sys.stderr)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.strip() == "[]"


def test_parameters_are_named_with_their_own_names_unless_a_variable_has_them(tmp_path: Path) -> None:
    cell = parse_cell("equations = \"x' = erf(W @ x + b)\"\n[weights]\nW = \"Q\"\n[biases]\nb = \"state\"\n"
                      "[parameters]\nQ = 1.0\nstate = 0.5\n")  # fmt: skip
    found = sweep(cell, {"Q": "0.5:1:2", "state": [0.1, 0.2]}, ["Q"], tmp_path / "a.zarr", ansatz="untied", jobs=1)
    assert found.dataset()["Q"].dims == ("Q_parameter", "state_parameter", "state")


def test_nothing_but_text_and_numbers_goes_to_a_worker(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="largest"):
        sweep(load("vanilla"), {"sigma_w": "1:2:2"}, ["Q"], tmp_path / "a.zarr", branch="smallest")
