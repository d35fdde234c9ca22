"""Units of the untied ensemble: the site measure over which its one-step Jacobian is averaged.

A unit's state enters a step that draws fields, biases and inputs afresh.  Given the covariances of the fields, units
are independent: each runs its own chain, and after the burn-in its state has the stationary law.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from derive.cell.parameters import Settings
from derive.meanfield.static import covariance_symbol
from derive.site import SiteForm
from solvers.budget import check_budget
from solvers.codegen.emit import broadcast_rows, compile_function
from solvers.codegen.sampling import normal_points
from solvers.measure import SiteMeasure, UnitColumns
from solvers.measure.site_measure import Array
from solvers.solution import Solution, Solved

BLOCK, MOST_STEPS = 40, 4000
MOST_NET_STEPS, MOST_DIRECTIONS = 4, 20
LEAST_STEPS = 80
SETTLED = 4.0
"""Standard errors within which the second moments of two blocks of steps count as equal."""


Noise = Callable[[int], Array]
"""Number of rows to (rows, units) standard normals."""


class _Net:
    """Rows of one scrambled Sobol net, handed out one after the other."""

    def __init__(self, directions: int, units: int, scramble: int) -> None:
        self._points = normal_points(max(directions, 1), int(np.log2(units)), scramble)
        self._used = 0

    def __call__(self, rows: int) -> Array:
        self._used += rows
        return np.asarray(self._points[self._used - rows : self._used])


class UntiedSites:
    """Populations of independent units at one untied solution.

    settled : whether the second moments of every population so far stopped drifting before MOST_STEPS.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    """

    def __init__(self, solved: Solved, solution: Solution, settings: Settings) -> None:
        site = solved.theory.site
        self.site, self._settings, self.settled = site, settings, True
        self._columns = UnitColumns(site, settings)
        self._given = _given_covariances(site, solution)
        shared = [weight for weight, members in site.groups.items() if len(members) > 1]
        self._unknown = shared if solved.theory.closure == "sampled" else []
        self._start = {str(s): float(solution.numbers["Q"].get(str(s), 1.0)) for s in site.states}
        fields = [item.symbol for item in site.fields]
        quenched = [item.symbol for item in site.quenched]
        self._parameters = sorted(site.parameters.values(), key=str)
        arguments = [*self._parameters, *site.states, *quenched, *fields]
        self._moved = compile_function(arguments, list(site.F), site.functions)
        self._v = compile_function(arguments, [item.v for item in site.fields], site.functions)

    def measure(self, units: int, replicate: int, seed: int = 0) -> SiteMeasure:
        """``units`` units (a power of two) in stationary states, entering a fresh step.

        The chain runs on random numbers; its last steps and the fresh one are drawn together by a scrambled Sobol net,
        so that what depends on these alone has far less noise.
        """
        rng = np.random.default_rng(np.random.SeedSequence([seed, replicate, units]))
        noise: Noise = lambda rows: rng.standard_normal((rows, units))  # noqa: E731
        state, covariance = self._stationary(units, noise)
        rows = self._rows_of_noise(covariance)
        steps = max(1, min(MOST_NET_STEPS, MOST_DIRECTIONS // max(rows, 1)))
        net = _Net(steps * rows, units, 1000 * seed + replicate)
        for _ in range(steps - 1):
            state = self._rows(self._moved, state, self._draw(covariance, net, units), units)
        columns = dict(zip((str(s) for s in self.site.states), state, strict=True))
        return self._columns.measure(columns | self._draw(covariance, net, units))

    def walk(self, units: int, replicate: int, seed: int = 0) -> Iterator[SiteMeasure]:
        """The same units at one step after the other, without end; states enter in their stationary law."""
        rng = np.random.default_rng(np.random.SeedSequence([seed, replicate, units, 1]))
        noise: Noise = lambda rows: rng.standard_normal((rows, units))  # noqa: E731
        state, covariance = self._stationary(units, noise)
        while True:
            check_budget()
            drawn = self._draw(covariance, noise, units)
            columns = dict(zip((str(s) for s in self.site.states), state, strict=True))
            yield self._columns.measure(columns | drawn)
            state = self._rows(self._moved, state, drawn, units)

    def _stationary(self, units: int, noise: Noise) -> tuple[Array, dict[str, Array]]:
        """States after the burn-in, and the field covariances."""
        state = np.sqrt(np.array(list(self._start.values())))[:, None] * noise(len(self._start))
        covariance = {weight: table.copy() for weight, table in self._given.items()}
        before: Array | None = None
        for block in range(MOST_STEPS // BLOCK):
            check_budget()
            history = np.zeros((BLOCK, len(state)))
            products = {weight: np.zeros_like(table) for weight, table in covariance.items()}
            for step in range(BLOCK):
                drawn = self._draw(covariance, noise, units)
                history[step] = np.mean(state**2, axis=1)
                self._add_products(products, state, drawn, units)
                state = self._rows(self._moved, state, drawn, units)
            covariance = self._self_consistent(covariance, products)
            if self._steady(history, before, units) and (block + 1) * BLOCK >= LEAST_STEPS:
                return state, covariance
            before = history
        self.settled = False
        return state, covariance

    def _rows_of_noise(self, covariance: Mapping[str, Array]) -> int:
        """Standard normals that one step takes."""
        fields = sum(len(table) for table in covariance.values() if table.any())
        biases = sum(std > 0 for _, std in self._settings.biases.values())
        return fields + biases + sum(given.variance > given.mean**2 for given in self._settings.inputs.values())

    def _draw(self, covariance: Mapping[str, Array], noise: Noise, units: int) -> dict[str, Array]:
        """Fields, biases and inputs of one step, by name."""
        drawn: dict[str, Array] = {}
        for weight, members in self.site.groups.items():
            table = covariance[weight]
            values, vectors = np.linalg.eigh(table)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            rows = root @ noise(len(members)) if table.any() else np.zeros((len(members), units))
            drawn |= {self.site.fields[k].name: row for k, row in zip(members, rows, strict=True)}
        for name, (mean, std) in self._settings.biases.items():
            drawn[name] = mean + std * noise(1)[0] if std > 0 else np.full(units, mean)
        for name, given in self._settings.inputs.items():
            spread = given.variance - given.mean**2
            drawn[name] = given.mean + np.sqrt(spread) * noise(1)[0] if spread > 0 else np.full(units, given.mean)
        return drawn

    def _rows(self, function, state: Array, drawn: Mapping[str, Array], units: int) -> Array:  # type: ignore[no-untyped-def]
        given = [self._settings.parameters[str(symbol)] for symbol in self._parameters]
        quenched = [drawn[item.name] for item in self.site.quenched]
        fields = [drawn[item.name] for item in self.site.fields]
        with np.errstate(all="ignore"):
            return np.asarray(broadcast_rows(function(*given, *state, *quenched, *fields), units))

    def _add_products(self, products: dict[str, Array], state: Array, drawn: Mapping[str, Array], units: int) -> None:
        """sigma^2 mean v_k v_l of matrices whose covariance the theory does not give."""
        if not self._unknown:
            return
        v = self._rows(self._v, state, drawn, units)
        for weight in self._unknown:
            members = list(self.site.groups[weight])
            products[weight] += self._settings.gains[weight] ** 2 * (v[members] @ v[members].T) / units / BLOCK

    def _self_consistent(self, covariance: dict[str, Array], products: dict[str, Array]) -> dict[str, Array]:
        """Covariances that the solution does not give are those of the last block of steps."""
        return {weight: products[weight] if weight in self._unknown else table for weight, table in covariance.items()}

    def _steady(self, history: Array, before: Array | None, units: int) -> bool:
        if before is None:
            return False
        change = np.abs(history.mean(axis=0) - before.mean(axis=0))
        error = np.maximum(history.std(axis=0), history.mean(axis=0) / np.sqrt(units))
        return bool(np.all(change <= SETTLED * error / np.sqrt(BLOCK / 10)))


def _given_covariances(site: SiteForm, solution: Solution) -> dict[str, Array]:
    """Covariance of the fields of each matrix; of sampled closures, which report variances alone, the diagonal."""
    found = {}
    for weight, members in site.groups.items():
        table = np.zeros((len(members), len(members)))
        for i, k in enumerate(members):
            for j, m in enumerate(members):
                left, right = site.fields[min(k, m)].name, site.fields[max(k, m)].name
                symbol = covariance_symbol(left, right)
                default = solution.numbers["q"].get(left, 0.0) if k == m else 0.0
                table[i, j] = solution.values.get(symbol, default)
        found[weight] = table
    return found
