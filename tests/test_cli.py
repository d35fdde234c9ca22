"""The command line: what is printed, what is refused, and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from derive.cell import load, shipped, shipped_text
from derive.errors import ParameterError
from solvers.cli import main
from solvers.cli.arguments import parser
from solvers.cli.assignments import assignments
from solvers.tables.numbers import compact, plus_minus

STATIC_KEYS = {"q", "q_total", "Q", "spectral_radius", "spectral_abscissa", "filament", "outliers", "atoms", "eta",
               "stable", "error", "verdict"}  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def run_process(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "solvers.cli", *arguments]
    found: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment
    )
    return found


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--version")
    assert (code, err) == (0, "")
    assert out.startswith("gatefield ")
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("cells", "show", "derive", "solve", "spectrum", "simulate", "check", "export", "report"):
        assert command in out


def test_cells_lists_every_shipped_cell(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "cells")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(shipped())


@pytest.mark.parametrize("name", shipped())
def test_show(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "show", name)
    assert (code, err) == (0, "")
    assert out.startswith(name)
    assert all(len(line) <= 100 for line in out.splitlines())


def test_show_source_is_the_file_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "show", "gru", "--source")[1] == shipped_text("gru")


def test_show_loads_neither_sympy_nor_numpy() -> None:
    code = """
import sys
from solvers.cli import main
main(["show", "gru"])
print([name for name in ("sympy", "numpy", "scipy", "matplotlib") if name in sys.modules], file=sys.stderr)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.strip() == "[]"


def test_derive_prints_steps_and_writes_latex(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.tex"
    code, out, _ = run(capsys, "derive", "rate", "--tex", str(target))
    assert code == 0
    assert "(1)" in out
    text = target.read_text(encoding="utf-8")
    assert text.startswith(r"\documentclass")
    assert text.rstrip().endswith(r"\end{document}")


def test_solve_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "solve", "gru", "-p", "sigma_h=4", "-p", "mu_z=1/2", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["parameters"]["mu_z"] == 0.5
    assert found["ansatz"] == "static"
    assert [s["stable"] for s in found["solutions"]] == [False, False]
    assert set(found["solutions"][1]) >= STATIC_KEYS
    assert "NaN" not in out
    assert "Infinity" not in out


def test_solve_reproduces_the_published_critical_point(capsys: pytest.CaptureFixture[str]) -> None:
    given = ("-p", "sigma_w=6.88", "-p", "sigma_v=1.39", "-p", "R=0.46")
    code, out, _ = run(capsys, "solve", "minimal-rnn", "--ansatz", "untied", *given, "--json")
    solution = json.loads(out)["solutions"][0]
    assert code == 0
    assert solution["q_total"]["u"] == pytest.approx(15.93622, abs=1e-5)
    assert solution["chi1"] == pytest.approx(0.998780, abs=1e-6)
    code, out, _ = run(capsys, "solve", "minimal-rnn", "--ansatz", "untied", *given)
    assert "Q[h]        0.3178968" in out
    assert all(len(line) <= 100 for line in out.splitlines())


def test_infinite_numbers_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "solve", "vanilla", "--ansatz", "untied", "--json")
    assert code == 0
    assert json.loads(out)["solutions"][0]["xi"] is None


def test_spectrum(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "spectrum", "rate", "-p", "g=1.5", "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) >= {"cell", "parameters", "solutions"}
    first = found["solutions"][0]
    assert set(first) >= {"boundary", "spectral_radius", "spectral_abscissa", "filament", "outliers", "atoms", "eta",
                          "error", "verdict"}  # fmt: skip
    assert first["spectral_abscissa"] == pytest.approx(0.5, abs=1e-9)
    curve = first["boundary"][0]
    assert curve[0] == curve[-1]
    assert all(abs(abs(complex(*z) + 1) - 1.5) < 1e-6 for z in curve)
    code, out, _ = run(capsys, "spectrum", "rate", "-p", "g=1.5")
    assert code == 0
    assert "spectral_abscissa  0.5000000" in out


def test_check_and_simulate(capsys: pytest.CaptureFixture[str]) -> None:
    small = ("-p", "g=0.5", "-N", "60", "--seeds", "3")
    code, out, err = run(capsys, "check", "rate", *small, "--json")
    found = json.loads(out)
    assert err == ""
    assert code == (1 if found["verdict"] == "disagrees" else 0)
    assert found["verdict"] in ("agrees", "inconclusive")
    code, out, err = run(capsys, "simulate", "rate", *small, "--json")
    assert err == ""
    assert code == 0
    assert json.loads(out)["N"] == 60
    code, out, _ = run(capsys, "simulate", "rate", *small)
    assert code == 0
    assert "±" in out


BAD = [
    ("solve", "no-such-cell"),
    ("solve", "missing/file.toml"),
    ("solve", "gru", "-p", "sgma_h=1"),
    ("solve", "gru", "-p", "sigma_h=nan"),
    ("solve", "gru", "-p", "sigma_h=inf"),
    ("solve", "gru", "-p", "sigma_h=1e999"),
    ("solve", "gru", "-p", "sigma_h=1/0"),
    ("solve", "gru", "-p", "sigma_h"),
    ("solve", "gru", "-p", "=1"),
    ("solve", "gru", "-p", "sigma_h="),
    ("solve", "gru", "-p", "sigma_h=1//2"),
    ("solve", "gru", "-p", "sigma_h=__import__('os')"),
    ("solve", "gru", "-p", "sigma_h=9**9**9**9"),
    ("solve", "gru", "-p", "sigma_h=-1"),
    ("solve", "gru", "-p", "R=-1"),
    ("solve", "gru", "-p", "sigma_h=1", "-p", "sigma_h=2"),
    ("solve", "rate", "--ansatz", "untied"),
    ("solve", "gru", "--ansatz", "other"),
    ("solve", "gru", "--tol", "0"),
    ("solve", "gru", "--tol", "0.1"),
    ("solve", "gru", "--tol", "nan"),
    ("solve", "gru", "--budget", "-1"),
    ("solve",),
    (),
    ("nonsense",),
    ("simulate", "gru", "-N", "1"),
    ("simulate", "gru", "-N", "2.5"),
    ("simulate", "gru", "--seeds", "0"),
    ("simulate", "gru", "--seed", "-1"),
    ("check", "gru", "-N", "10000000"),
    ("derive", "rate", "--tex", "/no/such/folder/out.tex"),
    ("export", "rate", "-o", "/no/such/folder/out.py"),
    ("report", "rate", "-o", "/dev/null/folder"),
    ("export", "rate"),
]


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_input(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.strip()
    assert "Traceback" not in err


def test_json_stays_silent_on_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "solve", "gru", "-p", "sigma_h=nan", "--json")
    assert (code, out) == (2, "")


def test_a_broken_cell_file_is_refused_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('equations = """\nh\' = tanh(W @ h)\n"""\n')
    code, out, err = run(capsys, "solve", str(path))
    assert (code, out) == (2, "")
    assert "broken.toml, line 2" in err
    assert "^" in err


def test_a_spent_budget_stops_with_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "solve", "lstm", "-p", "sigma_g=4", "--budget", "0.001", "--json")
    assert code == 3
    found = json.loads(out)
    assert found["cell"] == "lstm"
    assert found["notes"]


