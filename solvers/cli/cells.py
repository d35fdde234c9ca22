"""``gatefield cells``."""

from __future__ import annotations

import argparse
import textwrap

from derive.cell import load, shipped


def run(given: argparse.Namespace) -> int:
    """List the shipped cells with their titles."""
    width = max(len(name) for name in shipped())
    for name in shipped():
        title = textwrap.shorten(load(name).title, 95 - width, placeholder=" …")
        print(f"{name:<{width}}  {title}".rstrip())
    return 0
