"""From a cell and ranges of two parameters to its phase diagram."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from derive.cell.parameters import Settings, resolve
from derive.cell.spec import Cell
from derive.errors import AnsatzError, ParameterError
from derive.pipeline import derive_theory
from solvers.critical.problem import Space
from solvers.critical.ranges import check_corners, free_names, search_range
from solvers.phase.boundaries import trace_boundaries
from solvers.phase.diagram import PhaseDiagram
from solvers.phase.lattice import Axis, Lattice
from solvers.phase.regimes import Prober
from solvers.phase.regions import cut_regions
from solvers.phase.statics import StaticSolver
from solvers.threads import one_thread

MOST_VALUES = 1000

Range = tuple[str, float, float, int]


@one_thread
def phase(
    cell: Cell, x: Range, y: Range, parameters: Mapping[str, object] | None = None, *, moving: bool = True,
    seed: int = 0,
) -> PhaseDiagram:  # fmt: skip
    """Regimes of a cell over two parameters, with their boundaries as curves.

    x, y : (parameter, low, high, number of values); parameters : the others, by name; moving : also look for states
    that fluctuate in time, without which chaos is not seen; seed : of sampled paths.

    Raises
    ------
    ParameterError : a parameter is unknown, on both axes, or also given; a range is empty, not allowed, or has fewer
    than two values.
    AnsatzError : the static mean field does not apply to this cell, or its inputs change with time.
    """
    given = dict(parameters or {})
    first, second = free_names(cell, (x[0], y[0]), given)
    ends = {name: search_range(cell, name, (low, high)) for name, (_, low, high, _) in
            ((first, x), (second, y))}  # fmt: skip
    middle = check_corners(cell, given, ends, "--x or --y")
    right, up = (Axis(name, *ends[name], _count(name, item[3])) for name, item in ((first, x), (second, y)))
    theory = derive_theory(cell, "static")
    settings = resolve(cell, middle)
    haar = [name for name, ensemble in settings.ensembles.items() if ensemble == "haar"]
    _refuse_moving_inputs(settings)
    space = Space.of(theory, settings, (first, second))
    boundaries = trace_boundaries(space, (ends[first], ends[second]), _held(cell, (first, second), ends))
    prober = Prober(cell, (first, second), given, StaticSolver(space), moving=moving and not haar, seed=seed)
    cut = cut_regions(Lattice(right, up), boundaries.curves, prober)
    others = {name: value for name, value in settings.parameters.items() if name not in (first, second)}
    notes = tuple(dict.fromkeys((*theory.notes, *boundaries.notes, *cut.notes, *_of_haar(haar))))
    return PhaseDiagram(
        cell, others, right, up, cut.table, cut.fine, cut.regions, (*boundaries.curves, *cut.curves), boundaries.points,
        tuple(prober.known.values()), notes, seed, boundaries.complete and cut.complete,
    )  # fmt: skip


def _refuse_moving_inputs(settings: Settings) -> None:
    names = [name for name, given in settings.inputs.items() if given.moves]
    if names:
        raise AnsatzError(
            f"with inputs that are redrawn at each step ({', '.join(names)}) nothing is at rest, and regimes are told "
            'apart by fixed points. Make them constant (time = "constant"), or see gatefield dynamics.'
        )


def _count(name: str, count: int) -> int:
    if not 2 <= count <= MOST_VALUES:
        raise ParameterError(f"{name}: an axis has from 2 to {MOST_VALUES} values; {count} were asked for")
    return count


def _held(
    cell: Cell, names: Sequence[str], ends: Mapping[str, tuple[float, float]]
) -> tuple[float, float]:  # fmt: skip
    """The defaults, where starts are looked for as well; the low end for a parameter without one."""
    defaults = [cell.parameters[name] for name in names]
    held = [ends[name][0] if value is None else value for name, value in zip(names, defaults, strict=True)]
    return (held[0], held[1]) if np.isfinite(held).all() else (math.nan, math.nan)


def _of_haar(names: Sequence[str]) -> tuple[str, ...]:
    """What a diagram of orthogonal weights has, and what it leaves open."""
    if not names:
        return ()
    return (
        f"orthogonal weights ({', '.join(names)}): static solutions, folds and the outer edge of the spectrum are those"
        " of Gaussian ones; states that move are not looked for, as their mean field is that of Gaussian weights, and"
        " regimes which they decide stay undecided",
    )
