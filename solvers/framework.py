"""What a framework's default initialiser amounts to: its cell, gains and biases, and the theory of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from derive.cell.arithmetic import names_in
from derive.cell.expression import Product, walk
from derive.cell.parameters import Settings, resolve
from derive.cell.spec import Cell
from derive.errors import ParameterError
from derive.frameworks import Framework, configured, default_cell, framework, parameters_of
from solvers.solution import Solved
from solvers.solve import DEFAULT_TOL, solve

FEW_INPUTS = 30
"""Below this many inputs the sum over them is far enough from Gaussian to be said."""

EXCESS_KURTOSIS = {"uniform": -1.2, "truncated-normal": -0.634}
"""Of entries; a sum over I inputs x has this times sum x^4/(sum x^2)^2, which is 3/I for Gaussian x.  The normal law is
cut at two standard deviations."""


@dataclass(frozen=True)
class Default:
    """A layer as its default initialiser leaves it.

    initialiser : with the layer's options; hidden, inputs : sizes (inputs None: none are shown); options : as given;
    cell : the equations; settings : their numbers; notes : what a reader must know of them.
    """

    initialiser: Framework
    hidden: int
    inputs: int | None
    options: Mapping[str, str]
    cell: Cell
    settings: Settings
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The first part of the JSON object of ``gatefield framework``."""
        return {
            "framework": self.initialiser.name,
            "cell": self.cell.name,
            "hidden": self.hidden,
            "input": self.inputs,
            "options": dict(self.options),
            "parameters": dict(self.settings.parameters),
            "entries": {name: law for name, law in self.initialiser.entries.items() if name in self.cell.weights},
        }


def default_of(
    name: str,
    hidden: int,
    inputs: int | None = None,
    *,
    options: Mapping[str, str] | None = None,
    parameters: Mapping[str, float] | None = None,
) -> Default:
    """The cell and the numbers that a layer of these sizes starts with.

    name : of the layer, such as those of ``derive.frameworks.frameworks()``
    options : of the layer, as text; parameters : of the inputs (their variance), which no initialiser decides

    Raises
    ------
    FrameworkError : no such layer, an option that no cell can follow, or a size below 1.
    ParameterError : a parameter that the initialiser decides, or inputs that are shown to a layer without input size.
    """
    chosen = configured(framework(name), dict(options or {}))
    cell = default_cell(chosen)
    given = dict(parameters or {})
    _refuse_decided(chosen, cell, given)
    settings = resolve(cell, parameters_of(chosen, hidden, inputs) | given)
    shown = [drive for drive, numbers in settings.inputs.items() if numbers.variance > 0]
    if shown and inputs is None:
        raise ParameterError(
            f"input `{shown[0]}` has a variance, and its matrix depends on how many inputs there are. "
            "Give their number, --input 64."
        )
    notes = (*_about_matrices(chosen, cell), *_about_inputs(chosen, cell, inputs, bool(shown)))
    return Default(chosen, hidden, inputs, dict(options or {}), cell, settings, notes)


def _refuse_decided(chosen: Framework, cell: Cell, given: Mapping[str, float]) -> None:
    free: set[str] = set()
    for drive in cell.inputs.values():
        free |= names_in(drive.variance) | names_in(drive.correlation) | names_in(drive.mean)
    decided = [name for name in given if name in cell.parameters and name not in free]
    if decided:
        raise ParameterError(
            f"`{decided[0]}` is decided by the initialiser of {chosen.name}; only inputs are free "
            f"({', '.join(sorted(free))}). For another value:  gatefield solve {cell.name} -p {decided[0]}=..."
        )


def _about_matrices(chosen: Framework, cell: Cell) -> list[str]:
    kinds = {"orthogonal": "orthogonal matrices", "orthogonal-block": "square blocks of a matrix with orthonormal rows"}
    notes = []
    for law, what in kinds.items():
        names = [name for name, own in chosen.entries.items() if own == law and name in cell.weights]
        if names:
            notes.append(
                f"{', '.join(names)}: {what}; averages, chi1 and the outer edge of the spectrum are those of "
                "independent entries of the same variance, which are used here; densities and singular values are not"
            )
    return notes


def _about_inputs(chosen: Framework, cell: Cell, inputs: int | None, shown: bool) -> list[str]:
    if not cell.inputs:
        return []
    variance = ", ".join(sorted(set().union(*(names_in(drive.variance) for drive in cell.inputs.values()))))
    if inputs is None:
        return [f"no inputs: --input I and -p {variance}=... add them, {variance} the mean square of their components"]
    if not shown:
        return [f"inputs are 0: -p {variance}=... is the mean square of their components"]
    if inputs >= FEW_INPUTS:
        return []
    drives = [node.weight for equation in cell.equations for node in walk(equation.right)
              if isinstance(node, Product) and names_in(node.operand) & set(cell.inputs)]  # fmt: skip
    law = chosen.entries[drives[0]]
    return [
        f"with {inputs} inputs, {', '.join(drives)} times them are Gaussian only roughly ({law} entries and Gaussian "
        f"inputs: excess kurtosis {3 * EXCESS_KURTOSIS[law] / inputs:.2g}), and their variance differs from one "
        f"sequence to another with the mean square of the inputs, relatively by {(2 / inputs) ** 0.5:.2g}"
    ]


def solve_default(default: Default, *, ansatz: str = "static", tol: float = DEFAULT_TOL) -> Solved:
    """All solutions of the layer's mean field, with the numbers of its spectrum (static) or chi1 and xi (untied).

    Raises
    ------
    AnsatzError : the ansatz does not apply to the cell.
    """
    return solve(default.cell, default.settings.parameters, ansatz=ansatz, tol=tol)
