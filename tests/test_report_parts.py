"""The parts of a report's page that need no networks: axes of the map, commands, the model, what goes where."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from derive import load, mean_field, parse_cell
from derive.cell.parameters import resolve
from derive.cell.spec import Cell
from derive.cell.substitute import substitute
from solvers.cli import main
from solvers.report.axes import axes_of, candidates
from solvers.report.cell_source import highlighted, is_changed, source_of
from solvers.report.chart import NoChart, chart_of
from solvers.report.comparison import signed
from solvers.report.files import Files, Folder, files_of
from solvers.report.findings import Asked, Findings
from solvers.report.markup import element, table, text
from solvers.report.model import roles
from solvers.report.page import page
from solvers.report.reproduce import cell_name, commands

PLAIN = """
equations = "h' = tanh(W @ h + U @ x + b)"
[weights]
W = "g"
U = "v"
[biases]
b = { mean = "m", std = "s" }
[inputs]
x = { variance = "R", time = "constant" }
[parameters]
v = 0.5
m = -3
g = 1.5
s = 0
R = 1
"""


def asked(cell: Cell, given: dict[str, float] | None = None, **more: Any) -> Asked:
    numbers = given or {}
    return Asked(cell, resolve(cell, numbers), tuple(numbers), more.pop("ansatz", "static"), 50, 2, more.pop("seed", 0),
                 1e-10, **more)  # fmt: skip


def test_axes_by_the_rule() -> None:
    theory = mean_field(parse_cell(PLAIN), "static")
    values = dict(theory.site.cell.parameters)
    assert all(value is not None for value in values.values())
    known = {name: float(value or 0.0) for name, value in values.items()}
    assert candidates(theory, known, ()) == ["g", "s", "m"]
    assert candidates(theory, known, ("s", "v", "R")) == ["v", "R", "s", "g", "m"]
    first, second = axes_of(theory, known, (), [])
    assert first == ("g", pytest.approx(0.075), 3.0, 21)
    assert second == ("s", 0.0, 1.0, 21)
    assert axes_of(theory, known, ("m",), [])[0] == ("m", -6.0, 0.0, 21)
    chosen = ("v", 0.0, 2.0, 5)
    assert axes_of(theory, known, (), [chosen]) == [chosen, first]
    assert axes_of(theory, known, (), [chosen, second]) == [chosen, second]


def test_axes_of_untied_maps_are_those_of_a_search() -> None:
    theory = mean_field(parse_cell(PLAIN), "untied")
    known = {"g": 30.0, "v": 0.5, "m": 0.0, "s": 0.0, "R": 1.0}
    assert axes_of(theory, known, ("g",), []) == [("g", 0.01, 30.0, 21), ("s", 0.0, 5.0, 21)]


def test_a_cell_without_parameters_has_no_map() -> None:
    theory = mean_field(parse_cell('equations = "h\' = tanh(W @ h)"\n[weights]\nW = 0.5'), "static")
    assert axes_of(theory, {}, (), []) == []
    with pytest.raises(NoChart, match="no parameter"):
        chart_of(theory, {}, [], seconds=10.0, moving=False, seed=0)


def test_a_map_that_takes_too_long_is_none() -> None:
    theory = mean_field(load("rate"), "static")
    with pytest.raises(NoChart, match="in the 1e-06 s"):
        chart_of(theory, {"g": 1.0}, [("g", 0.1, 2.0, 5)], seconds=1e-6, moving=False, seed=0)


def test_inputs_that_move_have_no_static_map() -> None:
    theory = mean_field(load("minimal-rnn"), "static")
    given = {"sigma_w": 1.0, "sigma_v": 1.0, "mu_b": 0.0, "sigma_b": 0.0, "R": 1.0, "Sigma": 0.0}
    with pytest.raises(NoChart, match="redrawn at each step"):
        chart_of(theory, given, axes_of(theory, given, (), []), seconds=10.0, moving=False, seed=0)


@pytest.mark.parametrize(("ansatz", "seed"), [("static", 0), ("untied", 7)])
def test_every_command_is_one(ansatz: str, seed: int) -> None:
    """The command line takes what a page prints."""
    from solvers.cli.arguments import parser

    cell = load("gru")
    found = Findings(asked(cell, {"sigma_h": 1 / 3, "mu_z": -2.0}, ansatz=ansatz, seed=seed, map_seconds=90.0,
                           changes=("--set", "phi=a b"), x=("sigma_h", 0.1, 2.0, 5)))  # fmt: skip
    lines = list(commands(found, cell_name(found.asked)))
    verbs = [shlex.split(line)[1] for line in lines]
    assert verbs == ["report", "derive", "solve", "spectrum", "check"]
    for line in lines:
        given = parser().parse_args(shlex.split(line)[1:])
        assert given.cell == "gru"
        assert given.set == ["phi=a b"]
        assert getattr(given, "ansatz", ansatz) == ansatz
        if given.command in ("solve", "check", "report"):
            assert [float(pair.split("=")[1]) for pair in given.parameters] == [1 / 3, -2.0]
        if given.command in ("check", "report"):
            assert (given.N, given.seeds, given.seed) == (50, 2, seed)
    assert "--x sigma_h=0.1:2:5 --map-seconds 90" in lines[0]


def test_a_cell_of_ones_own_is_a_file() -> None:
    assert cell_name(asked(load("gru"))) == "gru"
    own = parse_cell(PLAIN.replace("equations", 'name = "gru"\nequations', 1))
    assert cell_name(asked(own)) == "cell.toml"


def test_a_changed_cell_is_shown_as_it_is_used() -> None:
    changed = substitute(load("vanilla"), ["phi=erf", "sigma_w=2"])
    shown = page(Findings(asked(changed, changes=("--set", "phi=erf", "--set", "sigma_w=2"))))
    assert "The cell was changed after its file was read" in shown
    assert "gatefield solve vanilla --set phi=erf --set sigma_w=2\n" in shown
    assert "gatefield solve cell.toml\n" in page(Findings(asked(changed)))
    assert "The cell was changed" not in page(Findings(asked(load("vanilla"))))


def test_the_file_of_a_changed_cell_gives_it_again() -> None:
    cell = load("vanilla")
    assert source_of(cell) == cell.text
    changed = substitute(cell, ["phi=erf", "sigma_w=2"])
    assert is_changed(changed)
    again = parse_cell(source_of(changed))
    assert again.functions == changed.functions
    assert again.weights == changed.weights
    assert again.parameters == changed.parameters


def test_what_a_parameter_is() -> None:
    cell = parse_cell(PLAIN)
    assert [list(roles(cell, name)) for name in ("g", "m", "s", "R")] == [
        ["gain of W"], ["mean of b"], ["standard deviation of b"], ["second moment of x"],
    ]  # fmt: skip
    flow = load("gated-rnn")
    assert list(roles(flow, "tau_z")) == ["time constant of z"]
    assert list(roles(flow, "alpha_r")) == ["in the equation of gate_r"]


def test_a_source_reads_as_its_file() -> None:
    for name in ("gru", "lstm", "gated-rnn"):
        cell = load(name)
        numbers = {key: value or 0.0 for key, value in cell.parameters.items()}
        tree = ElementTree.fromstring(f"<pre>{highlighted(cell, cell.text, numbers)}</pre>")
        assert "".join(tree.itertext()) == cell.text


def test_text_is_escaped() -> None:
    assert text("<a & \"b\"'\x07>") == "&lt;a &amp; &quot;b&quot;&#x27;&gt;"
    assert element("p", "x", title='a"<') == '<p title="a&quot;&lt;">x</p>'
    assert table("nothing", ["a"], []) == ""


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "—"), (0.0, "0"), (-0.0, "0"), (-0.01, "0"), (-2.04, "−2.0"), (3.0, "+3.0")]
)
def test_signs(value: float | None, shown: str) -> None:
    assert signed(value, ".1f") == shown


def test_where_a_report_goes(tmp_path: Path) -> None:
    (tmp_path / "old.html").mkdir()
    assert type(files_of(tmp_path / "page.html")) is Files
    assert type(files_of(tmp_path / "folder")) is Folder
    assert type(files_of(tmp_path / "old.html")) is Folder


def test_a_page_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert main(["report", "gru", "-o", str(tmp_path / "none" / "page.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["report", "gru", "--y", "sigma_h=0:1:3", "-o", str(tmp_path / "page.html")]) == 2
    assert "give the first as well" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
