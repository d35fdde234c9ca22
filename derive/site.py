"""The site form of a cell: one unit in the fields of all others.

    u_k = W_k v_k,    s' = F(s, u, x, beta)    (or ds/dt = F)
    L = dF/ds (S,S)   a = dF/du (S,K)   b = dv/ds (K,S)   e = dv/du (K,K, strictly lower triangular)

so that a perturbation obeys  ds' = L ds + a du,  du_k = W_k (b ds + e du)_k.  Everything the theory
knows of a cell it knows through this object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from derive.cell.arithmetic import names_in
from derive.cell.expression import Binary, Call, Name, Negate, Next, Node, Number, Product, Span
from derive.cell.spec import Cell
from derive.elementary import Fn, FunctionTable, X
from derive.errors import GatefieldError


@dataclass(frozen=True)
class Field:
    """One matrix product u = W v.

    name : the matrix, with ``.2`` for its second product; symbol : u; v : what is multiplied;
    weight : the matrix; gain : its gain as an expression in parameters.
    """

    name: str
    weight: str
    symbol: sp.Symbol
    v: sp.Expr
    gain: sp.Expr


@dataclass(frozen=True)
class Quenched:
    """A Gaussian number per unit that is not a field: a bias or an input (mean and *second moment*)."""

    name: str
    kind: str
    symbol: sp.Symbol
    mean: sp.Expr
    second: sp.Expr
    correlation: sp.Expr = sp.S.One

    @property
    def variance(self) -> sp.Expr:
        """Second moment minus squared mean."""
        return self.second - self.mean**2


@dataclass(frozen=True)
class Definition:
    """A definition of the file: its value, and where it is one function call, the function and its argument."""

    name: str
    value: sp.Expr
    function: str | None
    argument: sp.Expr | None


@dataclass(frozen=True)
class SiteForm:
    """F, v and their derivatives, by differentiation of the parsed equations.

    states : (S,) symbols; fields : (K,) in dependency order; F : (S,) right-hand sides, divided by
    their time constants in continuous time; quenched : biases and inputs; parameters : symbols.
    """

    cell: Cell
    states: tuple[sp.Symbol, ...]
    fields: tuple[Field, ...]
    F: tuple[sp.Expr, ...]
    quenched: tuple[Quenched, ...]
    parameters: Mapping[str, sp.Symbol]
    definitions: tuple[Definition, ...]
    functions: FunctionTable

    @property
    def discrete(self) -> bool:
        """Whether F is the next state (True) or the flow (False)."""
        return self.cell.time == "discrete"

    @cached_property
    def L(self) -> sp.Matrix:
        """dF/ds, shape (S, S)."""
        return _derivatives(self.F, self.states)

    @cached_property
    def a(self) -> sp.Matrix:
        """dF/du, shape (S, K)."""
        return _derivatives(self.F, [k.symbol for k in self.fields])

    @cached_property
    def b(self) -> sp.Matrix:
        """dv/ds, shape (K, S)."""
        return _derivatives([k.v for k in self.fields], self.states)

    @cached_property
    def e(self) -> sp.Matrix:
        """dv/du, shape (K, K), strictly lower triangular."""
        return _derivatives([k.v for k in self.fields], [k.symbol for k in self.fields])

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Field numbers by matrix: products of one matrix are correlated, all others independent."""
        found: dict[str, tuple[int, ...]] = {}
        for number, item in enumerate(self.fields):
            found[item.weight] = (*found.get(item.weight, ()), number)
        return found

    @cached_property
    def input_fields(self) -> frozenset[int]:
        """Fields that no state feeds, directly or through other fields."""
        states = set(self.states)
        fed: set[int] = set()
        for number, item in enumerate(self.fields):
            earlier = {self.fields[k].symbol for k in fed}
            if item.v.free_symbols & (states | earlier):
                fed.add(number)
        return frozenset(range(len(self.fields))) - fed


def _derivatives(expressions: Sequence[sp.Expr], symbols: Sequence[sp.Symbol]) -> sp.Matrix:
    """One row for each expression, one column for each symbol; either may be missing, as fields of a cell without
    products are."""
    return sp.Matrix(len(expressions), len(symbols), [f.diff(x) for f in expressions for x in symbols])


def site_form(cell: Cell) -> SiteForm:
    """Build the site form of a cell.

    Raises
    ------
    GatefieldError : an equation has no finite value whatever its variables (1/0 and the like).
    """
    return _Builder(cell).build()


