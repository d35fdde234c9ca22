"""One JSON object on stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from solvers.solution import plain


def print_json(found: Mapping[str, Any]) -> None:
    """Print the object; numbers that are not finite become null."""
    print(json_text(found), end="")


def json_text(found: Mapping[str, Any]) -> str:
    """The object as indented text that ends in a newline."""
    return json.dumps(plain(found), indent=2, allow_nan=False) + "\n"
