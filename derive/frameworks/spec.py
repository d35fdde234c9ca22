"""A default initialiser with its options, and the numbers it amounts to at given sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from derive.cell.arithmetic import evaluate, names_in
from derive.cell.expression import Node
from derive.cell.names import did_you_mean
from derive.cell.reader import load
from derive.cell.spec import Cell
from derive.cell.substitute import substitute
from derive.errors import GatefieldError

Entries = Literal["uniform", "truncated-normal", "orthogonal", "orthogonal-block", "constant"]
"""Law of a tensor's entries: independent (the first two), a Haar-orthogonal matrix times the gain, a square block of a
matrix with orthonormal rows (the entries of such a block have the stated variance), or one number."""

HIDDEN, INPUT = "H", "I"


class FrameworkError(GatefieldError):
    """There is no such initialiser, or it has an option that no cell can follow."""


@dataclass(frozen=True)
class Tensor:
    """A parameter of a layer: the matrices or biases whose blocks it stacks, in order, and the law of its entries.

    name : as the framework calls it; ``{layer}`` stands for a layer's number.
    """

    name: str
    holds: tuple[str, ...]
    entries: Entries


@dataclass(frozen=True)
class Change:
    """What a value of an option changes.

    cell : another cell, or empty; assignments : ``name=value`` put into the cell; parameters : new ones;
    without : parameters that are no longer there; tensors, absent : tensors that appear and disappear.
    """

    cell: str = ""
    assignments: tuple[str, ...] = ()
    parameters: Mapping[str, Node] | None = None
    without: tuple[str, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """An option of the layer: its default and what its other values change."""

    default: str
    values: Mapping[str, Change]


@dataclass(frozen=True)
class Refusal:
    """An option that no cell can follow, the value at which it is none, and why."""

    unless: str
    why: str


@dataclass(frozen=True)
class Framework:
    """A layer's default initialiser in the parameters of a cell.

    parameters : by name, arithmetic in the hidden size H and the input size I
    tensors : where the matrices stand; blocks : "rows" where a matrix multiplies a column of units (out, in),
    "columns" where a kernel (in, out) multiplies a row of units
    """

    name: str
    title: str
    source: str
    cell: str
    assignments: tuple[str, ...]
    parameters: Mapping[str, Node]
    tensors: tuple[Tensor, ...]
    blocks: Literal["rows", "columns"]
    options: Mapping[str, Option]
    neutral: frozenset[str]
    refused: Mapping[str, Refusal]

    @property
    def entries(self) -> dict[str, Entries]:
        """The law of the entries of each matrix, by its name in the cell."""
        return {name: tensor.entries for tensor in self.tensors for name in tensor.holds}


def configured(initialiser: Framework, options: Mapping[str, str]) -> Framework:
    """The initialiser with options of the layer, each a text such as ``false`` or ``relu``.

    Raises
    ------
    FrameworkError : an option that the layer does not have, a value that it does not take, or one that no cell
        can follow (bidirectional layers, projections).
    """
    order = {name: place for place, name in enumerate(initialiser.options)}  # a later option may undo what one adds
    for name in sorted(options, key=lambda name: order.get(name, -1)):
        initialiser = _with_option(initialiser, name, options[name].strip().lower())
    return initialiser


def _with_option(initialiser: Framework, name: str, value: str) -> Framework:
    if name in initialiser.neutral:
        return initialiser
    if name in initialiser.refused:
        refusal = initialiser.refused[name]
        if _same(value, refusal.unless):
            return initialiser
        raise FrameworkError(
            f"{initialiser.name} with {name}={value} is not supported: {refusal.why}. Only {name}={refusal.unless} is."
        )
    if name not in initialiser.options:
        known = [*initialiser.options, *initialiser.refused, *sorted(initialiser.neutral)]
        raise FrameworkError(
            f"`{name[:60]}` is not a known option of {initialiser.name}. {did_you_mean(name, known)} "
            f"Known are {', '.join(initialiser.options) or 'none'}."
        )
    option = initialiser.options[name]
    if value == option.default:
        return initialiser
    if value not in option.values:
        known = [option.default, *option.values]
        raise FrameworkError(
            f"{initialiser.name} with {name}={value[:60]} is not known; write {name}={' or '.join(known)}."
        )
    return _changed(initialiser, option.values[value])


def _same(value: str, neutral: str) -> bool:
    try:
        return float(value) == float(neutral)
    except ValueError:
        return value == neutral


def _changed(initialiser: Framework, change: Change) -> Framework:
    parameters = {name: node for name, node in initialiser.parameters.items() if name not in change.without}
    kept = [tensor for tensor in initialiser.tensors if tensor.name not in change.absent]
    added = [tensor for tensor in change.tensors if tensor.name not in change.absent]
    return replace(
        initialiser,
        cell=change.cell or initialiser.cell,
        assignments=(*initialiser.assignments, *change.assignments),
        parameters=parameters | dict(change.parameters or {}),
        tensors=(*kept, *added),
    )


def default_cell(initialiser: Framework) -> Cell:
    """The cell whose equations the layer computes."""
    return substitute(load(initialiser.cell), initialiser.assignments)


def parameters_of(initialiser: Framework, hidden: int, inputs: int | None = None) -> dict[str, float]:
    """Parameters of the cell at hidden size ``hidden`` and input size ``inputs``.

    Those that depend on the input size are left out where none is given.

    Raises
    ------
    FrameworkError : a size below 1.
    """
    sizes = {HIDDEN: float(_size("hidden", hidden))}
    if inputs is not None:
        sizes[INPUT] = float(_size("input", inputs))
    nodes = initialiser.parameters.items()
    return {name: evaluate(node, sizes) for name, node in nodes if names_in(node) <= set(sizes)}


def _size(what: str, size: int) -> int:
    if size < 1:
        raise FrameworkError(f"the {what} size is a whole number from 1; {size} was given")
    return size


def sized_by_input(initialiser: Framework) -> Iterable[str]:
    """Parameters that depend on the input size."""
    return (name for name, node in initialiser.parameters.items() if INPUT in names_in(node))
