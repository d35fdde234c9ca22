"""Sampled stationary states with all their numbers: replicates, step and window errors, the Lyapunov exponent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from solvers.budget import BudgetSpent
from solvers.dynamics.grid import Grid
from solvers.dynamics.result import StationaryState, correlation_time
from solvers.dynamics.sampled_map import SampledMap
from solvers.dynamics.sampled_model import SampledModel
from solvers.dynamics.sampled_solve import (
    AMPLITUDES,
    MOST_SUBSTEPS,
    Diverges,
    Reached,
    Replicated,
    Sample,
    Setting,
    Vanishes,
    explore,
    longer,
    numbers_of,
    replicate,
    solve_sample,
    trouble,
)
from solvers.dynamics.tilted import Exponent, TiltedMap, exponent_along, exponent_near
from solvers.dynamics.window import Window
from solvers.result import CONVERGED

EXPONENTS = 4
"""Replicates over which the exponent is measured."""

_CONTROL = 1e-5
_SHARE = 0.8
_DECAYED = 0.1
SHOWN = 200
_SITE_STEPS = 2e5


def sampled_states(model: SampledModel, tol: float, seed: int) -> tuple[list[StationaryState], list[str]]:
    """Stationary states that fluctuate in time, each once, from large and from small activity, and notes.

    tol : relative standard error asked of q and Q.
    """
    found: list[StationaryState] = []
    notes: list[str] = []
    seen: list[np.ndarray] = []
    for amplitude in AMPLITUDES:
        try:
            reached = explore(model, amplitude, seed)
            if any(_same(numbers_of(reached.sample), numbers) for numbers in seen):
                continue
            seen.append(numbers_of(reached.sample))
            found.append(_state(model, reached, tol, seed))
        except BudgetSpent as spent:
            notes.append(f"{spent}, starting from activity of variance {amplitude:g} gain^2")
            break
        except Vanishes as rest:
            notes += [str(rest)] if str(rest) else []
            continue
        except Diverges:
            notes.append(
                f"from activity of variance {amplitude:g} gain^2 the states grow without bound: the network diverges "
                "there"
            )
    return found, notes


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two explorations, whose noise differs, are the same state; coexisting states lie further apart."""
    return bool(np.allclose(one, other, rtol=0.1, atol=1e-9))


def _state(model: SampledModel, reached: Reached, tol: float, seed: int) -> StationaryState:
    reached, step_error = _resolved_step(model, reached, tol, seed)
    while True:
        found, why = replicate(model, reached, _SHARE * tol, seed)
        try:
            window_error = _window_error(model, reached, found, seed)
        except BudgetSpent as spent:
            window_error = np.zeros_like(step_error)
            reached = replace(reached, trouble=f"{spent}, before the error of the window was measured")
        far = found.setting.window.tails(found.combined(lambda sample: sample.raw))[1]
        resolved = window_error.max(initial=0.0) <= 0.5 * tol and far <= _DECAYED
        extended = None if resolved else longer(found.setting)
        if extended is None:
            break
        C = found.setting.grid.onto(found.combined(lambda sample: sample.C), extended.grid)
        reached = replace(reached, setting=extended, sample=replace(reached.sample, C=C))
    if far > _DECAYED and not reached.trouble:
        reached = replace(reached, trouble=trouble(far, 0.0))
    exponent, exponent_error, notes = _exponent(model, found, seed)
    return _assembled(model, reached, found, step_error, window_error, (exponent, exponent_error), tol, why, notes)


def _again(model: SampledModel, setting: Setting, reached: Reached, seed: int) -> Sample:
    """The solution in another setting, for the noise of the exploration."""
    return solve_sample(
        model, setting, (seed, 0), reached.sample.C, reached.still, tolerance=_CONTROL, plain=1
    )[0]  # fmt: skip


def _relative(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other) / np.maximum(np.abs(other), 1e-300)


