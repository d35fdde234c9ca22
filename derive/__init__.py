"""Mean-field theory of recurrent cells, symbolically: from a cell file to closed equations and their derivation.

    cell = load("my-cell.toml")            # or a shipped cell by name; parse_cell(text) for text
    theory = mean_field(cell, "static")    # or "untied": closed equations, spectrum, numbered steps
    print(derivation_text(theory))         # or document, markdown, html: complete files

One flow: cell file -> Cell -> SiteForm -> Theory.  Numbers come from the package ``solvers``.
Reading and showing cells needs the standard library only; SymPy is imported when something is derived.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from derive.cell import Cell, load, parse_cell, shipped, shipped_text
from derive.errors import CellError, GatefieldError

if TYPE_CHECKING:
    from derive.pipeline import derive_theory as mean_field
    from derive.site import SiteForm, site_form
    from derive.theory import Theory
    from derive.write.html import html
    from derive.write.latex import document
    from derive.write.markdown import markdown
    from derive.write.notebook import formula, formulas
    from derive.write.text import derivation_text

__all__ = [
    "Cell", "CellError", "GatefieldError", "SiteForm", "Theory", "derivation_text", "document", "formula",
    "formulas", "html", "load", "markdown", "mean_field", "parse_cell", "shipped", "shipped_text", "site_form",
]  # fmt: skip

_LATER = {
    "SiteForm": ("derive.site", "SiteForm"),
    "Theory": ("derive.theory", "Theory"),
    "derivation_text": ("derive.write.text", "derivation_text"),
    "document": ("derive.write.latex", "document"),
    "formula": ("derive.write.notebook", "formula"),
    "formulas": ("derive.write.notebook", "formulas"),
    "html": ("derive.write.html", "html"),
    "markdown": ("derive.write.markdown", "markdown"),
    "mean_field": ("derive.pipeline", "derive_theory"),
    "site_form": ("derive.site", "site_form"),
}


def __getattr__(name: str) -> Any:
    """Public names that need SymPy, imported when they are first used."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    return getattr(import_module(module), attribute)
