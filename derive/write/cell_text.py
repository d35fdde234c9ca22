"""A cell as readable text: its equations as written and a table of everything it declares.

Kept free of computer algebra, so that showing a cell is instantaneous.
"""

from __future__ import annotations

import textwrap
from fractions import Fraction

from derive.cell.arithmetic import text_of
from derive.cell.expression import Node, Number
from derive.cell.spec import Bias, Cell, Equation, Input, Weight

WIDTH = 100


def cell_text(cell: Cell) -> str:
    """Name, title, source, equations, weights, biases, inputs, functions and parameters, in aligned columns."""
    parts = ["\n".join([cell.name, *_header("title", cell.title), *_header("source", cell.source)])]
    parts.append(_section(f"equations ({cell.time} time)", [_equation(item) for item in cell.equations], "="))
    parts.append(_section("functions", [(f"{name}(x)", text_of(body)) for name, body in cell.functions.items()], "="))
    parts.append(_section("weights", [_weight(item) for item in cell.weights.values()]))
    parts.append(_section("biases", [(item.name, _bias(item)) for item in cell.biases.values()]))
    parts.append(_section("inputs", [(item.name, _input(item)) for item in cell.inputs.values()]))
    parts.append(_section("parameters", [(name, _default(value)) for name, value in cell.parameters.items()], "="))
    return "\n\n".join(part for part in parts if part) + "\n"


def _header(label: str, text: str) -> list[str]:
    if not text.strip():
        return []
    return textwrap.wrap(f"{label:<8}{text}", WIDTH, subsequent_indent=" " * 8, break_on_hyphens=False)


def _section(title: str, rows: list[tuple[str, str]], sign: str = "") -> str:
    if not rows:
        return ""
    width = max(len(left) for left, _ in rows)
    gap = f" {sign} " if sign else "  "
    return "\n".join([title, *(f"  {left:<{width}}{gap}{right}" for left, right in rows)])


def _equation(item: Equation) -> tuple[str, str]:
    left = {"definition": item.target, "next": f"{item.target}'", "flow": f"d{item.target}/dt"}[item.kind]
    if item.time_constant is not None:
        left = f"{_factor(item.time_constant)}*{left}"
    return left, text_of(item.right)


def _factor(node: Node) -> str:
    text = text_of(node)
    return text if text.isidentifier() or isinstance(node, Number) else f"({text})"


def _weight(item: Weight) -> tuple[str, str]:
    if item.ensemble == "haar":
        return item.name, f"gain {text_of(item.gain)}, times a Haar-orthogonal matrix"
    return item.name, f"gain {text_of(item.gain)}, entries iid N(0, gain^2/N)"


def _bias(item: Bias) -> str:
    if _is(item.std, 0):
        return f"{text_of(item.mean)}, the same for every unit"
    return f"mean {text_of(item.mean)}, std {text_of(item.std)}, Gaussian per unit, quenched"


def _input(item: Input) -> str:
    mean = "" if _is(item.mean, 0) else f", mean {text_of(item.mean)}"
    time = "a new draw each step" if item.time == "iid" else "constant in time"
    return f"E[x^2] = {text_of(item.variance)}{mean}, replica correlation {text_of(item.correlation)}, {time}"


def _is(node: Node, value: int) -> bool:
    return isinstance(node, Number) and node.value == Fraction(value)


def _default(value: float | None) -> str:
    return "required" if value is None else f"{value:g}" if float(f"{value:g}") == value else repr(value)
