"""The syntax tree of a cell's equations: eight kinds of immutable node.

Both faces of a cell are built from this tree and from nothing else: the symbolic theory
(`derive.site`) and the finite network (`solvers.simulate.network`).  Spans say where a
node stands in the file, for error messages; they take no part in equality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Union


@dataclass(frozen=True)
class Span:
    """A place in a cell file: 1-based line, 1-based first column, width in characters."""

    line: int
    column: int
    width: int = 1


NOWHERE = Span(1, 1, 1)


@dataclass(frozen=True)
class Number:
    """A literal, kept exact: ``0.1`` is 1/10."""

    value: Fraction
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Name:
    """A state (its old value), definition, bias, input, parameter, or a function's argument ``x``."""

    name: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Next:
    """``c'`` on a right-hand side: the new value of state ``c``."""

    name: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Negate:
    """Unary minus."""

    operand: Node
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Binary:
    """``left op right`` with op one of ``+ - * / **``, elementwise."""

    op: str
    left: Node
    right: Node
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Call:
    """``function(argument)``, elementwise, built in or from ``[functions]``."""

    function: str
    argument: Node
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class Product:
    """``weight @ operand``: the only matrix product."""

    weight: str
    operand: Node
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Node = Union[Number, Name, Next, Negate, Binary, Call, Product]


def children(node: Node) -> tuple[Node, ...]:
    """The direct sub-expressions of a node, left to right."""
    match node:
        case Negate(operand=inner) | Product(operand=inner) | Call(argument=inner):
            return (inner,)
        case Binary(left=left, right=right):
            return (left, right)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """All nodes of the tree, parents first, left to right."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(children(current)))
