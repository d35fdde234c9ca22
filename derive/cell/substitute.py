"""Another cell from a cell: a function, a parameter, a bias, an input or a gain replaced (``--set``).

    phi = erf                a function of the file, or a built-in one wherever it is called
    sigmoid = (1 + erf(x))/2
    mu_z = 0                 a parameter, by arithmetic in the others
    b_z = 0, x = 0           a bias or an input that is the same number for all units
    W_z = 1/sqrt(3)          the gain of a weight that has no parameter
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from derive.cell.arithmetic import names_in, text_of
from derive.cell.expression import Binary, Call, Name, Negate, Node, Product, walk
from derive.cell.functions import BUILTIN_FUNCTIONS
from derive.cell.grammar import parse_expression
from derive.cell.names import did_you_mean
from derive.cell.source import Passage, Source
from derive.cell.spec import Cell
from derive.errors import CellError, ParameterError

Rewrite = Callable[[Node], Node | None]


def rewrite(node: Node, rule: Rewrite) -> Node:
    """The tree with every part for which ``rule`` returns something replaced by it, outermost first."""
    found = rule(node)
    if found is not None:
        return found
    match node:
        case Negate(operand=inner):
            return replace(node, operand=rewrite(inner, rule))
        case Product(operand=inner):
            return replace(node, operand=rewrite(inner, rule))
        case Call(argument=inner):
            return replace(node, argument=rewrite(inner, rule))
        case Binary(left=left, right=right):
            return replace(node, left=rewrite(left, rule), right=rewrite(right, rule))
    return node


def substitute(cell: Cell, assignments: Iterable[str]) -> Cell:
    """The cell with each ``name=value`` of ``assignments`` applied in turn.

    Raises
    ------
    ParameterError : no ``name=value``, a name that the cell does not have, or a value that does not fit it.
    """
    for text in assignments:
        cell = _one(cell, text)
    return cell


def _one(cell: Cell, text: str) -> Cell:
    name, sign, _ = text.partition("=")
    name = name.strip()
    if not sign or not name.isidentifier():
        raise ParameterError(f"--set {text}: this is not NAME=VALUE; write, for example, --set phi=erf or --set mu_z=0")
    value = _value(text, text.index("=") + 1)
    called = {n.function for eq in cell.equations for n in walk(eq.right) if isinstance(n, Call)}
    called |= {n.function for body in cell.functions.values() for n in walk(body) if isinstance(n, Call)}
    if name in cell.functions or name in called:
        return _with_function(cell, name, _body(text, value, cell))
    _require_arithmetic(text, name, value, cell)
    if name in cell.parameters:
        return _with_parameter(cell, name, value)
    if name in cell.biases:
        biases = {key: item for key, item in cell.biases.items() if key != name}
        return replace(_with_name(cell, name, value), biases=biases)
    if name in cell.inputs:
        inputs = {key: item for key, item in cell.inputs.items() if key != name}
        return replace(_with_name(cell, name, value), inputs=inputs)
    if name in cell.weights:
        weights = {key: replace(w, gain=value) if key == name else w for key, w in cell.weights.items()}
        return replace(cell, weights=weights)
    names = [*cell.functions, *sorted(called - set(cell.functions)), *cell.parameters, *cell.biases, *cell.inputs,
             *cell.weights]  # fmt: skip
    guess = did_you_mean(name, names)
    raise ParameterError(f"--set {text}: {cell.name} has no `{name}` that can be set; there are {', '.join(names)}. "
                         f"{guess}".strip())  # fmt: skip


def _value(text: str, start: int) -> Node:
    if not text[start:].strip():
        raise ParameterError(f"--set {text}: there is no value behind the `=`")
    passage = Passage(Source(f"--set {text[:80]}", text), text[start:], range(start, len(text) + 1))
    try:
        return parse_expression(passage)
    except CellError as error:
        raise ParameterError(str(error)) from None


def _body(text: str, value: Node, cell: Cell) -> Node:
    """A function of x: a bare name f means f(x)."""
    names = {*BUILTIN_FUNCTIONS, *cell.functions}
    if isinstance(value, Name) and value.name in names:
        value = Call(value.name, Name("x"))
    for node in walk(value):
        if isinstance(node, Product):
            raise ParameterError(f"--set {text}: a function acts on each unit; it holds no matrix product")
        if isinstance(node, Call) and node.function not in names:
            guess = did_you_mean(node.function, sorted(names))
            raise ParameterError(f"--set {text}: `{node.function}` is no function. {guess}".strip())
        if isinstance(node, Name) and node.name != "x" and node.name not in cell.parameters:
            rule = f"a function is written in x and the parameters {', '.join(cell.parameters)}"
            raise ParameterError(f"--set {text}: `{node.name}` is not known; {rule}")
    return value


def _require_arithmetic(text: str, name: str, value: Node, cell: Cell) -> None:
    unknown = sorted(names_in(value) - (set(cell.parameters) - {name}))
    if unknown or any(isinstance(node, Product) for node in walk(value)):
        what = f"`{unknown[0]}` is not another parameter" if unknown else "a matrix product is no number"
        raise ParameterError(f"--set {text}: {what}; a value is arithmetic in numbers and other parameters")


def _with_function(cell: Cell, name: str, body: Node) -> Cell:
    if name in cell.functions:
        if any(isinstance(node, Call) and node.function == name for node in walk(body)):
            raise ParameterError(f"--set {name}={text_of(body)}: a function cannot be defined by itself")
        return replace(cell, functions={**cell.functions, name: body})
    return _with_calls(cell, name, body)


def inlined(cell: Cell, name: str) -> Cell:
    """The cell with every call of one of its own functions written out."""
    changed = _with_calls(cell, name, cell.functions[name])
    return replace(changed, functions={k: f for k, f in changed.functions.items() if k != name})


def _with_calls(cell: Cell, name: str, body: Node) -> Cell:
    """Every call name(argument) replaced by the body with that argument for x."""

    def rule(node: Node) -> Node | None:
        if not isinstance(node, Call) or node.function != name:
            return None
        argument = rewrite(node.argument, rule)
        return rewrite(body, _leaf("x", argument))

    equations = tuple(replace(eq, right=rewrite(eq.right, rule), text="") for eq in cell.equations)
    return replace(cell, equations=equations, functions={k: rewrite(f, rule) for k, f in cell.functions.items()})


def _leaf(name: str, value: Node) -> Rewrite:
    """The rule that puts ``value`` for a name."""
    return lambda node: value if node == Name(name) else None


def _with_name(cell: Cell, name: str, value: Node) -> Cell:
    """A leaf replaced in the equations and in the bodies of functions."""

    rule = _leaf(name, value)
    equations = tuple(
        replace(
            eq,
            right=rewrite(eq.right, rule),
            time_constant=None if eq.time_constant is None else rewrite(eq.time_constant, rule),
        )
        for eq in cell.equations
    )
    return replace(cell, equations=equations, functions={k: rewrite(f, rule) for k, f in cell.functions.items()})


def _with_parameter(cell: Cell, name: str, value: Node) -> Cell:
    """A parameter replaced everywhere, also in distributions."""

    def put(node: Node) -> Node:
        return rewrite(node, _leaf(name, value))

    cell = _with_name(cell, name, value)
    inputs = {
        k: replace(item, variance=put(item.variance), correlation=put(item.correlation), mean=put(item.mean))
        for k, item in cell.inputs.items()
    }
    parameters: Mapping[str, float | None] = {k: v for k, v in cell.parameters.items() if k != name}
    return replace(
        cell,
        weights={k: replace(w, gain=put(w.gain)) for k, w in cell.weights.items()},
        biases={k: replace(b, mean=put(b.mean), std=put(b.std)) for k, b in cell.biases.items()},
        inputs=inputs,
        parameters=parameters,
    )
