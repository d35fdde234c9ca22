"""The tables of a cell file: weights, biases, inputs, functions, parameters, latex."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from derive.cell.document import Document
from derive.cell.expression import Node, Number, Span
from derive.cell.latex import check_latex
from derive.cell.names import did_you_mean, normal, objection
from derive.cell.spec import Bias, Input, Weight

TEXTS = ("name", "title", "source")
TABLES = ("weights", "biases", "inputs", "functions", "parameters", "latex")
KNOWN = ("name", "title", "source", "equations", *TABLES)

_LOW_RANK = "The entries of a weight are independent; low-rank and structured weights cannot be expressed."
_NONZERO_MEAN = "The entries of a weight have mean zero; a mean is a rank-one part, which cannot be expressed."
_SHAPE = "Every weight is N x N; populations of different size cannot be expressed."
_POPULATIONS = (
    "Populations of different size cannot be expressed; equal-sized ones are several states with separate matrices."
)
_DIRECTION = "A cell runs in one direction of time; bidirectional cells cannot be expressed."
_NORMALISED = "Normalisation couples all units of a layer and cannot be expressed."

#: Keys that ask for something a cell cannot express, with the reason.
_INEXPRESSIBLE: dict[str, str] = {
    "rank": _LOW_RANK,
    "low_rank": _LOW_RANK,
    "structure": _LOW_RANK,
    "symmetry": _LOW_RANK,
    "sparsity": _LOW_RANK,
    "density": _LOW_RANK,
    "mean": _NONZERO_MEAN,
    "shape": _SHAPE,
    "size": _SHAPE,
    "rows": _SHAPE,
    "columns": _SHAPE,
    "populations": _POPULATIONS,
    "population": _POPULATIONS,
    "bidirectional": _DIRECTION,
    "direction": _DIRECTION,
    "backward": _DIRECTION,
    "reverse": _DIRECTION,
    "layernorm": _NORMALISED,
    "layer_norm": _NORMALISED,
    "normalization": _NORMALISED,
    "normalisation": _NORMALISED,
}


@dataclass
class Declarations:
    """What the tables declare. ``spans`` holds the place of each declared name."""

    weights: dict[str, Weight] = field(default_factory=dict)
    biases: dict[str, Bias] = field(default_factory=dict)
    inputs: dict[str, Input] = field(default_factory=dict)
    functions: dict[str, Node] = field(default_factory=dict)
    parameters: dict[str, float | None] = field(default_factory=dict)
    latex: dict[str, str] = field(default_factory=dict)
    latex_spans: dict[str, Span] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)


def read_declarations(document: Document) -> Declarations:
    """Read all tables; refuses unknown keys, wrong types and names declared twice."""
    _check_keys(document, document.data, KNOWN, ())
    found = Declarations()
    for key, name, value in _entries(document, "weights", "weight", found):
        found.weights[name] = _weight(document, key, name, value)
    for key, name, value in _entries(document, "biases", "bias", found):
        found.biases[name] = _bias(document, key, name, value)
    for key, name, value in _entries(document, "inputs", "input", found):
        found.inputs[name] = _input(document, key, name, value)
    for key, name, value in _entries(document, "functions", "function", found):
        found.functions[name] = _function(document, key, value)
    for key, name, value in _entries(document, "parameters", "parameter", found):
        found.parameters[name] = _parameter(document, key, value)
    _read_latex(document, found)
    return found


def _check_keys(document: Document, table: Mapping[str, Any], known: tuple[str, ...], path: tuple[str, ...]) -> None:
    for key in table:
        if key in known:
            continue
        where = f"the table of `{path[-1]}`" if path else "a cell file"
        what = f"`{key[:60]}` is not a key of {where}"
        span = document.key_span(*path, key)
        reason = _INEXPRESSIBLE.get(key.lower())
        if reason and (not path or path[0] == "weights"):
            raise document.source.error(what, span, reason, "Remove the key.")
        keys = ", ".join(known)
        mend = did_you_mean(key, known) or "Remove it, or move it into the table it belongs to."
        raise document.source.error(what, span, f"The keys are {keys}.", mend)


def _table(document: Document, table: str) -> Mapping[str, Any]:
    value = document.data.get(table, {})
    if not isinstance(value, dict):
        raise document.source.error(
            f"`{table}` is not a table",
            document.key_span(table),
            "It holds one line per name.",
            f"Write  [{table}]  on a line of its own and the names below it.",
        )
    return value


def _entries(document: Document, table: str, kind: str, found: Declarations) -> Iterator[tuple[str, str, Any]]:
    """Key as written, name in normal form, and value; registers the name."""
    for key, value in _table(document, table).items():
        name, span = normal(key), document.key_span(table, key)
        if key == "equations" and key not in document.data:
            raise document.source.error(
                f"`equations` stands under [{table}]",
                span,
                "In TOML every line below a [table] belongs to it.",
                "Move the equations before the first [table].",
            )
        wrong = objection(name)
        if wrong and table == "functions" and name.isidentifier() and wrong[0].endswith("function"):
            wrong = (f"`{name}` is a built-in function", "Built-in functions cannot be redefined.", wrong[2])
        if wrong:
            what, rule, mend = wrong
            raise document.source.error(what, span, rule, mend)
        if name in found.spans:
            first = found.spans[name]
            raise document.source.error(
                f"`{name}` is declared twice",
                span,
                f"It is a {found.kinds[name]} already, in line {first.line}; a name means one thing.",
                "Rename or remove one of the two.",
            )
        found.spans[name], found.kinds[name] = span, kind
        yield key, name, value


def _weight(document: Document, key: str, name: str, value: Any) -> Weight:
    path = ("weights", key)
    if not isinstance(value, dict):
        return Weight(name, document.expression(value, *path))
    _check_keys(document, value, ("gain", "ensemble"), path)
    if "gain" not in value:
        raise document.source.error(
            f"`{name}` has no gain",
            document.key_span(*path),
            "A weight has entries of variance gain^2/N.",
            f'Write  {name} = {{ gain = "sigma", ensemble = "gaussian" }}.',
        )
    ensemble = _choice(document, value, "ensemble", ("gaussian", "haar"), path)
    kind: Literal["gaussian", "haar"] = "haar" if ensemble == "haar" else "gaussian"
    return Weight(name, document.expression(value["gain"], *path, "gain"), kind)


def _choice(
    document: Document, table: Mapping[str, Any], key: str, choices: tuple[str, ...], path: tuple[str, ...]
) -> str:
    """One of several words; the first is the default."""
    value = table.get(key, choices[0])
    if value in choices:
        return str(value)
    shown = f"`{value[:40]}`" if isinstance(value, str) else "this"
    mend = did_you_mean(value, choices) if isinstance(value, str) else ""
    raise document.source.error(
        f"{shown} is not a value of `{key}`",
        document.value_span(*path, key),
        f"The values are {' and '.join(repr(choice) for choice in choices)}.",
        mend or f'Write  {key} = "{choices[0]}".',
    )


def _bias(document: Document, key: str, name: str, value: Any) -> Bias:
    path = ("biases", key)
    zero = Number(document.number(0, *path), document.key_span(*path))
    if not isinstance(value, dict):
        return Bias(name, document.expression(value, *path), zero)
    _check_keys(document, value, ("mean", "std"), path)
    mean = document.expression(value["mean"], *path, "mean") if "mean" in value else zero
    std = document.expression(value["std"], *path, "std") if "std" in value else zero
    return Bias(name, mean, std)


def _input(document: Document, key: str, name: str, value: Any) -> Input:
    path = ("inputs", key)
    zero = Number(document.number(0, *path), document.key_span(*path))
    if not isinstance(value, dict):
        return Input(name, document.expression(value, *path), zero, zero)
    _check_keys(document, value, ("variance", "correlation", "mean", "time"), path)
    if "variance" not in value:
        raise document.source.error(
            f"`{name}` has no variance",
            document.key_span(*path),
            "An input is Gaussian with second moment E[x^2] = variance.",
            f'Write  {name} = {{ variance = "R" }}.',
        )
    read = {
        part: document.expression(value[part], *path, part) if part in value else zero
        for part in ("variance", "correlation", "mean")
    }
    time = _choice(document, value, "time", ("iid", "constant"), path)
    kind: Literal["iid", "constant"] = "constant" if time == "constant" else "iid"
    return Input(name, read["variance"], read["correlation"], read["mean"], kind)


def _function(document: Document, key: str, value: Any) -> Node:
    if not isinstance(value, str):
        raise document.source.error(
            f"`{key}` is not text",
            document.value_span("functions", key),
            "A function is an expression in its argument x.",
            f'Write  {key} = "tanh(x)".',
        )
    return document.expression(value, "functions", key)


def _parameter(document: Document, key: str, value: Any) -> float | None:
    if value == "required":
        return None
    if isinstance(value, str):
        raise document.source.error(
            f"`{key}` has text as default",
            document.value_span("parameters", key),
            'A default is a number, or "required" if the caller must give the value.',
            f'Write  {key} = 1.0  or  {key} = "required".',
        )
    return float(document.number(value, "parameters", key))


def _read_latex(document: Document, found: Declarations) -> None:
    for key, value in _table(document, "latex").items():
        name, span = normal(key), document.key_span("latex", key)
        if name in found.latex:
            raise document.source.error(f"`{name}` has two entries", span, "A name prints in one way.", "Remove one.")
        check_latex(document, key, value)
        found.latex[name], found.latex_spans[name] = value, span
