"""The untied mean field by sampling the single-site chain, for cells whose moments do not close.

Several independent populations of sites run side by side, each with its own self-consistent field variances; their
scatter is the standard error.  chi1 and chi_star come from perturbation matrices carried per site, which keeps the
correlation between a state and its perturbation (theory, section 2).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from derive.cell.parameters import Settings
from derive.errors import AnsatzError
from derive.site import SiteForm
from solvers.chain.model import Model
from solvers.chain.population import Population, columns
from solvers.chain.streams import canonical_site
from solvers.result import CONVERGED

Array = npt.NDArray[np.float64]

POPULATIONS = 16
LEAST_SITES, MOST_SITES = 64, 32768  # per population
SITES_TIMES_TOL = 4.0  # the bias of M sites is of order 1/M (0.6/M in chi1 of a typical cell with gates)
FIRST_CHECK = 32
CHUNK = 32  # steps between looks at the clock, fewer where they are slow
CHUNK_WORK = 500_000  # sites times steps, a fraction of a second
MOST_BURN_IN = 2048
MOST_WINDOW = 4096
LEAST_WINDOW = 64
DRIFT_IN_ERRORS = 3.0
CORRELATION_TIMES = 4.0
RUNAWAY = 1e12
NEGLIGIBLE = 1e-12
EQUAL = 1e-6  # replicas with (Q - C)/Q below this are called equal
C_STAR_ALLOWANCE = 5.0  # noise in C is magnified by 1/(1 - chi_star); its tolerance, relative to Q, is wider
SMALL_CHI = 0.05  # below this chi is held to an absolute, not a relative error


@dataclass(frozen=True)
class Estimate:
    """A sampled number: mean over independent populations, and the standard error of that mean."""

    value: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.value:.6g} +- {self.standard_error:.2g}"


@dataclass(frozen=True)
class ChainResult:
    """The untied mean field of a cell.

    q : field -> gain^2 E[v^2]; q_total : definition d = f(argument) holding a field -> variance of the argument
    Q, C_star : state -> E[s^2], and E[s_a s_b] of two replicas that started nearly equal
    chi1 : growth of squared perturbations of random sign at C = Q; chi_star : the same between replicas at C*
    xi : -1 / ln chi_star in steps, None where chi_star >= 1 or unknown
    verdict : "converged", or what was reached, the likely causes, and what to do
    notes : what a reader must know before trusting a number
    sites, burn_in, window : sites in all populations together, steps before and in the measurement

    After divergence the mappings are empty and the rest is None.
    """

    q: Mapping[str, Estimate]
    q_total: Mapping[str, Estimate]
    Q: Mapping[str, Estimate]
    C_star: Mapping[str, Estimate]
    chi1: Estimate | None
    chi_star: Estimate | None
    xi: Estimate | None
    verdict: str
    notes: tuple[str, ...]
    sites: int
    burn_in: int
    window: int

    @property
    def converged(self) -> bool:
        """Whether the verdict is "converged"."""
        return self.verdict == CONVERGED


def sample_chain(
    site: SiteForm,
    settings: Settings,
    *,
    tol: float = 2e-3,
    seed: int = 0,
    samples: int | None = None,
    budget: float | None = None,
) -> ChainResult:
    """Sample the untied single-site chain of a discrete cell.

    Parameters
    ----------
    tol : relative standard error aimed at, for q, q_total, Q, chi1 and chi_star; C_star is held to 5 tol Q, because
        its noise is magnified by 1 / (1 - chi_star), and xi, where that of chi_star is, to nothing
    seed : the only source of randomness; with no ``budget`` the same seed gives the same bytes
    samples : sites in all 16 populations together (default 16 * 4 / tol, at most 16 * 32768); the bias of a
        self-consistent population of M = samples/16 sites is of order 1/M
    budget : seconds after which whatever was measured is reported, and the verdict says so

    Burn-in, first of one replica, then of both with their perturbations: after t = 32, 48, 72, ... steps the means
    over the third and the last quarter of the steps so far are compared, for every Q, then for every C and the two
    growth rates.  It ends when each pair differs by at most tol/2 of its size (C: 5 tol/2 of Q) or 3 standard errors
    (over populations), or has decayed by 1e-12; the second burn-in also lasts at least 4 / (1 - chi_star) steps, unless
    the replicas have merged, because C approaches C* as fast as that.  At most 2048 steps each.

    Raises
    ------
    AnsatzError : the cell is in continuous time
    ValueError : tol, samples or budget is not positive
    """
    if not site.discrete:
        raise AnsatzError(
            f"{site.cell.name} is in continuous time; the untied chain redraws weights at every step and exists only"
            " for maps. Use the static ansatz, or write the cell with name' = ... updates."
        )
    for name, given in (("tol", tol), ("samples", samples), ("budget", budget)):
        if given is not None and not given > 0:
            raise ValueError(f"{name} must be positive; got {given}")
    return _Run(site, settings, tol, seed, _size(tol, samples), budget).result()


def _size(tol: float, samples: int | None) -> int:
    """Sites per population."""
    if samples is not None:
        return max(LEAST_SITES, samples // POPULATIONS)
    return int(min(max(SITES_TIMES_TOL / tol, 1024.0), MOST_SITES))


class _Run:
    """Burn-in, window and summary of one call of `sample_chain`; arrays are (populations, steps, columns)."""

    def __init__(
        self, site: SiteForm, settings: Settings, tol: float, seed: int, size: int, budget: float | None
    ) -> None:
        self.tol, self.size = tol, size
        self.deadline = None if budget is None else time.monotonic() + budget
        self.budget = budget
        self.site = canonical_site(site, settings)
        self.model = Model(self.site)
        self.limit = RUNAWAY * max(1.0, *(item.mean**2 + item.std**2 for item in self.site.draws), 1.0)
        sequences = np.random.SeedSequence(seed).spawn(POPULATIONS)
        self.populations = [Population(self.model, size, sequence, self.limit) for sequence in sequences]
        self.columns = columns(self.site)
        self.idle = tuple(item.name for item in site.fields if settings.gains[item.weight] == 0)
        self.file_order = (
            [item.name for item in site.fields],
            [item.name for item in site.definitions],
            [str(state) for state in site.states],
        )
        self.steps = 0
        self.complaints: list[str] = []

    # Running --------------------------------------------------------------------------------------------------------

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    @property
    def diverged(self) -> bool:
        return not all(population.alive for population in self.populations)

    def advance(self, steps: int) -> Array:
        """Run all populations, in chunks as long as there is time; (J, at most steps, columns)."""
        parts: list[list[Array]] = [[] for _ in self.populations]
        done, chunk = 0, max(1, min(CHUNK, CHUNK_WORK // (self.size * POPULATIONS)))
        while done < steps and not (done and self.late) and not self.diverged:
            count = min(chunk, steps - done)
            for part, population in zip(parts, self.populations, strict=True):
                part.append(population.run(count))
            done += count
        self.steps += done
        if self.diverged:
            return np.empty((len(parts), 0, 0))
        return np.array([np.concatenate(part) for part in parts])

    def burn_in(self, second: bool) -> bool:
        """Whether the rule in `sample_chain` was met before the cap, the deadline or divergence."""
        history = self.advance(FIRST_CHECK)
        while not self.diverged and history.shape[1] >= FIRST_CHECK:
            if self.settled_pair(history) if second else self.settled_single(history):
                return True
            length = history.shape[1]
            if length >= MOST_BURN_IN or self.late:
                return False
            more = self.advance(min(length // 2, MOST_BURN_IN - length))
            if not self.diverged:
                history = np.concatenate([history, more], axis=1)
        return False

    def settled_single(self, history: Array) -> bool:
        count = len(self.site.states)
        squares = history[:, :, :count]
        return bool(np.all(_steady(squares, np.abs(_last_quarter(squares)), self.tol, NEGLIGIBLE)))

    def settled_pair(self, history: Array) -> bool:
        count = len(self.site.states)
        names = [quantity for quantity, _ in self.columns]
        second = _last_quarter(history[:, :, :count])
        overlaps = history[:, :, names.index("C_star") : names.index("C_star") + count]
        steady = bool(np.all(_steady(overlaps, second, C_STAR_ALLOWANCE * self.tol, NEGLIGIBLE)))
        if self.model.divergent:
            return steady
        growth = history[:, :, -2:]
        rates = _last_quarter(growth)
        steady = steady and bool(np.all(_steady(growth, np.maximum(rates, SMALL_CHI), self.tol, 0.0)))
        merged = all(population.merged for population in self.populations)
        gone = bool(np.all(second <= NEGLIGIBLE))
        return steady and (merged or gone or history.shape[1] * (1.0 - rates[1]) >= CORRELATION_TIMES)

    def window(self) -> Array:
        """Measure until every relative standard error is below tol."""
        measured = self.advance(LEAST_WINDOW)
        while not self.diverged and measured.shape[1] < MOST_WINDOW and not self.late:
            worst = self.worst_error(measured)
            if worst <= self.tol:
                break
            length = measured.shape[1]
            wanted = length * min((1.1 * worst / self.tol) ** 2, 3.0)
            more = self.advance(min(int(wanted) + 1, MOST_WINDOW) - length)
            if not self.diverged:
                measured = np.concatenate([measured, more], axis=1)
        return measured

    def worst_error(self, measured: Array) -> float:
        """Largest standard error relative to what it is measured against."""
        means = measured.mean(axis=1)
        error = _standard_error(means)
        size = np.abs(means.mean(axis=0))
        second = dict(zip(self.site.state_names, size, strict=False))
        worst = 0.0
        for k, (quantity, name) in enumerate(self.columns):
            if quantity in ("chi1", "chi_star"):
                against = max(size[k], SMALL_CHI)
            else:
                against = C_STAR_ALLOWANCE * second[name] if quantity == "C_star" else size[k]
            if NEGLIGIBLE < size[k] < np.inf:
                worst = max(worst, float(error[k] / against))
        return worst

    # Result ---------------------------------------------------------------------------------------------------------

    def result(self) -> ChainResult:
        settled = self.burn_in(second=False)
        if self.diverged:
            return self.divergence()
        if not settled:
            self.complain("the second moments of the states still drift", "the states decay, grow or relax slowly")
        for population in self.populations:
            population.split()
        both = self.burn_in(second=True)
        if self.diverged:
            return self.divergence()
        if settled and not both:
            self.complain(
                "the overlap of two replicas or the growth rates still drift",
                "chi_star is close to 1, so that C* is approached slowly",
            )
        burned = self.steps
        measured = self.window()
        if self.diverged:
            return self.divergence()
        return self.summary(measured, burned)

    def complain(self, what: str, cause: str) -> None:
        stopped = f"the budget of {self.budget:g} s ended" if self.late else f"the cap of {MOST_BURN_IN} steps was met"
        self.complaints.append(
            f"{what} after {self.steps} steps, where {stopped}: (a) {cause} - the numbers are then those of a"
            " transient; (b) tol is tighter than needed - raise it; (c) too little time - raise budget"
        )

    def divergence(self) -> ChainResult:
        text = (
            f"diverged after about {self.steps} steps: a state is not finite or its second moment exceeds"
            f" {self.limit:.3g}: (a) the gains are above the point where an unbounded function keeps the states"
            " finite - lower them; (b) the equations leave the domain of a function (log, sqrt, a division)"
        )
        return ChainResult(
            {}, {}, {}, {}, None, None, None, text, (), self.size * POPULATIONS, self.steps, 0
        )  # fmt: skip

    def summary(self, measured: Array, burned: int) -> ChainResult:
        worst = self.worst_error(measured)
        if worst > self.tol:
            self.complaints.append(
                f"the largest relative standard error is {worst:.2g} after {measured.shape[1]} steps of"
                f" {self.size * POPULATIONS} sites, {self.tol:g} was asked: (a) slow or heavy-tailed fluctuations;"
                " (b) a number close to zero - raise samples or tol" + (", or budget" if self.late else "")
            )
        tables = self.tables(measured)
        notes = [f"{name} decays to zero" for name, value in tables["Q"].items() if value.value == 0.0]
        chi1, chi_star, xi = self.chis(measured, tables, notes)
        return ChainResult(
            q=tables["q"],
            q_total=tables["q_total"],
            Q=tables["Q"],
            C_star=tables["C_star"],
            chi1=chi1,
            chi_star=chi_star,
            xi=xi,
            verdict="; ".join(self.complaints) or CONVERGED,
            notes=tuple(notes),
            sites=self.size * POPULATIONS,
            burn_in=burned,
            window=measured.shape[1],
        )

    def tables(self, measured: Array) -> dict[str, dict[str, Estimate]]:
        """Estimates by quantity and name, names in the order of the file."""
        means = measured.mean(axis=1)
        value, error = means.mean(axis=0), _standard_error(means)
        found: dict[str, dict[str, Estimate]] = {"q": {}, "q_total": {}, "Q": {}, "C_star": {}}
        for k, (quantity, name) in enumerate(self.columns[:-2]):
            faint = abs(value[k]) <= NEGLIGIBLE
            found[quantity][name] = Estimate(0.0, 0.0) if faint else Estimate(float(value[k]), float(error[k]))
        found["q"] |= {name: Estimate(0.0, 0.0) for name in self.idle}
        fields, definitions, states = self.file_order
        orders = {"q": fields, "q_total": definitions, "Q": states, "C_star": states}
        return {
            quantity: {name: table[name] for name in orders[quantity] if name in table}
            for quantity, table in found.items()
        }

    def chis(
        self, measured: Array, tables: Mapping[str, Mapping[str, Estimate]], notes: list[str]
    ) -> tuple[Estimate | None, Estimate | None, Estimate | None]:
        """chi1, chi_star and xi; ``notes`` is added to."""
        equal = _replicas_equal(tables)
        if self.model.divergent:
            notes.append(
                "chi1 is divergent: the square of a delta function"
                + ("" if equal else "; at C* < Q the two replicas' deltas do not meet, and chi_star is not sampled")
            )
            infinite = Estimate(float("inf"), 0.0)
            return infinite, infinite if equal else None, None
        chi1 = _growth(measured[:, :, -2])
        # Replicas that are equal are one: their perturbations are those of chi1, which is known the better.
        chi_star = chi1 if equal else _growth(measured[:, :, -1])
        if not equal:
            self.note_spreading(notes)
        if not 0.0 < chi_star.value < 1.0:
            return chi1, chi_star, Estimate(0.0, 0.0) if chi_star.value == 0.0 else None
        xi = -1.0 / np.log(chi_star.value)
        error = xi**2 * chi_star.standard_error / chi_star.value
        if error > 0.3 * xi and chi_star.value > 0.5:
            notes.append("chi_star is 1 within a few standard errors: xi is known in order of magnitude at best")
        return chi1, chi_star, Estimate(float(xi), float(error))

    def note_spreading(self, notes: list[str]) -> None:
        count = sum(population.spread for population in self.populations)
        if count:
            notes.append(
                "chi_star: few sites carry the mean perturbation between replicas, which was given to every site"
                f" {count / POPULATIONS:.3g} times; correlations of state and perturbation over longer times are lost"
            )


def _replicas_equal(tables: Mapping[str, Mapping[str, Estimate]]) -> bool:
    return all(abs(q.value - tables["C_star"][name].value) <= EQUAL * q.value for name, q in tables["Q"].items())


def _last_quarter(history: Array) -> Array:
    """Means over populations and the last quarter of the steps, by column."""
    return history[:, -(history.shape[1] // 4) :].mean(axis=(0, 1))


def _steady(history: Array, size: Array, tol: float, floor: float) -> npt.NDArray[np.bool_]:
    """By column: do the third and the last quarter agree, to tol/2 of ``size`` or 3 standard errors?"""
    quarter = history.shape[1] // 4
    change = history[:, -quarter:].mean(axis=1) - history[:, -2 * quarter : -quarter].mean(axis=1)
    allowed = np.maximum(0.5 * tol * size, DRIFT_IN_ERRORS * _standard_error(change))
    return (np.abs(change.mean(axis=0)) <= allowed) | (size <= floor)


def _standard_error(means: Array) -> Array:
    """Of the mean over populations, by column."""
    return np.asarray(np.std(means, axis=0, ddof=1) / np.sqrt(len(means)))


def _growth(growth: Array) -> Estimate:
    """Growth of the mean from the growth per step, (populations, steps).

    The mean and not exp(mean ln): a step's growth is an average over M sites that are independent of what it moves,
    so its mean is right whatever its scatter, which few sites with large Sigma make large.
    """
    means = growth.mean(axis=1)
    return Estimate(float(means.mean()), float(_standard_error(means[:, None])[0]))


__all__: Sequence[str] = ("ChainResult", "Estimate", "sample_chain")
