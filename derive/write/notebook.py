"""Formulas in notebooks: theories, systems, steps and single expressions as LaTeX, and as Unicode in print.

    formula(theory.spectrum.boundary[0], theory)      # one expression with the cell's names
    formulas(theory)                                  # every equation of the derivation, in order
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sympy as sp

from derive.rich import written_by
from derive.stability.spectrum import LAM, LAM_CONJ
from derive.theory import Step, System, Theory
from derive.write.box import Box
from derive.write.collect import collect
from derive.write.layout import row_lines
from derive.write.modulus import Conjugation
from derive.write.moments import read_integrand, split_moment
from derive.write.notation import LatexNotation
from derive.write.presenter import Presenter, Row, latex_presenter, text_presenter
from derive.write.preset import DEFAULT, load_notation
from derive.write.steps import step_rows
from derive.write.style import LatexStyle
from derive.write.typeset import Typesetter

Equation = tuple[sp.Basic, sp.Basic]


@dataclass(frozen=True)
class Formula:
    """An expression, or an equation if ``left`` is given, with the names of its theory's cell."""

    right: sp.Basic
    theory: Theory = field(repr=False)
    left: sp.Basic | None = None
    notation: str = DEFAULT

    @property
    def latex(self) -> str:
        """LaTeX without delimiters, on one line."""
        return self._shown(latex_presenter(self.theory, self.notation))

    def _shown(self, show: Presenter) -> str:
        if self.left is None:
            return show.show(self.right).flat().text.strip()
        (row,) = step_rows(show, Step("", ((self.left, self.right),), ""))
        left = row.left.flat().text.strip() if row.left is not None else ""
        return f"{left} = {row.right.flat().text.strip()}"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex}$"

    def __str__(self) -> str:
        return self._shown(text_presenter(self.theory, self.notation))


def formula(expression: sp.Basic, theory: Theory, notation: str = DEFAULT) -> Formula:
    """An expression of a theory, to be shown with the names of its cell."""
    return Formula(expression, theory, notation=notation)


def formulas(theory: Theory, notation: str = DEFAULT) -> tuple[Formula, ...]:
    """Every equation of a theory's steps, in order."""
    return tuple(
        Formula(right, theory, left, notation) for step in theory.steps for left, right in step.equations
    )


def theory_latex(theory: Theory) -> str:
    """The closed equations and what follows from them: boundary of the support, or the growth of perturbations."""
    show = latex_presenter(theory)
    equations: list[Equation] = list(theory.system.equations.items())
    if theory.spectrum is not None:
        equations += [(sp.S.One, item) for item in theory.spectrum.boundary]
    rows = list(step_rows(show, Step("", tuple(equations), "")))
    if theory.perturbation is not None and theory.perturbation.shape == (1, 1):
        rows.append(Row(show.medium.symbolic("chi1"), show.show(theory.perturbation[0, 0])))
    return aligned(rows)


def equations_of(equations: Iterable[Equation]) -> str:
    """Equations that know no cell: names are made from the symbols alone."""
    pairs = tuple(equations)
    preset = load_notation()
    notation = LatexNotation({}, _moments(pairs), preset.latex)
    setter, conjugation = Typesetter(LatexStyle(preset.latex), notation, frozenset(), ()), Conjugation(LAM, LAM_CONJ)

    def shown(expression: sp.Basic) -> Box:
        whole = collect(conjugation.fold(expression)) if isinstance(expression, sp.Expr) else expression
        return setter.box(whole)

    return aligned([Row(shown(left), shown(right)) for left, right in pairs])


def _moments(equations: Iterable[Equation]) -> Mapping[str, sp.Expr]:
    found: dict[str, sp.Expr] = {}
    for symbol in (symbol for pair in equations for side in pair for symbol in side.free_symbols):
        parts = split_moment(symbol.name)
        integrand = read_integrand(parts[1], {}) if parts and parts[0] in ("E", "P", "C") else None
        if integrand is not None:
            found[symbol.name] = integrand
    return found


def aligned(rows: Iterable[Row]) -> str:
    """Equations under each other, as a notebook reads them; a space where there is none."""
    lines = [rf"{left} &{right}" for row in rows for left, right in row_lines(row)]
    body = " \\\\\n".join(lines)
    return f"$\\displaystyle \\begin{{aligned}}\n{body}\n\\end{{aligned}}$" if lines else r"$\,$"


def show_in_notebooks() -> None:
    """Let theories, systems and steps show themselves as formulas."""
    written_by(Theory, theory_latex)
    written_by(System, lambda system: equations_of(system.equations.items()))
    written_by(Step, lambda step: equations_of(step.equations))
