"""Growth of gradients with the lag from the readout: the adjoint mean field, beside backpropagation in networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.cell.parameters import Settings, resolve
from derive.cell.spec import Cell
from derive.errors import AnsatzError, ParameterError
from solvers.adjoint import adjoint_norms
from solvers.budget import BudgetSpent, budget, time_left
from solvers.compare.exponent import distance, maximal_exponent
from solvers.result import CONVERGED
from solvers.simulate.backward import GradientMeasurement, measure_tied_gradient, measure_untied_gradient
from solvers.simulate.elementwise import Array
from solvers.simulate.measurement import unsettled
from solvers.solution import Solution, Solved, plain
from solvers.solve import solve
from solvers.threads import one_thread

UNTIED, STATIONARY = "untied", "stationary"
UNTIED_LAGS, STATIONARY_LAGS = 20, 400

READOUT = "the gradient at lag 0 has an independent random sign for each state of each unit"
OF_SQUARE = "growth: of the mean square gradient for each step of lag (chi1); norm: its root, relative to lag 0"
OF_LOGARITHM = (
    "growth: of ln |gradient| for each step or unit of time (the maximal Lyapunov exponent); norm: exp(growth * lag), "
    "up to a factor that transients leave; measured_norm: exp of the mean logarithm"
)


@dataclass(frozen=True)
class Gradient:
    """Theory and networks, or theory alone.

    growth, growth_error : see ``meaning``; None where theory has none; adjoint : growth of the adjoint mean field by
    itself and its error, None where it was not run; lags : (n,); norm, norm_error : (n,) of theory;
    measurement : of finite networks, None where none were asked; verdict : of the theory; notes : what else is to be
    known.
    """

    cell: Cell
    ansatz: str
    parameters: Mapping[str, float]
    growth: float | None
    growth_error: float | None
    adjoint: tuple[float, float] | None
    lags: Array
    norm: Array | None
    norm_error: Array | None
    measurement: GradientMeasurement | None
    theory_verdict: str = CONVERGED
    notes: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """What growth and norm are."""
        return OF_SQUARE if self.ansatz == UNTIED else OF_LOGARITHM

    @property
    def verdict(self) -> str:
        """ "converged", or what theory or networks say that did not."""
        if self.theory_verdict != CONVERGED:
            return self.theory_verdict
        found = self.measurement
        if found is None or found.converged:
            return CONVERGED
        return unsettled(found.outcomes, found.settled)

    @property
    def measured_growth(self) -> Array | None:
        """(seeds,) the growth in each network."""
        if self.measurement is None:
            return None
        return self.measurement.square_growth() if self.ansatz == UNTIED else self.measurement.log_growth()

    def measured_norm(self) -> tuple[Array, Array]:
        """(n,) over networks, and standard errors."""
        assert self.measurement is not None
        found, seeds = self.measurement, len(self.measurement.settled)
        with np.errstate(all="ignore"):
            if self.ansatz == UNTIED:
                mean = np.sqrt(found.squares.mean(axis=0))
                return mean, _error(found.squares, seeds) / (2.0 * mean)
            mean = np.exp(0.5 * found.logs.mean(axis=0))
            return mean, 0.5 * _error(found.logs, seeds) * mean

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield gradient``."""
        record: dict[str, Any] = {
            "cell": self.cell.name, "ansatz": self.ansatz, "parameters": dict(self.parameters),
            "growth": self.growth, "growth_error": self.growth_error,
            "lags": self.lags, "norm": self.norm, "norm_error": self.norm_error,
        }  # fmt: skip
        if self.adjoint is not None:
            record |= {"adjoint_growth": self.adjoint[0], "adjoint_growth_error": self.adjoint[1]}
        growth = self.measured_growth
        if self.measurement is not None and growth is not None:
            norm, error = self.measured_norm()
            record |= {
                "measured_growth": float(np.mean(growth)),
                "measured_growth_error": float(_error(growth, len(growth))),
                "measured_norm": norm, "measured_norm_error": error,
                "N": self.measurement.N, "seeds": len(growth),
            }  # fmt: skip
        record |= {"verdict": self.verdict, "notes": [*self.notes, self.meaning, READOUT]}
        return {key: plain(value.tolist() if isinstance(value, np.ndarray) else value) for key, value in record.items()}


def _error(values: Array, seeds: int) -> Array:
    if seeds < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(seeds))


