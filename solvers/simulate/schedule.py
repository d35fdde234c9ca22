"""The parsed equations in the order in which a computer can evaluate them.

Walking the syntax trees of a cell once gives a list of instructions in which every sub-expression
that is written twice stands once.  Definitions, user functions and ``c'`` are followed to what they
stand for, so ``W @ v`` and ``W @ (r*h)`` with ``v = r*h`` are one instruction, hence one field.
Nothing is simplified: two products are the same field only if their trees are the same, up to the
order of the two operands of + and of *.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from derive.cell.expression import Binary, Call, Name, Negate, Next, Node, Number, Product, walk
from derive.cell.spec import Cell, Equation
from solvers.simulate.elementwise import ELEMENTWISE


@dataclass(frozen=True)
class Instruction:
    """One operation: what to do, by which name, on the results of which earlier instructions.

    kind is "number", "parameter", "state", "bias", "input" (leaves), "negate", "binary", "call", "product" or
    "alias" (a user function: the value of its last argument, the body); name is the literal, the leaf's name, the
    operator, the function or the weight.
    """

    kind: str
    name: str
    arguments: tuple[int, ...] = ()
    number: float = 0.0


@dataclass(frozen=True)
class Field:
    """One matrix product ``u = W @ v``: its name, its weight, where v and u are computed."""

    name: str
    weight: str
    operand: int
    product: int


@dataclass(frozen=True)
class Schedule:
    """A cell as straight-line code.  Integers are places in ``instructions``.

    Attributes
    ----------
    fields : in dependency order, ties as written; the n-th distinct product of W is ``W.n`` (the first is ``W``)
    updates : per state, in the order of the states, its next value, or its flow divided by its time constant
    definitions : by name
    arguments : by name of a definition that reads ``f(argument)`` with a product inside, its argument
    """

    instructions: tuple[Instruction, ...]
    fields: tuple[Field, ...]
    updates: tuple[int, ...]
    definitions: Mapping[str, int]
    arguments: Mapping[str, int]


class _Placer:
    """Puts trees into a growing list of instructions, each distinct one once."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.updates = cell.updates
        self.definitions = cell.definitions
        self.instructions: list[Instruction] = []
        self.place_of: dict[Instruction, int] = {}
        self.place_of_definition: dict[str, int] = {}

    def put(self, instruction: Instruction) -> int:
        if instruction not in self.place_of:
            self.place_of[instruction] = len(self.instructions)
            self.instructions.append(instruction)
        return self.place_of[instruction]

    def place(self, node: Node, argument: int | None = None) -> int:
        """Place of a tree; inside a user function, argument is the place of its ``x``."""
        match node:
            case Number(value=value):
                return self.put(Instruction("number", str(value), (), float(value)))
            case Name(name=name):
                return argument if argument is not None and name == "x" else self.place_name(name)
            case Next(name=name):
                return self.place(self.updates[name].right)
            case Negate(operand=inner):
                return self.put(Instruction("negate", "-", (self.place(inner, argument),)))
            case Binary(op=op, left=left, right=right):
                places = (self.place(left, argument), self.place(right, argument))
                # IEEE sums and products of two numbers commute exactly, so r*h and h*r are one instruction.
                return self.put(Instruction("binary", op, tuple(sorted(places)) if op in "+*" else places))
            case Call(function=function, argument=inner):
                return self.place_call(function, self.place(inner, argument))
            case Product(weight=weight, operand=inner):
                return self.put(Instruction("product", weight, (self.place(inner, argument),)))
        raise TypeError(f"not a node of a cell's syntax tree: {node!r}")

    def place_update(self, equation: Equation) -> int:
        right = self.place(equation.right)
        if equation.time_constant is None:
            return right
        return self.put(Instruction("binary", "/", (right, self.place(equation.time_constant))))

    def place_name(self, name: str) -> int:
        if name in self.definitions:
            if name not in self.place_of_definition:
                self.place_of_definition[name] = self.place(self.definitions[name].right)
            return self.place_of_definition[name]
        if name in self.updates:
            return self.put(Instruction("state", name))
        if name in self.cell.biases:
            return self.put(Instruction("bias", name))
        if name in self.cell.inputs:
            return self.put(Instruction("input", name))
        return self.put(Instruction("parameter", name))

    def place_call(self, function: str, argument: int) -> int:
        if function == "identity":
            return argument
        # A user function shadows nothing: the reader refuses one that is named like a built-in.  Its body is followed,
        # but phi(h) stays another expression than the tanh(h) it may stand for.
        if function in self.cell.functions:
            body = self.place(self.cell.functions[function], argument)
            return self.put(Instruction("alias", function, (argument, body)))
        if function not in ELEMENTWISE:
            raise KeyError(f"the simulator has no elementwise function named {function!r}")
        return self.put(Instruction("call", function, (argument,)))


def schedule(cell: Cell) -> Schedule:
    """Straight-line code for a checked cell.

    Raises
    ------
    KeyError : the tree calls a function that is neither built in nor under ``cell.functions``
    """
    placer = _Placer(cell)
    updates = tuple(placer.place_update(equation) for equation in placer.updates.values())
    definitions = {name: placer.place_name(name) for name in placer.definitions}
    products = [placer.place(node) for node in _products(cell.equations)]
    arguments = {
        name: placer.place(equation.right.argument)
        for name, equation in placer.definitions.items()
        if isinstance(equation.right, Call) and _has_product(equation.right.argument)
    }
    instructions = tuple(placer.instructions)
    return Schedule(instructions, _fields(instructions, products), updates, definitions, arguments)


def _products(equations: tuple[Equation, ...]) -> Iterator[Product]:
    for equation in equations:
        for node in walk(equation.right):
            if isinstance(node, Product):
                yield node


def _has_product(node: Node) -> bool:
    return any(isinstance(inner, Product) for inner in walk(node))


def _fields(instructions: tuple[Instruction, ...], written: list[int]) -> tuple[Field, ...]:
    """Always next the first one, as written, of those whose operand needs only fields that are already there."""
    needed = _products_below(instructions)
    waiting = list(dict.fromkeys(written))
    count: dict[str, int] = {}
    fields: list[Field] = []
    while waiting:
        there = {field.product for field in fields}
        place = next(place for place in waiting if needed[place] <= there)
        waiting.remove(place)
        weight = instructions[place].name
        count[weight] = count.get(weight, 0) + 1
        name = weight if count[weight] == 1 else f"{weight}.{count[weight]}"
        fields.append(Field(name, weight, instructions[place].arguments[0], place))
    return tuple(fields)


def _products_below(instructions: tuple[Instruction, ...]) -> list[frozenset[int]]:
    """Per instruction, the places of all products inside it, itself not counted."""
    below: list[frozenset[int]] = []
    for instruction in instructions:
        inside: frozenset[int] = frozenset()
        for argument in instruction.arguments:
            own = {argument} if instructions[argument].kind == "product" else set()
            inside |= below[argument] | own
        below.append(inside)
    return below
