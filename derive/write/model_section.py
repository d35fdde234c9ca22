"""The opening of a document: the cell, what is random in it, the ansatz, and the site form."""

from __future__ import annotations

from collections.abc import Iterator

from derive.cell.expression import Node, Number
from derive.cell.spec import Bias, Equation, Input, Weight
from derive.write.box import Box
from derive.write.presenter import Block, Display, Heading, Paragraph, Presenter, Row

_TIME = {
    "static": "fields, biases and inputs are constant in time and the states sit at a fixed point",
    "stationary": "weights and biases stay the same at all times; averages do not depend on time, only on lags",
    "untied": "weights, biases and inputs are drawn anew at every step; two replicas share weights and biases",
}
_STATIONARY = {
    "static": "the fixed point is one of the mean field: its averages reproduce themselves",
    "stationary": "the network has forgotten its beginning, and covariances reproduce themselves",
    "untied": "after many steps the averages no longer change",
}
_GRADIENT = {
    "static": "in the Jacobian, the weights may be taken as independent of the states",
    "stationary": "perturbations of random direction meet weights as if these were independent of the states",
    "untied": "weights are fresh at every step, so that a perturbation is independent of those it meets",
}
_CLOSURE = {
    "exact": "exact; the equations below determine every average",
    "implicit": "implicit; a state is the root of an equation that is solved numerically at every site",
    "stationary": "sampled; the site equation is run along sampled Gaussian paths, and numbers carry a standard error",
    "sampled": "sampled; the moments do not close, the chain of one site is sampled and numbers carry a standard error",
}

_TILDE = {
    "untied": "A tilde marks replica b.",
    "stationary": "A tilde marks what the same unit does a lag $tau$ later.",
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
    """What is assumed, one named assumption after the other, and how things are written."""
    theory = show.theory
    ansatz = theory.ansatz
    yield Heading("Assumptions")
    for label, sentence in (
        ("Ansatz", f"{ansatz}; {_TIME[ansatz]}"),
        ("Many units", "N goes to infinity; what is derived is the leading order, and a network of N units differs "
                       "from it by terms of order 1/N in averages and N^{-1/2} at the edge of a spectrum"),
        ("Self-averaging", "an average over the units of one network is the average over one site"),
        ("Independent fields", "a field is a sum over many independent weights and hence Gaussian; fields of "
                               "different matrices are independent, those of one matrix jointly Gaussian"),
        ("Stationarity", _STATIONARY[ansatz]),
        ("Gradient independence", _GRADIENT[ansatz]),
        ("Closure", _CLOSURE[ansatz if (ansatz, theory.closure) == ("stationary", "sampled") else theory.closure]),
    ):  # fmt: skip
        yield Paragraph(show.sentence(f"{sentence}."), label)
    yield Paragraph(_conventions(show), "Conventions")


def _conventions(show: Presenter) -> str:
    """How averages, variances and primes are to be read."""
    parts = [
        "$E[f]$ is the average of $f$ over one site: its fields, biases and inputs. The variance of the product $u_k$ "
        "is $q_k$. A prime on a definition or a function is the derivative of the function at its argument; a prime on "
        "a state is its next value."
    ]
    if show.theory.ansatz in _TILDE:
        parts.append(_TILDE[show.theory.ansatz])
    if show.tree.indexed:
        parts.append("In the equations of the model the index $t$ counts steps.")
    own = show.squares()
    return show.words(" ".join(parts)) + (f" {show.words('Some averages have names:')} {own}." if own else "")


def _equation(show: Presenter, item: Equation) -> Row:
    if item.kind == "definition":
        left = show.tree.present(item.target)
    elif item.kind == "next":
        left = show.tree.next(item.target)
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
    untied = show.theory.ansatz == "untied"
    constant = show.theory.ansatz == "static" or item.time == "constant"
    time = "constant in time" if constant else "drawn at every step"
    last = ", and correlation of two replicas" if untied else ""
    yield Paragraph(show.words(f"Input, Gaussian for each unit, {time}; second moment, mean{last}:"))
    name, variance = show.notation.name(item.name), show.tree.box(item.variance)
    rows = [
        Row(show.style.average(show.style.power(name, show.style.integer(2))), variance),
        Row(show.style.average(name), show.tree.box(item.mean)),
    ]
    if untied:
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
