"""What must be computed before what: definitions, new values, and the fields of products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from derive.cell.bounds import Bounds, Measure
from derive.cell.expression import Name, Next, Node, Product, children
from derive.cell.source import Source
from derive.cell.spec import Equation
from derive.errors import CellError


def first_cycle(uses: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle of names, each using the next, closed by its first; empty when there is none."""
    try:
        TopologicalSorter(uses).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def circle_text(cycle: Sequence[str]) -> str:
    """``a -> b -> a``, with dots in the middle of a long one."""
    shown = cycle if len(cycle) <= 8 else [*cycle[:4], "...", *cycle[-3:]]
    return " -> ".join(shown)


def check_dependencies(source: Source, equations: Sequence[Equation], functions: Mapping[str, Node]) -> None:
    """Refuse circular equations, and equations that grow too large when written out."""
    by_key = {_key(equation): equation for equation in equations}
    uses = {
        key: list(dict.fromkeys(used for used, _, _ in _uses(equation) if used in by_key))
        for key, equation in by_key.items()
    }
    cycle = first_cycle(uses)
    if cycle:
        raise _circular(source, cycle, by_key)
    _check_size(source, by_key, uses, functions)


def _key(equation: Equation) -> str:
    """A definition by its name; an update by its name with a prime, its value being the new one."""
    return equation.target if equation.kind == "definition" else equation.target + "'"


def _uses(equation: Equation) -> Iterator[tuple[str, Name | Next, Product | None]]:
    """What an equation needs: key, place, and the innermost product around it."""
    roots = [equation.right] if equation.time_constant is None else [equation.time_constant, equation.right]
    pending: list[tuple[Node, Product | None]] = [(root, None) for root in reversed(roots)]
    while pending:
        node, product = pending.pop()
        if isinstance(node, Name):
            yield node.name, node, product
        elif isinstance(node, Next):
            yield node.name + "'", node, product
        else:
            inside = node if isinstance(node, Product) else product
            pending.extend((child, inside) for child in reversed(children(node)))


def _circular(source: Source, cycle: Sequence[str], by_key: Mapping[str, Equation]) -> CellError:
    """Begin the circle with its first line in the file; blame a product in it if there is one."""
    circle = list(cycle[:-1])
    first = min(range(len(circle)), key=lambda index: by_key[circle[index]].span.line)
    circle = circle[first:] + circle[:first]
    links = []
    for user, used in zip(circle, [*circle[1:], circle[0]], strict=True):
        links.append(next((node, product) for key, node, product in _uses(by_key[user]) if key == used))
    path = circle_text([*circle, circle[0]])
    for node, product in links:
        if product is not None:
            return source.error(
                f"the field of `{product.weight}` is needed before it exists: {path}",
                node.span,
                "A product needs what it multiplies, so that cannot depend on the product in the same step.",
                f"Use the old value of a state there, as in  {product.weight} @ {circle[0].rstrip(chr(39))}"
                f"  with  {circle[0].rstrip(chr(39))}' = ...",
            )
    node = links[0][0]
    name = circle[0].rstrip("'")
    if circle[0].endswith("'"):
        mend = f"Write  {name}  for the old value of the state."
    else:
        mend = f"If `{name}` is a state write  {name}' = ...  on the left; otherwise write one of them out."
    return source.error(f"circular definitions: {path}", node.span, "Definitions are not circular.", mend)


def _check_size(
    source: Source,
    by_key: Mapping[str, Equation],
    uses: Mapping[str, Sequence[str]],
    functions: Mapping[str, Node],
) -> None:
    known: dict[str, Measure] = {}
    bounds = Bounds(source, known, functions)
    for body in functions.values():
        bounds.measure(body)
    for key in TopologicalSorter(uses).static_order():
        equation = by_key[key]
        measure = bounds.measure(equation.right)
        if equation.time_constant is not None:
            bounds.measure(equation.time_constant)
        bounds.known[key] = measure
