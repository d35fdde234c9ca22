"""What ``gatefield report`` writes: one page, or a folder."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from derive import load
from solvers import report
from solvers.budget import budget
from solvers.cli import main
from solvers.report.stages import NO_FIGURES, _Work

TEXTS = {"cell.toml", "derivation.txt", "derivation.tex", "solution.json", "check.json", "report.html", "report.md"}
SMALL: dict[str, Any] = {"N": 40, "seeds": 2, "map_seconds": 0.0}


def test_a_static_report_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "new" / "report"
    code = main(["report", "rate", "-p", "g=0.5", "-N", "40", "--seeds", "2", "--x", "g=0.5:1.5:3",
                 "-o", str(folder)])  # fmt: skip
    assert code in (0, 1)
    out, err = capsys.readouterr()
    assert err == ""
    assert "verdict: " in out
    assert {path.name for path in folder.iterdir()} == TEXTS | {
        *("spectrum.json", "map.json", "spectrum.svg", "check.svg", "map.svg")
    }
    for name in ("solution.json", "spectrum.json", "check.json", "map.json"):
        assert json.loads((folder / name).read_text())["cell"] == "rate"
    for name in ("spectrum.svg", "check.svg", "map.svg"):
        assert ElementTree.parse(folder / name).getroot().tag.endswith("svg")
        assert (folder / name).stat().st_size > 10_000
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "spectral_abscissa" in text
    assert "(spectrum.svg)" in text
    assert load(str(folder / "cell.toml")).equations == load("rate").equations


@pytest.mark.slow
def test_an_untied_report_has_singular_values(tmp_path: Path) -> None:
    found = report(load("vanilla"), tmp_path, {"sigma_b": 0.3}, ansatz="untied", **SMALL)
    assert found.converged
    assert "spectrum.svg" not in found.files
    assert "singular.svg" in found.files
    assert "check.json" in found.files
    assert (tmp_path / "derivation.tex").exists()


def test_without_matplotlib_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", find)
    monkeypatch.setitem(_Work.draw.__globals__, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    found = report(load("rate"), tmp_path, {"g": 0.5}, **SMALL)
    assert NO_FIGURES in found.notes
    for name in ("report.md", "report.html"):
        assert "gatefield[plots]" in (tmp_path / name).read_text(encoding="utf-8")
    assert "<img" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == TEXTS | {"spectrum.json"}


def test_a_spent_budget_leaves_what_there_is(tmp_path: Path) -> None:
    with budget(1e-6):
        found = report(load("rate"), tmp_path, {"g": 0.5}, **SMALL)
    assert not found.converged
    assert found.verdict == "not checked"
    assert any("budget" in note for note in found.notes)
    assert (tmp_path / "derivation.tex").exists()
    assert (tmp_path / "report.md").exists()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not reached: the time was over." in page
    assert page.endswith("</html>\n")


@pytest.mark.slow
def test_a_report_with_outliers_and_atoms(tmp_path: Path) -> None:
    point = {"g_h": 4, "alpha_r": 10, "beta_r": 2, "alpha_z": 0}
    found = report(load("gated-rnn"), tmp_path, point, N=150, seeds=2, map_seconds=120.0)
    assert found.verdict != "disagrees"
    assert "spectrum.svg" in found.files
