"""One JSON object on stdout."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any

from derive.cell import Cell, resolve
from solvers.budget import BudgetSpent
from solvers.cli.alarm import stop_alarm
from solvers.cli.assignments import assignments
from solvers.solution import plain


def unfinished(cell: Cell, given: argparse.Namespace, spent: BudgetSpent, **rest: Any) -> dict[str, Any]:
    """The object of a command that ran out of time before it had anything."""
    found: dict[str, Any] = {"cell": cell.name}
    if hasattr(given, "ansatz"):
        found["ansatz"] = given.ansatz
    found["parameters"] = resolve(cell, assignments(given.parameters)).parameters
    return found | rest | {"notes": [str(spent)]}


def print_json(found: Mapping[str, Any]) -> None:
    """Print the object; numbers that are not finite become null."""
    stop_alarm()
    print(json_text(found), end="")


def print_found(given: argparse.Namespace, found: Mapping[str, Any], text: Callable[[dict[str, Any]], str]) -> None:
    """Print what a command found: the object with ``--json``, else its text."""
    stop_alarm()
    if given.json:
        print_json(found)
    else:
        print(text(dict(found)), end="")


def json_text(found: Mapping[str, Any]) -> str:
    """The object as indented text that ends in a newline."""
    return json.dumps(plain(found), indent=2, allow_nan=False) + "\n"
