"""Files that are written: a clear error where one cannot be, before the long work and not after it."""

from __future__ import annotations

import os
from pathlib import Path

from derive.errors import GatefieldError


class OutputError(GatefieldError):
    """A file or folder cannot be written."""


def writable_file(path: str | os.PathLike[str]) -> Path:
    """The path, if a file can be written there (nothing is left behind).  Raises OutputError."""
    target = Path(path)
    try:
        existed = target.exists()
        with target.open("a", encoding="utf-8"):
            pass
        if not existed:
            target.unlink()
    except (OSError, ValueError) as error:
        raise refusal(target, error, "Give the path of a file in a folder that exists and can be written.") from None
    return target


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """The folder, made if need be.  Raises OutputError."""
    target = Path(path)
    try:
        target.mkdir(parents=True, exist_ok=True)
        probe = target / f".gatefield-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, ValueError) as error:
        raise refusal(target, error, "Give a folder that can be made and written.") from None
    return target


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8.  Raises OutputError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise refusal(path, error, "Free some space, or give another path.") from None


def refusal(path: Path, error: Exception, mend: str) -> OutputError:
    """The error for a path that cannot be written; mend : what to do."""
    reason = getattr(error, "strerror", None) or str(error)
    return OutputError(f"{str(path)[:200]} cannot be written: {reason}. {mend}")
