"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from derive import shipped
from solvers.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?:\(\d\))?")


def blocks(kind: str) -> list[str]:
    return [body for language, body in BLOCK.findall(README) if language == kind]


def consoles() -> Iterator[tuple[str, str]]:
    for body in blocks("console"):
        command, _, output = body.partition("\n")
        yield command.removeprefix("$ "), output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the README's cell file, as the current one."""
    (tmp_path / "pair.toml").write_text(blocks("toml")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("command", "expected"), list(consoles()))
def test_console_examples(command: str, expected: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = shlex.split(command)
    assert program == "gatefield"
    assert main(arguments) == (1 if "verdict: differs" in expected else 0)
    shown = capsys.readouterr().out.splitlines()
    for line, wanted in zip(shown, expected.splitlines(), strict=True):
        if "±" in wanted:  # measured: the last digits depend on the machine's linear algebra
            assert line.split()[0] == wanted.split()[0]
            continue
        assert NUMBER.sub("#", line).split() == NUMBER.sub("#", wanted).split()
        for own, given in zip(NUMBER.findall(line), NUMBER.findall(wanted), strict=True):
            assert float(own.split("(")[0]) == pytest.approx(float(given.split("(")[0]), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples(code: str, folder: Path) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_install_commands_are_single_lines() -> None:
    first, second = blocks("sh")
    for command in (first, second):
        assert command.count("\n") == 1
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install '.[")
    assert " report " in first
    assert second.rstrip().endswith(".venv/bin/python -m pytest -n auto --dist loadfile")


def test_the_first_screen_has_both_commands() -> None:
    position = README.index(blocks("sh")[1])
    assert README.count("\n", 0, position) < 45


def test_ci_takes_its_test_command_from_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    pattern = re.search(r"grep -m1 \"(.*)\" README.md", script)
    assert pattern is not None
    found = subprocess.run(
        ["grep", "-m1", pattern.group(1), "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == blocks("sh")[1]


def test_every_command_and_extra_is_named() -> None:
    for command in ("cells", "show", "derive", "solve", "spectrum", "simulate", "check", "export", "report"):
        assert f"`gatefield {command}" in README
    assert "gru" in shipped()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"'\.\[(\w+)\]'", README):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE)


@pytest.mark.slow
def test_the_main_job(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = blocks("sh")[0].split(".venv/bin/gatefield ")[1]
    assert main(shlex.split(command)) == 0
    assert "verdict: agrees" in capsys.readouterr().out
    written = {path.name for path in (folder / "report").iterdir()}
    assert written >= {"derivation.tex", "derivation.txt", "solution.json", "check.json", "report.md", "report.html",
                       "check.svg", "spectrum.svg", "map.svg"}  # fmt: skip
