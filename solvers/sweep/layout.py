"""The variables of a store: names, dimensions, labels and attributes, as xarray shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from solvers.sweep.design import NETWORK, SAMPLE, SIZE, Axis
from solvers.sweep.engine import NOT_COMPUTED, VERDICTS, Answer
from solvers.sweep.job import Job
from solvers.sweep.quantities import MEANINGS, Quantity

VERDICT, REASON, SOLUTIONS = "verdict", "reason", "solutions"
SOLUTION, START = "solution", "start"
UNITS, SEED = "N", "seed"
OWN_NAMES = {SIZE: UNITS, NETWORK: SEED}


@dataclass(frozen=True)
class Variable:
    """An array of the store.

    dimensions : names; shape : the lengths behind those of the parameters; missing : what stands where nothing is
    written; of : its values in an answer, (points, *shape); values : of a coordinate, in full.
    """

    name: str
    dimensions: tuple[str, ...]
    dtype: Any
    missing: Any
    attributes: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    of: Callable[[Answer], np.ndarray] = field(default=lambda _: np.zeros(0), compare=False)
    values: np.ndarray = field(default_factory=lambda: np.zeros(0), compare=False)
    compressed: bool = True


def parameter_names(job: Job) -> dict[str, str]:
    """Swept parameter or dimension -> the name it has in the store: its own, unless a variable has that already."""
    request = job.request
    taken = {VERDICT, REASON, SOLUTIONS, SOLUTION, START, UNITS, SEED, "field", "state", "definition", "end", SAMPLE}
    taken |= {name for q in request.quantities for name in (q.name, f"{q.name}_error")}
    names = {name: f"{name}_parameter" if name in taken else name for name in job.design.names}
    return names | OWN_NAMES


def dimension_of(axis: Axis, names: Mapping[str, str]) -> str:
    """The dimension of an axis in the store; names : from `parameter_names`."""
    return SAMPLE if axis.dimension == SAMPLE and SAMPLE not in axis.columns else names[next(iter(axis.columns))]


def variables(job: Job) -> tuple[Variable, ...]:
    """Everything that chunks are written to."""
    request = job.request
    names = parameter_names(job)
    swept = tuple(dimension_of(axis, names) for axis in job.design.axes)
    copies = (START if request.networks else SOLUTION,) if request.copies else ()
    own, shape = swept + copies, request.copies
    found = [item for quantity in request.quantities for item in _of_quantity(quantity, own, shape)]
    if request.networks is None:
        found.append(Variable(SOLUTIONS, swept, "int16", -1, {"long_name": "number of solutions found"},
                              of=lambda answer: answer.found))  # fmt: skip
    found.append(Variable(REASON, own, str, "", {"long_name": "why the verdict is not `converged`"}, shape,
                          lambda answer: answer.reason))  # fmt: skip
    flags = {"long_name": "verdict", "flag_values": list(VERDICTS), "flag_meanings": " ".join(VERDICTS.values())}
    found.append(Variable(VERDICT, own, "int8", NOT_COMPUTED, flags, shape, lambda answer: answer.verdict,
                          compressed=False))  # fmt: skip
    return tuple(found)


def _of_quantity(quantity: Quantity, own: tuple[str, ...], shape: tuple[int, ...]) -> list[Variable]:
    name = quantity.name
    dimensions = (*own, quantity.dimension) if quantity.dimension else own
    shape = shape + quantity.shape
    about: dict[str, Any] = {"long_name": MEANINGS[name]}
    if quantity.measured:
        about |= {"comment": "of one network; its error is the scatter over the dimension `seed`"}
        return [Variable(name, dimensions, "float64", np.nan, about, shape, lambda answer: answer.values[name])]
    if not quantity.has_error:
        about |= {"flag_values": [0, 1], "flag_meanings": "no yes", "comment": "nan where it is not known"}
        return [Variable(name, dimensions, "float64", np.nan, about, shape, lambda answer: answer.values[name])]
    error = {"long_name": f"absolute error of {name}"}
    return [
        Variable(name, dimensions, "float64", np.nan, about, shape, lambda answer: answer.values[name]),
        Variable(f"{name}_error", dimensions, "float64", np.nan, error, shape, lambda answer: answer.errors[name]),
    ]


def coordinates(job: Job) -> tuple[Variable, ...]:
    """Values of parameters and labels along every dimension."""
    names = parameter_names(job)
    found = []
    for axis in job.design.axes:
        dimension = dimension_of(axis, names)
        if dimension == SAMPLE:
            found.append(_coordinate(SAMPLE, SAMPLE, np.arange(len(axis)), {"long_name": "number of the sample"}))
        for name, values in axis.columns.items():
            own = name in OWN_NAMES
            text = {"long_name": name if own else f"parameter {name}"}
            found.append(_coordinate(names[name], dimension, values.astype(int) if own else values, text))
    for quantity in job.request.quantities:
        if quantity.dimension and quantity.dimension not in {item.name for item in found}:
            found.append(_coordinate(quantity.dimension, quantity.dimension, np.array(quantity.labels, object), {}))
    request = job.request
    if request.copies and request.networks:
        about = {"long_name": "number of the initial state"}
        found.append(_coordinate(START, START, np.arange(*request.copies), about))
    elif request.copies:
        about = {"long_name": "number of the solution, ascending by Q of the first state"}
        found.append(_coordinate(SOLUTION, SOLUTION, np.arange(*request.copies), about))
    return tuple(found)


def _coordinate(name: str, dimension: str, values: np.ndarray, about: Mapping[str, Any]) -> Variable:
    if values.dtype == object:
        return Variable(name, (dimension,), str, "", about, values=values)
    kind = "int64" if values.dtype.kind == "i" else "float64"
    return Variable(name, (dimension,), kind, 0, about, values=values.astype(kind))


def attributes(job: Job) -> dict[str, Any]:
    """What the numbers belong to; nothing here tells one run of a job from another."""
    record, request = job.record(), job.request
    loose = [name for axis in job.design.axes if axis.dimension == SAMPLE for name in axis.columns]
    found: dict[str, Any] = {
        "title": f"{'finite networks' if request.networks else 'mean field'} of {job.name}, {request.ansatz}",
        "cell": request.cell,
        "parameters": ", ".join(f"{name} = {value:.17g}" for name, value in request.parameters.items()),
        "seed": request.seed,
        "versions": ", ".join(f"{name} {version}" for name, version in record["versions"].items()),
        "command": job.command,
        "job": json.dumps(record, sort_keys=False),
        "job_key": job.key,
    }
    if loose:
        names = parameter_names(job)
        found["coordinates"] = " ".join(names[name] for name in loose)
    return found
