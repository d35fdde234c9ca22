"""Trainability against the predicted correlation length: trains every arm at every sequence length, writes a table.

    python run.py            # the grid of the README, into results.csv beside this file (resumes where it stopped)
    python run.py --quick    # a few minutes: two lengths, one seed, few updates, into results-quick.csv

Every run is independent and its row is written when it ends; ``figure.py`` draws the table.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from models import Arm, Reader, theory
from tasks import Digits, Recall, Task

HERE = Path(__file__).parent
COLUMNS = ("task", "architecture", "arm", "parameter", "value", "chi1", "xi", "T", "seed", "updates", "train_accuracy",
           "test_accuracy", "loss", "seconds")  # fmt: skip
BATCH, RATE, CLIP = 64, 2e-3, 1.0
LAST = 25
"""Updates at the end over which training accuracy and loss are averaged."""

SWEEPS = {
    "vanilla": ("sigma_w", (0.5, 0.8, 0.9, 1.0, 1.1, 1.3, 2.0)),
    "gru": ("sigma_h", (1.0, 2.0, 3.0, math.sqrt(12.0), 4.0, 6.0)),
    "lstm": ("mu_f", (-1.0, 0.0, 1.0, 2.0, 4.0, 5.0)),
    "minimal-rnn": ("mu_b", (-1.0, 0.0, 1.0, 2.0, 4.0, 6.0)),
}
"""Zero state, no biases: chi1 = 1 at sigma_w = 1 and at sigma_h = sqrt(12); in mu_f, mu_b it is approached only."""


def arms(architecture: str) -> Iterator[Arm]:
    """The default, the sweep, and the critical point with an orthogonal matrix where there is one."""
    parameter, values = SWEEPS[architecture]
    yield Arm(architecture, "default")
    for value in values:
        yield Arm(architecture, "swept", parameter, value)
    if architecture == "vanilla":
        yield Arm(architecture, "orthogonal", parameter, 1.0, ("W_h",))


def train(arm: Arm, task: Task, length: int, seed: int, updates: int) -> dict[str, float]:
    """Adam with clipped gradients from the arm's initialisation."""
    begin = time.perf_counter()
    model = Reader(arm, task.inputs, task.outputs, seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    rng = np.random.default_rng(seed)
    losses, shares = [], []
    for _ in range(updates):
        sequences, answers = task.batch(length, BATCH, rng)
        readout = model(sequences)
        loss = task.loss(readout, answers)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        losses.append(float(loss.detach()))
        shares.append(task.accuracy(readout.detach(), answers))
    with torch.no_grad():
        sequences, answers = task.test(length)
        tested = task.accuracy(model(sequences), answers)
    return {
        "train_accuracy": float(np.mean(shares[-LAST:])), "test_accuracy": tested,
        "loss": float(np.mean(losses[-LAST:])), "seconds": time.perf_counter() - begin,
    }  # fmt: skip


def grid(quick: bool) -> Iterator[tuple[int, Task, str, int]]:
    """(seed, task, architecture, length) in the order of running: all of one seed first."""
    digits, recall = Digits(), Recall()
    lengths = (12, 48) if quick else (10, 20, 40, 80, 160)
    for seed in range(1 if quick else 2):
        for length in lengths:
            for architecture in SWEEPS:
                yield seed, digits, architecture, length
        for length in lengths:
            for architecture in ("vanilla", "minimal-rnn"):
                yield seed, recall, architecture, length


def main() -> None:
    """Run what the table does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    updates = 60 if given.quick else 250
    path = HERE / ("results-quick.csv" if given.quick else "results.csv")
    done = set()
    if path.exists():
        with path.open(newline="") as stream:
            done = {tuple(row[key] for key in COLUMNS[:5] + COLUMNS[7:9]) for row in csv.DictReader(stream)}
    else:
        path.write_text(",".join(COLUMNS) + "\n")
    for seed, task, architecture, length in grid(given.quick):
        for arm in arms(architecture):
            key = (task.name, architecture, arm.label, arm.swept, f"{arm.value:.6g}", str(length), str(seed))
            if key in done:
                continue
            chi1, xi = theory(arm)
            found = train(arm, task, length, seed, updates)
            row = [*key[:5], f"{chi1:.6g}", f"{xi:.6g}", *key[5:], str(updates), *(f"{v:.4g}" for v in found.values())]
            with path.open("a", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerow(row)
            print(*row, flush=True)


if __name__ == "__main__":
    main()
