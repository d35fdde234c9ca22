"""The rules within the tables: functions of ``x``, values that are arithmetic in parameters, LaTeX of known names."""

from __future__ import annotations

from collections.abc import Mapping

from derive.cell.arithmetic import ARITHMETIC_FUNCTIONS, evaluate, names_in
from derive.cell.calls import check_function, join
from derive.cell.declarations import Declarations
from derive.cell.dependencies import circle_text, first_cycle
from derive.cell.expression import Call, Name, Next, Node, Product, walk
from derive.cell.functions import BUILTIN_FUNCTIONS
from derive.cell.names import did_you_mean
from derive.cell.source import Source
from derive.errors import CellError, ParameterError


def check_tables(source: Source, declared: Declarations, kinds: Mapping[str, str]) -> None:
    """Refuse a table that breaks a rule; ``kinds`` says what every name of the cell is."""
    for name, body in declared.functions.items():
        _check_body(source, name, body, declared, kinds)
    _check_recursion(source, declared)
    for weight in declared.weights.values():
        _check_value(source, weight.gain, f"the gain of `{weight.name}`", kinds, declared, negative_advice=_GAIN_SIGN)
    for bias in declared.biases.values():
        _check_value(source, bias.mean, f"the mean of `{bias.name}`", kinds, declared)
        _check_value(source, bias.std, f"the std of `{bias.name}`", kinds, declared, negative_advice=_STD_SIGN)
    for drive in declared.inputs.values():
        _check_value(
            source, drive.variance, f"the variance of `{drive.name}`", kinds, declared, negative_advice=_VARIANCE_SIGN
        )
        _check_value(source, drive.mean, f"the mean of `{drive.name}`", kinds, declared)
        _check_value(source, drive.correlation, f"the correlation of `{drive.name}`", kinds, declared)
    for name in declared.latex:
        if name not in kinds:
            raise source.error(
                f"`{name[:60]}` is not a name of this cell",
                declared.latex_spans[name],
                "The table [latex] says how the names of the cell print.",
                did_you_mean(name, kinds) or "Remove the line.",
            )


_GAIN_SIGN = ("The sign of a random matrix is immaterial.", "Use the absolute value.")
_STD_SIGN = ("A standard deviation is not negative.", "Use the absolute value.")
_VARIANCE_SIGN = ("A variance is not negative.", "Write a positive number or 0.")


def _check_body(source: Source, function: str, body: Node, declared: Declarations, kinds: Mapping[str, str]) -> None:
    """A function's body is elementwise in ``x``, parameters and other functions."""
    rule = "A function is an expression in its argument x, parameters and other functions."
    for node in walk(body):
        match node:
            case Product(span=span):
                raise source.error(
                    "a matrix product in a function", span, rule, "Write the product in an equation and pass it as x."
                )
            case Next(name=name, span=span):
                raise source.error(f"`{name}'` in a function", span, rule, f"Pass it:  {function}({name}').")
            case Call():
                check_function(source, node, declared.functions, kinds)
            case Name(name=name, span=span) if name != "x" and kinds.get(name) != "parameter":
                raise _not_a_parameter(source, node, rule, kinds, f"`{name}` in the function `{function}`", ("x",))


def _check_recursion(source: Source, declared: Declarations) -> None:
    uses = {
        name: [node.function for node in walk(body) if isinstance(node, Call) and node.function in declared.functions]
        for name, body in declared.functions.items()
    }
    cycle = first_cycle(uses)
    if cycle:
        raise source.error(
            f"the function `{cycle[0]}` needs itself: {circle_text(cycle)}",
            declared.spans[cycle[0]],
            "Functions are not circular.",
            "Write one of them out.",
        )


def _check_value(
    source: Source,
    node: Node,
    what: str,
    kinds: Mapping[str, str],
    declared: Declarations,
    negative_advice: tuple[str, str] | None = None,
) -> None:
    """A value of a table is arithmetic in parameters, and not negative where that has no meaning."""
    rule = "Values in the tables are arithmetic in parameters."
    for part in walk(node):
        match part:
            case Product(span=span) | Next(span=span):
                raise source.error(f"{what} is not arithmetic", span, rule, "Write a number or a parameter.")
            case Call(function=name, span=span) if name not in ARITHMETIC_FUNCTIONS:
                known = name in BUILTIN_FUNCTIONS or name in declared.functions
                problem = f"`{name}` in {what}" if known else f"unknown function `{name}` in {what}"
                allowed = f"{rule[:-1]}, with the functions {', '.join(ARITHMETIC_FUNCTIONS)}."
                mend = did_you_mean(name, ARITHMETIC_FUNCTIONS) or "Write it with these."
                raise source.error(problem, span, allowed, mend)
            case Name(name=name) if kinds.get(name) != "parameter":
                raise _not_a_parameter(source, part, rule, kinds, f"`{name}` in {what}", ())
    if names_in(node):
        return
    try:
        value = evaluate(node, {})
    except ParameterError:
        raise source.error(f"{what} has no finite value", node.span, rule, "Write another number.") from None
    if negative_advice and value < 0:
        raise source.error(f"{what} is negative", node.span, *negative_advice)


def _not_a_parameter(
    source: Source, node: Name, rule: str, kinds: Mapping[str, str], what: str, extra: tuple[str, ...]
) -> CellError:
    kind = kinds.get(node.name)
    if kind is not None:
        article = "an" if kind == "input" else "a"
        mend = f"It is {article} {kind}. Use a parameter; its default stands under [parameters]."
        return source.error(f"{what} is not a parameter", node.span, rule, mend)
    if node.name in BUILTIN_FUNCTIONS:
        return source.error(f"{what} has no argument", node.span, rule, f"Write  {node.name}(...).")
    parameters = [name for name, known in kinds.items() if known == "parameter"]
    guess = did_you_mean(node.name, [*parameters, *extra])
    add = f"{'Otherwise add' if guess else 'Add'}  {node.name} = 1.0  under [parameters]."
    return source.error(f"{what} is not declared", node.span, rule, join(guess, add))
