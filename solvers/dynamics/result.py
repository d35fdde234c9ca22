"""What `dynamics` returns: stationary states with their covariances, errors and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from solvers.result import CONVERGED
from solvers.solution import plain

MOST_LAGS = 400
_DECAYED = 1e-6


@dataclass(frozen=True)
class StationaryState:
    """One stationary state of the dynamical mean field.

    q : field -> sigma^2 E[v^2]; Q : state -> E[s^2]; lags : (n,) steps or time, ascending from 0;
    C : field -> sigma^2 E[v(t) v(t + lag)], (n,); autocorrelation : state -> E[s(t) s(t + lag)], (n,);
    dt : spacing at which the equations were solved (None at a fixed point); correlation_time : integral over lags from
    0 of the normalised connected autocorrelation of the slowest field (None at a fixed point); lyapunov_max : maximal
    exponent per step or unit of time (None where it is not known); method : how it was found; error : absolute errors
    under the same names; verdict : "converged" or what went wrong and what to do.
    """

    q: Mapping[str, float]
    Q: Mapping[str, float]
    lags: np.ndarray
    C: Mapping[str, np.ndarray]
    autocorrelation: Mapping[str, np.ndarray]
    dt: float | None
    correlation_time: float | None
    lyapunov_max: float | None
    method: str
    error: Mapping[str, Any]
    verdict: str
    notes: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether every number met its tolerance."""
        return self.verdict == CONVERGED

    def power_spectrum(self, field_name: str) -> tuple[np.ndarray, np.ndarray]:
        """Angular frequencies and S(w) = dt sum over lags of C(lag) exp(i w lag), from the lags that are kept.

        The plateau that quenched differences between units leave is removed: it is a delta function at w = 0.
        """
        step = float(self.lags[1] - self.lags[0]) if len(self.lags) > 1 else 1.0
        connected = self.C[field_name] - self.C[field_name][-1]
        full = np.concatenate([connected, connected[-2:0:-1]])
        return 2.0 * np.pi * np.fft.rfftfreq(full.size, step), step * np.fft.rfft(full).real

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of this state."""
        found: dict[str, Any] = {
            "q": dict(self.q),
            "Q": dict(self.Q),
            "lags": self.lags.tolist(),
            "C": {name: values.tolist() for name, values in self.C.items()},
            "autocorrelation": {name: values.tolist() for name, values in self.autocorrelation.items()},
            "dt": self.dt,
            "correlation_time": self.correlation_time,
            "lyapunov_max": self.lyapunov_max,
            "method": self.method,
            "error": dict(self.error),
            "verdict": self.verdict,
        }
        if self.notes:
            found["notes"] = list(self.notes)
        return {key: plain(value) for key, value in found.items()}


@dataclass(frozen=True)
class Dynamics:
    """All stationary states found, ascending by Q of the first state in the file."""

    cell: str
    parameters: Mapping[str, float]
    solutions: tuple[StationaryState, ...]
    notes: tuple[str, ...] = ()
    complete: bool = True
    time: str = field(default="discrete")

    @property
    def converged(self) -> bool:
        """Whether there is a stationary state and every one of them converged."""
        return self.complete and bool(self.solutions) and all(s.converged for s in self.solutions)

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield dynamics``."""
        found: dict[str, Any] = {
            "cell": self.cell,
            "time": self.time,
            "parameters": dict(self.parameters),
            "solutions": [solution.as_dict() for solution in self.solutions],
        }
        if self.notes:
            found["notes"] = list(self.notes)
        return found


def correlation_time(C: np.ndarray, dt: float) -> float:
    """Integral from lag 0 to n dt / 2 of (C - C_far) / (C(0) - C_far) by the trapezoidal rule; C on a circle, (n,)."""
    half = C.size // 2
    connected = C[: half + 1] - C[half]
    if connected[0] == 0:
        return 0.0
    return float(dt * (connected.sum() - 0.5 * (connected[0] + connected[-1])) / connected[0])


def kept_lags(C: np.ndarray) -> tuple[int, int]:
    """How many lags to report of covariances (K, n) on a circle, and at which stride: until all have decayed."""
    half = C.shape[-1] // 2
    connected = np.abs(C[:, : half + 1] - C[:, half : half + 1])
    alive = np.flatnonzero((connected > _DECAYED * np.maximum(connected[:, :1], 1e-300)).any(axis=0))
    count = min(half, max(int(alive[-1]) + 2 if alive.size else 2, 16))
    stride = max(1, -(-count // MOST_LAGS))
    return count, stride
