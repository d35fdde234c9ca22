"""Programs as functions of arrays: one loop over points where Numba is installed, NumPy otherwise.

Both run the same statements.  Tiles that turn out to be missing are filled and the points that met them done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from derive.elementary import FunctionTable
from solvers.codegen.emit import PREAMBLE, Printer, identifiers
from solvers.codegen.lower import lower
from solvers.grid import lookup
from solvers.grid.follow import ROUGH, TURNS, Pieces
from solvers.grid.program import Lookup, Program, Tables
from solvers.grid.scalar import MARCH, compiled_loops, compiles
from solvers.grid.table import ACCURACY

_INDENT = "    "

_NOBODY = np.zeros(0, np.int64)

_FEW = 2048
"""Points that are looked at first to see which tiles are missing."""


class Compiled:
    """A program as a function of arrays (n,), one for each input, to the outputs (outputs, n).

    A value is nan where an average could not be had at the accuracy of tables.
    """

    def __init__(self, program: Program, tables: Tables, *, compiler: bool = True) -> None:
        self.tables = tables
        self._calls = [step for _, step in program.steps if isinstance(step, Lookup)]
        self._size = len(program.outputs)
        self.noise = 1e-15 + ACCURACY * len(self._calls)
        """Relative error of a product of all its averages."""
        functions = tables.law.functions
        self._arrays = _array_function(program, functions)
        self._loop: Callable[..., int] | None = None
        self._march: Callable[..., None] | None = None
        if compiler and (loops := compiled_loops(_scalar_source(program, functions))) is not None:
            nothing: list[object] = [np.empty(0)] * len(program.inputs)
            if compiles(loops[0], [*nothing, *self._stored(), 0, np.empty((self._size, 0))]):
                self._loop, self._march = loops

    def __call__(self, *inputs: np.ndarray, first: int = 0) -> np.ndarray:
        """The outputs (outputs, n) at n points; inputs are arrays (n,).

        first : outputs before this one may be nan for a reason of their own.
        """
        # read-only views would be another type to the compiler, and compiled for again
        columns = [x if x.flags.carray and x.dtype == np.float64 else np.array(x, np.float64) for x in inputs]
        found, some = self._run(columns, first)
        lost = self._lost(found, first) if some else _NOBODY
        while lost.size:
            here = [column[lost] for column in columns]
            few = max(1, lost.size // _FEW)  # most tiles are met by a few of the points
            if not self._fill([column[::few] for column in here]) and (few == 1 or not self._fill(here)):
                break
            found[:, lost] = self._run(here, first)[0]
            lost = lost[self._lost(found[:, lost], first)]
        return found

    @staticmethod
    def _lost(found: np.ndarray, first: int) -> np.ndarray:
        """Points with a nan among their outputs."""
        return np.nonzero(np.isnan(found[first:]).any(axis=0))[0]

    def march(self, pieces: Pieces, columns: Sequence[np.ndarray], tol: float, size: int) -> np.ndarray | None:
        """`follow.march` for the first output as a function of the first input, in one compiled loop.

        columns : the other inputs, at all ``size`` points; None where there is no compiler.
        """
        if self._march is None:
            return None
        columns = [x if x.flags.carray and x.dtype == np.float64 else np.array(x, np.float64) for x in columns]
        out = np.full((4, size), np.nan)
        out[3] = 1.0
        waiting = np.arange(pieces.left.size)
        while waiting.size:
            some = pieces.some(waiting)
            self._march(
                some.left, some.right, some.starts, some.slopes, some.bounds, *columns, *self._stored(), tol, out
            )
            stopped = np.nonzero(np.isnan(out[2]) & ~np.isnan(out[0]))[0]  # for want of a tile
            if not stopped.size or np.isnan(self(out[0, stopped], *(c[stopped] for c in columns))[0]).all():
                break
            place = np.searchsorted(pieces.left, stopped, side="left") - 1
            waiting = np.unique(place)
        return out

    def _run(self, columns: Sequence[np.ndarray], first: int) -> tuple[np.ndarray, bool]:
        """The outputs, and whether there may be a nan among those from ``first`` on."""
        if self._loop is None:
            return self._arrays(*columns, *self._stored())[0], True
        out = np.empty((self._size, columns[0].size))
        return out, bool(self._loop(*columns, *self._stored(), first, out))

    def _stored(self) -> list[np.ndarray]:
        stored: list[np.ndarray] = []
        for call in self._calls:
            table = self.tables.found[call.table]
            widths = [] if table.fixed is not None else [table.widths]
            stored += [table.place, *widths, table.coefficients]
        return stored

    def _fill(self, columns: Sequence[np.ndarray]) -> bool:
        """Fill what these points need, as far as it can be known; whether anything was new."""
        needed = self._arrays(*columns, *self._stored())[1]
        new = False
        for call, (mean, spread) in zip(self._calls, needed, strict=True):
            m, s = (np.broadcast_to(np.asarray(x, float), columns[0].shape) for x in (mean, spread))
            new = self.tables.found[call.table].fill(m, s) or new
        return new


def _statements(program: Program, functions: FunctionTable, choose: Callable[[str, str, str], str]) -> list[str]:
    """Assignments in Python; ``choose(condition, value, other)`` writes the choice between two values."""
    names = identifiers([*program.inputs, *(symbol for symbol, _ in program.steps)])
    printer = Printer()

    def text(expression: sp.Expr) -> str:
        return str(printer.doprint(lower(expression, functions).xreplace(names)))

    lines, number = [], 0
    for symbol, step in program.steps:
        if not isinstance(step, Lookup):
            lines.append(f"{names[symbol]} = {text(step)}")
            continue
        lines.append(f"mean_{number} = {text(step.mean)}")
        lines.append(f"spread_{number} = {text(step.spread)}")
        arguments = f"mean_{number}, spread_{number}, place_{number}, widths_{number}, coefficients_{number}"
        if step.mean.is_number:
            arguments = f"spread_{number}, place_{number}, coefficients_{number}"
        read = f"{'line' if step.mean.is_number else 'plane'}({arguments})"
        factor = "" if step.factor == 1 else f"({text(step.factor)}) * "
        lines.append(f"{names[symbol]} = " + choose(f"spread_{number} > 0.0", factor + read, text(step.constant)))
        number += 1
    lines.append("outputs = (" + "".join(f"{text(o)}, " for o in program.outputs) + ")")
    return lines


def _arguments(program: Program) -> list[str]:
    names = identifiers([*program.inputs, *(symbol for symbol, _ in program.steps)])
    stored: list[str] = []
    for number, call in enumerate(step for _, step in program.steps if isinstance(step, Lookup)):
        widths = [] if call.mean.is_number else [f"widths_{number}"]
        stored += [f"place_{number}", *widths, f"coefficients_{number}"]
    return [*(str(names[symbol]) for symbol in program.inputs), *stored]


def _scalar_source(program: Program, functions: FunctionTable) -> str:
    """``def point(inputs, tables)`` of one point, and ``def loop(inputs, tables, out)`` over arrays."""
    arguments = _arguments(program)
    lines = _statements(program, functions, lambda condition, one, other: f"{one} if {condition} else {other}")
    body = [*lines, "return outputs"]
    each = [f"{name}[i]" for name in arguments[: len(program.inputs)]] + arguments[len(program.inputs) :]
    loop = ["lost = 0", f"for i in range({arguments[0]}.size):", f"{_INDENT}found = point({', '.join(each)})"]
    for k in range(len(program.outputs)):
        loop += [f"{_INDENT}out[{k}, i] = found[{k}]"]
        loop += [f"{_INDENT}if found[{k}] != found[{k}] and first <= {k}:", f"{_INDENT * 2}lost += 1"]
    loop += ["return lost"]
    near = MARCH.format(columns=", ".join(arguments[1:]), here=", ".join(each[1:]), rough=ROUGH, turns=TURNS)
    return (
        near + f"\n\ndef point({', '.join(arguments)}):\n" + "".join(f"{_INDENT}{line}\n" for line in body)
        + f"\n\ndef loop({', '.join([*arguments, 'first', 'out'])}):\n" + "".join(f"{_INDENT}{line}\n" for line in loop)
    )  # fmt: skip


def _array_function(program: Program, functions: FunctionTable) -> Callable[..., tuple[np.ndarray, list[Any]]]:
    """(outputs (outputs, n), means and spreads of the lookups) of arrays."""
    lines = _statements(program, functions, lambda condition, one, other: f"np.where({condition}, {one}, {other})")
    count = sum(isinstance(step, Lookup) for _, step in program.steps)
    needed = ", ".join(f"(mean_{k}, spread_{k})" for k in range(count))
    text = f"def arrays({', '.join(_arguments(program))}):\n" + "".join(f"{_INDENT}{line}\n" for line in lines)
    text += f"{_INDENT}return outputs, [{needed}]\n"
    space: dict[str, Any] = {"line": lookup.lines, "plane": lookup.planes}
    exec(compile(PREAMBLE, "<gatefield kernels>", "exec"), space)
    exec(compile(text, "<gatefield generated>", "exec"), space)

    def evaluate(*given: np.ndarray) -> tuple[np.ndarray, list[Any]]:
        with np.errstate(all="ignore"):
            outputs, needed = space["arrays"](*given)
        rows = np.empty((len(outputs), given[0].size))
        for row, value in zip(rows, outputs, strict=True):
            row[:] = value
        return rows, needed

    return evaluate
