"""The four architectures, each drawn with given parameters of its cell, and the theory of that draw."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import nn

from derive import load
from derive.frameworks import framework, parameters_of
from solvers import solve
from solvers.bridge import init_
from solvers.budget import budget

HIDDEN = 64
LAYERS = {"vanilla": "torch.nn.RNN", "gru": "torch.nn.GRU", "lstm": "torch.nn.LSTM"}
CELLS = {"vanilla": "vanilla", "gru": "gru-reset-after", "lstm": "lstm", "minimal-rnn": "minimal-rnn"}
THEORY_SECONDS = 60.0
"""A sampled chain that forgets very slowly stops here; chi1 and xi are then what it had."""


@dataclass(frozen=True)
class Arm:
    """One initialisation: ``default`` is what torch gives; otherwise ``parameters`` with all biases' std 0.

    swept : the parameter of the grid and its value; orthogonal : matrices that are Haar-orthogonal.
    """

    architecture: str
    label: str
    swept: str = ""
    value: float = float("nan")
    orthogonal: tuple[str, ...] = ()

    @property
    def default(self) -> bool:
        """Whether torch's own initialiser is left alone."""
        return self.label == "default"


class MinimalRNN(nn.Module):
    """u = sigmoid(W h + V x + b), h' = u h + (1 - u) x with x = tanh(E input); entries Gaussian of variance 1/columns.

    Torch has no such layer, so its default is that of torch's layers: U(-1/sqrt(H), 1/sqrt(H)) for W, V, E and b.
    """

    def __init__(self, inputs: int, hidden: int, mu_b: float | None) -> None:
        super().__init__()
        bound = hidden**-0.5
        self.embed = nn.Parameter(torch.empty(hidden, inputs))
        self.recurrent, self.drive = (nn.Parameter(torch.empty(hidden, hidden)) for _ in range(2))
        self.bias = nn.Parameter(torch.empty(hidden))
        for parameter in self.parameters():
            if mu_b is None:
                nn.init.uniform_(parameter, -bound, bound)
            elif parameter.ndim == 1:
                nn.init.constant_(parameter, mu_b)
            else:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)

    def forward(self, sequence: torch.Tensor) -> tuple[torch.Tensor, None]:
        """(batch, T, inputs) to the last state, as (batch, 1, hidden)."""
        content = torch.tanh(sequence @ self.embed.T)
        drive = content @ self.drive.T + self.bias
        h = torch.zeros(len(sequence), len(self.bias))
        for x, d in zip(content.unbind(1), drive.unbind(1), strict=True):
            u = torch.sigmoid(h @ self.recurrent.T + d)
            h = x + u * (h - x)
        return h[:, None], None


class Reader(nn.Module):
    """A recurrent layer and a linear readout of its last state."""

    def __init__(self, arm: Arm, inputs: int, outputs: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.recurrent = _layer(arm, inputs, seed)
        self.readout = nn.Linear(HIDDEN, outputs)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        """(batch, T, inputs) to (batch, outputs)."""
        return self.readout(self.recurrent(sequence)[0][:, -1])


def _layer(arm: Arm, inputs: int, seed: int) -> nn.Module:
    if arm.architecture == "minimal-rnn":
        return MinimalRNN(inputs, HIDDEN, None if arm.default else arm.value)
    layer = getattr(nn, LAYERS[arm.architecture].rpartition(".")[2])(inputs, HIDDEN, batch_first=True)
    if not arm.default:
        init_(layer, _scheme(arm), orthogonal=arm.orthogonal, seed=seed)
    return layer


def _scheme(arm: Arm) -> dict[str, float]:
    """torch's gains, no random biases, and the swept parameter."""
    standard = parameters_of(framework(LAYERS[arm.architecture]), HIDDEN)
    biases = ("sigma_b",) if arm.architecture == "vanilla" else tuple(n for n in standard if n.startswith("rho_"))
    return dict.fromkeys(biases, 0.0) | {arm.swept: arm.value}


@functools.cache
def theory(arm: Arm) -> tuple[float, float]:
    """chi1 and xi of an arm while the input is blank (R = 0), untied; xi is infinite where chi_star is 1 or above."""
    if arm.architecture == "minimal-rnn":
        third = 3.0**-0.5
        given = {"sigma_w": third, "sigma_v": third, "sigma_b": (3 * HIDDEN) ** -0.5} if arm.default else {
            "sigma_w": 1.0, "sigma_v": 1.0, "mu_b": arm.value}  # fmt: skip
        given |= {"R": 0.0}
    else:
        given = parameters_of(framework(LAYERS[arm.architecture]), HIDDEN)
        given |= {} if arm.default else _scheme(arm)
    with budget(THEORY_SECONDS):
        found = solve(load(CELLS[arm.architecture]), given, ansatz="untied")
    chosen = next((s for s in found.solutions if s.stable), found.solutions[-1])
    xi = chosen["xi"]
    chi_star = chosen["chi_star"]
    if chi_star is not None and chi_star >= 1.0 - 1e-9:
        xi = float("inf")
    elif xi is None:
        xi = float("nan")
    return float("nan" if chosen["chi1"] is None else chosen["chi1"]), float(xi)

