"""The rules that join equations and tables: every name means one thing and every value is there when needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from derive.cell.calls import check_function, join
from derive.cell.check_tables import check_tables
from derive.cell.declarations import Declarations
from derive.cell.dependencies import check_dependencies
from derive.cell.expression import Call, Name, Next, Node, Product, Span, children
from derive.cell.functions import BUILTIN_FUNCTIONS
from derive.cell.names import did_you_mean, foreign_characters
from derive.cell.source import Source
from derive.cell.spec import Equation
from derive.errors import CellError

MAX_NODES = 30_000


@dataclass(frozen=True)
class Checked:
    """What the equations say as a whole."""

    time: Literal["discrete", "continuous"]
    states: tuple[str, ...]


def check(source: Source, declared: Declarations, equations: tuple[Equation, ...]) -> Checked:
    """Refuse a cell that breaks a rule of the format; returns its kind of time and its states."""
    checker = _Checker(source, declared, equations)
    checker.targets()
    checker.names()
    check_tables(source, declared, checker.kinds)
    check_dependencies(source, equations, declared.functions)
    return Checked(checker.time, checker.states)


class _Checker:
    def __init__(self, source: Source, declared: Declarations, equations: tuple[Equation, ...]) -> None:
        self.source, self.declared, self.equations = source, declared, equations
        self.kinds: dict[str, str] = dict(declared.kinds)
        self.states: tuple[str, ...] = ()
        self.time: Literal["discrete", "continuous"] = "discrete"

    def targets(self) -> None:
        """Each name is given once, in one kind of time, and there is a state."""
        written: dict[str, Equation] = {}
        updates = [equation for equation in self.equations if equation.kind != "definition"]
        for equation in self.equations:
            if equation.target in self.declared.kinds:
                raise self._declared_too(equation)
            if equation.target in written:
                raise self._written_twice(written[equation.target], equation)
            written[equation.target] = equation
            self.kinds[equation.target] = "definition" if equation.kind == "definition" else "state"
        for equation in updates:
            if equation.kind != updates[0].kind:
                first = updates[0]
                raise self.source.error(
                    "both kinds of time in one file",
                    equation.span,
                    f"Line {first.span.line} is {_kind_text(first)}; a cell uses name' or dname/dt throughout.",
                    f"Write it as {_other_text(updates[0].kind, equation.target)}.",
                )
        if not updates:
            first = self.equations[0]
            raise self.source.error(
                "there is no state",
                first.span,
                "A cell has at least one equation  name' = ...  or  dname/dt = ...",
                f"If `{first.target}` is a state write  {first.target}' = ...",
            )
        self.states = tuple(equation.target for equation in updates)
        self.time = "discrete" if updates[0].kind == "next" else "continuous"

    def _declared_too(self, equation: Equation) -> CellError:
        kind = self.declared.kinds[equation.target]
        line = self.declared.spans[equation.target].line
        article = "an" if kind == "input" else "a"
        return self.source.error(
            f"`{equation.target}` is declared twice",
            equation.span,
            f"It is {article} {kind}, declared in line {line}, and has an equation too; a name means one thing.",
            "Rename or remove one of the two.",
        )

    def _written_twice(self, first: Equation, second: Equation) -> CellError:
        name, line = second.target, first.span.line
        if (first.kind == "definition") != (second.kind == "definition"):
            what, rule = f"`{name}` is a state and a definition", "A name is one of the two"
        elif second.kind == "definition":
            what, rule = f"`{name}` is defined twice", "A definition is written once"
        else:
            what, rule = f"the state `{name}` is updated twice", "A state has one update"
        mend = "Rename or remove one of the two."
        return self.source.error(what, second.span, f"{rule}; the first equation is in line {line}.", mend)

    def names(self) -> None:
        """Every name in an equation is known and used for what it is."""
        count = 0
        for equation in self.equations:
            roots = [equation.right] if equation.time_constant is None else [equation.time_constant, equation.right]
            for node in _walk_all(roots):
                count += 1
                if count > MAX_NODES:
                    raise self.source.error(
                        "a cell too large",
                        equation.span,
                        f"All equations together have at most {MAX_NODES} names, numbers and operators.",
                        "Simplify it.",
                    )
                self._node(node)

    def _node(self, node: Node) -> None:
        match node:
            case Name(name=name, span=span):
                self._name(name, span)
            case Next(name=name, span=span):
                self._next(name, span)
            case Call():
                check_function(self.source, node, self.declared.functions, self.kinds)
            case Product():
                self._product(node)

    def _name(self, name: str, span: Span) -> None:
        kind = self.kinds.get(name)
        if kind == "weight":
            raise self.source.error(
                f"the weight `{name}` is used elementwise",
                span,
                "A weight is a matrix and stands only left of @.",
                f"Write  {name} @ v  with the vector v it multiplies; a factor per unit belongs under [biases].",
            )
        if kind == "function" or (kind is None and name in BUILTIN_FUNCTIONS):
            raise self.source.error(
                f"the function `{name}` has no argument", span, "A function is called.", f"Write  {name}(...)."
            )
        if kind is None:
            raise self._unknown(name, span)

    def _unknown(self, name: str, span: Span) -> CellError:
        what, rule = f"unknown name `{name}`", _UNKNOWN_RULE
        if name[:1] == "d" and self.kinds.get(name[1:]) == "state":
            rule, mend = "A derivative stands only left of `=`.", f"Write the right side of d{name[1:]}/dt instead."
            return self.source.error(what, span, rule, mend)
        usable = [known for known, kind in self.kinds.items() if kind not in ("weight", "function")]
        guess = did_you_mean(name, usable) or did_you_mean(name, [*self.kinds, *BUILTIN_FUNCTIONS])
        add = f"{'Otherwise add' if guess else 'Add'}  {name} = 1.0  under [parameters] for a parameter,"
        lines = f"a line  {name} = ...  for a definition,  {name}' = ...  for a state."
        mend = join(foreign_characters(name), guess, add, lines)
        return self.source.error(what, span, rule, mend)

    def _next(self, name: str, span: Span) -> None:
        if self.time == "continuous":
            raise self.source.error(
                f"`{name}'` in continuous time",
                span,
                "A new value exists in discrete time only.",
                f"Write  {name}, or the right side of d{name}/dt.",
            )
        kind = self.kinds.get(name)
        if kind == "state":
            return
        if kind is None:
            raise self.source.error(
                f"the state `{name}` is never updated",
                span,
                f"`{name}'` is the new value of a state, and no line is  {name}' = ...",
                did_you_mean(name, self.states) or f"Add  {name}' = ...",
            )
        if kind == "definition":
            what, mend = f"`{name}` is a definition, not a state", f"Write  {name}  without prime: it has one value."
        else:
            what, mend = f"`{name}` is a {kind}, not a state", f"Write  {name}  without prime."
        raise self.source.error(what, span, "Only a state has a new value.", mend)

    def _product(self, node: Product) -> None:
        name, kind = node.weight, self.kinds.get(node.weight)
        span = Span(node.span.line, node.span.column, min(len(name), node.span.width))
        if kind == "weight":
            self._operand(node)
            return
        rule = "Every matrix left of @ needs a line under [weights]."
        if isinstance(node.operand, Name) and self.kinds.get(node.operand.name) == "weight":
            raise self.source.error(
                f"the weight `{node.operand.name}` stands right of @",
                node.operand.span,
                "The weight stands left of @ and the vector right.",
                f"Write  {node.operand.name} @ {name}.",
            )
        if kind is not None:
            article = "an" if kind == "input" else "a"
            raise self.source.error(
                f"`{name}` is {article} {kind}, not a weight", span, rule, f"Write  {name}*...  for a product per unit."
            )
        guess = did_you_mean(name, self.declared.weights)
        add = f'{"Otherwise add" if guess else "Add"}  {name} = "sigma_{name.split("_")[-1].lower()}".'
        mend = join(foreign_characters(name), guess, add)
        raise self.source.error(f"`{name}` is not a declared weight", span, rule, mend)

    def _operand(self, node: Product) -> None:
        """The vector right of @ has to differ from unit to unit."""
        if self._per_unit(node.operand):
            return
        raise self.source.error(
            "a matrix times a constant",
            node.span,
            "Right of @ stands a vector: something with a state, an input, a bias or a product in it.",
            "For a random offset per unit declare a bias under [biases].",
        )

    def _per_unit(self, root: Node) -> bool:
        by_name = {equation.target: equation for equation in self.equations}
        pending, seen = [root], set[str]()
        while pending:
            node = pending.pop()
            match node:
                case Product() | Next():
                    return True
                case Name(name=name):
                    kind = self.kinds.get(name)
                    if kind == "definition" and name not in seen:
                        seen.add(name)
                        pending.append(by_name[name].right)
                    elif kind not in ("parameter", "definition"):
                        return True  # a state, input or bias, or unknown and reported by itself
                case _:
                    pending.extend(children(node))
        return False


_UNKNOWN_RULE = "Every name is a state, a definition, or declared in a table; parameters stand under [parameters]."


def _walk_all(roots: Iterable[Node]) -> Iterator[Node]:
    """All nodes, parents first; a product comes before what it multiplies."""
    pending = list(reversed(list(roots)))
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def _kind_text(equation: Equation) -> str:
    return "a next state" if equation.kind == "next" else "a flow"


def _other_text(kind: str, target: str) -> str:
    return f"{target}' = ..." if kind == "next" else f"d{target}/dt = ..."
