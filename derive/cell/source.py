"""Text with places: every error of the reader points into the file as the user sees it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from derive.cell.expression import Span
from derive.errors import CellError


@dataclass(frozen=True)
class Source:
    """The text of a cell file and the name by which messages call it."""

    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line) + 1)
        return starts[:-1]

    def span(self, start: int, end: int) -> Span:
        """The place of ``text[start:end]``, cut at the end of its first line."""
        start = max(0, min(start, len(self.text)))
        line = bisect_right(self._starts, start)
        column = start - self._starts[line - 1] + 1
        rest = len(self.lines[line - 1]) - column + 1
        return Span(line, column, max(1, min(end - start, rest)))

    def error(self, what: str, span: Span, rule: str = "", mend: str = "") -> CellError:
        """The error to raise for the text at ``span``."""
        line = min(max(span.line, 1), len(self.lines))
        return CellError(
            what,
            path=self.path,
            line=line,
            source=self.lines[line - 1],
            column=span.column,
            width=span.width,
            rule=rule,
            mend=mend,
        )


@dataclass(frozen=True)
class Passage:
    """A string value of the file, decoded, with the place of each character in the file.

    offsets : position in the file of every character of ``text``, and one more for the end
    """

    source: Source
    text: str
    offsets: Sequence[int]

    def span(self, start: int, end: int) -> Span:
        """The place in the file of ``text[start:end]``."""
        start = min(start, len(self.text))
        first = self.offsets[start]
        last = self.offsets[min(end, len(self.text)) - 1] if end > start else first
        return self.source.span(first, max(first, last) + 1)

    def error(self, what: str, start: int, end: int, rule: str = "", mend: str = "") -> CellError:
        """The error to raise for ``text[start:end]``."""
        return self.source.error(what, self.span(start, end), rule, mend)
