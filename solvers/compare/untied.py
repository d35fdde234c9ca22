"""Rows of the untied ensemble: networks that are redrawn each step, at the solution they reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from derive.cell.parameters import Settings
from derive.cell.spec import Cell
from solvers.budget import BudgetSpent, check_budget
from solvers.compare.singular import SingularRows
from solvers.compare.static import Progress, Rows
from solvers.compare.verdict import Sizes, compare_row, network_sizes
from solvers.simulate import Network, UntiedSample, sample_untied, sites_of
from solvers.simulate.untied import FAINT
from solvers.solution import Solution, Solved

WINDOW, MAX_WINDOW, MAX_BURN_IN = 250, 4000, 4000
TANGENTS = 2  # chi1 is then still the most precise row
ERROR_OF_A_SIZE = 0.004
"""Relative error asked of the mean over all networks of one size; the extrapolation to N -> infinity makes about
one and a half times as much of it, which stays below what a verdict needs."""

DRAWS = 6
"""Draws of the weights for m1 and m2."""

SLOW = 0.98
"""Above this chi_star an overlap takes more than fifty steps per e-fold (at 1 it moves as 1/t): the longest burn-in
and window would hold fewer than eighty of them."""

LOCALISED = 0.55
"""Where the share of units that carry the perturbation falls by more than this from N/4 to N, its law has a heavy tail
(the share goes as N^(1 - 2/k) if the tail exponent k is below 2, here 1.4): networks of any size show less growth."""


def untied_rows(
    solved: Solved, settings: Settings, N: int, seeds: int, seed: int, progress: Progress | None
) -> Rows:
    """Rows of the solution that networks reach from random initial states."""
    cell = solved.theory.site.cell
    result = Rows()
    plan = network_sizes(N, seeds)
    tables: dict[int, list[UntiedSample]] = {units: [] for units, _ in plan}
    try:
        for units, count in plan:
            for number, sequence in enumerate(np.random.SeedSequence([seed, units]).spawn(count), start=1):
                check_budget()
                if progress is not None:
                    progress(f"network {number} of {count}, N = {units}")
                tables[units].append(one_untied(cell, settings, units, sequence, count))
    except BudgetSpent as spent:
        result.notes.append(str(spent))
        result.complete = False
    samples = tables[N]
    if not samples:
        return result
    index = reached(solved, samples, result.notes)
    if index is None:
        return result
    settled = all(sample.settled for group in tables.values() for sample in group)
    if not settled:
        slow = sum(not sample.settled for group in tables.values() for sample in group)
        result.notes.append(f"{slow} networks had not settled after {MAX_BURN_IN} steps: their rows decide nothing")
    solution = solved.solutions[index]
    localised = _localised(tables)
    if localised:
        result.notes.append(
            "chi1 decides nothing: fewer and fewer units carry the perturbation as N grows (a product of many gates has"
            " a heavy-tailed law), and networks grow less than the mean until N is astronomical"
        )
    singular = None
    try:
        singular = SingularRows(solved, solution, settings)
        result.notes += singular.notes
        _add_singular(singular, cell, settings, tables, seed)
    except BudgetSpent as spent:
        result.notes.append(f"singular values: {spent}")
        result.complete = False
    for name, scale in _quantities(solution, settings, result.notes).items():
        values = {units: np.array([s.values.get(name, np.nan) for s in group]) for units, group in tables.items()}
        theory = solution[name]
        assert theory is not None
        sizes = Sizes(name, values)
        decides = settled and not (localised and name == "chi1")
        result.rows.append(compare_row(index, sizes, float(theory), solution.error(name), scale, settled=decides))
    for name in dict.fromkeys(name for sample in samples for name in sample.values):
        if singular is not None and (stated := singular.theory(name)) is not None:
            values = {units: np.array([s.values.get(name, np.nan) for s in group]) for units, group in tables.items()}
            result.rows.append(compare_row(index, Sizes(name, values), *stated, settled=settled))
    return result


def _localised(tables: Mapping[int, list[UntiedSample]]) -> bool:
    carriers = {units: float(np.mean([s.carriers for s in group])) for units, group in tables.items() if group}
    return carriers[max(carriers)] < LOCALISED * carriers[min(carriers)]


def _add_singular(
    singular: SingularRows, cell: Cell, settings: Settings, tables: dict[int, list[UntiedSample]], seed: int
) -> None:
    """Singular values of the next step of every network: fresh weights, at the state that it has reached.

    m1 and m2 are means over several draws of the weights: where few units have large slopes, m2 of one draw scatters by
    several per cent, whatever N.
    """
    if not singular.present:
        return
    for units, group in tables.items():
        for place, sequence in enumerate(np.random.SeedSequence([seed, units, 1]).spawn(len(group))):
            check_budget()
            sample = group[place]
            if not sample.values:
                continue
            network = Network(cell, settings, units, np.random.default_rng(sequence))
            state = sample.state[..., 0]
            measured = singular.measure(network.jacobian(state), sites_of(network, state))
            table = [measured]
            for _ in range(DRAWS - 1):
                network.redraw()
                table.append(singular.moments(network.jacobian(state), sites_of(network, state)))
            measured |= {name: float(np.mean([row[name] for row in table])) for name in ("m1", "m2")}
            group[place] = replace(sample, values={**sample.values, **measured})


def one_untied(
    cell: Cell, settings: Settings, N: int, sequence: np.random.SeedSequence, count: int
) -> UntiedSample:
    """One of ``count`` networks of N units of the untied ensemble, with window and burn-in as comparisons use them."""
    return sample_untied(
        cell, settings, N, sequence, window=WINDOW, max_window=MAX_WINDOW, precision=ERROR_OF_A_SIZE * count**0.5,
        max_burn_in=MAX_BURN_IN, tangents=TANGENTS,
    )  # fmt: skip


def reached(solved: Solved, samples: list[UntiedSample], notes: list[str]) -> int | None:
    """The stable solution nearest in Q to what was measured."""
    stable = [k for k, solution in enumerate(solved.solutions) if solution.stable]
    for k, solution in enumerate(solved.solutions):
        if not solution.stable:
            notes.append(f"solution {k} is unstable under the untied dynamics (Q does not stay there): no rows")
    measured = [s.values for s in samples if s.values]
    if not stable or not measured:
        notes.append("no stable solution" if measured else "all networks diverged")
        return None
    if len(stable) > 1:
        notes.append(f"solutions {stable} are stable; the one nearest in Q to the measured networks is compared")
    return min(stable, key=lambda k: _distance(solved.solutions[k], measured))


def _distance(solution: Solution, measured: list[Mapping[str, float]]) -> float:
    total = 0.0
    for name, q in solution.numbers["Q"].items():
        mean = float(np.mean([values[f"Q[{name}]"] for values in measured]))
        total += abs(np.sqrt(mean) - np.sqrt(q))
    return total


def _quantities(solution: Solution, settings: Settings, notes: list[str]) -> dict[str, float]:
    """Names of the rows, with the scale to which 2 % refer."""
    found: dict[str, float] = {}
    Q = solution.numbers["Q"]
    for name, value in solution.numbers["q"].items():
        gain = settings.gains[name.split(".")[0]]
        if gain != 0:
            found[f"q[{name}]"] = abs(value) or gain**2
    for name, value in Q.items():
        found[f"Q[{name}]"] = abs(value) or 1.0
    chi1 = solution.numbers.get("chi1")
    if chi1 is not None and np.isfinite(chi1):
        found["chi1"] = abs(chi1) or 1.0
    else:
        notes.append("chi1 has no row: it is not finite")
    chi_star = solution.numbers.get("chi_star")
    if chi_star is None or not chi_star < SLOW:
        notes.append("C_star has no row: overlaps move too slowly to be awaited (chi_star close to 1 or unknown)")
        return found
    for name, value in (solution.numbers.get("C_star") or {}).items():
        found[f"C_star[{name}]"] = abs(value) if abs(value) > FAINT * Q[name] else Q[name] or 1.0
    return found
