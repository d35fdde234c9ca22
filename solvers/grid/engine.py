"""Static solutions and the edges of their spectra at many parameter points, from tables of averages.

One plan for a theory, its swept parameters and the quantities asked for; it says at once what it cannot give.  Points at
which a number is not had at the accuracy of tables come back as unknown, for a slower way to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from derive.elementary import Fn
from derive.theory import Theory
from solvers.averages import Evaluator
from solvers.equations import Equations
from solvers.grid.compile import Compiled
from solvers.grid.edge import EdgeProgram, edge_program, spectral_radius
from solvers.grid.follow import Roots, find_roots, neighbours
from solvers.grid.program import Builder, Program, Tables, Unsupported
from solvers.grid.table import ACCURACY

EDGES = ("spectral_radius", "spectral_abscissa")

LARGEST, SMALLEST = 1e8, 1e-14
"""Range of the unknown that is searched, the second relative to the saturation of its map."""

STEP = 0.2
"""Places of the search, in decades."""

SHIFT = 1e-6
"""Relative shift by which sensitivities to the unknown are measured."""


@dataclass
class Found:
    """Solutions of every point, ascending by Q of the first state and padded with nan.

    values, errors : (points, most) of each quantity; exists : (points, most); known : whether all of a point's
    solutions were found (points,); a nan where a solution exists is a quantity that tables could not give, except where
    ``empty`` says that there is no spectrum beyond L (points, most).
    """

    values: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    exists: np.ndarray
    known: np.ndarray
    empty: np.ndarray


@dataclass
class _Moments:
    """One solution of some points: quantities and errors (n,); what the edge needs, (given, n), also at a slightly shifted
    unknown; error of the unknown as a share of that shift (n,)."""

    values: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    given: np.ndarray
    moved: np.ndarray
    share: np.ndarray

    def at(self, index: np.ndarray) -> _Moments:
        """What the edge needs, at some of the points."""
        return _Moments({}, {}, self.given[:, index], self.moved[:, index], self.share[index])


class Plan:
    """Compiled programs for one theory with some parameters fixed and others swept.

    Raises Unsupported, with the reason, where the theory or a quantity cannot be had from tables.
    """

    def __init__(
        self, theory: Theory, fixed: Mapping[str, float], swept: Sequence[str], quantities: Sequence[str], *,
        compiler: bool = True,
    ) -> None:  # fmt: skip
        if theory.ansatz != "static" or theory.closure != "exact":
            raise Unsupported(f"tables are for exact static theories, this is {theory.ansatz} and {theory.closure}")
        parameters = theory.site.parameters
        self.swept = tuple(parameters[name] for name in swept)
        known = {parameters[name]: value for name, value in fixed.items() if name not in swept}
        self.theory, self.tables = theory, Tables(theory.law)
        equations = Equations(theory.system, theory.law, Evaluator(theory.law), dict(known))
        _refuse(theory, equations)
        self.unknown = equations.feedback[0] if equations.feedback else None
        builder = Builder(theory.law, known, self.tables)
        for symbol in equations.order:
            builder.assign(symbol, equations.system.equations[symbol])
        inputs = (*((self.unknown,) if self.unknown is not None else ()), *self.swept)
        self._image = None
        if self.unknown is not None:
            image = builder.expression(equations.system.equations[self.unknown])
            self._image = Compiled(builder.program(inputs, [image]), self.tables, compiler=compiler)
        self.edges = tuple(name for name in quantities if name in EDGES)
        self.first = f"Q[{theory.site.states[0]}]"
        self.names, outputs = _moments(theory, builder, quantities, self.first)
        self.edge: EdgeProgram | None = None
        self._gain: Compiled | None = None
        if self.edges:
            self.edge = edge_program(theory, builder)
            outputs += [expression for _, expression in self.edge.given]
            for pole in self.edge.poles:
                outputs += [builder.expression(e) for e in (pole.variance, pole.low, pole.high, pole.constant)]
            if self.edge.sizes:
                self._gain = Compiled(self.edge.gain, self.tables, compiler=compiler)
        finish: Program = builder.program(inputs, outputs)
        self._finish = Compiled(finish, self.tables, compiler=compiler)

    def evaluate(self, columns: Sequence[np.ndarray], run: int, tol: float, *, largest: bool = False) -> Found:
        """Solutions at n points.

        columns : swept parameters (n,); run : length of the runs of neighbouring points; tol : relative, of the
        unknown; largest : only that with the largest Q of the first state.
        """
        points = columns[0].size
        logs, errors, exists, known = self._solutions(columns, run, tol, points)
        moments = [self._moments(exists[:, k], columns, logs[:, k], errors[:, k]) for k in range(logs.shape[1])]
        first = np.stack([m.values[self.first] for m in moments], axis=1)
        order = np.argsort(np.where(exists, first, np.inf), axis=1, kind="stable")
        count = exists.sum(axis=1)
        if largest:
            order, count = order[np.arange(points), np.maximum(count - 1, 0)][:, None], np.minimum(count, 1)
        found = Found({}, {}, np.arange(order.shape[1]) < count[:, None], known, np.zeros(order.shape, bool))
        for place in range(order.shape[1]):
            self._place(found, place, order[:, place], moments, run, tol)
        return found

    def _solutions(
        self, columns: Sequence[np.ndarray], run: int, tol: float, points: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """ln of the unknown (-inf: zero), its error, which of them exist, and where the search was complete."""
        if self._image is None:
            return np.zeros((points, 1)), np.zeros((points, 1)), np.ones((points, 1), bool), np.ones(points, bool)
        image = self._image

        def excess(log: np.ndarray, index: np.ndarray) -> np.ndarray:
            value = image(np.exp(log), *(c[index] for c in columns))[0]
            with np.errstate(all="ignore"):
                return np.clip(np.log(value) - log, -700.0, 700.0)

        noise = self._noise(image)
        found: Roots = find_roots(excess, neighbours(np.arange(points), run), self._axis(columns), noise, tol)
        at_zero = image(np.zeros(points), *columns)[0]
        zero = np.abs(at_zero) < 1e-300
        logs = np.concatenate([np.where(zero, -np.inf, np.nan)[:, None], found.logs], axis=1)
        errors = np.concatenate([np.zeros((points, 1)), found.errors], axis=1)
        return logs, errors, ~np.isnan(logs), found.known & ~np.isnan(at_zero)

    @staticmethod
    def _noise(program: Compiled) -> float:
        """Relative error of a product of all averages of a program."""
        return 1e-15 + ACCURACY * program.lookups

    def _axis(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """Places of the search in ln x: up to where the map has saturated at every point."""
        assert self._image is not None
        few = slice(None, None, max(1, columns[0].size // 512))
        here = [np.append(c[few], [c.min(), c.max()]) for c in columns]
        top = LARGEST
        for size in (1.0, 1e2, 1e4, 1e6):
            later = [self._image(np.full(here[0].size, s), *here)[0] for s in (1.0, 1e2, 1e4, 1e6, LARGEST) if s >= size]
            if np.nanmax(later) < size / 2:
                top = 2.0 * size
                break
        fine = np.arange(np.log10(top), -7.0, -STEP)
        coarse = np.arange(fine[-1] - 1.0, np.log10(SMALLEST), -1.0)
        return np.concatenate([coarse[::-1], fine[::-1]]) * np.log(10.0)

    def _moments(
        self, exists: np.ndarray, columns: Sequence[np.ndarray], logs: np.ndarray, errors: np.ndarray
    ) -> _Moments:
        """What does not need the edge, of one solution of every point that has it; nan elsewhere."""
        index = np.nonzero(exists)[0]
        here = columns if index.size == exists.size else [c[index] for c in columns]
        inputs = [np.exp(logs[index])] if self.unknown is not None else []
        rows = self._finish(*inputs, *here)
        moved = self._finish(*(x * (1 + SHIFT) for x in inputs), *here) if inputs else rows
        share = np.where(np.isfinite(errors[index]), errors[index], 1.0) / SHIFT
        noise = self._noise(self._finish)
        found = _Moments({}, {}, *(np.full((len(rows) - len(self.names), exists.size), np.nan) for _ in range(2)),
                         np.full(exists.size, np.nan))  # fmt: skip
        for place, name in enumerate(self.names):
            found.values[name], found.errors[name] = np.full((2, exists.size), np.nan)
            found.values[name][index] = rows[place]
            found.errors[name][index] = np.abs(moved[place] - rows[place]) * share + noise * np.abs(rows[place])
        found.given[:, index], found.moved[:, index] = rows[len(self.names) :], moved[len(self.names) :]
        found.share[index] = share
        return found

    def _place(
        self, found: Found, place: int, order: np.ndarray, moments: Sequence[_Moments], run: int, tol: float
    ) -> None:
        """Solution ``order`` (points,) of every point becomes number ``place``, with its edges."""
        for name in (*self.names, *self.edges):
            for part in (found.values, found.errors):
                part.setdefault(name, np.full(found.exists.shape, np.nan))
        for number in np.unique(order[found.exists[:, place]]):
            index = np.nonzero(found.exists[:, place] & (order == number))[0]
            source = moments[number]
            for name in self.names:
                found.values[name][index, place] = source.values[name][index]
                found.errors[name][index, place] = source.errors[name][index]
            if self.edge is None:
                continue
            for name in self.edges:
                value, error, empty = self._edge(name, source.at(index), neighbours(index, run), tol)
                found.values[name][index, place], found.errors[name][index, place] = value, error
                found.empty[index, place] |= empty

    def _edge(
        self, name: str, at: _Moments, runs: np.ndarray, tol: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The edge in the direction that counts, its error, and where there is no support at all."""
        size = runs.size
        if self._gain is None or self.edge is None:
            return np.full(size, np.nan), np.full(size, np.nan), np.ones(size, bool)
        count = len(self.edge.given)
        given, moved, share = at.given[:count], at.moved[:count], at.share
        low, high = _pole_range(at.given[count:].reshape(len(self.edge.poles), 4, size))
        side = np.ones(size)
        if name == "spectral_radius":
            side = np.where(low >= 0, 1.0, np.where(high <= 0, -1.0, np.nan))
        base = np.where(side > 0, high, -low)
        gain, sizes = self._gain, self.edge.sizes

        def excess(log: np.ndarray, point: np.ndarray, source: np.ndarray = given) -> np.ndarray:
            lam = side[point] * (base[point] + np.exp(log))
            with np.errstate(all="ignore"):
                return np.clip(np.log(spectral_radius(gain(lam, *source[:, point]), sizes)), -700.0, 700.0)

        noise = self._noise(gain) * 2.0
        axis = np.arange(-12.0, 6.1, 0.5) * np.log(10.0)
        roots = find_roots(excess, runs, axis, noise, tol)
        log = roots.logs[:, 0] if roots.logs.shape[1] else np.full(size, np.nan)
        distance = np.exp(log)
        value = base + distance
        with np.errstate(all="ignore"):
            where = np.arange(size)
            slope = (excess(log, where) - excess(log - SHIFT, where)) / SHIFT
            drift = (excess(log, where, moved) - excess(log, where)) * share / slope
        own = roots.errors[:, 0] if roots.logs.shape[1] else np.full(size, np.nan)
        error = distance * (own + np.abs(drift)) + 1e-15 * np.abs(value)
        nothing = np.nanmax(np.where(np.isnan(given), 0.0, np.abs(given)), axis=0, initial=0.0) == 0.0
        return np.where(nothing, np.nan, value), error, nothing


