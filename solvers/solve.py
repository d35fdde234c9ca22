"""From a theory and parameter values to all its solutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from derive.cell.parameters import Settings, resolve
from derive.cell.spec import Cell
from derive.elementary import Fn
from derive.errors import AnsatzError
from derive.pipeline import derive_theory
from derive.theory import Theory
from solvers.averages import Estimate, Evaluator
from solvers.budget import BudgetSpent, check_budget, time_left
from solvers.chain.sampling import ChainResult, sample_chain
from solvers.equations import Equations, relative_errors
from solvers.fixed_point import SCAN_RTOL, solve_all
from solvers.replicas import correlation_fixed_point, spectral_radius_of
from solvers.result import CONVERGED, FixedPoint
from solvers.site_roots import several_roots
from solvers.solution import Solution, Solved
from solvers.spectrum import SpectrumResult, spectrum_of
from solvers.spectrum.sites import Atom
from solvers.stability import MARGINAL, is_marginal, is_stable
from solvers.threads import one_thread

DEFAULT_TOL = 1e-10

LEAST_SECONDS = 0.1
"""A sampled chain runs at least this long, so that there is something to report."""


@one_thread
def solve(
    cell: Cell | Theory,
    parameters: Mapping[str, object] | None = None,
    *,
    ansatz: str = "static",
    tol: float = DEFAULT_TOL,
    seed: int = 0,
) -> Solved:
    """All solutions of a cell's mean field, with errors and verdicts.

    parameters : by name, defaults for the others; tol : relative accuracy asked of exact closures (sampled closures
    aim at max(tol, 2e-3) relative standard error); seed : of sampled closures.

    Raises
    ------
    ParameterError : a parameter is unknown, missing or out of range.
    AnsatzError : the ansatz does not apply to this cell.
    """
    theory = cell if isinstance(cell, Theory) else derive_theory(cell, ansatz)
    settings = resolve(theory.site.cell, parameters)
    if theory.ansatz == "stationary":
        raise AnsatzError("covariances at every lag are solved for by `gatefield dynamics` (solvers.dynamics)")
    if theory.closure == "sampled":
        return _sampled(theory, settings, tol, seed)
    return _deterministic(theory, settings, tol)


def parameter_values(theory: Theory, settings: Settings) -> dict[Any, float]:
    """Parameter symbols of a theory with their numbers."""
    return {symbol: settings.parameters[name] for name, symbol in theory.site.parameters.items()}


def _deterministic(theory: Theory, settings: Settings, tol: float) -> Solved:
    evaluator = Evaluator(theory.law, theory.implicit)
    equations = Equations(theory.system, theory.law, evaluator, parameter_values(theory, settings))
    notes: list[str] = list(theory.notes)
    found: list[Solution] = []
    complete = True
    try:
        fixed = solve_all(equations, min(tol, 1e-8))
        notes, complete = notes + list(fixed.notes), fixed.complete
        for point in fixed.solutions:
            numbers, errors = moments_at(theory, evaluator, point, tol)
            try:
                check_budget()
                found.append(_solution(theory, evaluator, equations, point, (numbers, errors), tol))
            except BudgetSpent as spent:
                verdict = f"not converged: {spent}; moments alone are known, raise --budget for the rest"
                found.append(Solution(numbers, errors, None, verdict, dict(point.values)))
                complete = False
    except BudgetSpent as spent:
        notes.append(f"{spent}: {len(found)} solutions finished")
        complete = False
    first = str(theory.site.states[0])
    found.sort(key=lambda s: s.numbers["Q"][first] if np.isfinite(s.numbers["Q"][first]) else np.inf)
    return Solved(theory, settings.parameters, tuple(found), tuple(dict.fromkeys(notes)), complete, evaluator)


def _solution(
    theory: Theory, evaluator: Evaluator, equations: Equations, point: FixedPoint,
    known: tuple[dict[str, Any], dict[str, Any]], tol: float,
) -> Solution:  # fmt: skip
    numbers, errors = dict(known[0]), dict(known[1])
    near = off_the_kink(theory, equations, point)
    if theory.ansatz == "static":
        solved = _static(theory, evaluator, near, numbers, errors, tol, isolated=near is point)
    else:
        solved = _untied(theory, evaluator, near, numbers, errors, tol, replicas=near is point)
    notes = solved.notes if near is point else (*solved.notes, AT_KINK)
    if theory.implicit:
        notes = (*notes, *several_roots(theory, point.values))
    off_kink = {} if near is point else dict(near.values)
    return replace(solved, values=dict(solved.values) | dict(point.values), notes=notes, off_kink=off_kink)


AT_KINK = (
    "an activation has a kink and the state is zero, where it has no derivative: chi and the spectrum are those of "
    "vanishing activity, q -> 0"
)

VANISHING = 1e-20
DIRECTIONS = 30


def off_the_kink(theory: Theory, equations: Equations, point: FixedPoint) -> FixedPoint:
    """The same solution, or, for a zero state under functions with kinks, one of vanishing activity."""
    x = np.array([point.values[s] for s in equations.feedback])
    if not len(x) or x.any() or not _kinked(theory):
        return point
    small = np.full(len(x), VANISHING)
    for _ in range(DIRECTIONS if len(x) > 1 else 0):  # of several unknowns, in the ratio in which they vanish
        image = equations.complete(small, SCAN_RTOL).image
        size = np.max(np.abs(image))
        if not 0.0 < size < np.inf:
            break
        small = VANISHING * image / size
    done = equations.complete(small, SCAN_RTOL)
    return replace(point, values=done.values)


def _kinked(theory: Theory) -> bool:
    functions = theory.law.functions
    calls = set().union(*(functions.expand(f).atoms(Fn) for f in (*theory.site.F, *(k.v for k in theory.site.fields))))
    return any(functions.kinked(call.name) for call in calls)


def moments_at(
    theory: Theory, evaluator: Evaluator, point: FixedPoint, tol: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """q, q_total, Q and their errors."""
    numbers: dict[str, Any] = {"q": {}, "q_total": {}, "Q": {}}
    errors: dict[str, Any] = {"q": {}, "q_total": {}, "Q": {}}
    for name, symbol in theory.variances.items():
        numbers["q"][name], errors["q"][name] = point.values[symbol], point.errors[symbol]
    share = _relative_error(point)
    for quantity, expression in theory.observables.items():
        kind, _, rest = quantity.partition("[")
        estimate = evaluator(expression, point.values, tol)
        numbers[kind][rest[:-1]] = estimate.value
        errors[kind][rest[:-1]] = estimate.error + 2 * share * abs(estimate.value)
    return numbers, errors


def _relative_error(point: FixedPoint) -> float:
    return max(relative_errors(point.values, point.errors), default=0.0)


def _static(
    theory: Theory, evaluator: Evaluator, point: FixedPoint, numbers: dict[str, Any], errors: dict[str, Any],
    tol: float, *, isolated: bool,
) -> Solution:  # fmt: skip
    spectrum = spectrum_of(theory, point.values, evaluator, tol, curves=False, isolated=isolated)
    more, their_errors = spectrum_numbers(spectrum)
    verdict, notes = point.verdict, spectrum.notes
    marginal = is_marginal(theory, spectrum)
    if marginal:
        notes = (*notes, MARGINAL)
    if verdict == CONVERGED and spectrum.verdict != CONVERGED:
        verdict = spectrum.verdict
    return Solution(
        numbers | more, errors | their_errors, is_stable(theory, spectrum), verdict, dict(point.values), notes,
        marginal=marginal,
    )


def spectrum_numbers(spectrum: SpectrumResult) -> tuple[dict[str, Any], dict[str, Any]]:
    """JSON keys of a spectrum and their errors."""
    numbers = {
        "spectral_radius": spectrum.radius,
        "spectral_abscissa": spectrum.abscissa,
        "filament": list(spectrum.filament) if spectrum.filament else None,
        "outliers": [[z.real, z.imag] for z in spectrum.outliers],
        **({"outliers_in_holes": [[z.real, z.imag] for z in spectrum.inner]} if spectrum.inner else {}),
        "atoms": [_atom_record(atom) for atom in spectrum.atoms],
        "eta": spectrum.edge_eta,
    }
    errors = {
        "spectral_radius": spectrum.radius_error,
        "spectral_abscissa": spectrum.abscissa_error,
        "filament": [spectrum.abscissa_error, 0.0] if spectrum.filament else None,
        "outliers": list(spectrum.outlier_errors),
        **({"outliers_in_holes": list(spectrum.inner_errors)} if spectrum.inner else {}),
        "atoms": [0.0 for _ in spectrum.atoms],
        "eta": 0.0,
    }
    return numbers, errors


def _atom_record(atom: Atom) -> dict[str, Any]:
    if atom.low == atom.high:
        return {"value": [atom.low.real, atom.low.imag], "fraction": atom.fraction}
    return {"range": [atom.low.real, atom.high.real], "fraction": atom.fraction}


def _untied(
    theory: Theory,
    evaluator: Evaluator,
    point: FixedPoint,
    numbers: dict[str, Any],
    errors: dict[str, Any],
    tol: float,
    *,
    replicas: bool,
) -> Solution:
    """chi1, and with ``replicas`` C_star, chi_star and xi (without: a zero state, where replicas coincide)."""
    assert theory.perturbation is not None
    assert theory.replicas is not None
    verdict, notes = point.verdict, []
    share = _relative_error(point)
    chi1 = spectral_radius_of(theory.perturbation, evaluator, point.values, tol)
    if not np.isfinite(chi1.value):
        notes.append("chi1 diverges: the square of a delta function (the derivative of a jump) is averaged")
        chi1 = Estimate(np.inf, np.inf)
    _put(numbers, errors, "chi1", Estimate(chi1.value, chi1.error + 2 * share * abs(chi1.value)))
    if not replicas:
        numbers |= {"chi_star": chi1.value, "C_star": dict.fromkeys(numbers["Q"], 0.0)}
        errors |= {"chi_star": chi1.error, "C_star": dict.fromkeys(numbers["Q"], 0.0)}
        _put(numbers, errors, "xi", correlation_length(chi1))
        return Solution(numbers, errors, point.slope < 1, verdict, dict(point.values), tuple(notes))
    overlap = correlation_fixed_point(theory.replicas, point.values, evaluator, chi1.value, min(tol, 1e-8))
    if overlap is None:
        return Solution(numbers, errors, point.slope < 1, "not converged: the correlation map reached no fixed point; "
                        "(a) the overlap oscillates: see C_star in gatefield simulate", dict(point.values))  # fmt: skip
    verdict = verdict if verdict != CONVERGED else overlap.verdict
    _add_replicas(theory, evaluator, overlap, numbers, errors, tol)
    return Solution(numbers, errors, point.slope < 1, verdict, dict(point.values) | dict(overlap.values), tuple(notes))


def _add_replicas(
    theory: Theory, evaluator: Evaluator, overlap: FixedPoint, numbers: dict[str, Any], errors: dict[str, Any],
    tol: float,
) -> None:  # fmt: skip
    """C_star, chi_star and xi."""
    replicas = theory.replicas
    assert replicas is not None
    share = _relative_error(overlap)
    chi_star = spectral_radius_of(replicas.perturbation, evaluator, overlap.values, tol)
    _put(numbers, errors, "chi_star", Estimate(chi_star.value, chi_star.error + 2 * share * abs(chi_star.value)))
    _put(numbers, errors, "xi", correlation_length(chi_star))
    numbers["C_star"], errors["C_star"] = {}, {}
    for state, expression in replicas.covariances.items():
        estimate = evaluator(expression, overlap.values, tol)
        numbers["C_star"][state] = estimate.value
        errors["C_star"][state] = overlap.errors.get(expression, estimate.error) + 2 * share * abs(estimate.value)


def correlation_length(chi_star: Estimate) -> Estimate:
    """xi = -1/ln chi_star in steps; not a number where chi_star >= 1."""
    if not 0.0 < chi_star.value < 1.0:
        return Estimate(0.0, 0.0) if chi_star.value == 0.0 else Estimate(np.nan, np.nan)
    rate = -np.log(chi_star.value)
    return Estimate(1.0 / rate, chi_star.error / (chi_star.value * rate**2))


def _put(numbers: dict[str, Any], errors: dict[str, Any], key: str, estimate: Estimate) -> None:
    numbers[key], errors[key] = estimate.value, estimate.error


def _sampled(theory: Theory, settings: Settings, tol: float, seed: int) -> Solved:
    left = time_left()
    budget = None if left is None else max(left, LEAST_SECONDS)
    result = sample_chain(theory.site, settings, tol=max(tol, 2e-3), seed=seed, budget=budget)
    numbers, errors = _chain_numbers(result)
    stable = True if numbers.get("Q") else None  # the population is where its own dynamics took it
    solution = Solution(numbers, errors, stable, result.verdict, {}, tuple(result.notes))
    solved = Solved(theory, settings.parameters, (solution,) if numbers.get("Q") else (), theory.notes)
    return solved if solved.solutions else replace(solved, notes=(*theory.notes, result.verdict), complete=False)


def _chain_numbers(result: ChainResult) -> tuple[dict[str, Any], dict[str, Any]]:
    numbers: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for key in ("q", "q_total", "Q", "C_star"):
        table = getattr(result, key)
        numbers[key] = {name: item.value for name, item in table.items()}
        errors[key] = {name: item.standard_error for name, item in table.items()}
    for key in ("chi1", "chi_star", "xi"):
        item = getattr(result, key)
        numbers[key] = None if item is None else item.value
        errors[key] = None if item is None else item.standard_error
    return numbers, errors

