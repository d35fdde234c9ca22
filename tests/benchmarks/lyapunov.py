"""Speed of finite-network trajectories and Lyapunov exponents, as ratios measured in one run.

python tests/benchmarks/lyapunov.py

1. one evaluation of a network of N = 2000 units, alone and for 16 trajectories at once, against its products alone;
2. ten exponents of a flow for one unit of time, at N = 500 and 2000, against plain NumPy: RK4 with the same step, the
   Jacobian formed at each stage as a dense matrix and multiplied with the ten directions, and the same QR.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from derive import load
from derive.cell import resolve
from solvers.simulate import Network
from solvers.simulate.lyapunov import Benettin
from solvers.simulate.stepper import Stepper

GIVEN, DT, EXPONENTS, REPEATS = {"g": 2.0}, 0.25, 10, 5


def seconds(work: Callable[[], object]) -> float:
    """The shortest of some runs."""
    work()
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def plain(J: np.ndarray, x: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One unit of time of dx/dt = -x + J tanh(x) with a dense Jacobian, then QR."""
    flow = lambda s: -s + J @ np.tanh(s)  # noqa: E731
    tangent = lambda s, d: (J * (1.0 - np.tanh(s) ** 2) - np.eye(len(s))) @ d  # noqa: E731
    for _ in range(round(1.0 / DT)):
        a, A = flow(x), tangent(x, frame)
        b, B = flow(x + 0.5 * DT * a), tangent(x + 0.5 * DT * a, frame + 0.5 * DT * A)
        c, C = flow(x + 0.5 * DT * b), tangent(x + 0.5 * DT * b, frame + 0.5 * DT * B)
        d, D = flow(x + DT * c), tangent(x + DT * c, frame + DT * C)
        x = x + DT / 6 * (a + 2 * b + 2 * c + d)
        frame = frame + DT / 6 * (A + 2 * B + 2 * C + D)
    q, r = np.linalg.qr(frame)
    return x, q, np.log(np.abs(np.diag(r)))


def evaluation(name: str, given: dict[str, float]) -> None:
    """Evaluations against products."""
    net = Network(load(name), resolve(load(name), given), 2000, np.random.default_rng(0))
    many = np.random.default_rng(1).standard_normal((len(net.states), 2000, 16))
    for label, at in (("one", net.random_state()), ("sixteen", many)):
        own = seconds(partial(net.evaluate, at))
        products = seconds(partial(multiply, [net.weights[net.weight_of[f]] for f in net.fields], at[0].copy()))
        print(f"{name}, {label}: {1e3 * own:.1f} ms, products {1e3 * products:.1f} ms, ratio {own / products:.2f}")


def multiply(matrices: list[np.ndarray], v: np.ndarray) -> list[np.ndarray]:
    """The products alone."""
    return [matrix @ v for matrix in matrices]


def exponents(N: int) -> None:
    """Ten exponents for one unit of time."""
    net = Network(load("rate"), resolve(load("rate"), GIVEN), N, np.random.default_rng(0))
    frame = np.random.default_rng(1).standard_normal((1, EXPONENTS, N))
    runner = Benettin(Stepper(net, DT), net.random_state(), frame)
    x, directions, J = runner.state[0].copy(), frame[0].T.copy(), net.weights["J"]
    runner.measure(1.0)
    expected = plain(J, x, directions)
    assert np.allclose(runner.state[0], expected[0], atol=1e-10)
    assert np.allclose(runner.logs[0], expected[2], atol=1e-8)
    ours, theirs = seconds(partial(continued, runner)), seconds(partial(plain, J, x, directions))
    print(f"{EXPONENTS} exponents, N = {N}: {1e3 * ours:.0f} ms, plain {1e3 * theirs:.0f} ms for a unit of time, "
          f"faster by {theirs / ours:.1f}")  # fmt: skip


def continued(runner: Benettin) -> None:
    """One more unit of time."""
    runner.logs.append(runner.logs[0])  # the error of a step is looked at now and then, not in this one
    runner.measure((len(runner.logs) + 1.0) * runner.duration)


def main() -> None:
    """Print the times and their ratios."""
    evaluation("rate", GIVEN)
    evaluation("gated-rnn", {})
    for N in (500, 2000):
        exponents(N)


if __name__ == "__main__":
    main()
