"""A line of progress on a terminal, and silence in a pipe."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

INTERVAL = 0.5


class Progress:
    """``with Progress("solving") as progress: ...; progress("checking")``: what is being done, and for how long.

    Nothing is written unless stderr is a terminal.
    """

    def __init__(self, text: str) -> None:
        self._text, self._start, self._width = text, time.monotonic(), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True) if sys.stderr.isatty() else None

    def __call__(self, text: str) -> None:
        """Say what is being done now."""
        self._text = text

    def __enter__(self) -> Progress:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._write("")

    def _tick(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._write(f"{self._text} … {time.monotonic() - self._start:.0f} s")

    def _write(self, line: str) -> None:
        try:
            sys.stderr.write("\r" + line[:100].ljust(self._width) + ("" if line else "\r"))
            sys.stderr.flush()
        except (OSError, ValueError):
            pass
        self._width = min(len(line), 100)
