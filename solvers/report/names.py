"""How a number is called in the tables of a page: its formula, and the name that commands and JSON give it."""

from __future__ import annotations

from derive.write.html import HtmlDerivation
from solvers.report.markup import code, element


def quantity(name: str, shown: HtmlDerivation | None) -> str:
    """HTML; the formula comes first, where the number has one."""
    formula = shown.quantity(name) if shown is not None else ""
    return symbol(formula, name)


def symbol(formula: str, name: str) -> str:
    """A formula (MathML, or nothing) in front of a name as it is typed."""
    return element("span", formula, class_="symbol") + code(name)
