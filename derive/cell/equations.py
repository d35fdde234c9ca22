"""The text under ``equations``: its lines, their left sides, and the equations they make."""

from __future__ import annotations

import re
from collections.abc import Sequence

from derive.cell.expression import Node, Product, walk
from derive.cell.grammar import parse_tokens
from derive.cell.names import objection
from derive.cell.order import unclosed, unopened
from derive.cell.source import Passage
from derive.cell.spec import Equation
from derive.cell.tokens import Token, tokenize

#: Equations, and characters of all together.
MAX_EQUATIONS, MAX_TEXT = 300, 200_000

_LEFT_RULE = "Left of `=` stands a name, name' (the next state), dname/dt or tau*dname/dt (the flow)."


def read_equations(passage: Passage) -> tuple[Equation, ...]:
    """All equations of the text, in its order."""
    if len(passage.text) > MAX_TEXT:
        raise passage.error(
            f"equations of {len(passage.text)} characters",
            0,
            1,
            f"All equations together have at most {MAX_TEXT} characters.",
            "Simplify the cell.",
        )
    lines = _logical_lines(passage)
    if not lines:
        raise passage.error(
            "there are no equations",
            0,
            len(passage.text),
            "A cell has at least one state and its update.",
            "Write one, such as  h' = tanh(W @ h).",
        )
    if len(lines) > MAX_EQUATIONS:
        extra = lines[MAX_EQUATIONS]
        raise passage.error(
            f"{len(lines)} equations",
            extra[0].start,
            extra[-1].end,
            f"A cell has at most {MAX_EQUATIONS} equations.",
            "Split the cell.",
        )
    return tuple(_equation(passage, line) for line in lines)


def _logical_lines(passage: Passage) -> list[list[Token]]:
    """Tokens by equation: an open bracket continues on the next line."""
    lines: list[list[Token]] = [[]]
    opened: list[Token] = []
    for token in tokenize(passage):
        if token.kind == "newline":
            if not opened:
                lines.append([])
            continue
        if token.is_sign("("):
            opened.append(token)
        elif token.is_sign(")"):
            if not opened:
                raise unopened(passage, token)
            opened.pop()
        lines[-1].append(token)
    if opened:
        raise _never_closed(passage, lines[-1], opened[-1])
    return [line for line in lines if line]


def _never_closed(passage: Passage, line: Sequence[Token], bracket: Token) -> Exception:
    """Blame the bracket that was open when the next equation began, if one did."""
    depth: list[Token] = []
    for token in line:
        if token.is_sign("("):
            depth.append(token)
        elif token.is_sign(")"):
            depth.pop()
        elif token.is_sign("=") and depth and _line(passage, token) != _line(passage, depth[-1]):
            return unclosed(passage, depth[-1])
    return unclosed(passage, bracket)


def _line(passage: Passage, token: Token) -> int:
    return passage.span(token.start, token.end).line


def _equation(passage: Passage, tokens: Sequence[Token]) -> Equation:
    depth, equals = 0, -1
    for index, token in enumerate(tokens):
        depth += token.is_sign("(") - token.is_sign(")")
        if token.is_sign("=") and depth == 0:
            equals = index
            break
    first, last = tokens[0], tokens[-1]
    if equals < 0:
        inner = next((token for token in tokens if token.is_sign("=")), None)
        start = first.start
        mend = "Write  name = ...  or, for a state,  name' = ..."
        if inner is not None:  # the `=` stands inside brackets
            mend = "Close the bracket before the `=`."
        elif first.is_sign("+", "-", "*", "/", "**", "@"):
            mend = "If it continues the line above, put that equation in brackets."
        raise passage.error("a line without `=`", start, last.end, "Every line is an equation.", mend)
    left, right = tokens[:equals], tokens[equals + 1 :]
    if not left:
        raise passage.error("nothing stands left of `=`", first.start, first.end, _LEFT_RULE, "Write a name.")
    if not right:
        raise passage.error(
            "nothing stands right of `=`",
            last.start,
            last.end,
            "Every line is an equation.",
            "Write an expression, or 0; only an open bracket continues an equation on the next line.",
        )
    target, kind, constant = _left_side(passage, left)
    text = " ".join(re.sub(r"#[^\n]*", "", passage.text[first.start : last.end]).split())
    span = passage.span(left[0].start, left[-1].end)
    node = parse_tokens(passage, right)
    if kind == "next":
        return Equation(target, "next", node, None, text, span)
    if kind == "flow":
        return Equation(target, "flow", node, constant, text, span)
    return Equation(target, "definition", node, None, text, span)


def _left_side(passage: Passage, left: Sequence[Token]) -> tuple[str, str, Node | None]:
    """Target, kind and time constant."""
    if len(left) == 1 and left[0].kind == "name":
        token = left[0]
        _check_name(passage, token, token.text)
        return token.text, "next" if token.primed else "definition", None
    if _ends_in_derivative(left):
        state = left[-3].text[1:]
        _check_name(passage, left[-3], state)
        return state, "flow", _time_constant(passage, left) if len(left) > 3 else None
    start, end = left[0].start, left[-1].end
    raise passage.error("this cannot stand left of `=`", start, end, _LEFT_RULE, _left_mend(left))


def _ends_in_derivative(left: Sequence[Token]) -> bool:
    """Whether the tokens end in ``dname/dt``, alone or behind ``*``."""
    if len(left) < 3 or (len(left) > 3 and not (len(left) > 4 and left[-4].is_sign("*"))):
        return False
    derivative, slash, time = left[-3:]
    plain = derivative.kind == "name" and time.kind == "name" and not derivative.primed and not time.primed
    return (
        plain
        and slash.is_sign("/")
        and time.text == "dt"
        and derivative.text.startswith("d")
        and len(derivative.text) > 1
    )


def _left_mend(left: Sequence[Token]) -> str:
    names = [token.text for token in left if token.kind == "name"]
    if "dt" in names:
        state = next((name[1:] for name in names if name.startswith("d") and name not in ("d", "dt")), "h")
        return f"Write  d{state}/dt = ...  or  tau*d{state}/dt = ..., the derivative last."
    if len(names) > 1 and left[0].kind == "name" and left[1].is_sign("("):
        return f'Write  {names[0]} = ...;  a function stands under [functions], as  {names[0]} = "tanh(x)".'
    return f"Write  {names[0] if names else 'name'} = ...  and bring the rest to the right."


def _check_name(passage: Passage, token: Token, name: str) -> None:
    wrong = objection(name)
    if wrong:
        what, rule, mend = wrong
        raise passage.error(what, token.start, token.end, rule, mend)


def _time_constant(passage: Passage, left: Sequence[Token]) -> Node:
    """What stands before ``*dname/dt``."""
    factor, depth = left[:-4], 0
    for index, token in enumerate(factor):
        depth += token.is_sign("(") - token.is_sign(")")
        before = factor[index - 1] if index else None
        binary = before is not None and (before.kind != "sign" or before.is_sign(")"))
        if depth == 0 and binary and token.is_sign("+", "-"):
            raise passage.error(
                "a sum left of `=` without brackets",
                factor[0].start,
                left[-1].end,
                "The time constant is a factor of the derivative.",
                f"Put it in brackets:  ( ... )*{left[-3].text}/dt.",
            )
    node = parse_tokens(passage, factor)
    product = next((part for part in walk(node) if isinstance(part, Product)), None)
    if product is not None:
        raise passage.source.error(
            "a matrix product left of `=`",
            product.span,
            "A time constant is elementwise, without products.",
            "Give the product a name in a line of its own, or divide on the right.",
        )
    return node
