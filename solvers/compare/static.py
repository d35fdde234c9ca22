"""Rows of one static solution: moments, edge of the support, isolated eigenvalues, fractions outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from derive.cell.parameters import Settings
from solvers.budget import BudgetSpent, check_budget
from solvers.compare.counts import CountRows
from solvers.compare.curves import LEVELS, SiteGain, countable, outside, theory_log_radius
from solvers.compare.edge import Scattering, edge_on_ray
from solvers.compare.moments import moments
from solvers.compare.networks import PLANTED, SEARCHED, ZERO, Preparation, Prepared, spectrum_by_blocks
from solvers.compare.singular import SingularRows
from solvers.compare.verdict import ComparisonRow, Sizes, compare_row, network_sizes
from solvers.simulate import Network, sites_of
from solvers.simulate.elementwise import Array
from solvers.solution import Solved
from solvers.spectrum import SpectrumResult, spectrum_of
from solvers.spectrum.sites import LOG2_SITES

Progress = Callable[[str], None]
ON_AXIS = 0.1


@dataclass
class Rows:
    """What is known of one solution so far."""

    rows: list[ComparisonRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = True


@dataclass(frozen=True)
class Ray:
    """Where the support is extreme: lam = base + t direction, t = the spectral radius or abscissa."""

    name: str
    base: complex
    direction: complex
    guess: float


class StaticComparison:
    """Measures networks at one solution, at several sizes."""

    def __init__(self, solved: Solved, index: int, settings: Settings, seed: int) -> None:
        theory, solution = solved.theory, solved.solutions[index]
        self.theory, self.solution, self.index, self.settings, self.seed = theory, solution, index, settings, seed
        evaluator = solved.same_evaluator()
        at, isolated = solution.linearised_at, not solution.off_kink
        self.spectrum: SpectrumResult = spectrum_of(theory, at, evaluator, 1e-9, curves=True, isolated=isolated)
        others = [s for k, s in enumerate(solved.solutions) if k != index]
        self.prepare = Preparation(theory, settings, solution, others, seed)
        self.notes: list[str] = []
        self.size = _extent(self.spectrum)
        self.ray = self._ray()
        self.sites = self._site_gain()
        self.outliers = self._resolvable_outliers()
        self.counts = CountRows(theory, solution, settings, self.spectrum, units=self.sites is not None)
        self.notes += self.counts.notes
        self.singular = SingularRows(solved, solution, settings)
        self.notes += self.singular.notes
        self.log_radius = (
            theory_log_radius(theory, at, evaluator, self.spectrum.eta)
            if self.spectrum.boundary
            else None
        )

    # What to measure ------------------------------------------------------------------------------------------------

    def _ray(self) -> Ray | None:
        spectrum = self.spectrum
        if not spectrum.boundary:
            return None
        name = "spectral_radius" if self.theory.site.discrete else "spectral_abscissa"
        if spectrum.filament is not None:
            self.notes.append(
                f"{name} is left out: the edge lies in the range of L up to {spectrum.filament[1]:.4g} and exists only"
                f" at resolution eta = {spectrum.eta:g}, which networks of finite N do not have"
            )
            return None
        points = np.concatenate(spectrum.boundary)
        if self.theory.site.discrete:
            assert spectrum.radius is not None
            best = complex(points[int(np.argmax(np.abs(points)))])
            for real in (float(points.real.max()), float(points.real.min())):
                if abs(abs(real) - spectrum.radius) < 1e-3 * spectrum.radius:
                    best = complex(real)
                    break
            return Ray(name, 0.0, best / abs(best), spectrum.radius)
        assert spectrum.abscissa is not None
        height = abs(complex(points[int(np.argmax(points.real))]).imag)
        return Ray(name, 0.0 if height < ON_AXIS * self.size else 1j * height, 1.0, spectrum.abscissa)

    def _site_gain(self) -> SiteGain | None:
        if not self.spectrum.boundary or self.prepare.way == ZERO:
            return None
        gain = SiteGain(self.theory, self.settings)
        return None if gain.trivial else gain

    def _resolvable_outliers(self) -> tuple[complex, ...]:
        """Predicted isolated eigenvalues in the upper half plane that finite networks can tell from the edge."""
        if not self.spectrum.boundary:
            return ()
        points = np.concatenate(self.spectrum.boundary)
        return tuple(
            z
            for z in self.spectrum.outliers
            if z.imag >= 0 and float(np.abs(points - z).min()) > 0.1 * self.size
        )

    # One network ----------------------------------------------------------------------------------------------------

    def one(self, sequence: np.random.SeedSequence, N: int) -> dict[str, float]:
        """Every quantity of one network, by name; empty where it has no such state."""
        own, probe = sequence.spawn(2)
        prepared: Prepared = self.prepare(own, N)
        network, state = prepared.network, prepared.state
        if state is None:
            return {}
        values = {} if self.prepare.way == PLANTED else moments(network, state)
        if self.theory.spectrum is None or self.spectrum.divergent:
            return values
        tangent = prepared.linearise()
        jacobian = tangent.jacobian()
        eigenvalues = spectrum_by_blocks(jacobian)
        units = {**sites_of(network, state), **(prepared.units or {})}
        values |= self.singular.measure(jacobian, units)
        values |= self._extremes(eigenvalues)
        values |= self.counts.measure(eigenvalues, units)
        if self.ray is not None:
            scattering = Scattering(network, tangent, np.random.default_rng(probe))
            ray = self.ray
            values[ray.name] = edge_on_ray(
                scattering, ray.base, ray.direction, ray.guess, self.size, len(self.spectrum.outliers)
            )
        return values | self._fractions(network, state, eigenvalues)

    def _extremes(self, eigenvalues: Array) -> dict[str, float]:
        found = {}
        kept = countable(eigenvalues, self.spectrum, self.size) if self.spectrum.boundary else None
        if kept is not None and kept.any():
            bulk = eigenvalues[kept]
            extreme = np.abs(bulk).max() if self.theory.site.discrete else bulk.real.max()
            found["largest"] = float(extreme)
        for number, outlier in enumerate(self.outliers, start=1):
            nearest = eigenvalues[int(np.argmin(np.abs(eigenvalues - outlier)))]
            found[f"outlier[{number}]"] = float(nearest.real)
            if outlier.imag > 0:
                found[f"outlier[{number}] imag"] = float(abs(nearest.imag))
        return found

    def _fractions(self, network: Network, state: Array, eigenvalues: Array) -> dict[str, float]:
        kept = countable(eigenvalues, self.spectrum, self.size)
        if self.log_radius is None:
            return {"outside[atoms]": float(kept.mean())} if self.spectrum.atoms else {}
        found = {f"outside[{x:g}]": share for x, share in outside(eigenvalues, kept, self.log_radius).items()}
        if self.sites is not None:
            own = self.sites.log_radius(sites_of(network, state), self.spectrum.eta)
            found |= {f"outside[{x:g}] sites": share for x, share in outside(eigenvalues, kept, own).items()}
        return found

    # All networks ---------------------------------------------------------------------------------------------------

    def run(self, N: int, seeds: int, progress: Progress | None) -> Rows:
        """Rows of this solution without verdicts."""
        result = Rows(notes=self.notes)
        plan = network_sizes(N, seeds)
        tables: dict[int, list[dict[str, float]]] = {units: [] for units, _ in plan}
        try:
            for units, count in plan:
                for number, sequence in enumerate(np.random.SeedSequence([self.seed, units]).spawn(count), start=1):
                    check_budget()
                    if progress is not None:
                        progress(f"solution {self.index}: network {number} of {count}, N = {units}")
                    tables[units].append(self.one(sequence, units))
        except BudgetSpent as spent:
            result.notes.append(f"{self._label()}: {spent}")
            result.complete = False
        self._describe(result, tables, N)
        settled = all(values for table in tables.values() for values in table)
        for name in dict.fromkeys(key for values in tables[N] for key in values):
            row = self._row(name, tables, settled)
            if row is not None:
                result.rows.append(row)
        return result

    def _row(
        self, name: str, tables: Mapping[int, list[dict[str, float]]], settled: bool
    ) -> ComparisonRow | None:
        theory = self._theory(name)
        if theory is None:
            return None
        values = {units: np.array([t.get(name, np.nan) for t in table]) for units, table in tables.items()}
        power = 0.5 if name.startswith("outside[1]") else 1.0
        excess = name.startswith(f"outside[{LEVELS[1]:g}]")
        sizes = Sizes(name, values, power, excess)
        return compare_row(self.index, sizes, *theory, settled=settled)

    def _theory(self, name: str) -> tuple[float, float, float] | None:
        """Theory's number, its error, and the scale to which 2 % refer."""
        if (count := self.counts.theory(name)) is not None:
            return count
        if (singular := self.singular.theory(name)) is not None:
            return singular
        if name == "outside[atoms]":
            return 0.0, 2.0**-LOG2_SITES, 1.0  # ends of a sampled range: two in so many lie beyond
        if name.startswith("outside"):
            return 0.0, 0.0, 1.0
        if name.startswith("outlier"):
            number = int(name[len("outlier[") : name.index("]")]) - 1
            exact = self.outliers[number]
            where = list(self.spectrum.outliers).index(exact)
            stated = complex(*self.solution.numbers["outliers"][where])
            value = stated.imag if name.endswith("imag") else stated.real
            return value, self.spectrum.outlier_errors[where], max(abs(value), self.size)
        if name == "largest":
            return None
        if name.startswith("q[") and self._gain(name) == 0:
            return None  # nothing is multiplied
        stated_number = self.solution[name]
        if stated_number is None:
            return None
        return float(stated_number), self.solution.error(name), self._scale(name, float(stated_number))

    def _gain(self, name: str) -> float:
        return self.settings.gains[name[2:-1].split(".")[0]]

    def _scale(self, name: str, value: float) -> float:
        if name == "spectral_abscissa":
            return max(abs(value), self.size)  # where zero lies on the axis is no measure of an edge
        if value != 0.0:
            return abs(value)
        if name.startswith("q["):
            return self._gain(name) ** 2
        return 1.0

    def _label(self) -> str:
        return f"solution {self.index}"

    def _describe(self, result: Rows, tables: Mapping[int, list[dict[str, float]]], N: int) -> None:
        way = self.prepare.way
        if way == PLANTED:
            result.notes.append(
                f"{self._label()} is unstable and no search finds it: weights are conditioned on W v = u for units"
                " drawn from the theory; this tests the random-matrix part and that the site measure is consistent,"
                " so q and Q have no rows"
            )
        if way == SEARCHED:
            result.notes.append(f"{self._label()} is unstable; networks are brought there by Newton's method")
        for units, table in tables.items():
            missing = sum(not values for values in table)
            if missing:
                result.notes.append(
                    f"{self._label()}: {missing} of {len(table)} networks of {units} units have no such state, so that"
                    " its rows decide nothing"
                )
        largest = [values["largest"] for values in tables[N] if "largest" in values]
        if largest and self.ray is not None:
            result.notes.append(
                f"{self._label()}: {self.ray.name} is measured where the mean-square growth of repeated scattering"
                f" crosses one; the extreme eigenvalue itself, displaced by its own finite-size law, averages"
                f" {np.mean(largest):.5g}"
            )


def _extent(spectrum: SpectrumResult) -> float:
    """Half the diameter of the support; of the atoms' range where there is none."""
    if spectrum.boundary:
        points = np.concatenate(spectrum.boundary)
        return max(0.5 * float(np.ptp(points.real)), 0.5 * float(np.ptp(points.imag)), 1e-12)
    ends = [end.real for atom in spectrum.atoms for end in (atom.low, atom.high)]
    return max(0.5 * (max(ends) - min(ends)), 1e-3) if ends else 1.0
