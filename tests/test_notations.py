"""Notations: the shipped ones read as in their papers; a wrong one is refused with a message that helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_write_latex import theory_of

from derive.errors import GatefieldError
from derive.write.latex import document
from derive.write.preset import NotationError, load_notation, shipped_notations
from derive.write.text import derivation_text
from solvers.cli import main


def test_shipped_ones() -> None:
    assert shipped_notations() == ("gatefield", "can-2020", "chen-2018", "krishnamurthy-2022")
    for name in shipped_notations():
        assert load_notation(name).name == name


@pytest.mark.parametrize(
    ("case", "notation", "expected"),
    [
        ("minimal-rnn untied", "chen-2018", "χ₁ = ∫Dz u² + σ_w² (∫Dz u'²) (Q* + R)"),
        ("minimal-rnn untied", "chen-2018", "hₜ = uₜ ⊙ hₜ₋₁ + (1 - uₜ) ⊙ xₜ"),
        ("minimal-rnn untied", "chen-2018", "Q* = R (∫Dz (1 - u)²)/(1 - ∫Dz u²)"),
        ("gru static", "can-2020", "1 = σ_h² E[y'²] E[|(1 - z)/(λ - z)|²] (E[r²] + σ_r² E[h²] E[r'²])"),
        ("gated-rnn static", "krishnamurthy-2022", "C[J_h] = g_h² C[gate_r] C[φ(h)]"),
    ],
)
def test_formulas_read_as_published(case: str, notation: str, expected: str) -> None:
    assert expected in " ".join(derivation_text(theory_of(case), notation).split())


def test_latex_of_notations() -> None:
    chen = document(theory_of("minimal-rnn untied"), "chen-2018")
    assert r"\int \mathcal{D}z\,u^{2}" in chen
    assert r"q^{*}_{W_u} &= \sigma_w^{2}\,Q^{*}" in chen
    assert r"h_{t-1}" in chen
    assert r"\langle" not in chen
    assert r"\mathbb{E}\left[" in document(theory_of("gru static"), "can-2020")
    assert r"C_{\sigma_r}" in document(theory_of("gated-rnn static"), "krishnamurthy-2022")


def test_a_notation_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[latex]\naverage = ["", "[", "]"]\nlambda = "\\\\mu"\n[text]\nlambda = "μ"\n', encoding="utf-8")
    text = document(theory_of("rate static"), str(path))
    assert r"[\phi'^{2}(x)]" in text
    assert r"\mu" in text
    assert "1 = g²/|1 + μ|² ⟨φ'²(x)⟩" in derivation_text(theory_of("rate static"), str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("latex = 3", r"`latex` is a table"),
        ("[latex]\nfeild = 'u'", "did you mean `field`"),
        ("[latex]\nfield = 3", "give a symbol in quotation marks"),
        ("[latex]\nfield = ' '", "give a symbol in quotation marks"),
        ("[latex]\nfield = '\\input{x}'", "cannot stand in a symbol"),
        ("[latex]\nfield = '{u'", "braces come in pairs"),
        ("[latex]\nfield = '}u{'", "braces come in pairs"),
        ("[latex]\nfield = 'é'", "cannot stand in a symbol"),
        ("[latex]\naverage = ['E']", "list of three texts"),
        ("[text]\nfield = 'a\\nb'\nvariance = \"a\\nb\"", "at most 80 characters on one line"),
        ("time = 'now'", "one of prime, index"),
        ("[latex]\nsquares = 'some'", "one of states, all"),
        ("color = 'red'", "unknown entry `color`"),
        ("title = 3", "`title` is text"),
        ("= 3", "is not TOML"),
    ],
)
def test_bad_files_are_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(NotationError, match=message):
        load_notation(str(path))


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(NotationError, match="Did you mean `chen-2018`"):
        load_notation("chen2018")
    with pytest.raises(NotationError, match="cannot be read"):
        load_notation(str(tmp_path / "none.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(NotationError, match="not UTF-8"):
        load_notation(str(tmp_path / "binary.toml"))
    (tmp_path / "large.toml").write_bytes(b"#" * 200_000)
    with pytest.raises(NotationError, match="larger than"):
        load_notation(str(tmp_path / "large.toml"))
    assert issubclass(NotationError, GatefieldError)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, text = tmp_path / "out.html", tmp_path / "out.md"
    options = ["--html", str(page), "--md", str(text), "--notation", "can-2020"]
    assert main(["derive", "rate", *options]) == 0
    out, err = capsys.readouterr()
    assert "1 = g²/|1 + λ|² E[φ'²(x)]" in out
    assert f"HTML: {page}" in err
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert text.read_text(encoding="utf-8").startswith("# Random rate network")
    assert main(["derive", "rate", "--notation", "nonsense"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "there is no notation `nonsense`" in err
