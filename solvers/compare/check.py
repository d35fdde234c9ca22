"""The verbs: compare theory with finite networks, or measure the networks alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.errors import AnsatzError, ParameterError
from solvers.budget import BudgetSpent, check_budget
from solvers.compare.networks import NEARLY_AT_REST
from solvers.compare.static import Progress, Rows, StaticComparison
from solvers.compare.untied import one_untied, untied_rows
from solvers.compare.verdict import INCONCLUSIVE, ComparisonRow, judge, network_sizes, overall
from solvers.simulate.elementwise import Array
from solvers.simulate.measurement import Row, rows_from
from solvers.simulate.network import Network
from solvers.simulate.static import sample_static
from solvers.solution import Solved, plain
from solvers.solve import solve

LEAST_UNITS, LEAST_SEEDS = 32, 2

COMPARED = ("static", "untied")


@dataclass(frozen=True)
class Comparison:
    """Theory against networks.

    verdict : "agrees" (every row does), "disagrees" (one does) or "inconclusive"; rows : see `ComparisonRow`;
    seeds : networks of N units; twice as many of N/2 and four times as many of N/4 give the
    finite-size correction.
    """

    cell: str
    ansatz: str
    parameters: Mapping[str, float]
    N: int
    seeds: int
    rows: tuple[ComparisonRow, ...]
    verdict: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, quantity: str) -> ComparisonRow:
        for row in self.rows:
            if row.quantity == quantity:
                return row
        raise KeyError(f"{quantity!r} was not compared; there are {', '.join(row.quantity for row in self.rows)}")

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of ``gatefield check``."""
        found: dict[str, Any] = {
            "cell": self.cell,
            "ansatz": self.ansatz,
            "parameters": dict(self.parameters),
            "N": self.N,
            "seeds": self.seeds,
            "verdict": self.verdict,
            "rows": [row.as_dict() for row in self.rows],
        }
        if self.notes:
            found["notes"] = list(self.notes)
        return found


def check(
    cell: Cell | Solved,
    parameters: Mapping[str, object] | None = None,
    *,
    ansatz: str = "static",
    N: int = 1000,
    seeds: int = 8,
    seed: int = 0,
    tol: float = 1e-10,
    progress: Progress | None = None,
) -> Comparison:
    """Compare every solution of the theory with ``seeds`` networks of N units, and more of N/2 and N/4.

    A `Solved` in place of the cell is compared as it stands (``parameters``, ``ansatz`` and ``tol`` are its own).
    Measured numbers are extrapolated to N -> infinity from these sizes.  A row agrees if its |z| is below three
    standard deviations, corrected for the number of rows, and its combined error is below 2 % of the value.

    Raises
    ------
    ParameterError : a parameter is unknown, missing or out of range; N or seeds is too small.
    AnsatzError : the ansatz does not apply to this cell.
    """
    _require_sizes(N, seeds)
    solved = cell if isinstance(cell, Solved) else solve(cell, parameters, ansatz=ansatz, tol=tol, seed=seed)
    theory = solved.theory
    settings = resolve(theory.site.cell, solved.parameters)
    parts: list[Rows] = []
    notes = list(solved.notes)
    if theory.ansatz == "static":
        for index, solution in enumerate(solved.solutions):
            if not solution.converged:
                notes.append(f"solution {index}: {solution.verdict}")
            try:
                check_budget()
                if "eta" not in solution.numbers:
                    raise BudgetSpent("its spectrum was not computed")
                part = StaticComparison(solved, index, settings, seed).run(N, seeds, progress)
            except BudgetSpent as spent:
                parts.append(Rows(notes=[f"solution {index}: {spent}"], complete=False))
                break
            parts.append(part)
            if not part.complete:
                break
    else:
        parts.append(untied_rows(solved, settings, N, seeds, seed, progress))
    rows = judge([row for part in parts for row in part.rows])
    notes += [note for part in parts for note in part.notes]
    plan = ", ".join(f"{count} of {units}" for units, count in reversed(network_sizes(N, seeds)))
    notes.append(f"measured: the limit N -> infinity from networks of three sizes ({plan} units); finite_size:"
        " that limit minus the fit at N")
    finished = solved.complete and bool(solved.solutions) and all(part.complete for part in parts)
    verdict = overall(rows)
    if not finished and verdict == "agrees":
        verdict = INCONCLUSIVE
    return Comparison(
        theory.site.cell.name, theory.ansatz, solved.parameters, N, seeds, rows, verdict, tuple(dict.fromkeys(notes))
    )


