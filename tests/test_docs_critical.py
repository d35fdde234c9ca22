"""What docs/critical.md shows is what happens; examples are run as those of the README are."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from test_readme import BLOCK, ROOT
from test_readme import test_console_examples as run_console

TEXT = (ROOT / "docs" / "critical.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return [body for language, body in BLOCK.findall(TEXT) if language == kind]


@pytest.mark.parametrize("body", blocks("console"))
def test_console_examples(body: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, _, expected = body.partition("\n")
    assert expected
    run_console(command.removeprefix("$ "), expected, tmp_path, capsys)


def test_python_examples() -> None:
    session = doctest.DocTestParser().get_doctest("".join(blocks("python")), {}, "critical.md", None, 0)
    found = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(session)
    assert found.attempted > 2
    assert found.failed == 0
