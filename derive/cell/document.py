"""A cell file as TOML: its tables, and where each key and value stands."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from derive.cell.expression import Node, Number, Span
from derive.cell.grammar import parse_expression
from derive.cell.places import Path, Place, TooDeepError, find_places
from derive.cell.source import Passage, Source
from derive.cell.tokens import MAX_EXPONENT, MAX_LITERAL
from derive.errors import CellError

MAX_BYTES = 1_000_000

#: Dots in one line: the standard library's reader takes time quadratic in the parts of a key.
MAX_DOTS = 64


@dataclass(frozen=True)
class Document:
    """The values of a cell file and their places."""

    source: Source
    data: dict[str, Any]
    places: dict[Path, Place]

    def key_span(self, *path: str) -> Span:
        """The place of a key, or of the nearest table above it."""
        for length in range(len(path), 0, -1):
            place = self.places.get(path[:length])
            if place is not None:
                return self.source.span(*place.key)
        return Span(1, 1, 1)

    def value_span(self, *path: str) -> Span:
        """The place of a value, or of the nearest table above it."""
        place = self.places.get(path)
        return self.source.span(*place.value) if place is not None else self.key_span(*path)

    def passage(self, value: str, *path: str) -> Passage:
        """A string value with the place of each of its characters."""
        place = self.places.get(path)
        if place is not None and place.string == value:
            return Passage(self.source, value, place.offsets)
        start = place.value[0] if place is not None else 0
        return Passage(self.source, value, (start,) * (len(value) + 1))

    def expression(self, value: object, *path: str) -> Node:
        """The tree of a value that is a number or text to be parsed."""
        if isinstance(value, str):
            return parse_expression(self.passage(value, *path))
        return Number(self.number(value, *path), self.value_span(*path))

    def number(self, value: object, *path: str) -> Fraction:
        """The exact value of a number; refuses everything else and what is out of range."""
        span = self.value_span(*path)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.source.error(
                f"`{'.'.join(path)}` is not a number",
                span,
                "A number or arithmetic in parameters is expected.",
                f'Write  {path[-1]} = 1.0  or  {path[-1]} = "sigma".',
            )
        if isinstance(value, Decimal) and not value.is_finite():
            raise self.source.error(
                f"`{'.'.join(path)}` is not finite", span, "Numbers are finite.", f"Write  {path[-1]} = 1.0."
            )
        # Magnitude first: the Fraction of 1e999999999 would fill the memory.
        power = value.adjusted() if isinstance(value, Decimal) else int(abs(value).bit_length() * 0.30103)
        if value != 0 and abs(power) >= MAX_EXPONENT:
            raise self.source.error(
                f"`{'.'.join(path)}` is out of range",
                span,
                f"Numbers lie between 1e-{MAX_EXPONENT} and 1e{MAX_EXPONENT}.",
                "Change the unit.",
            )
        if isinstance(value, Decimal) and len(value.as_tuple().digits) > MAX_LITERAL:
            raise self.source.error(
                f"`{'.'.join(path)}` has {len(value.as_tuple().digits)} digits",
                span,
                f"A number has at most {MAX_LITERAL} digits.",
                "Round it; double precision has 16 digits.",
            )
        return Fraction(value) if value != 0 else Fraction(0)


def read_document(text: str, path: str) -> Document:
    """Parse the TOML of a cell file; every fault becomes a CellError with its line."""
    source = Source(path, text.replace("\r\n", "\n"))
    _check_text(source)
    try:
        data = tomllib.loads(source.text, parse_float=Decimal)
        places = find_places(source.text)
    except (RecursionError, TooDeepError) as error:
        raise _too_deep(source, error) from None
    except ValueError as error:
        raise _toml_error(source, str(error)) from None
    return Document(source, data, places)


def _check_text(source: Source) -> None:
    if len(source.text) > MAX_BYTES or len(source.text.encode(errors="replace")) > MAX_BYTES:
        raise CellError(
            "the file is over a megabyte",
            path=source.path,
            line=1,
            rule=f"A cell file has at most {MAX_BYTES} bytes.",
            mend="Keep only the cell in it.",
        )
    wrong = re.search("[\x00\ud800-\udfff]", source.text)
    if wrong:
        kind = "a NUL character" if wrong.group() == "\x00" else "a lone surrogate"
        raise CellError(
            f"{kind} in the text",
            path=source.path,
            line=source.span(wrong.start(), wrong.end()).line,
            column=source.span(wrong.start(), wrong.end()).column,
            rule="A cell file is text in UTF-8.",
            mend="Remove the character.",
        )
    for number, line in enumerate(source.lines, start=1):
        if line.count(".") > MAX_DOTS and not line.lstrip().startswith("#"):
            raise source.error(
                "a line with too many dots",
                Span(number, line.index(".") + 1, 1),
                f"A line has at most {MAX_DOTS} dots.",
                "Shorten it.",
            )


def _too_deep(source: Source, error: Exception) -> CellError:
    if isinstance(error, TooDeepError):
        span = source.span(error.at, error.at + 1)
    else:
        deepest = max(range(len(source.lines)), key=lambda index: sum(map(source.lines[index].count, "[{")))
        span = Span(deepest + 1, 1, 1)
    return source.error("tables nested too deep", span, "A cell file has tables, and tables in them.", "Flatten it.")


def _toml_error(source: Source, message: str) -> CellError:
    """`tomllib` ends its messages in ``(at line 3, column 5)`` or ``(at end of document)``."""
    match = re.search(r"\s*\(at line (\d+), column (\d+)\)\s*$", message)
    if match:
        line, column = int(match.group(1)), int(match.group(2))
    else:
        last = max((i for i, text in enumerate(source.lines) if text.strip()), default=0)
        line, column = last + 1, max(1, len(source.lines[last]))
    message = re.sub(r"\s*\(at [^()]*\)\s*$", "", message)
    message = message if len(message) <= 200 else message[:200] + "..."
    mend = _toml_mend(message, source.lines[min(line, len(source.lines)) - 1])
    return source.error(f"this is not TOML: {message}", Span(line, column, 1), "A cell file is TOML.", mend)


def _toml_mend(message: str, line: str) -> str:
    if "Invalid value" in message:
        return 'Put text in quotation marks:  W = "sigma".'
    if "Cannot overwrite" in message or "twice" in message or "mutate" in message:
        return "Remove one of the two lines of this name."
    if "after a key" in message:
        if "'" in line or "@" in line:
            return 'Equations stand between  equations = """  and  """.'
        return "Write  name = value."
    if "Unescaped" in message or "escape" in message:
        return r"Double the backslash (\\), or put the text in single quotation marks."
    if "Unterminated" in message or "Expected" in message:
        return "Close the text, table or array that was opened."
    return "See the example at the head of the cell format."
