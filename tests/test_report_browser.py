"""The page of a report in a real browser: it opens without a complaint, formulas and pictures are seen, nothing sticks
out, and the tables hold what was computed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, started
from page_checks import check_page, images, tables

from derive import load, mean_field, parse_cell
from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from solvers import report, solve
from solvers.cli import main
from solvers.compare import Comparison, ComparisonRow
from solvers.report import figures
from solvers.report.findings import Asked, Findings
from solvers.report.page import page
from solvers.spectra import spectra_of

SMALL: dict[str, Any] = {"N": 32, "seeds": 2}
AWKWARD = r'''
name = "<awkward> & 'co'"
title = "A <script>alert(1)</script> & 'quoted' \"cell\" \\ $x$ {y}"
source = "a < b & c > d; \"e\""
equations = """
a_very_long_definition_indeed = φ(W_é @ σ_h + alpha_0*b1 + 1/3)
σ_h' = a_very_long_definition_indeed / (1 + λ**2)
"""
# a comment: < & > "quoted" </code>
[functions]
"φ" = "tanh(x) + x/20"
[weights]
"W_é" = "gain_of_everything/2"
[biases]
b1 = { mean = "mu", std = 0.3 }
[parameters]
gain_of_everything = 1.5
alpha_0 = 1.0
"λ" = 0.5
mu = -0.2
'''


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as found:
        yield found


def asked(cell: Cell, ansatz: str = "static") -> Asked:
    return Asked(cell, resolve(cell), (), ansatz, 32, 2, 0, 1e-10)


def awkward_findings() -> Findings:
    """Of a cell whose names and texts would be markup if they were not escaped; every verdict occurs."""
    cell = parse_cell(AWKWARD, "awkward.toml")
    found = Findings(asked(cell))
    found.solved = solve(cell)
    found.theory = found.solved.theory
    found.spectra = spectra_of(found.solved)
    found.spectrum = found.spectra.as_dict()
    row = ComparisonRow(0, "Q[σ_h]", 0.25, 1e-9, 0.2512, 0.001, 0.001, 9.0, 0.25, -0.002, 1.2, "agrees")
    rows = (
        row, replace(row, quantity="q[W_é]", z=-7.0, verdict="disagrees"),
        replace(row, quantity="count[<disk & co>]", measured=float("nan"), z=float("nan"), verdict="inconclusive"),
    )  # fmt: skip
    notes = ('a note with <b>tags</b> & "quotes"', "1 < 2 > 0")
    found.comparison = Comparison(cell.name, "static", found.solved.parameters, 32, 2, rows, "disagrees", notes)
    for picture in (figures.spectrum_picture(found.spectra, [None]), figures.check_picture(found.comparison.as_dict())):
        found.pictures[picture.name] = picture
    found.missing["map"] = "There is no map: 2 > 1 & <nothing> else."
    found.notes.append("no map: 2 > 1 & <nothing> else")
    return found


def test_a_map_in_discrete_time(browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = report(load("vanilla"), tmp_path, {"sigma_w": 0.9, "sigma_b": 0.3}, **SMALL,
                   x=("sigma_w", 0.3, 2.0, 3), y=("sigma_b", 0.1, 1.0, 3))  # fmt: skip
    check_page(browser, tmp_path / "report.html")
    assert len(images(browser)) == 3
    (rows,) = tables(browser, "Theory and networks")
    expected = json.loads((tmp_path / "check.json").read_text())["rows"]
    assert [row[0].split()[-1] for row in rows] == [row["quantity"].split()[-1] for row in expected]
    assert [row[-1].split()[-1] for row in rows] == [row["verdict"] for row in expected]
    assert found.verdict in browser.run("document.querySelector('section.verdict').innerText")
    assert json.loads((tmp_path / "map.json").read_text())["x"]["name"] == "sigma_w"


def test_a_flow_with_several_solutions(browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "page.html"
    arguments = ["report", "rate", "-p", "g=1.5", "-N", "32", "--seeds", "2", "--x", "g=0.5:2:3", "-o", str(path)]
    assert main(arguments) in (0, 1)
    assert capsys.readouterr().err == ""
    assert [item.name for item in tmp_path.iterdir()] == ["page.html"]
    check_page(browser, path)
    assert len(images(browser)) == 3
    assert len(tables(browser, "Numbers of solution")) == 2
    assert len(tables(browser, "Theory and networks")) == 2
    commands = browser.run("document.querySelector('#reproduce ~ .scroll pre').innerText").splitlines()
    assert "gatefield solve rate -p g=1.5" in commands
    assert "gatefield fixed-points rate --over g=0.5:2:3 --plot map.svg" in commands


def test_awkward_names_and_texts(browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = awkward_findings()
    path = tmp_path / "page.html"
    path.write_text(page(found), encoding="utf-8")
    check_page(browser, path)
    title = "A <script>alert(1)</script> & 'quoted' \"cell\" \\ $x$ {y}: static mean field"
    assert browser.run("document.title") == title
    assert browser.run("document.querySelector('h1').innerText") == title
    source = browser.run("document.querySelector('details pre').textContent")
    assert source.strip() == AWKWARD.strip()
    (rows,) = tables(browser, "Theory and networks")
    assert [row[-1] for row in rows] == ["✓ agrees", "✗ disagrees", "? inconclusive"]
    assert [row[4] for row in rows] == ["+1.2", "−7.0", "—"]
    assert rows[2][0] == "count[<disk & co>]"
    shown = browser.run("document.body.innerText")
    assert found.comparison is not None
    for words in (*found.comparison.notes, *found.missing.values(), *found.notes):
        assert words in shown


def test_parameters_are_marked_with_their_values(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(Findings(asked(parse_cell(AWKWARD)))), encoding="utf-8")
    browser.open(path)
    marked = browser.run("[...document.querySelectorAll('span.parameter')].map(e => [e.textContent, e.title])")
    assert ["λ", "λ = 0.5"] in marked
    assert ["gain_of_everything", "gain_of_everything = 1.5"] in marked
    (rows,) = tables(browser, "Parameters as used")
    assert [row[1:] for row in rows] == [
        ["1.5", "1.5", "gain of W_é"],
        ["1", "1", "in the equation of a_very_long_definition_indeed"],
        ["0.5", "0.5", "in the equation of σ_h"],
        ["-0.2", "-0.2", "mean of b1"],
    ]


def test_a_link_opens_what_is_folded_and_print_shows_it(browser: Browser, tmp_path: Path) -> None:
    found = Findings(asked(load("gru")))
    found.theory = mean_field(load("gru"), "static")
    path = tmp_path / "page.html"
    path.write_text(page(found), encoding="utf-8")
    check_page(browser, path)
    browser.open(path)
    closed = "[...document.querySelectorAll('#derivation ~ details:not([open])')]"
    seen = f"{closed}.map(d => d.querySelector('math').checkVisibility())"
    assert browser.run(f"{closed}.length") > 2
    assert not any(browser.run(seen))
    browser.command("Emulation.setEmulatedMedia", media="print")
    assert all(browser.run(seen))
    browser.command("Emulation.setEmulatedMedia", media="screen")
    folded = browser.run(f"{closed}[0].querySelector('[id^=eq]').id")
    browser.run(f"location.hash = {folded!r}")
    assert browser.run(f"document.getElementById({folded!r}).closest('details').open")


@pytest.mark.slow
@pytest.mark.parametrize("ansatz", ["static", "untied"])
@pytest.mark.parametrize("name", ["gated-rnn", "gru", "gru-reset-after", "lstm", "minimal-rnn"])
def test_derivations_of_shipped_cells(name: str, ansatz: str, browser: Browser, tmp_path: Path) -> None:
    if load(name).time == "continuous" and ansatz == "untied":
        pytest.skip("weights are redrawn at steps; a flow has none")
    found = Findings(asked(load(name), ansatz))
    found.theory = mean_field(load(name), ansatz)
    path = tmp_path / "page.html"
    path.write_text(page(found), encoding="utf-8")
    check_page(browser, path)
    assert not re.search(r"\\[a-z]+", browser.run("document.querySelector('main').innerText").replace("\\\\", ""))


@pytest.mark.slow
def test_untied_report(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    report(load("minimal-rnn"), path, {"sigma_w": 2, "R": 0.5}, ansatz="untied", N=80, seeds=3)
    check_page(browser, path)
    assert {image["alt"].split(",")[0] for image in images(browser)} >= {"Criticality in sigma_w and R"}
    assert len(images(browser)) == 3


@pytest.mark.slow
def test_the_page_has_the_same_bytes_twice(tmp_path: Path) -> None:
    arguments = ["report", "rate", "-p", "g=1.5", "-N", "32", "--seeds", "2", "--x", "g=0.5:2:3", "-o"]
    for name in ("1.html", "2.html"):
        environment = {**os.environ, "PYTHONHASHSEED": name[0]}
        command = [sys.executable, "-m", "solvers.cli", *arguments, str(tmp_path / name)]
        assert subprocess.run(command, env=environment, check=False).returncode in (0, 1)
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
