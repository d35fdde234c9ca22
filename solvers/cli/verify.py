"""``gatefield verify``."""

from __future__ import annotations

import argparse
from pathlib import Path

from derive.cell.spec import Cell
from derive.errors import GatefieldError, ParameterError
from derive.verify.formula import FormulaError
from solvers.budget import BudgetSpent
from solvers.cli.assignments import assignments
from solvers.cli.chosen import chosen_cell
from solvers.cli.objects import print_json
from solvers.cli.progress import Progress
from solvers.tables.verdicts import verdict_line, verdict_text
from solvers.verify import DIFFERS, UNDECIDED, Checked, Evidence, verify

MAX_LINES = 2000


def run(given: argparse.Namespace) -> int:
    """Check one formula, or a file of them; 1 if one differs."""
    cell = chosen_cell(given)
    where = assignments(given.where)
    if (given.formula is None) == (given.file is None):
        raise ParameterError("verify takes one formula, or a file of them with --file, and not both")
    if given.file is None:
        with Progress(f"checking a formula of {cell.name} ({given.ansatz})"):
            found = _checked(cell, given.formula, given, where)
        if given.json:
            print_json(found.as_dict())
        else:
            print(verdict_text(found), end="")
        return 1 if found.verdict == DIFFERS else 0
    return _file(cell, given, where)


def _file(cell: Cell, given: argparse.Namespace, where: dict[str, float]) -> int:
    lines = _lines(Path(given.file))
    results: list[Checked] = []
    for number, text in lines:
        with Progress(f"line {number}: {text[:50]}"):
            try:
                results.append(_checked(cell, text, given, where))
            except FormulaError as error:
                raise FormulaError(f"{given.file}, line {number}: {error.what}", error.text, error.span,
                                   error.rule) from None  # fmt: skip
        if not given.json:
            print(verdict_line(number, results[-1]), flush=True)
    if given.json:
        print_json({"results": [found.as_dict() for found in results]})
    return 1 if any(found.verdict == DIFFERS for found in results) else 0


def _lines(path: Path) -> list[tuple[int, str]]:
    """(line number, formula) of a file; blank lines and those that begin with # are skipped."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GatefieldError(f"{path} cannot be read: {error}") from None
    found = [(k, line.strip()) for k, line in enumerate(text.splitlines(), start=1) if line.strip()]
    found = [(k, line) for k, line in found if not line.startswith(("#", "%"))]
    if not found:
        raise ParameterError(f"{path} holds no formula; write one `left = right` on a line")
    if len(found) > MAX_LINES:
        raise ParameterError(f"{path} holds {len(found)} formulas; at most {MAX_LINES} are read at once")
    return found


def _checked(cell: Cell, formula: str, given: argparse.Namespace, where: dict[str, float]) -> Checked:
    try:
        return verify(
            cell, formula, ansatz=given.ansatz, where=where, latex=given.latex or bool(given.symbol or given.notation),
            symbols=_symbols(given.symbol), notation=given.notation,
        )  # fmt: skip
    except BudgetSpent as spent:
        return Checked(cell.name, given.ansatz, formula, UNDECIDED, (str(spent),), Evidence())


def _symbols(pairs: list[str]) -> dict[str, str]:
    """LaTeX symbols by what they stand for.  Raises ParameterError for what is not SYMBOL=FORMULA."""
    found = {}
    for pair in pairs:
        symbol, sign, meaning = pair.partition("=")
        if not sign or not symbol.strip() or not meaning.strip():
            raise ParameterError(f"--symbol {pair}: write LaTeX=MEANING, for example --symbol 'q^*=q_total[u]'")
        found[symbol.strip()] = meaning.strip()
    return found
