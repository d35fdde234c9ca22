"""Parameters at which each shipped cell has a non-zero static solution with random gates: shared by several tests."""

from functools import cache

from derive import load
from solvers.solution import Solved
from solvers.solve import solve

LIVELY: dict[str, dict[str, float]] = {
    "vanilla": {"sigma_w": 1.5, "sigma_b": 0.3},
    "minimal-rnn": {"sigma_w": 4.0, "sigma_v": 1.0, "R": 1.0},
    "gru": {"sigma_z": 2.0, "sigma_r": 2.0, "sigma_h": 3.0},
    "gru-reset-after": {"sigma_z": 2.0, "sigma_r": 2.0, "sigma_h": 3.0},
    "lstm": {"sigma_f": 1.5, "sigma_i": 1.5, "sigma_o": 1.5, "sigma_g": 3.0, "mu_f": 1.0},
    "gated-rnn": {"g_h": 3.0, "alpha_z": 1.0, "alpha_r": 2.0},
    "rate": {"g": 2.0},
}


@cache
def lively(name: str) -> Solved:
    """All static solutions of a shipped cell at these parameters, solved once."""
    return solve(load(name), LIVELY[name])
