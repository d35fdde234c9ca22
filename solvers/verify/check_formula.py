"""The verb: a hand formula, a cell, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import sympy as sp

from derive.cell.spec import Cell
from derive.errors import ParameterError
from derive.pipeline import derive_theory
from derive.theory import Theory
from derive.verify.grammar import read_formula
from derive.verify.latex_input import read_latex
from derive.verify.latex_notation import PLAIN, reading
from derive.verify.meaning import read_claim
from derive.verify.vocabulary import vocabulary
from derive.write.preset import load_notation
from solvers.verify.diagnose import Diagnosis, holds_when
from solvers.verify.judge import Judge
from solvers.verify.verdict import DIFFERS, Checked


class _Key:
    """A cell as a cache key: two of the same text are the same."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    def __hash__(self) -> int:
        return hash((self.cell.name, self.cell.text))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.cell == self.cell and other.cell.name == self.cell.name


@lru_cache(maxsize=32)
def _theory(key: _Key, ansatz: str) -> Theory:
    return derive_theory(key.cell, ansatz)


def verify(
    cell: Cell | Theory,
    formula: str,
    *,
    ansatz: str = "static",
    where: Mapping[str, object] | None = None,
    latex: bool = False,
    symbols: Mapping[str, str] | None = None,
    notation: str | None = None,
    explain: bool = True,
) -> Checked:
    """Whether a hand formula ``left = right`` holds.

    where : parameters fixed by the claim (all others stay free); latex : the formula is LaTeX; symbols :
    what LaTeX symbols of the writer's own stand for, in the plain notation; notation : whose symbols the
    LaTeX uses, the name of a shipped one or the path of a file; explain : of a formula
    that differs, look for the factor, term or condition that would mend it.

    Raises
    ------
    FormulaError : the formula cannot be read, or asks for what the ansatz does not define.
    NotationError : there is no such notation.
    ParameterError : ``where`` names no parameter, or a value that is not a number.
    AnsatzError : the ansatz does not apply to this cell, or its names clash with those of formulas.
    """
    theory = cell if isinstance(cell, Theory) else _theory(_Key(cell), ansatz)
    fixed = _fixed(theory, where or {})
    spoken = PLAIN if notation is None else reading(load_notation(notation))
    read = read_latex(formula, vocabulary(theory.site, symbols, spoken)) if latex else read_formula(formula)
    claim = read_claim(read, theory, fixed)
    judge = Judge(claim)
    judgement = judge.judge()
    evidence = judgement.evidence
    if explain and judgement.verdict == DIFFERS and not claim.boundary:
        missing = Diagnosis(claim, judge.numbers, judge.manifold).missing()
        evidence = replace(evidence, missing=missing, holds_when=holds_when(claim, judge.numbers))
    return Checked(theory.site.cell.name, theory.ansatz, formula, judgement.verdict, judgement.lines, evidence)


def _fixed(theory: Theory, where: Mapping[str, object]) -> dict[str, sp.Rational]:
    found = {}
    for name, value in where.items():
        if name not in theory.site.parameters:
            known = ", ".join(theory.site.parameters)
            raise ParameterError(f"`{name}` is no parameter of {theory.site.cell.name}; there are {known}")
        try:
            exact = Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            raise ParameterError(f"`{name}` is given as {value!r}, which is not a number") from None
        found[name] = sp.Rational(exact.numerator, exact.denominator)
    return found


def assert_holds(cell: Cell | Theory, formula: str, *, ansatz: str = "static",
                 where: Mapping[str, object] | None = None, latex: bool = False) -> None:  # fmt: skip
    """For tests: raise AssertionError, with the evidence, unless the formula is proved or agrees."""
    found = verify(cell, formula, ansatz=ansatz, where=where, latex=latex)
    if found.verdict == DIFFERS or found.verdict == "undecided":
        raise AssertionError(f"{formula}: {found.verdict}: {'; '.join(found.steps)}\n{found.evidence}")

