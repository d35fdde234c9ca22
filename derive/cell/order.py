"""Operands and operators take turns, brackets close: checked before the tree is built.

Done by hand because the message of a general parser ("invalid syntax") names no mend.
"""

from __future__ import annotations

from collections.abc import Sequence

from derive.cell.functions import refused
from derive.cell.source import Passage
from derive.cell.tokens import Token
from derive.errors import CellError

#: Brackets within brackets, and signs in a row.
MAX_NESTING = 80

_BINARY = ("+", "-", "*", "/", "**", "@")


def check_order(passage: Passage, tokens: Sequence[Token]) -> None:
    """Refuse a run of tokens that is not one expression."""
    opened: list[int] = []  # indices of the tokens that are open brackets
    operand_next, signs = True, 0
    for index, token in enumerate(tokens):
        previous = tokens[index - 1] if index else None
        if token.is_sign(","):
            raise _comma(passage, tokens, opened, token)
        if token.is_sign("="):
            raise _equals(passage, tokens, opened, token)
        if token.is_sign("("):
            _check_opening(passage, tokens, index, operand_next)
            opened.append(index)
            operand_next = True
        elif token.is_sign(")"):
            _check_closing(passage, tokens, opened, index, operand_next)
            opened.pop()
            operand_next = False
        elif token.kind == "sign":
            if operand_next and not token.is_sign("+", "-"):
                raise _missing_operand(passage, token, previous)
            signs = signs + 1 if operand_next else 0
            operand_next = True
        else:
            if not operand_next and previous is not None:
                raise _missing_operator(passage, previous, token)
            operand_next, signs = False, 0
        if max(len(opened), signs) > MAX_NESTING:
            raise passage.error(
                "an expression too deep",
                token.start,
                token.end,
                f"Brackets nest at most {MAX_NESTING} levels.",
                "Give its parts names in lines of their own.",
            )
    if opened:
        raise unclosed(passage, tokens[opened[-1]])
    if operand_next:
        last = tokens[-1]
        raise passage.error(
            f"nothing follows `{last.text}`",
            last.start,
            last.end,
            "An operator stands between two operands; only an open bracket continues an equation on the next line.",
            f"Write an operand behind `{last.text}`, or put the equation in brackets.",
        )


def unclosed(passage: Passage, bracket: Token) -> CellError:
    """The error for an open bracket without its partner."""
    return passage.error(
        "this bracket is never closed", bracket.start, bracket.end, "Every ( needs a ).", "Close it, or remove it."
    )


def unopened(passage: Passage, bracket: Token) -> CellError:
    """The error for a closing bracket without its partner."""
    return passage.error(
        "this bracket was never opened", bracket.start, bracket.end, "Every ) needs a (.", "Remove it, or open it."
    )


def _check_opening(passage: Passage, tokens: Sequence[Token], index: int, operand_next: bool) -> None:
    if operand_next:
        return
    previous, token = tokens[index - 1], tokens[index]
    if previous.kind == "name":
        return  # a call
    if previous.is_sign(")"):
        raise passage.error(
            "a bracket behind a bracket",
            previous.start,
            token.end,
            "The result of a call is a number and cannot be called; a product needs its sign.",
            "Write )*( if a product is meant.",
        )
    raise _missing_operator(passage, previous, token)


def _check_closing(
    passage: Passage, tokens: Sequence[Token], opened: Sequence[int], index: int, operand_next: bool
) -> None:
    token = tokens[index]
    if not opened:
        raise unopened(passage, token)
    if not operand_next:
        return
    previous = tokens[index - 1]
    if previous.is_sign("("):
        raise passage.error(
            "empty brackets",
            previous.start,
            token.end,
            "A function has one argument.",
            "Write it between the brackets, or remove them.",
        )
    raise _missing_operand(passage, token, previous)


def _missing_operand(passage: Passage, token: Token, previous: Token | None) -> CellError:
    if token.is_sign("*", "**") and previous is not None and previous.is_sign("("):
        what, mend = f"`{token.text}` before an argument", "Remove it; a function has one plain argument."
    else:
        what, mend = f"`{token.text}` has nothing on its left", f"Write an operand before `{token.text}`."
    start = token.start if previous is None or previous.is_sign("(") else previous.start
    return passage.error(what, start, token.end, "An operator stands between two operands.", mend)


def _missing_operator(passage: Passage, previous: Token, token: Token) -> CellError:
    left = previous.text + ("'" if previous.primed else "")
    right = "(...)" if token.is_sign("(") else token.text + ("'" if token.primed else "")
    left = "(...)" if previous.is_sign(")") else left
    return passage.error(
        f"no operator between `{left}` and `{right}`",
        previous.start,
        token.end,
        "There is one equation per line, and a product needs its sign.",
        f"Write {left}*{right} if a product is meant, W @ v for a matrix.",
    )


def _called(tokens: Sequence[Token], opened: Sequence[int]) -> str:
    """The name of the function whose brackets are open, or an empty string."""
    if opened and opened[-1] > 0 and tokens[opened[-1] - 1].kind == "name":
        return tokens[opened[-1] - 1].text
    return ""


def _comma(passage: Passage, tokens: Sequence[Token], opened: Sequence[int], comma: Token) -> CellError:
    function = _called(tokens, opened)
    advice = refused(function) if function else None
    if advice:
        name = tokens[opened[-1] - 1]
        return passage.error(f"`{function}` cannot be expressed in a cell", name.start, name.end, *advice)
    if function:
        return passage.error(
            f"`{function}` has several arguments",
            comma.start,
            comma.end,
            "A function has one argument.",
            "Combine what stands between the brackets to one expression.",
        )
    return passage.error(
        "a comma in an equation", comma.start, comma.end, "An equation has one value, not several.", "Remove the comma."
    )


def _equals(passage: Passage, tokens: Sequence[Token], opened: Sequence[int], sign: Token) -> CellError:
    if opened:
        bracket = tokens[opened[-1]]
        if passage.span(bracket.start, bracket.end).line != passage.span(sign.start, sign.end).line:
            return unclosed(passage, bracket)
        return passage.error(
            "a keyword argument",
            sign.start,
            sign.end,
            "A function has one argument, without a name.",
            "Remove the name and the `=`.",
        )
    return passage.error(
        "a second `=` in one equation",
        sign.start,
        sign.end,
        "There is one equation per line.",
        "Begin a new line; comparisons do not exist.",
    )