class _Builder:
    """Turns syntax trees into SymPy expressions, collecting each distinct product once."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.parameters = {name: sp.Symbol(name, real=True) for name in cell.parameters}
        self.states = {name: sp.Symbol(name, real=True) for name in cell.states}
        self.quenched = {name: sp.Symbol(name, real=True) for name in (*cell.biases, *cell.inputs)}
        self.values: dict[str, sp.Expr] = {}
        self.products: dict[tuple[str, sp.Expr], tuple[sp.Symbol, Span]] = {}

    def build(self) -> SiteForm:
        cell = self.cell
        targets = [self._update(name) for name in cell.states]
        for name in cell.definitions:
            self._definition(name)
        names, order = self._numbering()
        place: Callable[[sp.Expr], sp.Expr] = lambda expression: expression.xreplace(names)  # noqa: E731
        fields = tuple(
            Field(
                _field_name(names[symbol]), weight, names[symbol], place(v), self._constant(cell.weights[weight].gain)
            )
            for (weight, v), symbol in order
        )
        return SiteForm(
            cell=cell,
            states=tuple(self.states.values()),
            fields=fields,
            F=tuple(place(target) for target in targets),
            quenched=tuple(self._quenched()),
            parameters=self.parameters,
            definitions=tuple(self._record(name, place) for name in cell.definitions),
            functions=FunctionTable(self._functions()),
        )

    def _numbering(self) -> tuple[dict[sp.Symbol, sp.Symbol], list[tuple[tuple[str, sp.Expr], sp.Symbol]]]:
        """Dependency order, ties as written; names W, W.2, ... in that order."""
        waiting = sorted(self.products.items(), key=lambda item: (item[1][1].line, item[1][1].column))
        provisional = {symbol for symbol, _ in self.products.values()}
        done: set[sp.Symbol] = set()
        names: dict[sp.Symbol, sp.Symbol] = {}
        order: list[tuple[tuple[str, sp.Expr], sp.Symbol]] = []
        count: dict[str, int] = {}
        while waiting:
            ready = next(item for item in waiting if (item[0][1].free_symbols & provisional) <= done)
            waiting.remove(ready)
            (weight, v), (symbol, _) = ready
            count[weight] = count.get(weight, 0) + 1
            suffix = "" if count[weight] == 1 else f".{count[weight]}"
            names[symbol] = sp.Symbol(f"u[{weight}{suffix}]", real=True)
            done.add(symbol)
            order.append(((weight, v), symbol))
        return names, order

    def _quenched(self) -> Iterator[Quenched]:
        for bias in self.cell.biases.values():
            mean, std = self._constant(bias.mean), self._constant(bias.std)
            yield Quenched(bias.name, "bias", self.quenched[bias.name], mean, mean**2 + std**2)
        for item in self.cell.inputs.values():
            mean, second = self._constant(item.mean), self._constant(item.variance)
            yield Quenched(
                item.name, "input", self.quenched[item.name], mean, second, self._constant(item.correlation)
            )

    def _functions(self) -> dict[str, sp.Expr]:
        return {
            name: self._expression(body, lambda leaf: X if leaf == "x" else self.parameters[leaf])
            for name, body in self.cell.functions.items()
            if not names_in(body) - {"x"}
        }

    def _record(self, name: str, place: Callable[[sp.Expr], sp.Expr]) -> Definition:
        value = place(self.values[name])
        call = value if isinstance(value, Fn) else None
        return Definition(name, value, call.name if call else None, call.argument if call else None)

    def _update(self, state: str) -> sp.Expr:
        key = state + "'"
        if key not in self.values:
            equation = self.cell.updates[state]
            value = self._dynamic(equation.right)
            if equation.time_constant is not None:
                value = value / self._dynamic(equation.time_constant)
            self.values[key] = self._finite(value, equation.text)
        return self.values[key]

    def _definition(self, name: str) -> sp.Expr:
        if name not in self.values:
            equation = self.cell.definitions[name]
            self.values[name] = self._finite(self._dynamic(equation.right), equation.text)
        return self.values[name]

    def _finite(self, value: sp.Expr, text: str) -> sp.Expr:
        if value.has(sp.zoo, sp.nan, sp.oo, -sp.oo):
            raise GatefieldError(f"`{text.strip()}` is not finite whatever its variables are (a division by zero?)")
        return value

    def _lookup(self, name: str) -> sp.Expr:
        for table in (self.states, self.quenched, self.parameters):
            if name in table:
                return table[name]
        return self._definition(name)

    def _dynamic(self, node: Node) -> sp.Expr:
        return self._expression(node, self._lookup)

    def _constant(self, node: Node) -> sp.Expr:
        return self._expression(node, self.parameters.__getitem__)

    def _expression(self, node: Node, leaf: Callable[[str], sp.Expr]) -> sp.Expr:
        match node:
            case Number(value=value):
                return sp.Rational(value.numerator, value.denominator)
            case Name(name=name):
                return leaf(name)
            case Next(name=name):
                return self._update(name)
            case Negate(operand=inner):
                return -self._expression(inner, leaf)
            case Binary(op=op, left=left, right=right):
                return apply_operator(op, self._expression(left, leaf), self._expression(right, leaf))
            case Call(function=function, argument=argument):
                return self._call(function, self._expression(argument, leaf))
            case Product(weight=weight, operand=operand, span=span):
                return self._product(weight, self._expression(operand, leaf), span)
        raise TypeError(f"not a node: {node!r}")

    def _call(self, function: str, argument: sp.Expr) -> sp.Expr:
        """An own function with parameters in its body is written out: a name alone would hide what it depends on."""
        body = self.cell.functions.get(function)
        if body is None or not names_in(body) - {"x"}:
            return apply_function(function, argument)
        return self._expression(body, lambda leaf: argument if leaf == "x" else self.parameters[leaf])

    def _product(self, weight: str, v: sp.Expr, span: Span) -> sp.Symbol:
        key = (weight, v)
        if key not in self.products:
            self.products[key] = (sp.Symbol(f"product[{len(self.products)}]", real=True), span)
        else:
            symbol, first = self.products[key]
            if (span.line, span.column) < (first.line, first.column):
                self.products[key] = (symbol, span)
        return self.products[key][0]


def apply_function(name: str, argument: sp.Expr) -> sp.Expr:
    """``name(argument)``; the identity is its argument."""
    if name == "identity":
        return argument
    return Fn(name, 0, argument)


def apply_operator(op: str, left: sp.Expr, right: sp.Expr) -> sp.Expr:
    """``left op right`` with op one of + - * / **."""
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
            return left**right
    raise TypeError(f"not an operator: {op}")


def _field_name(symbol: sp.Symbol) -> str:
    return str(symbol.name)[2:-1]


