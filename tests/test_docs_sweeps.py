"""What docs/sweeps.md shows is what happens, one example after the other in one folder."""

from __future__ import annotations

import doctest
import shlex
from pathlib import Path

import pytest
from test_readme import BLOCK, ROOT

from solvers.cli import main

TEXT = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    consoles = [body for language, body in BLOCK.findall(TEXT) if language == "console"]
    assert len(consoles) > 3
    for body in consoles:
        command, _, expected = body.partition("\n")
        assert main(shlex.split(command.removeprefix("$ gatefield"))) == 0
        assert capsys.readouterr().out == expected
    session = [body for language, body in BLOCK.findall(TEXT) if language == "python"]
    found = doctest.DocTestRunner().run(doctest.DocTestParser().get_doctest("".join(session), {}, "sweeps.md", None, 0))
    assert found.attempted > 3
    assert found.failed == 0


def test_every_option_is_named() -> None:
    for option in ("--over", "--samples", "--quantity", "--branch", "--solutions", "--jobs", "--dask", "--chunk",
                   "--retry-failed", "--budget", "--simulate", "--seeds", "--starts", "--float32", "--at"):  # fmt: skip
        assert f"`{option}" in TEXT or f"{option} " in TEXT, option