@one_thread
def gradient(
    cell: Cell,
    parameters: Mapping[str, object] | None = None,
    *,
    ansatz: str | None = None,
    lags: int | None = None,
    N: int = 300,
    seeds: int = 4,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Gradient:
    """Gradients against lag: theory, and backpropagation through ``seeds`` networks of N units (0: theory alone).

    ansatz : "untied" (the default of maps) or "stationary" (tied weights; the default of flows); lags : how many, 20 or
    400 by default.

    Raises
    ------
    ParameterError : a parameter is unknown, missing or out of range; fewer than two lags.
    AnsatzError : untied in continuous time, or another ansatz than these.
    """
    settings = resolve(cell, parameters)
    ansatz = ansatz or (UNTIED if cell.time == "discrete" else STATIONARY)
    if ansatz not in (UNTIED, STATIONARY):
        raise AnsatzError(f"gradients are followed under the untied or the stationary ansatz, not the {ansatz} one")
    count = (UNTIED_LAGS if ansatz == UNTIED else STATIONARY_LAGS) if lags is None else lags
    if count < 2:
        raise ParameterError(f"a growth rate needs at least two lags; {count} were asked for")
    tell = progress or (lambda text: None)
    work = _untied if ansatz == UNTIED else _stationary
    return work(cell, parameters, settings, count, (N, seeds, seed), tell)


Sizes = tuple[int, int, int]


def _untied(
    cell: Cell, parameters: Mapping[str, object] | None, settings: Settings, lags: int, sizes: Sizes,
    tell: Callable[[str], None],
) -> Gradient:  # fmt: skip
    N, seeds, seed = sizes
    steps = np.arange(lags + 1.0)
    measurement, notes, verdict = None, [], CONVERGED
    solved, spent_on_theory = _solved(cell, parameters, seed, networks=seeds > 0)
    if seeds:
        tell(f"backpropagation through {seeds} networks of {N} units")
        try:
            measurement = measure_untied_gradient(cell, settings, N=N, seeds=seeds, lags=lags, seed=seed)
        except BudgetSpent as spent:
            notes.append(f"no networks: {spent}")
            verdict = f"not converged: {spent}"
    if solved is None:
        return Gradient(cell, UNTIED, settings.parameters, None, None, None, steps, None, None, measurement,
                        f"not converged: {spent_on_theory} before theory had a state", tuple(notes))  # fmt: skip
    notes = [*solved.notes, *notes]
    solution = _reached(solved, measurement, notes)
    if solution is None:
        return Gradient(cell, UNTIED, settings.parameters, None, None, None, steps, None, None, measurement,
                        "not converged: theory has no stable state at these parameters", tuple(notes))  # fmt: skip
    verdict = verdict if solution.verdict == CONVERGED else solution.verdict
    norm = error = adjoint = None
    try:
        tell("the adjoint mean field")
        if solution.off_kink:
            raise AnsatzError("the state is zero, where an activation has a kink: no gradient exists there")
        found = adjoint_norms(solved, solution, lags, seed)
        norm, adjoint = np.sqrt(found.squares), (found.growth.value, found.growth.error)
        error = found.errors / (2.0 * np.maximum(norm, 1e-300))
        if not found.settled:
            notes.append("the sampled states of single units still drift: norms are those of a transient")
        if found.stopped:
            verdict = f"not converged: {found.stopped}"
    except AnsatzError as reason:
        notes.append(f"no gradient norms: {reason}")
    except BudgetSpent as spent:
        notes.append(f"no gradient norms of theory: {spent}; raise --budget")
        verdict = f"not converged: {spent}"
    chi1, chi1_error = solution.numbers["chi1"], solution.errors["chi1"]
    return Gradient(cell, UNTIED, settings.parameters, chi1, chi1_error, adjoint, steps, norm, error, measurement,
                    verdict, tuple(notes))  # fmt: skip


def _solved(
    cell: Cell, parameters: Mapping[str, object] | None, seed: int, *, networks: bool
) -> tuple[Solved | None, str]:
    """The untied theory, or why there is none.

    Sampled closures use all time they get: networks and the adjoint, which come later, keep their shares of it.
    """
    left = time_left()
    try:
        with budget(None if left is None else left / (3.0 if networks else 2.0)):
            return solve(cell, parameters, ansatz=UNTIED, seed=seed), ""
    except BudgetSpent as spent:
        return None, str(spent)


def _reached(solved: Solved, measurement: GradientMeasurement | None, notes: list[str]) -> Solution | None:
    """The stable solution that the networks are in; without networks, the one with the largest Q."""
    stable = [solution for solution in solved.solutions if solution.stable]
    if len(stable) > 1:
        notes.append(f"theory has {len(stable)} stable states; growth and norms are those of one of them")
    if not stable or measurement is None or not all(np.isfinite(value) for value in measurement.Q.values()):
        return stable[-1] if stable else None
    Q = measurement.Q
    return min(stable, key=lambda solution: distance(solution.numbers["Q"], Q))


def _stationary(
    cell: Cell, parameters: Mapping[str, object] | None, settings: Settings, lags: int, sizes: Sizes,
    tell: Callable[[str], None],
) -> Gradient:  # fmt: skip
    N, seeds, seed = sizes
    measurement = None
    if seeds:
        tell(f"backpropagation through {seeds} networks of {N} units")
        measurement = measure_tied_gradient(cell, settings, N=N, seeds=seeds, lags=lags, seed=seed)
    tell("the stationary mean field")
    time = np.arange(lags + 1.0)
    known = [measurement.Q] if measurement is not None and all(map(np.isfinite, measurement.Q.values())) else []
    try:
        theory = maximal_exponent(cell, parameters, known)
    except BudgetSpent as spent:
        return Gradient(cell, STATIONARY, settings.parameters, None, None, None, time, None, None, measurement,
                        f"not converged: {spent}")  # fmt: skip
    norm = error = None
    if theory.value is not None and np.isfinite(theory.value):
        with np.errstate(over="ignore"):
            norm = np.exp(theory.value * time)
            error = norm * time * (np.nan if theory.error is None else theory.error)
    return Gradient(cell, STATIONARY, settings.parameters, theory.value, theory.error, None, time, norm, error,
                    measurement, theory.verdict, theory.notes)  # fmt: skip
