"""Frameworks that tests run: skipped with a reason where they are missing, an error where they must be there."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def installed(name: str) -> Any:
    """The module of this name; ``GATEFIELD_REQUIRE_FRAMEWORKS`` turns its absence from a skip into an error."""
    if os.environ.get("GATEFIELD_REQUIRE_FRAMEWORKS"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed; .ci/frameworks installs it and runs this")
