"""The model on a page: its equations set as formulas, its parameters as used, and the text of its file."""

from __future__ import annotations

from collections.abc import Iterator

from derive.cell.arithmetic import names_in
from derive.cell.spec import Cell
from derive.write.html import HtmlDerivation
from solvers.report.cell_source import highlighted, is_changed, source_of
from solvers.report.findings import Asked, Findings
from solvers.report.markup import code, element, folded, paragraph, scrolled, table, text
from solvers.report.names import symbol
from solvers.report.part import Part

LONG = 30
"""Lines of a cell file from which on it is folded."""

CHANGED = (
    "The cell was changed after its file was read (by options such as --set, --limit or --orthogonal); below it stands "
    "as it was used."
)


def model_part(found: Findings, shown: HtmlDerivation | None) -> Part:
    """Formulas, parameters, file."""
    asked, blocks = found.asked, []
    if shown is not None:
        first = shown.sections(level=3)[0]
        blocks.append(element("div", first.body, id=f"s{first.number}"))
    rows = list(_parameters(asked, shown))
    blocks.append(table("Parameters as used", ["parameter", "value", "default", "what it is"], rows))
    if is_changed(asked.cell):
        blocks.append(paragraph(CHANGED))
    source = source_of(asked.cell)
    lines = element("pre", element("code", highlighted(asked.cell, source, asked.settings.parameters)))
    blocks.append(folded(text("The cell file, parameters marked"), scrolled(lines, "The cell file"),
                         shown=source.count("\n") < LONG))  # fmt: skip
    return Part("model", "Model", tuple(blocks))


def _parameters(asked: Asked, shown: HtmlDerivation | None) -> Iterator[tuple[str, str, str, str]]:
    for name, value in asked.settings.parameters.items():
        default = asked.cell.parameters[name]
        formula = symbol(shown.parameter(name), name) if shown is not None else code(name)
        own = text(f"{value:.15g}")
        if default is None or value != default:
            own = element("strong", own)
        standard = "required" if default is None else f"{default:.15g}"
        yield formula, own, text(standard), text(", ".join(roles(asked.cell, name)) or "not used")


def roles(cell: Cell, name: str) -> Iterator[str]:
    """What a parameter does, in words."""
    for weight in cell.weights.values():
        if name in names_in(weight.gain):
            yield f"gain of {weight.name}"
    for bias in cell.biases.values():
        for what, node in (("mean", bias.mean), ("standard deviation", bias.std)):
            if name in names_in(node):
                yield f"{what} of {bias.name}"
    for drive in cell.inputs.values():
        for what, node in (("second moment", drive.variance), ("mean", drive.mean),
                           ("correlation of two replicas", drive.correlation)):  # fmt: skip
            if name in names_in(node):
                yield f"{what} of {drive.name}"
    for item in cell.equations:
        if item.time_constant is not None and name in names_in(item.time_constant):
            yield f"time constant of {item.target}"
        if name in names_in(item.right):
            yield f"in the equation of {item.target}"
    for function, body in cell.functions.items():
        if name in names_in(body):
            yield f"in the function {function}"
