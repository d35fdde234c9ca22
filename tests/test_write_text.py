"""Terminal text of derivations and cells."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_write_latex import CASES, MADE_UP, SHARED, SHIPPED, cell_of, theory_of

from derive.cell import parse_cell
from derive.write.cell_text import cell_text
from derive.write.text import derivation_text


@pytest.mark.parametrize("case", CASES)
def test_lines_are_short_and_free_of_raw_names(case: str) -> None:
    text = derivation_text(theory_of(case))
    assert max(len(line) for line in text.splitlines()) <= 100
    for raw in ("**", "lam[]", "conj(", "sigmoid(", "E[", "P[", "d[", "\\", "_{"):
        body = text.split("Model", 1)[1]
        assert raw not in body, raw


@pytest.mark.parametrize("case", CASES)
def test_steps_are_numbered_and_explained(case: str) -> None:
    theory = theory_of(case)
    text = derivation_text(theory)
    for step in theory.steps:
        assert re.search(rf"\n\d+\.\d+  {step.rule[:1].upper()}{step.rule[1:]}\n", text)
    shown = len(re.findall(r"\n\d+\.\d+  ", text))
    assert shown == text.count("\n  Reason: ") > len(theory.steps)
    assert text.count("\n  Assumption: ") >= sum(bool(step.assumption) for step in theory.steps)


def test_boundary_of_a_gated_cell() -> None:
    text = derivation_text(theory_of("gru static"))
    assert "1 = σ_h² ⟨y'²⟩ ⟨|(1 - z)/(λ - z)|²⟩ (⟨r²⟩ + σ_r² ⟨h²⟩ ⟨r'²⟩)" in text


def test_growth_of_perturbations_of_a_gated_cell() -> None:
    text = " ".join(derivation_text(theory_of("minimal-rnn untied")).split())
    assert "χ₁ = ⟨u²⟩ + σ_w² ⟨u'²⟩ (R + ⟨h²⟩)" in text


def test_two_products_of_one_matrix_are_told_apart() -> None:
    text = derivation_text(theory_of("shared static"))
    assert "C[W,W.2]" in text
    assert "q[W.2]" in text


@pytest.mark.parametrize("name", [*SHIPPED, *MADE_UP])
def test_cell_text_shows_everything_declared(name: str) -> None:
    cell = cell_of(name)
    text = cell_text(cell)
    for table in (cell.weights, cell.biases, cell.inputs, cell.parameters, cell.definitions, cell.functions):
        for item in table:
            assert f"\n  {item}" in text, item
    for state in cell.states:
        assert f"  {state}'" in text or f"d{state}/dt" in text


def test_cell_text_is_aligned() -> None:
    text = cell_text(parse_cell(SHARED))
    assert "  g         = required" in text
    assert "  W  gain 2*sigma, entries iid N(0, gain^2/N)" in text
    assert "  V  gain g, times a Haar-orthogonal matrix" in text
    assert "  gate = 1/(1 + abs(V @ s)**2)" in text


def test_cell_text_needs_no_computer_algebra() -> None:
    script = (
        "import sys; from derive.cell import load; from derive.write.cell_text import cell_text; "
        "cell_text(load('vanilla')); sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1]).returncode == 0
