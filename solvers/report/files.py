"""Where a report goes: one page, or a folder that also holds what the page is made of."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derive.theory import Theory
from derive.write.latex import document
from derive.write.text import derivation_text
from solvers.output import refusal, writable_file, writable_folder, write_text
from solvers.report.cell_source import source_of
from solvers.report.findings import Findings, Picture
from solvers.report.markdown import summary
from solvers.solution import plain

PAGE = "report.html"
SUFFIXES = (".html", ".htm")


class Files:
    """One page; what else there is goes into it alone.  written : names of the files, in order."""

    def __init__(self, folder: Path, name: str = PAGE) -> None:
        self.folder, self.name = folder, name
        self.written: list[str] = []

    def derivation(self, theory: Theory) -> None:
        """The cell and its derivation are known."""

    def json(self, name: str, found: Mapping[str, Any]) -> None:
        """A result is known."""

    def figure(self, picture: Picture) -> None:
        """A figure is drawn."""

    def markdown(self, found: Findings) -> None:
        """All is known."""

    def page(self, html: str) -> None:
        """Write the page.  Raises OutputError."""
        self._write(self.name, html)

    def _write(self, name: str, text: str) -> None:
        write_text(self.folder / name, text)
        self.written.append(name)


class Folder(Files):
    """The page, and beside it the derivation in LaTeX and text, results as JSON, figures, and a summary in Markdown."""

    def derivation(self, theory: Theory) -> None:
        """Write the file of the cell as it is used, and the derivation.  Raises OutputError, as all of these do."""
        self._write("cell.toml", source_of(theory.site.cell))
        self._write("derivation.txt", derivation_text(theory))
        self._write("derivation.tex", document(theory))

    def json(self, name: str, found: Mapping[str, Any]) -> None:
        """Write a result as the commands print it with ``--json``."""
        self._write(f"{name}.json", json.dumps(plain(found), indent=2, allow_nan=False) + "\n")

    def figure(self, picture: Picture) -> None:
        """Write a figure."""
        path = self.folder / f"{picture.name}.svg"
        try:
            path.write_bytes(picture.data)
        except OSError as error:
            raise refusal(path, error, "Free some space, or give another path.") from None
        self.written.append(path.name)

    def markdown(self, found: Findings) -> None:
        """Write the summary, which lists all files."""
        self._write("report.md", summary(found, self.written))


def files_of(target: str | os.PathLike[str]) -> Files:
    """A page where the name ends as one, else a folder.  Raises OutputError where it cannot be written."""
    path = Path(target)
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        return Files(writable_file(path).parent, path.name)
    return Folder(writable_folder(path))
