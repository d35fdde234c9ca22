"""Free parameters: which may be free, what each is, and the range that is searched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from derive.cell.arithmetic import names_in
from derive.cell.names import did_you_mean, normal
from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.errors import ParameterError

Range = tuple[float, float]

DEFAULT_RANGES: dict[str, Range] = {
    "gain": (0.01, 10.0),
    "std": (0.0, 5.0),
    "variance": (0.0, 10.0),
    "correlation": (-1.0, 1.0),
    "mean": (-10.0, 10.0),
    "positive": (0.01, 20.0),
    "any": (-10.0, 10.0),
}
"""By the kind of a parameter: what it is in the declarations; in equations, whether its value is positive."""


def free_names(cell: Cell, free: Sequence[str], given: Mapping[str, object]) -> tuple[str, ...]:
    """The free parameters under the names of the cell.

    Raises ParameterError for none or more than two, an unknown one, the same twice, and one that is given a value.
    """
    if not 1 <= len(free) <= 2:
        raise ParameterError("One parameter (--free) or two (--free and --and) can be free.")
    names = tuple(normal(name.strip()) for name in free)
    for name in names:
        if name not in cell.parameters:
            raise ParameterError(_unknown(cell, name))
        if name in {normal(key) for key in given if isinstance(key, str)}:
            mend = f"Leave out  -p {name}=...  or free another."
            raise ParameterError(f"`{name}` is free and has a value as well. {mend}")
    if len(set(names)) < len(names):
        raise ParameterError(f"`{names[0]}` is free twice. A curve needs two different parameters.")
    return names


def _unknown(cell: Cell, name: str) -> str:
    known = ", ".join(name for name in cell.parameters) or "none"
    for kind, table in (("weight", cell.weights), ("bias", cell.biases), ("input", cell.inputs)):
        if name in table:
            inside = sorted(_roles_of(cell, kind, name))
            mend = f" Free a parameter of it: {', '.join(inside)}." if inside else " It depends on no parameter."
            return f"`{name}` is a {kind}, not a parameter of {cell.name}.{mend}"
    guess = did_you_mean(name, cell.parameters)
    return f"`{name}` is not a parameter of {cell.name}. {guess} The parameters are: {known}."


def _roles_of(cell: Cell, kind: str, name: str) -> set[str]:
    if kind == "weight":
        return names_in(cell.weights[name].gain)
    if kind == "bias":
        return names_in(cell.biases[name].mean) | names_in(cell.biases[name].std)
    drive = cell.inputs[name]
    return names_in(drive.variance) | names_in(drive.mean) | names_in(drive.correlation)


def kind_of(cell: Cell, name: str, value: float | None) -> str:
    """What a parameter is: a key of `DEFAULT_RANGES`."""
    roles = [("gain", weight.gain) for weight in cell.weights.values()]
    roles += [(kind, node) for bias in cell.biases.values() for kind, node in (("std", bias.std), ("mean", bias.mean))]
    for drive in cell.inputs.values():
        roles += [("variance", drive.variance), ("correlation", drive.correlation), ("mean", drive.mean)]
    for kind, node in roles:
        if name in names_in(node):
            return kind
    return "positive" if value is None or value > 0 else "any"


def search_range(cell: Cell, name: str, given: Range | None) -> Range:
    """The range given, or the default of the parameter's kind.  Raises ParameterError for one that is empty."""
    if given is None:
        return DEFAULT_RANGES[kind_of(cell, name, cell.parameters[name])]
    low, high = (float(end) for end in given)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ParameterError(f"The range of `{name}`, {low:g}:{high:g}, is not finite. Write, for example, 0.1:5.")
    if not low < high:
        raise ParameterError(f"The range of `{name}`, {low:g}:{high:g}, is empty. The lower end comes first: 0.1:5.")
    return low, high


def check_corners(
    cell: Cell, given: Mapping[str, object], ranges: Mapping[str, Range], option: str = "--range"
) -> dict[str, float]:
    """All parameters, free ones in the middle of their ranges; resolves the cell there and at all ends.

    option : where a user gives a range.

    Raises ParameterError where an end of a range is no value that the cell can have.
    """
    middle = {name: 0.5 * (low + high) for name, (low, high) in ranges.items()}
    found = resolve(cell, {**given, **middle}).parameters
    for name, ends in ranges.items():
        for end in ends:
            try:
                resolve(cell, {**given, **middle, name: end})
            except ParameterError as error:
                raise ParameterError(f"In the range of `{name}`, {ends[0]:g}:{ends[1]:g}: {error} Give a narrower one "
                                     f"with {option}.") from None  # fmt: skip
    return found
