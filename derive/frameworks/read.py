"""The TOML files of this package become `Framework` objects."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any, get_args

from derive.cell.expression import Node, Number
from derive.cell.grammar import parse_expression
from derive.cell.names import did_you_mean
from derive.cell.source import Passage, Source
from derive.frameworks.spec import Change, Entries, Framework, FrameworkError, Option, Refusal, Tensor

_KEYS = {"name", "title", "source", "cell", "parameters", "layout", "tensors", "options", "neutral", "refused"}


@cache
def frameworks() -> tuple[str, ...]:
    """Names of the initialisers that come with the package, in alphabetical order."""
    files = (entry.name for entry in resources.files("derive.frameworks").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


@cache
def framework(name: str) -> Framework:
    """An initialiser by the name of its layer, such as ``torch.nn.RNN``.

    Raises
    ------
    FrameworkError : there is none of this name.
    """
    if name not in frameworks():
        same = [known for known in frameworks() if known.lower() == name.lower()]
        guess = f"Did you mean `{same[0]}`?" if same else did_you_mean(name, frameworks())
        raise FrameworkError(
            f"`{name[:80]}` is not a known layer. {guess} "
            f"There are {', '.join(frameworks())}."
        )
    path = f"{name}.toml"
    return _read(tomllib.loads(resources.files("derive.frameworks").joinpath(path).read_text("utf-8")), path)


def _read(tables: Mapping[str, Any], path: str) -> Framework:
    unknown = set(tables) - _KEYS
    if unknown:
        raise FrameworkError(f"{path}: unknown entry `{min(unknown)}`; there are {', '.join(sorted(_KEYS))}")
    return Framework(
        name=tables["name"],
        title=tables["title"],
        source=tables["source"],
        cell=tables["cell"],
        assignments=(),
        parameters=_parameters(tables["parameters"], path),
        tensors=_tensors(tables["tensors"], path),
        blocks=tables["layout"]["blocks"],
        options={name: _option(option, path) for name, option in tables.get("options", {}).items()},
        neutral=frozenset(tables.get("neutral", {}).get("options", ())),
        refused={name: Refusal(**refusal) for name, refusal in tables.get("refused", {}).items()},
    )


def _option(table: Mapping[str, Any], path: str) -> Option:
    values = {value: _change(entry, path) for value, entry in table.items() if value != "default"}
    return Option(table["default"], values)


def _change(table: Mapping[str, Any], path: str) -> Change:
    unknown = set(table) - {"cell", "set", "parameters", "without", "tensors", "absent"}
    if unknown:
        raise FrameworkError(f"{path}: an option's value has no entry `{min(unknown)}`")
    return Change(
        cell=table.get("cell", ""),
        assignments=tuple(table.get("set", ())),
        parameters=_parameters(table.get("parameters", {}), path),
        without=tuple(table.get("without", ())),
        tensors=_tensors(table.get("tensors", {}), path),
        absent=tuple(table.get("absent", ())),
    )


def _tensors(table: Mapping[str, Any], path: str) -> tuple[Tensor, ...]:
    for name, entry in table.items():
        if entry["entries"] not in get_args(Entries):
            raise FrameworkError(f"{path}: `{name}` has entries {entry['entries']!r}, not one of {get_args(Entries)}")
    return tuple(Tensor(name, tuple(entry["holds"]), entry["entries"]) for name, entry in table.items())


def _parameters(table: Mapping[str, Any], path: str) -> dict[str, Node]:
    return {name: _node(value, f"{path}, {name}") for name, value in table.items()}


def _node(value: str | float, place: str) -> Node:
    text = str(value)
    source = Source(place, text)
    if isinstance(value, int):
        return Number(Fraction(value), source.span(0, len(text)))
    return parse_expression(Passage(source, text, range(len(text) + 1)))
