"""The opening of a document: the cell, what is random in it, the ansatz, and the site form."""

from __future__ import annotations

from collections.abc import Iterator

from derive.cell.expression import Node, Number
from derive.cell.spec import Bias, Equation, Input, Weight
from derive.write.box import Box
from derive.write.nodes import Named
from derive.write.presenter import Block, Display, Heading, Paragraph, Presenter, Row

_ASSUMPTIONS = {
    "static": (
        "Fields, biases and inputs are constant in time; the states sit at a fixed point.",
        "The number of units goes to infinity: a unit sees Gaussian fields whose covariance is averaged over sites.",
    ),
    "untied": (
        "Weights, biases and inputs are drawn anew at every step; two replicas share weights and biases.",
        "The number of units goes to infinity: a unit sees Gaussian fields whose covariance is averaged over sites.",
    ),
}


def model_blocks(show: Presenter) -> Iterator[Block]:
    """Equations, weights, biases, inputs, functions and parameters, as the file gives them."""
    cell = show.theory.site.cell
    yield Heading("Model")
    kind = "a map in discrete time" if cell.time == "discrete" else "a flow in continuous time"
    yield Paragraph(show.words(f"$N$ units follow {kind}; products of vectors are elementwise."))
    yield Display(tuple(_equation(show, item) for item in cell.equations), numbered=False)
    if cell.functions:
        rows = [Row(_function_head(show, name), _body(show, body)) for name, body in cell.functions.items()]
        yield Display(tuple(rows), numbered=False)
    if cell.weights:
        yield Paragraph(show.words("Weights with different names are independent; their entries are independent too:"))
        yield Display(tuple(_weight(show, item) for item in cell.weights.values()), numbered=False)
    if cell.biases:
        yield Paragraph(show.words("Biases are Gaussian, one number for each unit, given by mean and variance:"))
        yield Display(tuple(_bias(show, item) for item in cell.biases.values()), numbered=False)
    for item in cell.inputs.values():
        yield from _input(show, item)
    if cell.parameters:
        yield Paragraph(_parameters(show), "Parameters and their defaults")


def ansatz_blocks(show: Presenter) -> Iterator[Block]:
    """What the ansatz assumes, and how things are written."""
    yield Heading(f"Ansatz: {show.theory.ansatz}")
    for sentence in _ASSUMPTIONS.get(show.theory.ansatz, ()):
        yield Paragraph(show.sentence(sentence))
    yield Paragraph(show.words(
        "$E[f]$ is the average of $f$ over one site: its fields, biases and inputs. The variance of the product $u_k$ "
        "is $q_k$. A prime on a definition or a function is the derivative of the function at its argument; a prime on "
        "a state is its next value."
        + (" A tilde marks replica b." if show.theory.ansatz == "untied" else "")
    ))  # fmt: skip


def site_blocks(show: Presenter) -> Iterator[Block]:
    """Fields, F and the non-zero entries of L, a, b, e."""
    site = show.theory.site
    yield Heading("Site form")
    yield Paragraph(show.words("Every matrix product is a field; a unit feels the others through its fields only."))
    if site.fields:
        yield Display(tuple(
            Row(show.plain(item.symbol),
                show.style.matrix_product(show.notation.name(item.weight), show.show(item.v, names=show.site_names)))
            for item in site.fields
        ))  # fmt: skip
    rows = []
    for state, value in zip(site.states, site.F, strict=True):
        head = show.notation.name(state.name, 1) if site.discrete else show.notation.flow(state.name)
        rows.append(Row(head, show.show(value, [Named(state.name, 1)], show.site_names)))
    yield Display(tuple(rows))
    arrow = "ds'" if site.discrete else "d ds/dt"
    yield Paragraph(show.words(
        f"A perturbation obeys ${arrow} = L ds + a du$ and $du_k = W_k (b ds + e du)_k$ with the derivatives (entries "
        "that are not shown vanish)"
    ))  # fmt: skip
    rows = list(_derivatives(show))
    if rows:
        yield Display(tuple(rows))


