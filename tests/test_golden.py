"""The derivations in derivations/ are what the writer makes of the shipped cells today, byte for byte.

After an intended change:  pytest tests/test_golden.py --bless
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

import pytest

from derive import load, shipped
from derive.pipeline import derive_theory
from derive.theory import Theory
from derive.write.latex import document
from derive.write.markdown import markdown

FOLDER = Path(__file__).parent.parent / "derivations"
CONTINUOUS = {name for name in shipped() if load(name).time == "continuous"}
CASES = [(name, ansatz) for name in sorted(shipped()) for ansatz in ("static", "untied")
         if not (ansatz == "untied" and name in CONTINUOUS)]  # fmt: skip


FORMATS = {"tex": document, "md": markdown}


@cache
def theory_of(name: str, ansatz: str) -> Theory:
    return derive_theory(load(name), ansatz)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("name", "ansatz"), CASES)
def test_derivation_is_the_golden_one(name: str, ansatz: str, suffix: str, bless: bool) -> None:
    path = FOLDER / name / f"derivation-{ansatz}.{suffix}"
    text = FORMATS[suffix](theory_of(name, ansatz))
    if bless:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    golden = path.read_bytes() if path.exists() else b""
    if text.encode() != golden:
        lines = difflib.unified_diff(
            golden.decode().splitlines(), text.splitlines(), f"{path.name} (golden)", f"{path.name} (now)", lineterm=""
        )
        pytest.fail("\n".join(["the derivation changed; if that is intended, run with --bless", *lines]), pytrace=False)


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{name}/derivation-{ansatz}.{suffix}" for name, ansatz in CASES for suffix in FORMATS}
    assert {str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/derivation-*.*")} == expected