def simulate(
    cell: Cell,
    parameters: Mapping[str, object] | None = None,
    *,
    ansatz: str = "static",
    N: int = 1000,
    seeds: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure finite networks, with no theory: the JSON object of ``gatefield simulate``.

    Static: networks relax from a random state; where they do not come to rest and zero is a fixed point, that is
    measured.  Untied: weights, biases and inputs are redrawn each step.

    Raises
    ------
    ParameterError : a parameter is unknown, missing or out of range; N or seeds is too small.
    AnsatzError : the ansatz is unknown or does not apply to this cell.
    """
    _require_sizes(N, seeds)
    if ansatz not in COMPARED:
        raise AnsatzError(f"theory and networks are compared by the ansaetze {' and '.join(COMPARED)}, not `{ansatz}`")
    settings = resolve(cell, parameters)
    notes: list[str] = []
    tables: list[Mapping[str, float]] = []
    at_zero = False
    try:
        for number, sequence in enumerate(np.random.SeedSequence([seed, N]).spawn(seeds), start=1):
            check_budget()
            if progress is not None:
                progress(f"network {number} of {seeds}, N = {N}")
            if ansatz == "untied":
                sample = one_untied(cell, settings, N, sequence, seeds)
                tables.append(sample.values)
                notes += [] if sample.settled else [f"network {number}: {sample.outcome}"]
                continue
            found = sample_static(cell, settings, N, sequence, start=_zero if at_zero else None)
            if not found.point.converged and found.point.residual < NEARLY_AT_REST:
                found = sample_static(cell, settings, N, sequence, start=_from(found.point.state))
            if not found.point.converged and not at_zero:
                again = sample_static(cell, settings, N, sequence, start=_zero)
                at_zero = again.point.converged and not np.any(again.point.state)
                if at_zero:
                    notes.append("networks do not come to rest; the state zero, an exact fixed point, is measured")
                    found, tables = again, []
            tables.append(found.values)
            notes += [] if found.point.converged else [f"network {number}: {found.point.outcome}"]
    except BudgetSpent as spent:
        notes.append(str(spent))
    rows = [_simulated(row) for row in rows_from(tables) if row.quantity != "chi1_typical"]
    result: dict[str, Any] = {
        "cell": cell.name, "ansatz": ansatz, "parameters": dict(settings.parameters), "N": N, "seeds": seeds,
        "rows": rows,
    }  # fmt: skip
    return result | ({"notes": notes} if notes else {})


def _from(state: Array) -> Callable[[Network], Array]:
    """Start Newton's method where relaxation stopped."""
    return lambda _network: state


def _zero(network: Network) -> Array:
    return np.zeros((len(network.states), network.N))


def _simulated(row: Row) -> dict[str, Any]:
    return {"quantity": row.quantity, "measured": plain(row.mean), "standard_error": plain(row.standard_error)}


def _require_sizes(N: int, seeds: int) -> None:
    if N < LEAST_UNITS:
        raise ParameterError(f"a comparison needs networks of at least {LEAST_UNITS} units; N = {N} was given")
    if seeds < LEAST_SEEDS:
        raise ParameterError(f"a standard error needs at least {LEAST_SEEDS} networks; seeds = {seeds} was given")
