"""A cell's equations, set from their syntax trees: matrix products, and ⊙ between vectors."""

from __future__ import annotations

from fractions import Fraction

from derive.cell.expression import Binary, Call, Name, Negate, Next, Node, Number, Product
from derive.cell.spec import Cell
from derive.write.box import POWER, PRODUCT, SUM, Box
from derive.write.notation import Notation
from derive.write.style import Style, total


class TreeSetter:
    """Sets the equations of one cell; ``indexed``: with the number of the step as an index instead of primes."""

    def __init__(self, cell: Cell, style: Style, notation: Notation, *, indexed: bool = False) -> None:
        self.style, self.notation = style, notation
        self.indexed = indexed and cell.time == "discrete"
        self.states, self.biases = frozenset(cell.states), frozenset(cell.biases)
        self.definitions = {name: item.right for name, item in cell.definitions.items()}
        self.vectors = {*cell.states, *cell.biases, *cell.inputs}
        for name in cell.definitions:
            if self._definition_is_vector(name, frozenset()):
                self.vectors.add(name)

    def _definition_is_vector(self, name: str, seen: frozenset[str]) -> bool:
        return name not in seen and self._is_vector(self.definitions[name], seen | {name})

    def _is_vector(self, node: Node, seen: frozenset[str] = frozenset()) -> bool:
        match node:
            case Product() | Next():
                return True
            case Name(name=name):
                return name in self.vectors or (name in self.definitions and self._definition_is_vector(name, seen))
            case Negate(operand=inner) | Call(argument=inner):
                return self._is_vector(inner, seen)
            case Binary(left=left, right=right):
                return self._is_vector(left, seen) or self._is_vector(right, seen)
        return False

    def box(self, node: Node) -> Box:
        """The expression, set in the order in which it is written."""
        match node:
            case Number(value=value):
                return self.number(value)
            case Name(name=name):
                return self.present(name)
            case Next(name=name):
                return self.next(name)
            case Negate():
                return total([(True, self._term(node.operand))])
            case Product(weight=weight, operand=operand):
                return self.style.matrix_product(self.notation.name(weight), self.box(operand))
            case Call(function=function, argument=argument):
                return self._call(function, self.box(argument))
            case Binary(op="+" | "-"):
                return total(self._terms(node))
            case Binary(op=op, left=left, right=right):
                return self._binary(op, left, right)
        raise TypeError(f"not a node: {node!r}")

    def present(self, name: str) -> Box:
        """A name as it stands on a right-hand side."""
        if self.indexed and name in self.vectors - self.biases:
            return self.notation.at_step(name, before=name in self.states)
        return self.notation.name(name)

    def next(self, name: str) -> Box:
        """The next value of a state."""
        return self.notation.at_step(name, before=False) if self.indexed else self.notation.name(name, 1)

    def number(self, value: Fraction) -> Box:
        """A literal: a decimal where it has one, else a fraction."""
        if value.denominator == 1:
            return self.style.integer(int(value))
        short = f"{float(value):.12g}"
        if Fraction(short) == value and "e" not in short:
            return Box(short, len(short))
        return self.style.fraction(self.style.integer(value.numerator), self.style.integer(value.denominator))

    def _term(self, node: Node) -> Box:
        box = self.box(node)
        return self.style.bracket(box) if box.strength <= SUM else box

    def _terms(self, node: Node) -> list[tuple[bool, Box]]:
        """The summands from left to right; brackets around a right-hand sum are kept."""
        match node:
            case Binary(op="+" | "-" as op, left=left, right=right):
                return [*self._terms(left), (op == "-", self._term(right))]
            case Negate(operand=inner):
                return [(True, self._term(inner))]
        return [(False, self.box(node))]

    def _call(self, function: str, argument: Box) -> Box:
        if function == "sqrt":
            return self.style.root(argument)
        if function == "abs":
            return self.style.modulus(argument)
        head, inside = self.notation.function(function, 0), self.style.bracket(argument)
        return Box(head.text + inside.text, head.width + inside.width, POWER, inside.tall)

    def _binary(self, op: str, left: Node, right: Node) -> Box:
        if op == "/":
            return self.style.fraction(self.box(left), self.box(right))
        if op == "**":
            return self.style.power(self.box(left), self.box(right))
        first, second = self.box(left), self.box(right)
        if self._is_vector(left) and self._is_vector(right):
            return self.style.elementwise(first, second)
        box = self.style.product([first, second])
        return Box(box.text, box.width, PRODUCT, box.tall)
