"""Every derivation that is shipped, and every made-up one of these tests, through a real LaTeX engine.

Without pdflatex these tests are skipped, unless GATEFIELD_REQUIRE_LATEX is set: then its absence is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_write_latex import CASES, theory_of

from derive.cell.latex import ALLOWED_COMMANDS
from derive.write.content import blocks
from derive.write.latex import document
from derive.write.presenter import Display, latex_presenter
from derive.write.preset import shipped_notations

REQUIRED = bool(os.environ.get("GATEFIELD_REQUIRE_LATEX"))
ENGINE = shutil.which("pdflatex")
WIDEST = 20.0
"""Points by which a line may run into the margin."""
OTHER_NOTATIONS = ("gru static", "minimal-rnn untied", "gated-rnn static")

pytestmark = pytest.mark.skipif(
    ENGINE is None and not REQUIRED, reason="pdflatex is not installed, and GATEFIELD_REQUIRE_LATEX is not set"
)


def complaints(log: str) -> list[str]:
    """What a compilation must not say: errors, undefined references, missing characters, lines in the margin."""
    found = [line for line in log.splitlines() if line.startswith("!")]
    found += [line for line in log.splitlines() if re.search(r"undefined|multiply defined|Missing character", line)]
    wide = re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)[^\n]*", log)
    return found + [f"{width} pt too wide" for width in wide if float(width) > WIDEST]


def compiled(text: str, folder: Path) -> str:
    """The log of the second run of the engine: the first one finds the numbers of equations that are referred to."""
    assert ENGINE is not None, "GATEFIELD_REQUIRE_LATEX is set and there is no pdflatex"
    (folder / "document.tex").write_text(text, encoding="utf-8")
    for _ in range(2):
        run = subprocess.run(
            [ENGINE, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "document.tex"],
            cwd=folder, capture_output=True, text=True, errors="replace", timeout=60,
            env={**os.environ, "max_print_line": "1000"},
        )  # fmt: skip
        assert run.returncode == 0, run.stdout[-2000:]
    assert (folder / "document.pdf").stat().st_size > 10_000
    return run.stdout


@pytest.mark.parametrize("case", CASES)
def test_document_compiles_without_complaint(case: str, tmp_path: Path) -> None:
    assert complaints(compiled(document(theory_of(case)), tmp_path)) == []


@pytest.mark.parametrize("notation", shipped_notations()[1:])
@pytest.mark.parametrize("case", OTHER_NOTATIONS)
def test_other_notations_compile(case: str, notation: str, tmp_path: Path) -> None:
    assert complaints(compiled(document(theory_of(case), notation), tmp_path)) == []


def test_every_command_of_a_cell_file_is_known_to_the_engine(tmp_path: Path) -> None:
    preamble = document(theory_of("rate static")).split(r"\title")[0]
    formulas = "\n\n".join(rf"${{\{command}{{a}}}}$" for command in sorted(ALLOWED_COMMANDS - {"sqrt", "frac"}))
    filler = "\n\n".join(["Filler."] * 200)
    text = f"{preamble}\\begin{{document}}\n{formulas}\n\n{filler}\n\\end{{document}}\n"
    assert complaints(compiled(text, tmp_path)) == []


def test_a_broken_document_is_noticed(tmp_path: Path) -> None:
    spoiled = r"\section{Model} \ref{nothing} \hbox to 60em{x}"
    log = compiled(document(theory_of("rate static")).replace(r"\section{Model}", spoiled), tmp_path)
    assert any("undefined" in line for line in complaints(log))
    assert any("too wide" in line for line in complaints(log))


@pytest.mark.parametrize("case", OTHER_NOTATIONS)
def test_the_engine_numbers_equations_as_the_other_formats_do(case: str, tmp_path: Path) -> None:
    compiled(document(theory_of(case)), tmp_path)
    labels = re.findall(r"\\newlabel\{eq:([^}]*)\}\{\{(\d+)\}", (tmp_path / "document.aux").read_text("utf-8"))
    ours = [item for block in blocks(latex_presenter(theory_of(case))) if isinstance(block, Display)
            for item in block.equations]  # fmt: skip
    assert labels == [(item.label, str(item.number)) for item in ours]
