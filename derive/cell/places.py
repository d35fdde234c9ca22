"""Where keys and values stand in a TOML text: the standard library's reader does not say.

The scanner runs after `tomllib` has accepted the text, so it may trust the syntax; whoever uses
a place compares the decoded string with what `tomllib` read and falls back to the key's line.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

Path = tuple[str, ...]

#: Nothing in a cell file nests deeper than a table in a table.
MAX_DEPTH = 20

_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


@dataclass(frozen=True)
class Place:
    """Positions in the text: of a key, of its value, and of each character of a string value."""

    key: tuple[int, int]
    value: tuple[int, int]
    string: str | None = None
    offsets: tuple[int, ...] = ()


def find_places(text: str) -> dict[Path, Place]:
    """The place of every key and table header of a valid TOML text, by path from the root."""
    scanner = _Scanner(text)
    with suppress(IndexError):  # a text that ends early cannot come from tomllib; keep what was found
        scanner.document()
    return scanner.places


class TooDeepError(Exception):
    """Arrays or tables nest beyond MAX_DEPTH; ``at`` is the position."""

    def __init__(self, at: int) -> None:
        self.at = at
        super().__init__(at)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.places: dict[Path, Place] = {}

    def document(self) -> None:
        prefix: Path = ()
        while self._skip_blank(newlines=True):
            if self.text[self.at] == "[":
                prefix = self._header()
            else:
                self._pair(prefix, 0)

    def _skip_blank(self, newlines: bool) -> bool:
        """Skip blanks and comments; false at the end of the text."""
        blank = " \t\n\r" if newlines else " \t"
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "#" and newlines:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif character in blank:
                self.at += 1
            else:
                return True
        return False

    def _header(self) -> Path:
        while self.text[self.at] == "[":
            self.at += 1
        path, key = self._key()
        while self.at < len(self.text) and self.text[self.at] in " \t]":
            self.at += 1
        for cut in range(1, len(path) + 1):
            self.places.setdefault(path[:cut], Place(key, key))
        return path

    def _key(self) -> tuple[Path, tuple[int, int]]:
        parts: list[str] = []
        self._skip_blank(newlines=False)
        start = end = self.at
        while True:
            self._skip_blank(newlines=False)
            if self.text[self.at] in "\"'":
                parts.append(self._string()[0])
            else:
                begin = self.at
                while self.text[self.at] not in " \t.=]\n":
                    self.at += 1
                parts.append(self.text[begin : self.at])
            end = self.at
            self._skip_blank(newlines=False)
            if self.text[self.at] != ".":
                return tuple(parts), (start, end)
            self.at += 1

    def _pair(self, prefix: Path, depth: int) -> None:
        path, key = self._key()
        self._skip_blank(newlines=False)
        self.at += 1  # the equals sign
        self._skip_blank(newlines=False)
        full = prefix + path
        for cut in range(len(prefix) + 1, len(full)):  # a dotted key opens the tables above it
            self.places.setdefault(full[:cut], Place(key, key))
        start = self.at
        string, offsets = self._value(full, depth)
        self.places[full] = Place(key, (start, self.at), string, offsets)

    def _value(self, path: Path, depth: int) -> tuple[str | None, tuple[int, ...]]:
        if depth > MAX_DEPTH:
            raise TooDeepError(self.at)
        character = self.text[self.at]
        if character in "\"'":
            return self._string()
        if character == "{":
            self._sequence("}", path, depth)
        elif character == "[":
            self._sequence("]", path, depth)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}\n#":
                self.at += 1
            while self.text[self.at - 1] in " \t\r":
                self.at -= 1
        return None, ()

    def _sequence(self, closing: str, path: Path, depth: int) -> None:
        """An inline table or an array, from its opening bracket to behind its closing one."""
        self.at += 1
        while self._skip_blank(newlines=True):
            if self.text[self.at] == closing:
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
            elif closing == "}":
                self._pair(path, depth + 1)
            else:
                self._value(path, depth + 1)

    def _string(self) -> tuple[str, tuple[int, ...]]:
        """Decode the string that begins here; its text and the position of each character."""
        quote = self.text[self.at]
        multiline = self.text.startswith(quote * 3, self.at)
        self.at += 3 if multiline else 1
        if multiline and self.text.startswith("\n", self.at):
            self.at += 1
        decoded: list[str] = []
        offsets: list[int] = []
        while True:
            character, start = self.text[self.at], self.at
            if character == quote and (not multiline or self.text.startswith(quote * 3, self.at)):
                break
            if character == "\\" and quote == '"':
                piece = self._escape(multiline)
            else:
                piece, self.at = character, start + 1
            decoded.append(piece)
            offsets.extend([start] * len(piece))
        if multiline:
            while self.text.startswith(quote * 4, self.at):  # quotes before the closing three belong to the text
                decoded.append(quote)
                offsets.append(self.at)
                self.at += 1
        offsets.append(self.at)
        self.at += 3 if multiline else 1
        return "".join(decoded), tuple(offsets)

    def _escape(self, multiline: bool) -> str:
        """Decode the escape that begins here; a backslash at the end of a line joins lines."""
        character = self.text[self.at + 1]
        if character in "uU":
            width = 4 if character == "u" else 8
            code = self.text[self.at + 2 : self.at + 2 + width]
            self.at += 2 + width
            return chr(int(code, 16))
        if multiline and character in " \t\n":
            self.at += 1
            while self.text[self.at] in " \t\n":
                self.at += 1
            return ""
        self.at += 2
        return _ESCAPES.get(character, character)
