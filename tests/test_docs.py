"""What docs/theory.md shows is what happens; examples are run as those of the README are."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from test_readme import BLOCK, ROOT
from test_readme import test_console_examples as run_console

TEXT = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
SLOW = ("lstm",)
"""Words in the examples that take more than five seconds."""


def blocks(kind: str) -> list[str]:
    return [body for language, body in BLOCK.findall(TEXT) if language == kind]


def examples(kind: str) -> list:
    """The blocks of a language as test parameters, the slow ones marked."""
    return [
        pytest.param(body, marks=[pytest.mark.slow] if any(word in body for word in SLOW) else [])
        for body in blocks(kind)
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all cell files of the page, as the current one."""
    for body in blocks("toml"):
        name = re.search(r'^name = "(.*)"$', body, re.MULTILINE)
        assert name is not None
        (tmp_path / f"{name.group(1)}.toml").write_text(body, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("body", examples("console"))
def test_console_examples(body: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, _, expected = body.partition("\n")
    run_console(command.removeprefix("$ "), expected, folder, capsys)


@pytest.mark.parametrize("body", examples("python")[1:])
def test_python_examples(body: str, folder: Path) -> None:
    """Each block on its own, after the imports that are the first one."""
    session = doctest.DocTestParser().get_doctest(blocks("python")[0] + body, {}, "theory.md", None, 0)
    found = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(session)
    assert found.attempted > 0
    assert found.failed == 0


def test_every_example_shows_its_output() -> None:
    for body in blocks("python")[1:]:
        assert any(example.want for example in doctest.DocTestParser().get_examples(body)), body
    for body in blocks("console"):
        assert body.partition("\n")[2], body


def test_every_cell_file_is_used() -> None:
    for body in blocks("toml"):
        name = re.search(r'^name = "(.*)"$', body, re.MULTILINE)
        assert name is not None
        assert any(f"{name.group(1)}.toml" in example for example in blocks("python")), name.group(1)