def _derivatives(show: Presenter) -> Iterator[Row]:
    site = show.theory.site
    states = [show.plain(state).text for state in site.states]
    fields = [show.plain(item.symbol).text for item in site.fields]
    for name, matrix, rows, columns in (
        ("L", site.L, states, states), ("a", site.a, states, fields),
        ("b", site.b, fields, states), ("e", site.e, fields, fields),
    ):  # fmt: skip
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                if matrix[i, j] != 0:
                    yield Row(_indexed(show, name, row, column), show.show(matrix[i, j], names=show.site_names))


def _indexed(show: Presenter, name: str, row: str, column: str) -> Box:
    head = show.medium.symbolic(name).text
    return show.medium.index(head, row, column)


def _equation(show: Presenter, item: Equation) -> Row:
    if item.kind == "definition":
        left = show.notation.name(item.target)
    elif item.kind == "next":
        left = show.notation.name(item.target, 1)
    else:
        left = show.notation.flow(item.target)
        if item.time_constant is not None:
            left = show.style.product([show.tree.box(item.time_constant), left])
    return Row(left, show.tree.box(item.right))


def _function_head(show: Presenter, name: str) -> Box:
    head, argument = show.notation.function(name, 0), show.style.bracket(show.medium.symbolic("x"))
    return Box(head.text + argument.text, head.width + argument.width)


def _body(show: Presenter, body: Node) -> Box:
    """A function's body, in which ``x`` is the argument whatever the cell calls by that name."""
    return show.for_bodies().box(body)


def _weight(show: Presenter, item: Weight) -> Row:
    gain, name = show.tree.box(item.gain), show.notation.name(item.name)
    if item.ensemble == "haar":
        text = show.medium.label("times a Haar-orthogonal matrix")
        return Row(name, Box(f"{show.style.product([gain]).text} {text.text}", gain.width + text.width))
    square = _square(show, item.gain)
    variance = Box(f"{square.text}/N", square.width + 2, tall=square.tall)
    return Row(show.medium.entries(name), show.medium.normal(show.style.integer(0), variance), "~")


def _square(show: Presenter, node: Node) -> Box:
    box = show.tree.box(node)
    if isinstance(node, Number):
        return show.tree.number(node.value**2)
    return show.style.power(box, show.style.integer(2))


def _bias(show: Presenter, item: Bias) -> Row:
    name, mean = show.notation.name(item.name), show.tree.box(item.mean)
    if isinstance(item.std, Number) and item.std.value == 0:
        return Row(name, mean)
    return Row(name, show.medium.normal(mean, _square(show, item.std)), "~")


def _input(show: Presenter, item: Input) -> Iterator[Block]:
    static = show.theory.ansatz == "static"
    time = "constant in time" if item.time == "constant" or static else "drawn at every step"
    last = "" if static else ", and correlation of two replicas"
    yield Paragraph(show.words(f"Input, Gaussian for each unit, {time}; second moment, mean{last}:"))
    name, variance = show.notation.name(item.name), show.tree.box(item.variance)
    rows = [
        Row(show.style.average(show.style.power(name, show.style.integer(2))), variance),
        Row(show.style.average(name), show.tree.box(item.mean)),
    ]
    if not static:
        both = show.style.product([name, show.notation.name(item.name, 0, 1)])
        rows.append(Row(show.style.average(both), show.style.product([show.tree.box(item.correlation), variance])))
    yield Display(tuple(rows), numbered=False)


def _parameters(show: Presenter) -> str:
    parts = []
    for name, value in show.theory.site.cell.parameters.items():
        shown = show.notation.name(name)
        default = "required" if value is None else f"{value:.15g}"
        parts.append(show.medium.inline(shown, default))
    return ", ".join(parts) + "."
