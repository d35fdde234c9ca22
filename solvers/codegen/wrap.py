"""Long lines of generated code, broken inside brackets."""

from __future__ import annotations

import io
import tokenize

WIDTH = 100


def wrapped(source: str) -> str:
    """The same code with no line much longer than `WIDTH`; strings and comments are left alone."""
    return "\n".join(_wrapped_line(line) for line in source.split("\n"))


def _wrapped_line(line: str) -> str:
    if len(line) <= WIDTH or '"' in line or "#" in line:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    head, sign, body = line.partition(" = ")
    if sign and not head.lstrip().startswith(("def ", "return ")) and not _is_one_call(body):
        line = f"{head} = ({body})"
    return _broken(line, indent + "    ")


def _is_one_call(body: str) -> bool:
    """Whether the text is a single bracket, or a name with one: it can be broken as it stands."""
    depth = 0
    for column, letter in enumerate(body):
        depth += (letter in "([") - (letter in ")]")
        if depth == 0 and letter in ")]":
            return column == len(body) - 1
        if depth == 0 and not (letter.isalnum() or letter in "_."):
            return False
    return False


def _broken(line: str, indent: str) -> str:
    lines: list[str] = []
    start = last = 0
    for column in _places(line):
        room = WIDTH - (len(indent) if lines else 0)
        if column - start > room and last > start:
            lines.append(line[start:last].rstrip())
            start = last
        last = column
    if len(line) - start > WIDTH - len(indent) and last > start:
        lines.append(line[start:last].rstrip())
        start = last
    lines.append(line[start:])
    return ("\n" + indent).join([lines[0], *(part.lstrip() for part in lines[1:])])


def _places(line: str) -> list[int]:
    """Columns inside brackets before which the line may be broken: after commas, before + and *."""
    depth, found = 0, []
    text = line.strip()
    shift = len(line) - len(line.lstrip())
    if text.startswith("def "):
        text += " pass"
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.string in ("(", "["):
            depth += 1
        elif token.string in (")", "]"):
            depth -= 1
        elif depth and token.string == ",":
            found.append(token.end[1] + shift)
        elif depth and token.string in ("+", "-", "*", "/") and token.start[1] > 0:
            found.append(token.start[1] + shift)
    return [column for column in found if column < len(line)]
