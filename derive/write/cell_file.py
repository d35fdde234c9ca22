"""A cell as the text of a cell file again, also where it was changed after reading (``--set``, ``--limit``).

The text is canonical: it depends on what the cell says and not on how its file was laid out, so that it can name a
cell in a cache or a stored job, and it is all that another process needs to build the cell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from derive.cell.arithmetic import text_of
from derive.cell.expression import Node, Number
from derive.cell.reader import parse_cell
from derive.cell.spec import Bias, Cell, Equation, Input, Weight
from derive.errors import CellError, GatefieldError

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def cell_file(cell: Cell) -> str:
    """The cell as TOML; reading it gives the same equations, distributions and parameters.

    Raises
    ------
    GatefieldError : the cell cannot be written as a file (a change made it say what the format has no words for).
    """
    text = _written(cell)
    try:
        again = _written(parse_cell(text, cell.path))
    except CellError as error:
        raise GatefieldError(f"{cell.name}, as changed, cannot be written as a cell file: {error}") from None
    if again != text:
        raise GatefieldError(f"{cell.name}, as changed, reads differently once it is written as a cell file")
    return text


def _written(cell: Cell) -> str:
    parts = [f"{key} = {_string(value)}" for key, value in _texts(cell).items() if value]
    parts.append('equations = """')
    parts += [_equation(item) for item in cell.equations]
    parts.append('"""')
    parts += _table("weights", ((w.name, _weight(w)) for w in cell.weights.values()))
    parts += _table("biases", ((b.name, _bias(b)) for b in cell.biases.values()))
    parts += _table("inputs", ((i.name, _input(i)) for i in cell.inputs.values()))
    parts += _table("functions", ((name, _string(text_of(body))) for name, body in cell.functions.items()))
    parts += _table("parameters", ((name, _default(value)) for name, value in cell.parameters.items()))
    names = {eq.target for eq in cell.equations}
    names |= {*cell.weights, *cell.biases, *cell.inputs, *cell.functions, *cell.parameters}
    parts += _table("latex", ((name, _string(value)) for name, value in cell.latex.items() if name in names))
    return "\n".join(parts) + "\n"


def _texts(cell: Cell) -> Mapping[str, str]:
    return {"name": cell.name, "title": cell.title, "source": cell.source}


def _table(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f"{_key(name)} = {value}" for name, value in rows]
    return [f"[{title}]", *lines] if lines else []


def _key(name: str) -> str:
    return name if _BARE.match(name) else _string(name)


def _string(text: str) -> str:
    """A TOML basic string: the escapes of JSON, and DEL, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _equation(item: Equation) -> str:
    left = {"definition": item.target, "next": f"{item.target}'", "flow": f"d{item.target}/dt"}[item.kind]
    if item.time_constant is not None:
        text = text_of(item.time_constant)
        atom = text.isidentifier() or isinstance(item.time_constant, Number)
        left = f"{text if atom else f'({text})'}*{left}"
    return f"{left} = {text_of(item.right)}"


def _arithmetic(node: Node) -> str:
    return _string(text_of(node))


def _weight(item: Weight) -> str:
    if item.ensemble == "gaussian":
        return _arithmetic(item.gain)
    return f"{{ gain = {_arithmetic(item.gain)}, ensemble = {_string(item.ensemble)} }}"


def _bias(item: Bias) -> str:
    return f"{{ mean = {_arithmetic(item.mean)}, std = {_arithmetic(item.std)} }}"


def _input(item: Input) -> str:
    numbers = ", ".join(f"{key} = {_arithmetic(getattr(item, key))}" for key in ("variance", "correlation", "mean"))
    return f"{{ {numbers}, time = {_string(item.time)} }}"


def _default(value: float | None) -> str:
    return _string("required") if value is None else repr(float(value))
