"""The regimes of a phase diagram, and what decides between them at one point of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from derive.cell.spec import Cell
from derive.errors import GatefieldError
from solvers.budget import BudgetSpent
from solvers.dynamics import dynamics
from solvers.dynamics.result import StationaryState
from solvers.phase.fluctuating import fluctuates
from solvers.phase.statics import MARGINAL, STABLE, UNKNOWN, UNSTABLE, Statics, StaticSolver
from solvers.result import CONVERGED
from solvers.solution import plain

UNDECIDED, STABLE_ZERO, STABLE_ACTIVE, SEVERAL, MANY_UNSTABLE, CHAOS, COEXISTENCE, NEUTRAL, DIVERGES = range(9)

NAMES = (
    "undecided",
    "stable zero",
    "stable non-zero",
    "several stable fixed points",
    "many unstable fixed points without chaos",
    "chaos",
    "coexistence",
    "marginal",
    "diverges",
)

CHAOTIC = (CHAOS, COEXISTENCE)
GROWS = ("grows without bound", "does not saturate")
"""How the solvers say that activity runs away."""

TOL = 0.1
"""Relative accuracy asked of states that fluctuate: regimes need the sign of an exponent, with its error."""

NOT_ASKED = "the only static solution is stable: time-dependent states beside it were not looked for"
NOT_MET = "the only static solution is stable, and large activity beside it dies out"


@dataclass(frozen=True)
class Probe:
    """What was found at one point: x, y : parameters; regime : a number of `NAMES`; verdict : "converged" or why the
    regime is undecided; exponents : maximal exponent and error of each state that fluctuates in time."""

    x: float
    y: float
    regime: int
    verdict: str
    statics: Statics | None = None
    exponents: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self, names: tuple[str, str]) -> dict[str, Any]:
        """The JSON object of this point."""
        states = () if self.statics is None else self.statics.states
        found = {
            names[0]: self.x,
            names[1]: self.y,
            "regime": NAMES[self.regime],
            "static_solutions": [
                {"state": s.state, "Q": dict(s.Q), "stability": s.stability, "margin": s.margin,
                 "complexity": s.complexity[0], "error": {"margin": s.error, "complexity": s.complexity[1]},
                 "verdict": s.verdict}
                for s in states
            ],
            "lyapunov_max": [value for value, _ in self.exponents],
            "lyapunov_error": [error for _, error in self.exponents],
            "verdict": self.verdict,
            "notes": list(self.notes),
        }  # fmt: skip
        return dict(plain(found))


class Prober:
    """Decides the regime at points of the plane; every point is looked at once."""

    def __init__(
        self, cell: Cell, names: tuple[str, str], others: Mapping[str, object], solver: StaticSolver, *, moving: bool,
        seed: int,
    ) -> None:  # fmt: skip
        self.cell, self.names, self.others, self.solver = cell, names, dict(others), solver
        self.moving, self.seed = moving, seed
        self.known: dict[tuple[float, float], Probe] = {}
        self._fluctuates: dict[tuple[float, float], bool] = {}

    def __call__(self, x: float, y: float) -> Probe:
        """The regime at these values of the two parameters.  Raises BudgetSpent."""
        if (x, y) not in self.known:
            self.known[x, y] = self._probe(x, y)
        return self.known[x, y]

    def chaotic(self, x: float, y: float) -> bool | None:
        """Whether there is a state that fluctuates for ever at these values; None where it cannot be said."""
        known = self.known.get((x, y))
        if known is not None:
            return None if known.regime == UNDECIDED else known.regime in CHAOTIC
        return self._lasting(x, y)

    def _lasting(self, x: float, y: float) -> bool | None:
        """Whether large activity goes on for ever; None where the cell has no stationary mean field."""
        if (x, y) not in self._fluctuates:
            try:
                own = fluctuates(self.cell, {**self.others, self.names[0]: x, self.names[1]: y}, self.seed)
            except BudgetSpent:
                raise
            except GatefieldError:
                return None
            self._fluctuates[x, y] = own
        return self._fluctuates[x, y]

    def _probe(self, x: float, y: float) -> Probe:
        statics = self.solver(x, y)
        if not _needs_dynamics(statics):
            beside = self._lasting(x, y) if self.moving else None
            if not beside:
                regime, verdict = _of_static(statics)
                note = NOT_ASKED if beside is None else NOT_MET
                return Probe(x, y, regime, verdict, statics, notes=(*statics.notes, note))
        if not self.moving:
            return _without_dynamics(x, y, statics, "time-dependent states were not asked for")
        try:
            given = {**self.others, self.names[0]: x, self.names[1]: y}
            found = dynamics(self.cell, given, tol=TOL, seed=self.seed, fixed_points=False)
        except BudgetSpent:
            raise
        except GatefieldError as reason:
            return _without_dynamics(x, y, statics, f"time-dependent states are not known: {reason}")
        if not found.complete:
            raise BudgetSpent("stopped by the time budget")
        moving = [state for state in found.solutions if state.dt is not None]
        regime, verdict = decide(statics, moving, found.notes)
        exponents = tuple(
            (s.lyapunov_max, float(s.error.get("lyapunov_max") or 0.0)) for s in moving if s.lyapunov_max is not None
        )
        return Probe(x, y, regime, verdict, statics, exponents, tuple(dict.fromkeys((*statics.notes, *found.notes))))


def _needs_dynamics(statics: Statics) -> bool:
    """Where the zero state is not stable, or other solutions exist."""
    return not (len(statics.states) == 1 and statics.count(STABLE) == 1)


def _of_static(statics: Statics) -> tuple[int, str]:
    (state,) = statics.states
    return (STABLE_ZERO if state.state == "zero" else STABLE_ACTIVE), state.verdict


def _without_dynamics(x: float, y: float, statics: Statics, why: str) -> Probe:
    """A statement of the static solutions alone: stable ones are sure, chaos beside them is not excluded."""
    stable = [state.state for state in statics.states if state.stability == STABLE]
    known = f"stable static solutions: {', '.join(stable)}" if stable else "no static solution is stable"
    return Probe(x, y, UNDECIDED, f"undecided: {known}; {why}", statics, notes=statics.notes)


def decide(statics: Statics, moving: Sequence[StationaryState], notes: Sequence[str]) -> tuple[int, str]:
    """The regime from static solutions and states that fluctuate in time, and "converged" or what is in doubt."""
    stable = [state for state in statics.states if state.stability == STABLE]
    chaotic = [s for s in moving if s.lyapunov_max is not None and s.lyapunov_max > _error(s)]
    verdicts = [state.verdict for state in stable] + [state.verdict for state in chaotic]
    doubts = [text for text in verdicts if text != CONVERGED]
    verdict = doubts[0] if doubts else CONVERGED
    if chaotic:
        return (COEXISTENCE if stable else CHAOS), verdict
    if moving:
        return _doubtful(moving)
    if statics.count(UNKNOWN):
        return UNDECIDED, "undecided: the stability of a static solution is not known"
    if stable:
        return _of_stable(statics, len(stable), stable[-1].state), verdict
    if statics.count(MARGINAL):
        return NEUTRAL, verdict
    if any(text in note for note in (*notes, *statics.notes) for text in GROWS):
        return DIVERGES, verdict
    return UNDECIDED, "undecided: no static solution is stable, and no stationary state that fluctuates was found"


def _of_stable(statics: Statics, stable: int, largest: str) -> int:
    many = any(s.stability == UNSTABLE and s.complexity[0] > s.complexity[1] for s in statics.states)
    if stable > 1:
        return SEVERAL
    if many:
        return MANY_UNSTABLE
    return STABLE_ZERO if largest == "zero" else STABLE_ACTIVE


def _doubtful(moving: Sequence[StationaryState]) -> tuple[int, str]:
    """States that fluctuate, none of them with an exponent that is surely positive."""
    known = [s for s in moving if s.lyapunov_max is not None]
    if not known:
        why = next((note for s in moving for note in s.notes), "its exponent is not known")
        return UNDECIDED, f"undecided: a state fluctuates in time; {why}"
    if all(abs(s.lyapunov_max or 0.0) <= _error(s) for s in known):
        return NEUTRAL, known[0].verdict
    return UNDECIDED, "undecided: a state fluctuates in time, and perturbations of it die out"


def _error(state: StationaryState) -> float:
    return float(state.error.get("lyapunov_max") or 0.0)
