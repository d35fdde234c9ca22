"""The syntax tree of a hand formula, and the error for what cannot be read.

Two readers build it: `derive.verify.grammar` from plain text and `derive.verify.latex_input` from LaTeX.  Spans are
places in the text as the user wrote it; they take no part in equality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Union

from derive.errors import GatefieldError

Span = tuple[int, int]
"""First and one-past-last character of the formula's text."""


class FormulaError(GatefieldError):
    """A formula that cannot be read, or that asks for what the ansatz does not define; shows the place.

    Attributes
    ----------
    text : the formula; span : the offending characters; what, rule : what is wrong and the rule it breaks
    """

    def __init__(self, what: str, text: str, span: Span, rule: str = "") -> None:
        self.what, self.text, self.span, self.rule = what, text, span, rule
        start, end = max(0, min(span[0], len(text))), max(span[0] + 1, min(span[1], len(text)))
        shown = " ".join(text.splitlines()) if "\n" not in text else text.replace("\n", " ")
        lines = [f"formula: {what}", "    " + shown, "    " + " " * start + "^" * (end - start)]
        if rule:
            lines.append("  " + rule)
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class Number:
    """A literal, kept exact."""

    value: Fraction
    span: Span = field(default=(0, 1), compare=False, repr=False)


@dataclass(frozen=True)
class Name:
    """A parameter, state, definition, bias, input, ``chi1``, ``xi``, ``lam``, ``boundary``, ``pi``, ..."""

    name: str
    span: Span = field(default=(0, 1), compare=False, repr=False)


@dataclass(frozen=True)
class Indexed:
    """``q[W_z]``, ``q_total[u]``, ``Q[h]``, ``C_star[h]``, ``K[W_h,W_r]``."""

    name: str
    indices: tuple[str, ...]
    span: Span = field(default=(0, 1), compare=False, repr=False)


@dataclass(frozen=True)
class Mean:
    """``E[f]``: the average of f over one site."""

    operand: Node
    span: Span = field(default=(0, 1), compare=False, repr=False)


@dataclass(frozen=True)
class GaussianIntegral:
    """The average of ``operand`` over one standard Gaussian ``variable`` of its own (LaTeX: ``\\int Dz``)."""

    variable: str
    operand: Node
    span: Span = field(default=(0, 1), compare=False, repr=False)


@dataclass(frozen=True)
class Slope:
    """``D[u]``: the derivative of a definition (or ``phi``) with respect to its argument; ``D[u,2]`` the second."""

    name: str
    order: int = 1
    span: Span = field(default=(0, 1), compare=False, repr=False)


@dataclass(frozen=True)
class SlopeAt:
    r"""The derivative of a function at a given argument: ``\phi'(\sqrt{q} z)``; only LaTeX writes it."""

    function: str
    order: int
    operand: Node
    span: Span = field(default=(0, 1), compare=False, repr=False)


@dataclass(frozen=True)
class Negate:
    """Unary minus."""

    operand: Node
    span: Span = field(default=(0, 1), compare=False, repr=False)


@dataclass(frozen=True)
class Binary:
    """``left op right`` with op one of ``+ - * / **``."""

    op: str
    left: Node
    right: Node
    span: Span = field(default=(0, 1), compare=False, repr=False)


@dataclass(frozen=True)
class Call:
    """``function(operand)``: a function of the cell language, ``sqrt``, ``exp``, ``log``, ``abs``, ``conj``, ..."""

    function: str
    operand: Node
    span: Span = field(default=(0, 1), compare=False, repr=False)


Node = Union[Number, Name, Indexed, Mean, GaussianIntegral, Slope, SlopeAt, Negate, Binary, Call]


@dataclass(frozen=True)
class Formula:
    """``left = right`` as the user wrote it."""

    text: str
    left: Node
    right: Node


def children(node: Node) -> tuple[Node, ...]:
    """The direct sub-expressions, left to right."""
    match node:
        case Negate(operand=inner) | Mean(operand=inner) | Call(operand=inner) | GaussianIntegral(operand=inner):
            return (inner,)
        case SlopeAt(operand=inner):
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
