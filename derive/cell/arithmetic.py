"""Arithmetic in parameters: the value of a gain, a mean or a variance, in plain floats."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from derive.cell.expression import Binary, Call, Name, Negate, Next, Node, Number, Product
from derive.errors import ParameterError


def _sigmoid(value: float) -> float:
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    return math.exp(value) / (1.0 + math.exp(value))


#: Functions that may stand in a gain, a bias or an input.
ARITHMETIC_FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "abs": abs,
    "sin": math.sin,
    "cos": math.cos,
    "arctan": math.atan,
    "tanh": math.tanh,
    "erf": math.erf,
    "sigmoid": _sigmoid,
    "identity": float,
}


def evaluate(node: Node, values: Mapping[str, float]) -> float:
    """The finite value of ``node`` where each name has the given value.

    Raises ParameterError, naming the expression, when a name has no value or the value is not a
    finite real number.
    """
    try:
        result = _value(node, values)
    except (ZeroDivisionError, OverflowError, ValueError):
        result = math.nan
    if not math.isfinite(result):
        used = ", ".join(f"{name} = {values[name]!r}" for name in sorted(names_in(node)) if name in values)
        where = f" at {used}" if used else ""
        raise ParameterError(
            f"`{text_of(node)}` has no finite real value{where}. "
            "Divisions by zero, overflow, and roots or logarithms of negative numbers are refused; "
            "change the parameters or the expression."
        )
    return result


def names_in(node: Node) -> set[str]:
    """The names in an expression."""
    from_node: set[str] = set()
    pending = [node]
    while pending:
        match pending.pop():
            case Name(name=name):
                from_node.add(name)
            case Negate(operand=inner) | Call(argument=inner):
                pending.append(inner)
            case Binary(left=left, right=right):
                pending += [left, right]
    return from_node


def _value(node: Node, values: Mapping[str, float]) -> float:
    match node:
        case Number(value=value):
            return float(value)
        case Name(name=name):
            if name not in values:
                raise ParameterError(f"`{name}` has no value. Give it one: {name}=1.0.")
            return values[name]
        case Negate(operand=inner):
            return -_value(inner, values)
        case Binary(op=op, left=left, right=right):
            return apply(op, _value(left, values), _value(right, values))
        case Call(function=name, argument=inner) if name in ARITHMETIC_FUNCTIONS:
            return ARITHMETIC_FUNCTIONS[name](_value(inner, values))
    raise ParameterError(f"`{text_of(node)}` is not arithmetic in parameters.")


def apply(op: str, left: float, right: float) -> float:
    """``left op right`` in real numbers; raises ArithmeticError or ValueError where undefined."""
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "**":
            return math.pow(left, right)
    raise ValueError(op)


_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "@": 2, "**": 4}


def text_of(node: Node) -> str:
    """The expression as one would type it, with only the brackets it needs."""
    return _text(node)[0]


def _text(node: Node) -> tuple[str, int]:
    """Text and binding strength (5: atom)."""
    match node:
        case Number(value=value):
            return number_text(value), 5 if value >= 0 else 3
        case Name(name=name):
            return name, 5
        case Next(name=name):
            return name + "'", 5
        case Negate(operand=inner):
            return "-" + _bracketed(inner, 3), 3
        case Call(function=name, argument=inner):
            return f"{name}({_text(inner)[0]})", 5
        case Product(weight=weight, operand=inner):
            return f"{weight} @ {_bracketed(inner, 3)}", 2
        case Binary(op="**", left=left, right=right):
            return f"{_bracketed(left, 5)}**{_bracketed(right, 3)}", 4
        case Binary(op=op, left=left, right=right):
            strength = _PRECEDENCE[op]
            space = " " if strength == 1 else ""
            return f"{_bracketed(left, strength)}{space}{op}{space}{_bracketed(right, strength + 1)}", strength


def _bracketed(node: Node, strength: int) -> str:
    text, own = _text(node)
    return text if own >= strength else f"({text})"


def number_text(value: Fraction) -> str:
    """A literal that reads back as exactly ``value`` where one exists, else a quotient in brackets."""
    if value.denominator == 1:
        return str(value.numerator) if abs(value) < 10**20 else f"{float(value):.17g}"
    digits = value.denominator
    for prime in (2, 5):
        while digits % prime == 0:
            digits //= prime
    short = repr(float(value))
    if digits == 1 and Fraction(short) == value:
        return short
    return f"({value.numerator}/{value.denominator})"
