"""Limits on numbers and powers, so that no expression grows beyond reason in exact arithmetic.

``9**9**9**9`` is eleven characters and no computer holds it.  Constants are followed in floats:
a magnitude beyond 1e300 or below 1e-300 is refused, and so are powers beyond 64, nested ones
multiplied.  The same walk, through definitions and the cell's own functions, bounds the size to
which an equation expands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from derive.cell.arithmetic import ARITHMETIC_FUNCTIONS, apply
from derive.cell.expression import Binary, Call, Name, Negate, Next, Node, Number, Product
from derive.cell.functions import BUILTIN_FUNCTIONS
from derive.cell.source import Source
from derive.errors import CellError

LARGEST, SMALLEST, MAX_POWER = 1e300, 1e-300, 64.0

#: Nodes and levels of an equation with its definitions and functions written out; nodes visited in all.
MAX_EXPANDED, MAX_LEVELS, MAX_VISITS = 20_000, 150, 60_000

#: Levels of this walk itself, functions entered; each takes a few frames of Python's stack.
MAX_DESCENT = 150

#: Constants pass through these no larger than they came; the exact convention does not matter for a bound.
_NOT_GROWING = frozenset(BUILTIN_FUNCTIONS) - frozenset(ARITHMETIC_FUNCTIONS)

#: Functions under which a power of a power may simplify to one power.
_TRANSPARENT = frozenset({"relu", "leaky_relu", "abs", "identity", "sqrt"})


@dataclass(frozen=True)
class Measure:
    """Of an expression: its value if constant, its highest nested power, size and depth written out."""

    value: float | None = None
    power: float = 1.0
    size: int = 1
    depth: int = 1


def check_bounds(node: Node, source: Source) -> Measure:
    """Refuse an expression whose numbers or powers are out of bounds; names count as unknowns."""
    return Bounds(source, {}, {}).measure(node)


class Bounds:
    """Measures expressions where some names stand for expressions already measured.

    known : measure by name, with a prime for the new value of a state
    functions : bodies, in ``x``, of the cell's own functions
    """

    def __init__(self, source: Source, known: Mapping[str, Measure], functions: Mapping[str, Node]) -> None:
        self.source, self.known, self.functions = source, dict(known), functions
        self.visits = 0

    def measure(self, node: Node) -> Measure:
        """The measure of ``node``; raises CellError where a limit is passed."""
        return self._measure(node, self.known, 0)

    def _measure(self, node: Node, known: Mapping[str, Measure], level: int) -> Measure:
        self.visits += 1
        if self.visits > MAX_VISITS or level > MAX_DESCENT:
            raise self._too_large(node)
        measure = self._of_kind(node, known, level)
        if measure.size > MAX_EXPANDED or measure.depth > MAX_LEVELS:
            raise self._too_large(node)
        value = measure.value
        if value is not None and value != 0 and not SMALLEST <= abs(value) <= LARGEST:
            raise self._out_of_range(node, "too large" if abs(value) > 1 else "too small")
        return measure

    def _of_kind(self, node: Node, known: Mapping[str, Measure], level: int) -> Measure:
        match node:
            case Number(value=exact):
                number = self._guard(node, lambda: float(exact))
                if exact != 0 and number == 0:
                    raise self._out_of_range(node, "too small")
                return Measure(number, power=0.0)
            case Name(name=name):
                return known.get(name, Measure())
            case Next(name=name):
                return known.get(name + "'", Measure())
            case Negate(operand=inner):
                below = self._measure(inner, known, level + 1)
                value = None if below.value is None else -below.value
                return Measure(value, below.power, below.size + 1, below.depth + 1)
            case Product(operand=inner):
                below = self._measure(inner, known, level + 1)
                return Measure(None, 1.0, below.size + 1, below.depth + 1)
            case Call():
                return self._call(node, known, level)
            case Binary(left=left, right=right):
                return self._binary(node, self._measure(left, known, level + 1), self._measure(right, known, level + 1))

    def _binary(self, node: Binary, left: Measure, right: Measure) -> Measure:
        size, depth = left.size + right.size + 1, max(left.depth, right.depth) + 1
        power = max(left.power, right.power)
        if node.op in "*/" and left.power > 1 and right.power > 1:
            power = left.power + right.power
        if node.op == "**":
            power = self._power(node, left, right)
        if left.value is None or right.value is None:
            return Measure(None, power, size, depth)
        first, second = left.value, right.value
        value = self._guard(node, lambda: apply(node.op, first, second))
        if value == 0 and first != 0 and node.op in ("*", "/", "**") and second != 0:
            raise self._out_of_range(node, "too small")
        return Measure(value, power, size, depth)

    def _power(self, node: Binary, base: Measure, exponent: Measure) -> float:
        """The power of ``base**exponent``, refused beyond the limit."""
        if exponent.value is None:
            return max(base.power, exponent.power, 1.0)
        own = abs(exponent.value)
        total = own * max(base.power, 1.0)
        if own > MAX_POWER or total > MAX_POWER:
            what = f"the power {own:.6g}" if own > MAX_POWER else f"nested powers of total exponent {total:.6g}"
            raise self.source.error(
                f"{what} is out of range",
                node.span,
                f"Numeric exponents, multiplied where powers nest, lie between -{MAX_POWER:g} and {MAX_POWER:g}.",
                "Lower it, or write exp(a*log(b)).",
            )
        return 0.0 if base.value is not None else total

    def _call(self, node: Call, known: Mapping[str, Measure], level: int) -> Measure:
        inner = self._measure(node.argument, known, level + 1)
        power = inner.power if node.function in _TRANSPARENT else 1.0
        body = self.functions.get(node.function)
        if body is not None:
            inside = self._measure(body, {"x": inner}, level + 1)
            return Measure(inside.value, inside.power, inside.size + 1, inside.depth + 1)
        size, depth = inner.size + 1, inner.depth + 1
        if inner.value is None or node.function not in BUILTIN_FUNCTIONS:
            return Measure(None, power, size, depth)
        argument = inner.value
        if node.function in _NOT_GROWING:
            return Measure(max(1.0, abs(argument)), 0.0, size, depth)
        value = self._guard(node, lambda: ARITHMETIC_FUNCTIONS[node.function](argument))
        if node.function in ("exp", "sigmoid") and value == 0:
            raise self._out_of_range(node, "too small")
        return Measure(value, 0.0, size, depth)

    def _guard(self, node: Node, compute: Callable[[], float]) -> float:
        try:
            value = compute()
        except OverflowError:
            raise self._out_of_range(node, "too large") from None
        except (ZeroDivisionError, ValueError):
            value = math.nan
        if math.isnan(value):
            raise self.source.error(
                "this constant has no real value",
                node.span,
                "Division by zero, and roots or logarithms of what is not positive, are refused.",
                "Write another constant.",
            )
        return value

    def _out_of_range(self, node: Node, how: str) -> CellError:
        return self.source.error(
            f"this constant is {how}",
            node.span,
            f"The magnitude of a constant is zero or between {SMALLEST:g} and {LARGEST:g}.",
            "Absorb the scale in a parameter.",
        )

    def _too_large(self, node: Node) -> CellError:
        return self.source.error(
            "an expression that grows too large when definitions and functions are written out",
            node.span,
            f"An equation written out has at most {MAX_EXPANDED} parts and {MAX_LEVELS} levels.",
            "Simplify the definitions.",
        )