def _resolved_step(model: SampledModel, reached: Reached, tol: float, seed: int) -> tuple[Reached, np.ndarray]:
    """Halve the time step until that changes no number by more than a third of the tolerance (same noise)."""
    if model.discrete:
        return reached, np.zeros_like(numbers_of(reached.sample))
    coarse = _again(model, reached.setting, reached, seed)
    while True:
        finer = replace(reached.setting, substeps=2 * reached.setting.substeps)
        fine = _again(model, finer, reached, seed)
        change = _relative(numbers_of(coarse), numbers_of(fine))
        if change.max(initial=0.0) <= tol / 3.0 or finer.substeps > 2 * MOST_SUBSTEPS:
            return replace(reached, sample=coarse), change
        reached, coarse = replace(reached, setting=finer, sample=fine), fine


def _window_error(model: SampledModel, reached: Reached, found: Replicated, seed: int) -> np.ndarray:
    """What is cut off: the change on halving the reach, times the share by which correlations fall in between."""
    window = found.setting.window
    shorter = Window(window.grid, 0.5 * window.reach)
    setting = replace(found.setting, window=shorter)
    try:
        changes = []
        for number in range(2):
            sample, _, _ = solve_sample(
                model, setting, (seed, 1, number), found.samples[number].C, reached.still, tolerance=_CONTROL * 10,
                plain=1,
            )  # fmt: skip
            changes.append(_relative(numbers_of(sample), numbers_of(found.samples[number])))
    except Diverges:
        return np.full_like(numbers_of(reached.sample), np.inf)
    raw = np.mean([sample.raw for sample in found.samples], axis=0)
    before, after = shorter.left(raw), window.left(raw)
    share = min(after / before, 1.0) if before > 0 else 0.0
    return np.mean(changes, axis=0) * share


