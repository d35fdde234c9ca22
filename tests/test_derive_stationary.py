"""Derivations of the stationary mean field, in every format; the potential against numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_render_latex import compiled, complaints

from derive import load, mean_field, parse_cell, shipped
from derive.errors import AnsatzError
from derive.meanfield.stationary import potential_of
from derive.site import site_form
from derive.write.html import html
from derive.write.latex import document
from derive.write.markdown import markdown
from derive.write.text import derivation_text
from solvers.cli import main


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_cell_has_a_derivation(name: str) -> None:
    theory = mean_field(load(name), "stationary")
    text = derivation_text(theory)
    assert "Stationary covariances" in text
    assert "Tilted dynamics" in text
    for write in (document, markdown, html):
        assert "Lyapunov" in write(theory)


def test_the_potential_is_derived_where_there_is_one() -> None:
    text = derivation_text(mean_field(load("rate"), "stationary"))
    assert "c[J] = g² ⟨φ(x) φ(x~)⟩" in text
    assert "Δ'' = Δ[x] - c[J]" in text
    assert "V(Δ) = g² (⟨P(x) P(x~)⟩ - ⟨P(x)⟩²) - Δ[x]²/2" in text
    assert "Motion in a potential" not in derivation_text(mean_field(load("gated-rnn"), "stationary"))


def test_rate_and_drive_of_the_potential_are_those_of_the_flow() -> None:
    text = 'equations = "tau*dx/dt = -a*x + 3*(J @ tanh(x))"\n[weights]\nJ = "g"\n[parameters]\ntau = 1\na = 2\ng = 1\n'
    found = potential_of(site_form(parse_cell(text, "leaky.toml")))
    assert found is not None
    assert str(found.rate) == "a/tau"
    assert str(found.drive) == "3/tau"
    bistable = text.replace("-a*x", "-a*x + x**2")
    assert potential_of(site_form(parse_cell(bistable, "bistable.toml"))) is None


def test_closure_says_whether_paths_are_sampled() -> None:
    assert mean_field(load("rate"), "stationary").closure == "exact"
    gated = mean_field(load("gru"), "stationary")
    assert gated.closure == "sampled"
    assert "sampled Gaussian paths" in derivation_text(gated)


def test_iid_input_of_a_flow_is_refused_with_the_edit_that_mends_it() -> None:
    text = 'equations = "dx/dt = -x + J @ tanh(x) + w"\n[weights]\nJ = 1\n[inputs]\nw = { variance = 1 }\n'
    with pytest.raises(AnsatzError, match='time = "constant"'):
        mean_field(parse_cell(text, "noise.toml"), "stationary")


def test_command_writes_the_derivation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "theory.md"
    assert main(["derive", "rate", "--ansatz", "stationary", "--md", str(target)]) == 0
    assert "stationary mean-field theory" in capsys.readouterr().out
    assert "Motion in a potential" in target.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["rate", "gated-rnn", "gru"])
def test_documents_compile(name: str, tmp_path: Path) -> None:
    assert complaints(compiled(document(mean_field(load(name), "stationary")), tmp_path)) == []
