"""``-p name=value``: numbers, and arithmetic in numbers, by the cell format's own grammar."""

from __future__ import annotations

import math
from collections.abc import Sequence

from derive.cell.arithmetic import evaluate, names_in
from derive.cell.expression import Node
from derive.cell.grammar import parse_expression
from derive.cell.source import Passage, Source
from derive.errors import CellError, ParameterError

CONSTANTS = {"pi": math.pi}
_MEND = "Write, for example,  -p {name}=1.5,  -p {name}=1/3  or  -p {name}='sqrt(2)'."


def assignments(pairs: Sequence[str]) -> dict[str, float]:
    """Numbers by name.

    Raises ParameterError, with place, text, rule and mend, for what is not ``name=value``.
    """
    found: dict[str, float] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        name = name.strip()
        if not sign or not name.isidentifier():
            raise _error(pair, 0, len(pair), "this is not NAME=VALUE", "A parameter is set by its name.", "sigma")
        if name in found:
            raise _error(pair, 0, len(name), f"`{name}` is given twice", "Every parameter is set once.", name)
        found[name] = _value(pair, len(pair) - len(text), name)
    return found


def _value(pair: str, start: int, name: str) -> float:
    node = _tree(pair, start, name)
    unknown = sorted(names_in(node) - set(CONSTANTS))
    if unknown:
        at = pair.index(unknown[0], start)
        rule = "A value is a finite number or arithmetic in numbers (and pi)."
        raise _error(pair, at, at + len(unknown[0]), f"`{unknown[0]}` is not a number", rule, name)
    return evaluate(node, CONSTANTS)


def _tree(pair: str, start: int, name: str) -> Node:
    source = Source(f"-p {pair[:80]}", pair)
    passage = Passage(source, pair[start:], range(start, len(pair) + 1))
    if not pair[start:].strip():
        raise _error(pair, start - 1, start, "there is no value", "A parameter needs a number.", name)
    try:
        return parse_expression(passage)
    except CellError as error:
        raise ParameterError(f"{error} {_MEND.format(name=name)}") from None


def _error(pair: str, start: int, end: int, what: str, rule: str, name: str) -> ParameterError:
    source = Source(f"-p {pair[:80]}", pair)
    return ParameterError(str(source.error(what, source.span(start, end), rule, _MEND.format(name=name))))