def _exponent(
    model: SampledModel, found: Replicated, seed: int
) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Maximal exponent, its standard error, and a note where it is not known."""
    if model.compiled.divergent:
        return None, None, ("a function jumps: the square of its derivative diverges and so does the exponent",)
    if not len(model.gains):
        return None, None, ("no field carries a perturbation from unit to unit",)
    rates: list[float] = []
    known: Exponent | None = None
    try:
        covariances = [found.combined(lambda sample: sample.C), *_halves(found)]
        for number in range(EXPONENTS + 1):
            more = EXPONENTS if number == EXPONENTS else 1
            step = _tilted(model, found, covariances[0], (seed, 3, number), more)
            known = exponent_along(step, 1.0 / model.pace) if known is None else exponent_near(step, known)
            if known is None:
                return None, None, ("no rate was found at which perturbations neither grow nor shrink",)
            rates.append(known.rate)
        if known is None:
            return None, None, ()
        # What the uncertainty of the covariances does: the same noise, over either half of the replicates.
        halves = [exponent_near(_tilted(model, found, C, (seed, 3, 0)), known).rate for C in covariances[1:]]
    except BudgetSpent as spent:
        return None, None, (f"{spent}: the Lyapunov exponent was not reached; raise --budget",)
    except Diverges:
        return None, None, ("the exponent is unknown: sites diverge",)
    if not np.isfinite([*rates, *halves]).all():
        return None, None, ("the exponent is unknown: perturbations of single units grow faster than all others",)
    # Small and large sets of paths together remove the bias of few paths, as for covariances.
    *small, large = rates
    spread = np.std(small, ddof=1) / np.sqrt(EXPONENTS) * np.hypot(EXPONENTS, 1.0) / (EXPONENTS - 1.0)
    error = np.hypot(spread, 0.5 * abs(halves[0] - halves[1]))
    return float(large + (large - np.mean(small)) / (EXPONENTS - 1.0)), float(error), ()


def _halves(found: Replicated) -> list[np.ndarray]:
    """Mean covariance of either half of the replicates."""
    middle = len(found.samples) // 2
    return [np.mean([sample.C for sample in part], axis=0) for part in (found.samples[:middle], found.samples[middle:])]


def _tilted(
    model: SampledModel, found: Replicated, C: np.ndarray, seed: tuple[int, ...], more: int = 1
) -> TiltedMap:
    """The perturbation map along sites in fields of given covariance; a flow has twice as many lags for it."""
    grid = found.setting.grid
    if not model.discrete:
        grid = grid.finer()
        C = found.setting.grid.onto(C, grid)
    paths = more * int(np.clip(_SITE_STEPS / grid.n, 150, 1000))
    root = np.random.SeedSequence(seed)
    own, noise = root.spawn(2)
    step = SampledMap(model.compiled, model.discrete, grid, own, paths, max(1, found.setting.substeps // 2))
    fields = step.fields(C)
    trajectories = step.trajectories(fields)
    if not trajectories.finite:
        raise Diverges
    return TiltedMap(model, step, fields, trajectories, 0.5 * grid.window, noise)


def _assembled(
    model: SampledModel, reached: Reached, found: Replicated, step: np.ndarray, window: np.ndarray,
    exponent: tuple[float | None, float | None], tol: float, why: str, notes: tuple[str, ...],
) -> StationaryState:  # fmt: skip
    grid, K = found.setting.grid, len(model.gains)
    mean = found.combined(numbers_of)
    error = np.hypot(found.standard_error(numbers_of), (step + window) * np.abs(mean))
    count = int(found.setting.window.reach / grid.dt) + 1
    stride = max(1, -(-count // SHOWN))
    own, own_error = found.combined(lambda s: s.C), found.standard_error(lambda s: s.C)
    states = found.combined(lambda s: s.states)
    names, q, q_error, C, C_error = [item.name for item in model.canonical.fields], {}, {}, {}, {}
    for item in model.site.fields:
        if item.name not in names:
            q[item.name], q_error[item.name], C_error[item.name] = 0.0, 0.0, 0.0
            C[item.name] = np.zeros(len(range(0, count, stride)))
            continue
        k = names.index(item.name)
        q[item.name], q_error[item.name] = float(mean[k]), float(error[k])
        C[item.name] = own[k, k, :count:stride]
        C_error[item.name] = float(np.hypot(own_error[k, k].max(), (step + window)[k] * mean[k]))
    order = {name: number for number, name in enumerate(model.canonical.state_names)}
    Q = {str(s): float(mean[K + order[str(s)]]) for s in model.site.states}
    Q_error = {str(s): float(error[K + order[str(s)]]) for s in model.site.states}
    tau, tau_error = (one(lambda s: np.array(_longest(s, grid))) for one in (found.combined, found.standard_error))
    errors = {
        "q": q_error, "Q": Q_error, "C": C_error,
        "correlation_time": float(np.hypot(tau_error, (step + window).max(initial=0.0) * tau)),
        "lyapunov_max": exponent[1],
    }  # fmt: skip
    relative = float((error[np.abs(mean) > 1e-12] / np.abs(mean[np.abs(mean) > 1e-12])).max(initial=0.0))
    parts = (
        f"relative errors of q and Q: Monte Carlo {found.relative:.1e}, time step {step.max(initial=0.0):.0e}, window "
        f"{window.max(initial=0.0):.0e}"
    )
    return StationaryState(
        q=q, Q=Q, lags=grid.dt * np.arange(0, count, stride), C=C,
        autocorrelation={name: states[number][:count:stride] for name, number in order.items()},
        dt=grid.dt / found.setting.substeps, correlation_time=float(tau), lyapunov_max=exponent[0],
        method=f"sampled paths ({2 * len(found.samples) * found.setting.paths} of {grid.n} lags)", error=errors,
        verdict=_verdict(relative, tol, why, reached.trouble, found), notes=(parts, *notes),
    )  # fmt: skip


def _longest(sample: Sample, grid: Grid) -> float:
    return max(correlation_time(sample.C[k, k], grid.dt) for k in range(sample.C.shape[0]))


def _verdict(relative: float, tol: float, why: str, trouble: str, found: Replicated) -> str:
    residual = max(s.mixed.residual / max(float(np.abs(s.mixed.x).max()), 1e-300) for s in found.samples)
    if trouble:
        return f"not converged: {trouble}"
    if residual > max(1e-2, tol):
        return (
            f"not converged: the iteration of the covariance stalled at a relative residual {residual:.1e}, (a) "
            "because the state sits at a transition, or (b) because it oscillates; move the parameters a little to tell"
        )
    if relative > tol:
        cause = why or "correlations reach beyond the window"
        return f"not converged: relative error {relative:.1e}, asked {tol:.0e}: {cause}; raise --tol or --budget"
    return CONVERGED
