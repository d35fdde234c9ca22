"""From the tokens of one expression to its syntax tree.

The tree is built by Python's own parser in expression mode, from text in which ``c'`` has become
an identifier of the same width, so that columns stay right.  Nothing is evaluated; nodes outside a
short list are refused.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from fractions import Fraction

from derive.cell.bounds import check_bounds
from derive.cell.expression import Binary, Call, Name, Negate, Next, Node, Number, Product, Span
from derive.cell.names import PRIME
from derive.cell.order import check_order
from derive.cell.source import Passage
from derive.cell.tokens import Token, tokenize
from derive.errors import CellError

#: Levels of the tree, and characters of one equation.
MAX_DEPTH, MAX_LENGTH = 100, 20_000

_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


def parse_expression(passage: Passage) -> Node:
    """The tree of a passage that is one expression, such as a gain or the body of a function."""
    tokens = [token for token in tokenize(passage) if token.kind != "newline"]
    return parse_tokens(passage, tokens)


def parse_tokens(passage: Passage, tokens: Sequence[Token]) -> Node:
    """The tree of the expression that ``tokens``, a run of tokens of ``passage``, spell."""
    if not tokens:
        raise passage.error(
            "an empty expression", 0, len(passage.text), "An expression is expected here.", "Write one, or 0."
        )
    start, end = tokens[0].start, tokens[-1].end
    if end - start > MAX_LENGTH:
        raise passage.error(
            f"an expression of {end - start} characters",
            start,
            end,
            f"An expression has at most {MAX_LENGTH} characters.",
            "Give its parts names in lines of their own.",
        )
    check_order(passage, tokens)
    builder = _Builder(passage, tokens)
    node = builder.build()
    check_bounds(node, passage.source)
    return node


def _too_deep(passage: Passage, start: int, end: int) -> CellError:
    return passage.error(
        "an expression too deep",
        start,
        end,
        f"An expression has at most {MAX_DEPTH} levels (a sum of n terms has n).",
        "Give its parts names in lines of their own.",
    )


class _Builder:
    """Translates Python's tree of one expression; ``base`` is where its text begins in the passage."""

    def __init__(self, passage: Passage, tokens: Sequence[Token]) -> None:
        self.passage = passage
        self.base = tokens[0].start
        self.numbers = {token.start: token.text for token in tokens if token.kind == "number"}
        characters = [" "] * (tokens[-1].end - self.base)
        for token in tokens:
            spelled = passage.text[token.start : token.end]
            if token.primed:
                spelled = spelled[:-1] + PRIME
            characters[token.start - self.base : token.end - self.base] = spelled
        self.text = "".join(characters)
        # Python counts columns in bytes of UTF-8; this maps them to characters.
        self.position: list[int] = []
        for index, character in enumerate(self.text):
            self.position.extend([index] * len(character.encode()))
        self.position.append(len(self.text))

    def build(self) -> Node:
        """Parse and translate."""
        end = self.base + len(self.text)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self.text, mode="eval")
            return self.translate(tree.body, 1)
        except (RecursionError, MemoryError):
            raise _too_deep(self.passage, self.base, end) from None
        except (SyntaxError, ValueError) as error:
            at = self.base + max(0, (getattr(error, "offset", None) or 1) - 1)
            raise self.passage.error(
                "this is not an expression",
                min(at, end - 1),
                min(at, end - 1) + 1,
                "An expression is arithmetic in names and numbers.",
                "Check brackets and operators.",
            ) from None

    def place(self, node: ast.expr) -> tuple[int, int]:
        """First and last position of a node in the passage."""
        end = node.end_col_offset if node.end_col_offset is not None else node.col_offset + 1
        return self.base + self.position[node.col_offset], self.base + self.position[end]

    def span(self, node: ast.expr) -> Span:
        return self.passage.span(*self.place(node))

    def spelled(self, node: ast.expr) -> str:
        """The text of a node as the user wrote it, shortened for a message."""
        start, end = self.place(node)
        text = " ".join(self.passage.text[start:end].split())
        return text if len(text) <= 40 else text[:37] + "..."

    def translate(self, node: ast.expr, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _too_deep(self.passage, *self.place(node))
        match node:
            case ast.Constant():
                return self.number(node)
            case ast.Name(id=name):
                if name.endswith(PRIME):
                    return Next(name[: -len(PRIME)], self.span(node))
                return Name(name, self.span(node))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.translate(operand, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Negate(self.translate(operand, depth + 1), self.span(node))
            case ast.BinOp(op=ast.MatMult()):
                return self.product(node, depth)
            case ast.BinOp(op=operator, left=left, right=right) if type(operator) in _OPERATORS:
                first, second = self.translate(left, depth + 1), self.translate(right, depth + 1)
                return Binary(_OPERATORS[type(operator)], first, second, self.span(node))
            case ast.Call():
                return self.call(node, depth)
        raise self.passage.error(
            f"`{self.spelled(node)}` is not arithmetic",
            *self.place(node),
            "An expression consists of numbers, names, + - * / ** @ and functions of one argument.",
            "Write it with these.",
        )

    def number(self, node: ast.Constant) -> Number:
        """The exact value of the literal as written; Python's own value would be rounded."""
        literal = self.numbers.get(self.place(node)[0])
        if literal is None or isinstance(node.value, bool) or not isinstance(node.value, int | float):
            what = "a constant that is not a number"
            raise self.passage.error(what, *self.place(node), "Only numbers are constants.")
        return Number(Fraction(literal), self.span(node))

    def call(self, node: ast.Call, depth: int) -> Call:
        if not isinstance(node.func, ast.Name) or len(node.args) != 1 or node.keywords:
            raise self.passage.error(
                f"`{self.spelled(node)}` is not a call of one function with one argument",
                *self.place(node),
                "A function has a name and one argument.",
                "Write f(...).",
            )
        name = node.func.id
        if name.endswith(PRIME):
            raise self.passage.error(
                f"`{self.spelled(node.func)}` is called like a function",
                *self.place(node.func),
                "A prime marks the new value of a state; functions have no primes.",
                f"Write {name[:-1]}(...), or put a * before the bracket.",
            )
        return Call(name, self.translate(node.args[0], depth + 1), self.span(node))

    def product(self, node: ast.BinOp, depth: int) -> Product:
        left = node.left
        while isinstance(left, ast.UnaryOp) and isinstance(left.op, ast.UAdd):
            left = left.operand
        if not isinstance(left, ast.Name) or left.id.endswith(PRIME):
            raise self.passage.error(
                f"`{self.spelled(left)}` stands left of @",
                *self.place(left),
                "Left of @ stands the bare name of a weight; @ binds like * and from the left.",
                f"Write {self.mended(left, node.right)}.",
            )
        return Product(left.id, self.translate(node.right, depth + 1), self.span(node))

    def mended(self, left: ast.expr, right: ast.expr) -> str:
        """How ``left @ right`` was probably meant."""
        vector = self.spelled(right)
        match left:
            case ast.BinOp(op=ast.MatMult(), left=outer, right=inner):
                return f"`{self.spelled(outer)} @ ({self.spelled(inner)} @ {vector})`"
            case ast.BinOp(op=ast.Mult() | ast.Div() as operator, left=factor, right=ast.Name(id=weight)):
                return f"`{self.spelled(factor)}{_OPERATORS[type(operator)]}({weight} @ {vector})`"
            case ast.BinOp(op=ast.Add() | ast.Sub() as operator, left=ast.Name(id=one), right=ast.Name(id=two)):
                return f"`{one} @ {vector} {_OPERATORS[type(operator)]} {two} @ {vector}`"
            case ast.UnaryOp(operand=ast.Name(id=weight)):
                return f"`-({weight} @ {vector})`"
        return f"`W @ {vector}` with a name declared under [weights]"
