"""Solutions, edges of spectra and chi1 at many parameter points, from tables of averages.

One plan for a theory, its swept parameters and the quantities asked for; it says at once what it cannot give.  Points
at which a number is not had at the accuracy of tables come back as unknown, for a slower way to do.
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
from solvers.grid.along import Along
from solvers.grid.compile import Compiled
from solvers.grid.edge import edge_program, log_radius
from solvers.grid.edge_solver import SHIFT, STRIDE, EdgeSolver
from solvers.grid.follow import Roots, find_roots, neighbours
from solvers.grid.program import Builder, Program, Tables, Unsupported

EDGES = ("spectral_radius", "spectral_abscissa")
GROWTH = "chi1"

LARGEST, SMALLEST = 1e8, 1e-14
"""Range of the unknown that is searched, the second relative to the saturation of its map."""

STEP = 0.2
"""Places of the search, in decades."""

REST = 61
"""One point of so many is looked at to see whether a zero unknown is a zero state."""

_LOG = sp.Symbol("ln(x)[]", real=True)
"""ln of the unknown."""


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
    """One solution of some points.

    position : column of each point below (points,); values, errors : of the quantities that need no edge (names, n);
    given : what the edge needs (given, n), moved : the same at a slightly shifted unknown; share : error of the unknown
    as a share of that shift (n,).
    """

    position: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    given: np.ndarray
    moved: np.ndarray
    share: np.ndarray

    def at(self, columns: np.ndarray) -> _Moments:
        """Some of the columns."""
        if columns.size == self.share.size:
            return self
        values, errors, given, moved = (p[:, columns] for p in (self.values, self.errors, self.given, self.moved))
        return _Moments(np.arange(columns.size), values, errors, given, moved, self.share[columns])


class Plan:
    """Compiled programs for one theory with some parameters fixed and others swept.

    Raises Unsupported, with the reason, where the theory or a quantity cannot be had from tables.
    """

    def __init__(
        self, theory: Theory, fixed: Mapping[str, float], swept: Sequence[str], quantities: Sequence[str], *,
        compiler: bool = True,
    ) -> None:  # fmt: skip
        if theory.ansatz not in ("static", "untied") or theory.closure != "exact":
            raise Unsupported(f"tables are for moments that close exactly, and here they are {theory.closure}")
        parameters = theory.site.parameters
        self.swept = tuple(parameters[name] for name in swept)
        known = {parameters[name]: value for name, value in fixed.items() if name not in swept}
        self.theory, self.tables = theory, Tables(theory.law)
        equations = Equations(theory.system, theory.law, Evaluator(theory.law), dict(known))
        _refuse(theory, equations)
        self.unknown = equations.feedback[0] if equations.feedback else None
        builder = Builder(theory.law, known, self.tables)
        if self.unknown is not None:
            builder.assign(self.unknown, sp.exp(_LOG))
        for symbol in equations.order:
            builder.assign(symbol, equations.system.equations[symbol])
        inputs = (*((_LOG,) if self.unknown is not None else ()), *self.swept)
        self._image = None
        if self.unknown is not None:
            image = builder.expression(equations.system.equations[self.unknown])
            excess = builder.program(inputs, [sp.log(image) - _LOG, image])
            self._image = Compiled(excess, self.tables, compiler=compiler)
        self.edges = tuple(name for name in quantities if name in EDGES and theory.spectrum is not None)
        self.first = f"Q[{theory.site.states[0]}]"
        self.names, outputs = _moments(theory, builder, quantities, self.first)
        growth = theory.perturbation if GROWTH in quantities else None
        self._growth = 0 if growth is None else growth.rows
        if growth is not None:
            self.names.append(GROWTH)
            outputs += [builder.expression(entry) for entry in growth]
        if self.edges:
            program = edge_program(theory, builder)
            outputs += [expression for _, expression in program.given]
            for pole in program.poles:
                outputs += [builder.expression(e) for e in (pole.variance, pole.low, pole.high, pole.constant)]
            self.edge = EdgeSolver(program, self.tables, compiler)
        finish: Program = builder.program(inputs, outputs)
        self._finish = Compiled(finish, self.tables, compiler=compiler)

    def evaluate(self, columns: Sequence[np.ndarray], run: int, tol: float, *, largest: bool = False) -> Found:
        """Solutions at n points.

        columns : swept parameters (n,); run : length of the runs of neighbouring points; tol : relative, of the
        unknown; largest : only that with the largest Q of the first state.
        """
        points = columns[0].size
        logs, errors, exists, known = self._solutions(columns, run, tol, points)
        if largest and self._rests_at_zero(logs, columns):
            exists[:, 0] &= exists.sum(axis=1) == 1
        moments = [self._moments(exists[:, k], columns, logs[:, k], errors[:, k]) for k in range(logs.shape[1])]
        first = self.names.index(self.first)
        size = np.full(exists.shape, np.inf)
        for k, own in enumerate(moments):
            size[exists[:, k], k] = np.nan_to_num(own.values[first], nan=1e300)
        order = np.argsort(size, axis=1, kind="stable")
        count = exists.sum(axis=1)
        if largest:
            order, count = order[np.arange(points), np.maximum(count - 1, 0)][:, None], np.minimum(count, 1)
        found = Found({}, {}, np.arange(order.shape[1]) < count[:, None], known, np.zeros(order.shape, bool))
        for place in range(order.shape[1]):
            self._place(found, place, order[:, place], moments, run, tol)
        return found

    def _rests_at_zero(self, logs: np.ndarray, columns: Sequence[np.ndarray]) -> bool:
        """Whether the first state vanishes where the unknown does, at every point of a sample: then no solution has a
        smaller Q, and it need not be worked out where there is another."""
        few = np.nonzero(np.isneginf(logs[:, 0]))[0][::REST]
        if self.unknown is None or not few.size:
            return False
        found = self._finish(np.full(few.size, -np.inf), *(np.ascontiguousarray(c[few]) for c in columns))
        return not np.any(found[self.names.index(self.first)])

    def _solutions(
        self, columns: Sequence[np.ndarray], run: int, tol: float, points: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """ln of the unknown (-inf: zero), its error, which of them exist, and where the search was complete."""
        if self._image is None:
            return np.zeros((points, 1)), np.zeros((points, 1)), np.ones((points, 1), bool), np.ones(points, bool)
        image = self._image
        noise = image.noise
        runs = neighbours(np.arange(points), run)
        found: Roots = find_roots(Along(image, columns), runs, self._axis(columns), noise, tol)
        at_zero = image(np.full(points, -np.inf), *columns, first=1)[1]
        zero = np.abs(at_zero) < 1e-300
        logs = np.concatenate([np.where(zero, -np.inf, np.nan)[:, None], found.logs], axis=1)
        errors = np.concatenate([np.zeros((points, 1)), found.errors(noise)], axis=1)
        return logs, errors, ~np.isnan(logs), found.known & ~np.isnan(at_zero)

    def _axis(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """Places of the search in ln x: up to where the map has saturated at every point."""
        assert self._image is not None
        few = slice(None, None, max(1, columns[0].size // 512))
        here = [np.append(c[few], [c.min(), c.max()]) for c in columns]
        top = LARGEST
        sizes = (1.0, 1e2, 1e4, 1e6, LARGEST)
        images = [np.max(np.nan_to_num(self._image(np.full(here[0].size, np.log(s)), *here)[1])) for s in sizes]
        for k, size in enumerate(sizes[:-1]):
            if max(images[k:]) < size / 2:
                top = 2.0 * size
                break
        fine = np.arange(np.log10(top), -7.0, -STEP)
        coarse = np.arange(fine[-1] - 1.0, np.log10(SMALLEST), -1.0)
        return np.concatenate([coarse[::-1], fine[::-1]]) * np.log(10.0)

    def _moments(
        self, exists: np.ndarray, columns: Sequence[np.ndarray], logs: np.ndarray, errors: np.ndarray
    ) -> _Moments:
        """What does not need the edge, of one solution of every point that has it."""
        index = np.nonzero(exists)[0]
        here = columns if index.size == exists.size else [c[index] for c in columns]
        inputs = [logs[index]] if self.unknown is not None else []
        rows = self._finish(*inputs, *here)
        share = np.where(np.isfinite(errors[index]), errors[index], 1.0) / SHIFT
        exact = not np.any(share > 0)  # a zero state has no error to carry
        moved = rows if exact else self._moved(rows, inputs, here)
        noise, count = self._finish.noise, len(self.names)
        if self._growth:
            rows, moved = (self._with_growth(part) for part in (rows, moved))
        position = np.zeros(exists.size, np.int64)
        position[index] = np.arange(index.size)
        values, errors = rows[:count], np.abs(moved[:count] - rows[:count]) * share + noise * np.abs(rows[:count])
        return _Moments(position, values, errors, rows[count:], moved[count:], share)

    def _moved(self, rows: np.ndarray, inputs: Sequence[np.ndarray], here: Sequence[np.ndarray]) -> np.ndarray:
        """The outputs at a shifted unknown, by their change at one point of STRIDE."""
        few = slice(None, None, STRIDE)
        some = self._finish(*(x[few] + SHIFT for x in inputs), *(np.ascontiguousarray(c[few]) for c in here))
        with np.errstate(all="ignore"):
            change = some / rows[:, few]
        change = np.where(np.isfinite(change), change, 1.0 + SHIFT)
        return rows * np.repeat(change, STRIDE, axis=1)[:, : rows.shape[1]]

    def _with_growth(self, rows: np.ndarray) -> np.ndarray:
        """Rows with the spectral radius of the perturbation matrix in place of its entries."""
        start, size = len(self.names) - 1, self._growth
        entries = rows[start : start + size * size]
        radius = np.abs(entries) if size == 1 else np.exp(log_radius(entries, (size,)))[None]
        return np.concatenate([rows[:start], radius, rows[start + size * size :]])

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
            here = source.at(source.position[index])
            for number_of, name in enumerate(self.names):
                found.values[name][index, place] = here.values[number_of]
                found.errors[name][index, place] = here.errors[number_of]
            for name in self.edges:
                value, error, empty = self.edge(name, here.given, here.moved, here.share, neighbours(index, run), tol)
                found.values[name][index, place], found.errors[name][index, place] = value, error
                found.empty[index, place] |= empty


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
    """Flat names of the moments asked for (all of q for "q"), with ``first``, and their expressions."""
    sources: dict[str, sp.Expr] = {f"q[{name}]": symbol for name, symbol in theory.variances.items()}
    sources |= dict(theory.observables)
    names: list[str] = []
    for wanted in quantities:
        if (wanted in EDGES and theory.spectrum is not None) or (wanted == GROWTH and theory.perturbation is not None):
            continue
        family = [name for name in sources if name == wanted or name.partition("[")[0] == wanted]
        if not family:
            raise Unsupported(f"{wanted} is not had from tables")
        names += [name for name in family if name not in names]
    names += [first] if first not in names else []
    return names, [builder.expression(sources[name]) for name in names]
