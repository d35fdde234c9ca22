"""Formulas in notebooks: theories, systems, steps and expressions show themselves, with the names of their cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sympy as sp
from test_write_latex import CASES, balanced, theory_of

from derive import formula, formulas
from derive.elementary import Fn
from derive.gaussian.average import Average
from derive.rich import Rich, written_by
from derive.theory import Step
from derive.write.mathml import mathml


def shown(thing: object) -> str:
    latex = thing._repr_latex_()  # type: ignore[attr-defined]
    assert isinstance(latex, str)
    assert latex.startswith("$")
    assert latex.endswith("$")
    assert balanced(latex)
    assert latex.count("$") == 2
    for raw in ("lam[]", "u[", "q[", "E[", "**", "\ue000"):
        assert raw not in latex
    return latex


@pytest.mark.parametrize("case", CASES)
def test_everything_shows_itself(case: str) -> None:
    theory = theory_of(case)
    shown(theory)
    shown(theory.system)
    for step in theory.steps:
        shown(step)
    for item in formulas(theory):
        shown(item)
        mathml(item.latex)
        assert "\\" not in str(item)


def test_a_theory_shows_its_closed_equations_and_its_boundary() -> None:
    latex = shown(theory_of("gru static"))
    assert r"q_{W_h} &= \sigma_h^{2}\,\langle h^{2}\rangle" in latex
    assert r"\left\lvert \frac{1 - z}{\lambda - z}\right\rvert" in latex
    assert r"\chi_{1} &=" in shown(theory_of("minimal-rnn untied"))


def test_one_expression_in_any_notation() -> None:
    theory = theory_of("gru static")
    assert theory.spectrum is not None
    item = formula(theory.spectrum.boundary[0], theory, "can-2020")
    assert str(item) == "σ_h² E[y'²] E[|(1 - z)/(λ - z)|²] (E[r²] + σ_r² E[h²] E[r'²])"
    assert shown(item).startswith(r"$\displaystyle \sigma_h^{2}\,\mathbb{E}[y'^{2}]")


def test_equations_are_read_as_such() -> None:
    assert [str(item) for item in formulas(theory_of("rate static"))][:2] == ["x = u[J]", "q[J] = g² ⟨φ²(x)⟩"]


def test_a_step_without_a_theory_has_names_of_its_own() -> None:
    q, moment = sp.Symbol("q[W_h]"), sp.Symbol("E[h**2]")
    latex = shown(Step("rule", ((q, sp.Symbol("sigma") ** 2 * moment),), "why"))
    assert r"q_{W_{h}} &= \sigma^{2}\,\langle h^{2}\rangle" in latex


def test_averages_print_with_the_printers_of_sympy() -> None:
    x = sp.Symbol("x", real=True)
    assert sp.latex(Average(Fn("tanh", 1, x) ** 2)) == r"\left\langle \tanh'\left(x\right)^{2}\right\rangle"
    assert sp.latex(Average(x) ** 2) == r"\left\langle x\right\rangle^{2}"


def test_without_a_writer_there_is_no_latex() -> None:
    class Plain(Rich):
        pass

    assert Plain()._repr_latex_() is None
    written_by(Plain, lambda thing: "$x$")
    assert Plain()._repr_latex_() == "$x$"


def test_results_know_no_writer() -> None:
    script = "import derive.theory, sys; sys.exit(any(name.startswith('derive.write') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1]).returncode == 0
