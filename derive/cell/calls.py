"""Whether a call names a function that exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from derive.cell.expression import Call, Span
from derive.cell.functions import BUILTIN_FUNCTIONS, refused
from derive.cell.names import did_you_mean, foreign_characters
from derive.cell.source import Source


def check_function(source: Source, call: Call, functions: Iterable[str], kinds: Mapping[str, str]) -> None:
    """Refuse the call of a function that does not exist, with the reason where it is a well-known one."""
    name = call.function
    own = list(functions)
    if name in own or name in BUILTIN_FUNCTIONS:
        return
    span = Span(call.span.line, call.span.column, min(len(name), call.span.width))
    kind = kinds.get(name)
    if kind is not None:
        article = "an" if kind == "input" else "a"
        mend = f"Write  {name} @ (...)." if kind == "weight" else f"Write  {name}*(...)  if a product is meant."
        raise source.error(
            f"`{name}` is {article} {kind}, not a function", span, "Only functions stand before brackets.", mend
        )
    advice = refused(name)
    if advice:
        raise source.error(f"`{name}` cannot be expressed in a cell", span, *advice)
    known = [*own, *BUILTIN_FUNCTIONS]
    add = f'Add  {name} = "..."  in x under [functions] to define it.'
    mend = join(foreign_characters(name), did_you_mean(name, known), add)
    listed = ", ".join([*own[:8], *BUILTIN_FUNCTIONS])
    raise source.error(f"unknown function `{name}`", span, f"The functions are {listed}.", mend)


def join(*sentences: str) -> str:
    """Sentences with blanks between, without the empty ones."""
    return " ".join(sentence for sentence in sentences if sentence)