def test_an_unexpected_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import solvers.cli.show as command

    def broken(given: object) -> int:
        raise ZeroDivisionError("some\ntext")

    monkeypatch.setattr(command, "run", broken)
    monkeypatch.delenv("GATEFIELD_DEBUG", raising=False)
    code, out, err = run(capsys, "show", "gru")
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert "report" in err
    monkeypatch.setenv("GATEFIELD_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["show", "gru"])


def test_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import solvers.cli.show as command

    def stopped(given: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", stopped)
    assert run(capsys, "show", "gru")[:2] == (130, "")


def test_a_reader_that_leaves_is_no_error() -> None:
    shell = f"{sys.executable} -m solvers.cli show lstm --source | head -n 1"
    found = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert found.stderr == ""


def test_a_process_has_the_same_codes() -> None:
    good = run_process("solve", "rate", "--json")
    assert good.returncode == 0
    assert good.stderr == ""
    assert json.loads(good.stdout)["cell"] == "rate"
    assert run_process("solve", "nothing").returncode == 2
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert run_process("derive", "rate", environment=ascii_only).returncode == 0


def test_output_is_the_same_twice(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("solve", "gru", "-p", "sigma_h=3", "--json")
    assert run(capsys, *command) == run(capsys, *command)


def test_assignments() -> None:
    assert assignments(["a=1/4", "b = sqrt(4)", "c=-2e-3", "d=2*pi"]) == pytest.approx(
        {"a": 0.25, "b": 2.0, "c": -0.002, "d": 6.283185307179586}
    )
    with pytest.raises(ParameterError, match=r"(?s)-p a=b.*`b` is not a number.*\^.*Write"):
        assignments(["a=b"])


def test_every_subcommand_has_a_module() -> None:
    commands = next(action for action in parser()._actions if action.dest == "command").choices
    folder = Path(main.__code__.co_filename).parent
    assert commands is not None
    assert all((folder / f"{name.replace('-', '_')}.py").exists() for name in commands)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.3178968499854, 1e-13, "0.3178968499854(1)"),
        (0.3178968499854, 1.2e-13, "0.3178968499854(2)"),
        (12.5, 0.0096, "12.50(1)"),
        (1234.0, 20.0, "1234 ± 2e+01"),
        (0.0, 0.0, "0"),
        (2.0, 0.0, "2"),
        (1.5e-7, 2e-9, "1.50(2)e-07"),
        (0.1, 0.3, "0.1 ± 0.3"),
        (None, 0.1, "—"),
        (float("nan"), 0.1, "—"),
        (1.0, float("inf"), "1 (error unknown)"),
        (-0.25, 1e-3, "-0.250(1)"),
    ],
)
def test_compact_numbers(value: float | None, error: float, text: str) -> None:
    assert compact(value, error) == text


def test_plus_minus() -> None:
    assert plus_minus(0.123456, 0.0012) == "0.1235 ± 0.0012"
    assert plus_minus(1.0, None) == "1"
    assert plus_minus(None, None) == "—"


def test_cells_can_be_given_by_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(load("rate").text.replace('"rate"', '"mine"'))
    code, out, _ = run(capsys, "solve", str(path), "--json")
    assert code == 0
    assert json.loads(out)["cell"] == "mine"
