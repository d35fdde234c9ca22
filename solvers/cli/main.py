"""From arguments to an exit code: 0 fine, 1 disagreement, 2 bad input, 3 not converged, 4 a bug, 130 interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from derive.errors import ConvergenceError, GatefieldError
from solvers.budget import BudgetSpent
from solvers.cli.alarm import limited
from solvers.cli.arguments import parser

FINE, DISAGREES, BAD_INPUT, NOT_CONVERGED, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors become messages on stderr, never tracebacks."""
    try:
        try:
            given = parser().parse_args(arguments)
            code = _run(given.command, given)
        except SystemExit as stop:  # argparse: usage errors, --help, --version
            code = stop.code if isinstance(stop.code, int) else BAD_INPUT
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader left (``| head``).  What is still buffered has nowhere to go, so the exit flush gets a sink.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except OSError as error:
        _say(f"the output cannot be written: {error.strerror or error}")
        return BAD_INPUT


def _run(command: str, given: object) -> int:
    try:
        _tolerate_ascii()
        module = import_module(f"solvers.cli.{command.replace('-', '_')}")
        with limited(getattr(given, "budget", None)):
            return int(module.run(given))
    except (ConvergenceError, BudgetSpent) as error:
        _say(str(error))
        return NOT_CONVERGED
    except GatefieldError as error:
        _say(str(error))
        return BAD_INPUT
    except MemoryError:
        _say("out of memory; give fewer units with -N, or a smaller cell")
        return BAD_INPUT
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        if os.environ.get("GATEFIELD_DEBUG"):
            raise
        text = " ".join(str(error).split())[:300]
        _say(
            f"unexpected {type(error).__name__}: {text}. This is a bug in gatefield: please report it with the "
            "command and the cell file (GATEFIELD_DEBUG=1 shows where it happened)."
        )
        return BUG


def _say(message: str) -> None:
    with suppress(OSError):
        print(f"gatefield: {message}", file=sys.stderr)


def _tolerate_ascii() -> None:
    """Letters that the terminal cannot show become question marks instead of errors."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
