"""Notations: how averages, variances and the other symbols of a derivation are written, read from data.

A notation is a file of `derive/notations`; it starts from the default one and changes some entries.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from derive.cell.latex import ALLOWED_COMMANDS
from derive.errors import GatefieldError

DEFAULT = "gatefield"
MAX_LENGTH = 80
MAX_BYTES = 100_000

_COMMANDS = ALLOWED_COMMANDS | {"int", "lVert", "rVert"}
_MEDIA = ("latex", "text")
_CHOICES: Mapping[str, tuple[str, ...]] = {"time": ("prime", "index"), "squares": ("states", "all")}
_EMPTY = ("square", "overlap")
"""Entries that may be empty: then the thing is written as an average."""


class NotationError(GatefieldError):
    """There is no such notation, or its file is not one."""


@dataclass(frozen=True)
class Symbols:
    """The symbols of one medium.

    average : in front of, left of and right of what is averaged; square : name of E[f^2], ``@`` for f, or empty;
    overlap : name of E[s_a s_b], or empty; squares : what may have a name for its square; the others are letters
    (with a superscript perhaps), and ``conjugate`` says how the conjugate of the spectral parameter ``@`` is written.
    """

    average: tuple[str, str, str]
    square: str
    overlap: str
    squares: str
    field: str
    variance: str
    covariance: str
    replicas: str
    perturbation: str
    transfer: str
    gain: str
    response: str
    spectral: str
    conjugate: str
    chi1: str
    chi_star: str
    xi: str
    elementwise: str

    @property
    def letters(self) -> Mapping[str, str]:
        """Heads of a theory's internal symbols, such as ``q`` of ``q[W]``, and their letters."""
        return {
            "u": self.field, "q": self.variance, "C": self.covariance, "c": self.replicas, "T": self.transfer,
            "Delta": self.perturbation, "Deltaab": self.perturbation, "K": self.gain, "A": self.response,
        }  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """A notation: its symbols in both media, and how a model's equations tell the next state from the present one."""

    name: str
    title: str
    time: Literal["prime", "index"]
    latex: Symbols
    text: Symbols


def shipped_notations() -> tuple[str, ...]:
    """Names of the notations that come with the package, the default one first."""
    files = (entry.name for entry in resources.files("derive.notations").iterdir())
    names = {name.removesuffix(".toml") for name in files if name.endswith(".toml")}
    return (DEFAULT, *sorted(names - {DEFAULT}))


def load_notation(name: str = DEFAULT) -> Preset:
    """A shipped notation by name, or one of your own by the path of its file.

    Raises
    ------
    NotationError : no such notation, or the file is not a notation.
    """
    if name in shipped_notations():
        return _shipped(name)
    path = Path(name)
    if path.suffix != ".toml" and not path.is_file():
        close = difflib.get_close_matches(name, shipped_notations(), 1, 0.5)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        raise NotationError(
            f"there is no notation `{name[:80]}`.{hint} There are {', '.join(shipped_notations())}; the path of a "
            ".toml file with a notation of your own serves as well."
        )
    return _read(_text_of(path), path.stem, str(path))


@cache
def _shipped(name: str) -> Preset:
    return _read(resources.files("derive.notations").joinpath(f"{name}.toml").read_text("utf-8"), name, f"{name}.toml")


@cache
def _default_tables() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("derive.notations").joinpath(f"{DEFAULT}.toml").read_text("utf-8"))


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise NotationError(f"{path}: larger than {MAX_BYTES} bytes; a notation has a few lines")
        return data.decode("utf-8")
    except OSError as error:
        raise NotationError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise NotationError(f"{path} is not UTF-8 text") from None


def _read(text: str, name: str, path: str) -> Preset:
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise NotationError(f"{path} is not TOML: {error}") from None
    unknown = set(tables) - {"title", "source", "time", *_MEDIA}
    if unknown:
        raise NotationError(
            f"{path}: unknown entry `{min(unknown)}`; there are title, source, time and the tables [latex] and [text]"
        )
    time = _choice(path, "time", tables.get("time", "prime"))
    title = tables.get("title", name)
    if not isinstance(title, str):
        raise NotationError(f"{path}: `title` is text in quotation marks")
    latex, words = (_symbols(path, medium, tables.get(medium, {})) for medium in _MEDIA)
    return Preset(name, title, "index" if time == "index" else "prime", latex, words)


def _symbols(path: str, medium: str, table: object) -> Symbols:
    if not isinstance(table, dict):
        raise NotationError(f"{path}: `{medium}` is a table, a line [{medium}] with entries below it")
    known = [_key(item.name) for item in fields(Symbols)]
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(known)}"
            raise NotationError(f"{path}, [{medium}]: unknown entry `{key[:40]}`; {hint}")
    merged = {**_default_tables()[medium], **table}
    return Symbols(**{item.name: _entry(path, medium, _key(item.name), merged[_key(item.name)])
                      for item in fields(Symbols)})  # fmt: skip


def _key(name: str) -> str:
    """What an attribute is called in the file."""
    return {"spectral": "lambda"}.get(name, name)


def _entry(path: str, medium: str, key: str, value: object) -> Any:
    if key in _CHOICES:
        return _choice(path, key, value)
    if key == "average":
        if not isinstance(value, list) or len(value) != 3:
            raise NotationError(f'{path}, [{medium}]: `average` is a list of three texts, such as ["E", "[", "]"]')
        return tuple(_symbol(path, medium, key, part, empty=True) for part in value)
    return _symbol(path, medium, key, value, empty=key in _EMPTY)


def _choice(path: str, key: str, value: object) -> str:
    if value not in _CHOICES[key]:
        raise NotationError(f"{path}: `{key}` is one of {', '.join(_CHOICES[key])}")
    return str(value)


def _symbol(path: str, medium: str, key: str, value: object, *, empty: bool) -> str:
    place = f"{path}, [{medium}], `{key}`"
    if not isinstance(value, str) or (not value.strip() and not empty):
        raise NotationError(f"{place}: give a symbol in quotation marks")
    if len(value) > MAX_LENGTH or not value.isprintable():
        raise NotationError(f"{place}: a symbol has at most {MAX_LENGTH} characters on one line")
    return value if medium == "text" else _formula(place, value)


def _formula(place: str, value: str) -> str:
    """A LaTeX symbol, if it consists of letters, scripts, brackets and known commands in balanced braces."""
    depth = 0
    for match in re.finditer(r"\\([A-Za-z]+)|\\(.?)|([{}])|([$%#&~]|[^\x20-\x7e])", value):
        command, sign, brace, foreign = match.groups()
        if foreign or (command and command not in _COMMANDS) or (sign is not None and sign not in tuple(",;:! {}")):
            raise NotationError(f"{place}: `{match.group()}` cannot stand in a symbol")
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            break
    if depth:
        raise NotationError(f"{place}: braces come in pairs")
    return value
