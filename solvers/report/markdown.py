"""The text of a report: what was asked, the numbers, the verdict, and where the rest is."""

from __future__ import annotations

from collections.abc import Sequence

from derive.write.cell_text import cell_text
from solvers.report.findings import Findings
from solvers.tables.comparison import check_text
from solvers.tables.theory import solved_text

_ABOUT = {
    "cell.toml": "the cell file",
    "derivation.txt": "the derivation, step by step",
    "derivation.tex": "the same as a LaTeX document",
    "solution.json": "every solution with its errors",
    "spectrum.json": "boundary, outliers and atoms of the Jacobian's spectrum at every solution",
    "check.json": "theory and networks, quantity by quantity",
    "map.json": "regimes, branches or critical points over parameters",
    "spectrum.svg": "the spectrum over the eigenvalues of one network",
    "singular.svg": "singular values of one step over those of one network",
    "check.svg": "theory and networks, quantity by quantity",
    "map.svg": "the map over parameters",
    "report.html": "everything on one page",
}


def summary(found: Findings, files: Sequence[str]) -> str:
    """The report in Markdown; files : the names of what is beside it."""
    asked, cell = found.asked, found.asked.cell
    title = " ".join((cell.title or cell.name).split())
    parts = [f"# {title}: {asked.ansatz} mean field", f"Theory and finite networks: **{found.verdict}**."]
    parts += [f"Note: {note}." for note in found.notes]
    parts += ["## The cell", _block(cell_text(cell))]
    if found.solved is not None:
        parts += ["## Solutions", _block(solved_text(found.solved.as_dict()))]
    parts += [f"![{_ABOUT[name]}]({name})" for name in files if name in ("spectrum.svg", "singular.svg", "map.svg")]
    if found.comparison is not None:
        parts += ["## Check against finite networks", _block(check_text(found.comparison.as_dict()))]
    if "check.svg" in files:
        parts.append("![Theory against networks](check.svg)")
    parts += ["## Files", "\n".join(f"- `{name}`: {_ABOUT[name]}" for name in files)]
    return "\n\n".join(parts) + "\n"


def _block(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text.rstrip()}\n{fence}"