def _pole_range(poles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest eigenvalue of L over sites; poles (poles, 4, n): variance, two ends, constant."""
    variance, one, two, constant = np.moveaxis(poles, 1, 0)
    low = np.where(variance > 0, np.minimum(one, two), constant).min(axis=0)
    high = np.where(variance > 0, np.maximum(one, two), constant).max(axis=0)
    return low, high


def _refuse(theory: Theory, equations: Equations) -> None:
    if len(equations.feedback) > 1:
        raise Unsupported(f"{len(equations.feedback)} coupled unknowns")
    if equations.feedback and not equations.feedback[0].is_nonnegative:
        raise Unsupported("an unknown that may be negative")
    functions = theory.law.functions
    names = {call.name for item in theory.site.fields for call in functions.expand(item.v).atoms(Fn)}
    names |= {call.name for f in theory.site.F for call in functions.expand(f).atoms(Fn)}
    if any(functions.kinked(name) for name in names):
        raise Unsupported("an activation with a kink, whose derivatives at zero activity are limits")


def _moments(
    theory: Theory, builder: Builder, quantities: Sequence[str], first: str
) -> tuple[list[str], list[sp.Expr]]:
    """Flat names of the moments asked for (all of q, q_total, Q for a family), with ``first``, and their expressions."""
    sources: dict[str, sp.Expr] = {f"q[{name}]": symbol for name, symbol in theory.variances.items()}
    sources |= dict(theory.observables)
    names: list[str] = []
    for wanted in quantities:
        if wanted in EDGES:
            continue
        family = [name for name in sources if name == wanted or name.partition("[")[0] == wanted]
        if not family:
            raise Unsupported(f"{wanted} is not had from tables")
        names += [name for name in family if name not in names]
    names += [first] if first not in names else []
    return names, [builder.expression(sources[name]) for name in names]
