"""The text of a report: what was asked, the numbers, the verdict, and where the rest is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from derive.cell.spec import Cell
from derive.write.cell_text import cell_text
from solvers.tables.comparison import check_text
from solvers.tables.theory import solved_text

Record = Mapping[str, Any]

_ABOUT = {
    "cell.toml": "the cell file",
    "derivation.txt": "the derivation, step by step",
    "derivation.tex": "the same as a LaTeX document",
    "solution.json": "every solution with its errors",
    "spectrum.json": "boundary, outliers and atoms of the Jacobian's spectrum at every solution",
    "check.json": "theory and networks, quantity by quantity",
    "spectrum.png": "the spectrum over the eigenvalues of one network",
    "check.png": "theory and networks, quantity by quantity",
}


def summary(
    cell: Cell, ansatz: str, solved: Record | None, check: Record | None, files: Sequence[str], notes: Sequence[str]
) -> str:
    """The report in Markdown."""
    verdict = check["verdict"] if check is not None else "not checked"
    title = " ".join((cell.title or cell.name).split())
    parts = [f"# {title}: {ansatz} mean field", f"Theory and finite networks: **{verdict}**."]
    parts += [f"Note: {note}." for note in notes]
    parts += ["## The cell", _block(cell_text(cell))]
    if solved is not None:
        parts += ["## Solutions", _block(solved_text(solved))]
    if "spectrum.png" in files:
        parts.append("![Eigenvalues of the Jacobian at every solution](spectrum.png)")
    if check is not None:
        parts += ["## Check against finite networks", _block(check_text(check))]
    if "check.png" in files:
        parts.append("![Theory against networks](check.png)")
    parts += ["## Files", "\n".join(f"- `{name}`: {_ABOUT[name]}" for name in files)]
    return "\n\n".join(parts) + "\n"


def _block(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text.rstrip()}\n{fence}"
