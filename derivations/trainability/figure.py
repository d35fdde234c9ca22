"""Draws the table of ``run.py``: accuracy by initialisation and length, with the predicted xi beside it.

    python figure.py [--quick]        # results.csv to trainability.png, and the numbers of the README to summary.toml
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.image import AxesImage

HERE = Path(__file__).parent
CHANCE = {"digits": 0.1, "recall": 0.5}
LEARNED = 0.5
"""A length counts as learned where test accuracy is at least half way from chance to 1."""
HEADER = """\
# Written by figure.py from the table of run.py.
# spearman: rank correlation of xi and test accuracy over the arms of an architecture, by length
# learned: longest length up to which test accuracy is at least half way from chance to 1
# tried: longest length of this arm
"""
SYMBOLS = {"sigma_w": r"$\sigma_w$", "sigma_h": r"$\sigma_h$", "mu_f": r"$\mu_f$", "mu_b": r"$\mu_b$"}

Lengths = dict[int, list[dict[str, str]]]
Arms = dict[tuple[str, float], Lengths]
Rows = dict[tuple[str, str], Arms]


def read(path: Path) -> Rows:
    """Rows of the table by (task, architecture), (arm, value) and length."""
    found: Rows = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            value = float(row["value"])
            arm = (row["arm"], value if math.isfinite(value) else -math.inf)
            found[row["task"], row["architecture"]][arm][int(row["T"])].append(row)
    return found


def mean(rows: list[dict[str, str]], key: str) -> float:
    """Mean of a column over seeds."""
    return float(np.mean([float(row[key]) for row in rows]))


def share(task: str, accuracy: float) -> float:
    """Accuracy on a scale from chance, 0, to perfect, 1."""
    return (accuracy - CHANCE[task]) / (1.0 - CHANCE[task])


def learned_length(task: str, lengths: Lengths) -> int:
    """The longest length up to which every one was learned; 0 for none."""
    longest = 0
    for T in sorted(lengths):
        if share(task, mean(lengths[T], "test_accuracy")) < LEARNED:
            break
        longest = T
    return longest


def ordered(arms: Arms) -> list[tuple[str, float]]:
    """The default first, then the sweep, then orthogonal matrices."""
    place = {"default": 0, "swept": 1, "orthogonal": 2}
    return sorted(arms, key=lambda arm: (place[arm[0]], arm[1]))


def draw(found: Rows, path: Path) -> None:
    """One panel for each task and architecture."""
    panels = sorted(found)
    columns = min(2 if len(panels) <= 4 else 3, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4.6 * columns, 3.9 * lines), squeeze=False)
    for place, key in zip(axes.flat, panels, strict=False):
        image = panel(place, key, found[key])
    for unused in list(axes.flat)[len(panels) :]:
        unused.axis("off")
    figure.tight_layout(rect=(0, 0, 0.92, 1))
    bar = figure.colorbar(image, cax=figure.add_axes((0.93, 0.15, 0.012, 0.7)))
    bar.set_label("test accuracy, from chance (0) to perfect (1)")
    figure.savefig(path, dpi=130)


def panel(axes: plt.Axes, key: tuple[str, str], arms: Arms) -> AxesImage:
    """Accuracy as colour and number; the line is T = 6 xi, left of which the prediction is "trainable"."""
    task, architecture = key
    lengths = sorted({T for arm in arms.values() for T in arm})
    order = ordered(arms)
    values = np.full((len(order), len(lengths)), np.nan)
    for i, arm in enumerate(order):
        for j, T in enumerate(lengths):
            if arms[arm].get(T):
                values[i, j] = share(task, mean(arms[arm][T], "test_accuracy"))
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(values):
        if math.isfinite(value):
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8,
                      color="black" if value > 0.55 else "white")  # fmt: skip
    labels = []
    for i, (label, value) in enumerate(order):
        row = next(iter(arms[label, value].values()))[0]
        xi = float(row["xi"])
        name = SYMBOLS.get(row["parameter"], "")
        head = {"default": "torch default", "swept": f"{name} = {value:.3g}",
                "orthogonal": f"{name} = {value:.3g}, orth."}[label]  # fmt: skip
        shown = r"$\xi$ = $\infty$" if math.isinf(xi) else r"$\xi$ unknown" if math.isnan(xi) else rf"$\xi$ = {xi:.3g}"
        labels.append(f"{head}\n{shown}")
        edge = sum(6 * xi >= T for T in lengths) - 0.5
        axes.plot([edge, edge], [i - 0.5, i + 0.5], color="white", lw=4.5, solid_capstyle="butt")
        axes.plot([edge, edge], [i - 0.5, i + 0.5], color="#d55e00", lw=2.5, solid_capstyle="butt")
    axes.set_yticks(range(len(order)), labels, fontsize=7)
    axes.set_xticks(range(len(lengths)), [str(T) for T in lengths])
    axes.set_xlim(-0.55, len(lengths) - 0.45)
    axes.set_xlabel("sequence length T")
    axes.set_title(f"{architecture}, {task} (line: T = 6ξ)", fontsize=10)
    return image


def correlation(arms: Arms, T: int) -> float:
    """Spearman rank correlation of xi and test accuracy over the arms at one length; nan below three arms."""
    pairs = [(float(arm[T][0]["xi"]), mean(arm[T], "test_accuracy")) for arm in arms.values() if arm.get(T)]
    pairs = [pair for pair in pairs if not math.isnan(pair[0])]
    if len(pairs) < 3:
        return math.nan
    ranks = [np.array([sum(w < v for w in column) + (sum(w == v for w in column) - 1) / 2 for v in column])
             for column in map(list, zip(*pairs, strict=True))]  # fmt: skip
    return float(np.corrcoef(*ranks)[0, 1])


def summarise(found: Rows) -> str:
    """TOML: for each task, architecture and arm chi1, xi and the longest length learned."""
    lines = [HEADER]
    for key in sorted(found):
        task, architecture = key
        lengths_run = sorted({T for arm in found[key].values() for T in arm})
        ranks = ", ".join(f"T{T} = {correlation(found[key], T):.3f}" for T in lengths_run)
        lines += [f'[{task}."{architecture}"]', f"spearman = {{ {ranks} }}"]
        for label, value in ordered(found[key]):
            lengths = found[key][label, value]
            row = next(iter(lengths.values()))[0]
            name = label if label != "swept" else f"{row['parameter']}={value:.4g}"
            lines.append(f'"{name}" = {{ chi1 = {float(row["chi1"]):.4g}, xi = {float(row["xi"]):.4g}, '
                         f"learned = {learned_length(task, lengths)}, tried = {max(lengths)}, "
                         f"seeds = {max(map(len, lengths.values()))} }}")  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Write the figure and the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    mark = "-quick" if parser.parse_args().quick else ""
    found = read(HERE / f"results{mark}.csv")
    draw(found, HERE / f"trainability{mark}.png")
    text = summarise(found)
    (HERE / f"summary{mark}.toml").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
