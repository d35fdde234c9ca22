"""A cell, as read from its file: names, equations and distributions, nothing derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from derive.cell.expression import Node, Span

EquationKind = Literal["definition", "next", "flow"]


@dataclass(frozen=True)
class Equation:
    """One line of ``equations``.

    kind "definition": ``target = right``; "next": ``target' = right`` (discrete);
    "flow": ``time_constant*dtarget/dt = right`` (continuous; time_constant None means 1).
    """

    target: str
    kind: EquationKind
    right: Node
    time_constant: Node | None = None
    text: str = field(default="", compare=False)
    span: Span = field(default=Span(1, 1, 1), compare=False)


@dataclass(frozen=True)
class Weight:
    """An N x N matrix with iid N(0, gain^2/N) entries, or gain times a Haar-orthogonal matrix."""

    name: str
    gain: Node
    ensemble: Literal["gaussian", "haar"] = "gaussian"


@dataclass(frozen=True)
class Bias:
    """A quenched N(mean, std^2) variable per unit; mean and std are arithmetic in parameters."""

    name: str
    mean: Node
    std: Node


@dataclass(frozen=True)
class Input:
    """An iid Gaussian input per unit with E[x^2] = variance (the second moment, also for mean != 0).

    correlation is Sigma in E[x_a x_b] = Sigma * variance between two replicas.
    """

    name: str
    variance: Node
    correlation: Node
    mean: Node
    time: Literal["iid", "constant"] = "iid"


@dataclass(frozen=True)
class Cell:
    """A recurrent cell: what the file says, checked.

    Every mapping keeps the order of the file; states are in the order in which their updates
    stand there.  ``parameters`` maps a name to its default, or None for "required".
    """

    name: str
    title: str
    source: str
    path: str
    time: Literal["discrete", "continuous"]
    states: tuple[str, ...]
    equations: tuple[Equation, ...]
    weights: Mapping[str, Weight]
    biases: Mapping[str, Bias]
    inputs: Mapping[str, Input]
    functions: Mapping[str, Node]
    parameters: Mapping[str, float | None]
    latex: Mapping[str, str]
    text: str = field(default="", compare=False)

    @property
    def updates(self) -> dict[str, Equation]:
        """The equation that moves each state, by state, in the order of the states."""
        by_target = {eq.target: eq for eq in self.equations if eq.kind != "definition"}
        return {state: by_target[state] for state in self.states}

    @property
    def definitions(self) -> dict[str, Equation]:
        """The definitions by name, as written (the reader has checked that none is circular)."""
        return {eq.target: eq for eq in self.equations if eq.kind == "definition"}
