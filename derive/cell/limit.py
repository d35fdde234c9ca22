"""Another cell from a cell: a parameter sent to infinity (``--limit sigma_z=oo``), saturated gates as exact steps.

Every expression gets its leading behaviour: order 1 grows like the parameter p, order 0 stays.  A field whose gain is
p, a bias whose mean or deviation is p and p itself are of order 1; a saturating function of an argument of order 1 is
the step function of the leading part, in which the parameter no longer stands; anything else of order 1 grows
without bound and has no limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from derive.cell.arithmetic import names_in
from derive.cell.expression import Binary, Call, Name, Negate, Next, Node, Number, Product, walk
from derive.cell.spec import Bias, Cell, Equation, Weight
from derive.cell.substitute import inlined
from derive.errors import ParameterError

ONE, ZERO = Number(Fraction(1)), Number(Fraction(0))

#: Functions that tend to the step function, and to the sign, of a growing argument.
_TO_STEP = ("sigmoid", "hard_sigmoid")
_TO_SIGN = ("tanh", "erf", "hard_tanh", "softsign")
INFINITE = {"oo": 1, "inf": 1, "infinity": 1, "-oo": -1, "-inf": -1, "-infinity": -1}


def limit(cell: Cell, assignments: Iterable[str]) -> Cell:
    """The cell with each ``name=oo`` (or ``-oo``) of ``assignments`` applied in turn.

    Raises
    ------
    ParameterError : no such parameter, no infinite value, or something that grows without bound.
    """
    for text in assignments:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or value not in INFINITE:
            raise ParameterError(f"--limit {text}: a limit is written NAME=oo or NAME=-oo; for a number use --set")
        if name not in cell.parameters:
            known = ", ".join(cell.parameters)
            raise ParameterError(f"--limit {text}: {cell.name} has no parameter `{name}`; there are {known}")
        for function in [f for f, body in cell.functions.items() if name in _names(body)]:
            cell = inlined(cell, function)
        cell = _Limit(cell, name, INFINITE[value], text).cell()
    return cell


class _Limit:
    """One parameter going to infinity."""

    def __init__(self, cell: Cell, name: str, sign: int, text: str) -> None:
        self.old, self.name, self.sign, self.text = cell, name, sign, text
        self.weights: dict[str, Weight] = {}
        self.steep: set[str] = set()  # weights whose gain grows
        self.biases: dict[str, Bias] = {}
        self.leading: dict[str, Node] = {}  # biases that grow: their leading part
        self.orders: dict[str, int] = {}

    def cell(self) -> Cell:
        """The limiting cell."""
        for weight in self.old.weights.values():
            order, lead = self.scaled(weight.gain)
            self.steep |= {weight.name} if order else set()
            self.weights[weight.name] = replace(weight, gain=lead)
        for bias in self.old.biases.values():
            self._bias(bias)
        for item in self.old.inputs.values():
            if self.name in names_in(item.variance) | names_in(item.mean) | names_in(item.correlation):
                raise self.refused(f"the input `{item.name}` would have no distribution")
        equations = tuple(self._equation(eq) for eq in self._in_order())
        written = {eq.target: k for k, eq in enumerate(self.old.equations)}
        return replace(
            self.old,
            equations=tuple(sorted(equations, key=lambda eq: written[eq.target])),
            weights=self.weights,
            biases=self.biases,
            parameters={k: v for k, v in self.old.parameters.items() if k != self.name},
        )

    def refused(self, why: str) -> ParameterError:
        return ParameterError(f"--limit {self.text}: {why}")

    def _in_order(self) -> list[Equation]:
        """Definitions before those that read them."""
        done: list[Equation] = []
        waiting = list(self.old.equations)
        while waiting:
            missing = {eq.target for eq in waiting if eq.kind == "definition"}
            ready = [eq for eq in waiting if not _names(eq.right) & missing]
            done += ready
            waiting = [eq for eq in waiting if eq not in ready]
        return done

    def _equation(self, eq: Equation) -> Equation:
        order, lead = self.scaled(eq.right)
        self.orders[eq.target] = order if eq.kind == "definition" else 0
        if order and eq.kind != "definition":
            raise self.refused(f"the equation of `{eq.target}` grows without bound")
        if eq.time_constant is not None and self.name in names_in(eq.time_constant):
            raise self.refused(f"the time constant of `{eq.target}` would be infinite")
        return replace(eq, right=lead, text="")

    def _bias(self, bias: Bias) -> None:
        mean_order, mean = self.scaled(bias.mean)
        std_order, std = self.scaled(bias.std)
        if std_order:
            self.biases[bias.name] = replace(bias, mean=mean if mean_order else ZERO, std=std)
            self.leading[bias.name] = Name(bias.name)
        else:
            self.biases[bias.name] = bias if not mean_order else replace(bias, mean=ZERO)
            if mean_order:
                self.leading[bias.name] = mean

    def scaled(self, node: Node) -> tuple[int, Node]:
        """Order in the parameter, and the leading part with the parameter taken out."""
        match node:
            case Name(name=name) if name == self.name:
                return 1, ONE if self.sign > 0 else Negate(ONE)
            case Name(name=name) if name in self.leading:
                return 1, self.leading[name]
            case Name(name=name):
                return self.orders.get(name, 0), node
            case Number() | Next():
                return 0, node
            case Negate(operand=inner):
                order, lead = self.scaled(inner)
                return order, replace(node, operand=lead)
            case Product(weight=weight, operand=inner):
                order, lead = self.scaled(inner)
                return order + (weight in self.steep), replace(node, operand=lead)
            case Call(function=function, argument=argument):
                return 0, self._call(node, function, argument)
            case Binary(op=op, left=left, right=right):
                return self._binary(node, op, self.scaled(left), self.scaled(right))
        raise TypeError(f"not a node: {node!r}")

    def _call(self, node: Call, function: str, argument: Node) -> Node:
        order, lead = self.scaled(argument)
        if order == 0:
            return replace(node, argument=lead)
        name = self._built_in(function)
        if name in _TO_STEP:
            return Call("step", lead)
        if name in _TO_SIGN:
            return Call("sign", lead)
        raise self.refused(f"{function} of something that grows has no finite limit")

    def _built_in(self, function: str) -> str:
        """The built-in function that a function of the file merely renames."""
        while function in self.old.functions:
            body = self.old.functions[function]
            if not (isinstance(body, Call) and body.argument == Name("x")):
                break
            function = body.function
        return function

    def _binary(self, node: Binary, op: str, left: tuple[int, Node], right: tuple[int, Node]) -> tuple[int, Node]:
        (p, a), (q, b) = left, right
        if op in ("+", "-"):
            if p == q:
                return p, replace(node, left=a, right=b)
            if p > q:
                return p, a
            return q, b if op == "+" else Negate(b)
        if op == "*":
            return p + q, replace(node, left=a, right=b)
        if op == "/":
            if q > p:
                return 0, ZERO
            return p - q, replace(node, left=a, right=b)
        if p == 0 and q == 0:
            return 0, replace(node, left=a, right=b)
        if isinstance(b, Number) and b.value.denominator == 1 and b.value >= 0 and q == 0:
            return p * int(b.value), replace(node, left=a, right=b)
        raise self.refused("a power of something that grows has no simple limit")


def _names(node: Node) -> set[str]:
    """Names read in an expression, inside of products as well."""
    return {inner.name for inner in walk(node) if isinstance(inner, Name)}
