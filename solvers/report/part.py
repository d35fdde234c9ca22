"""A section of a report's page."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from solvers.report.findings import Picture
from solvers.report.markup import element, scrolled, text

LEAST = 0.55
"""Share of its own width below which a figure is not shrunk."""


@dataclass(frozen=True)
class Part:
    """name : its anchor; title : text; blocks : HTML."""

    name: str
    title: str
    blocks: tuple[str, ...]


def figures(pictures: Iterable[Picture]) -> list[str]:
    """Pictures with their captions, inside the page."""
    return [_figure(picture) for picture in pictures]


def _figure(picture: Picture) -> str:
    caption = element("figcaption", text(picture.caption))
    # On a narrow screen a figure is scrolled rather than shrunk until nobody can read it.
    least = f"min-width: {LEAST * width_of(picture.data):.0f}px"
    source = "data:image/svg+xml;base64," + base64.b64encode(picture.data).decode("ascii")
    image = f'<img src="{source}" alt="{text(picture.alt)}" style="{least}"/>'
    return element("figure", [scrolled(image, "Figure"), caption])


def width_of(svg: bytes) -> float:
    """Of an SVG as Matplotlib writes it, in CSS pixels."""
    found = re.search(rb'<svg[^>]*\bwidth="([\d.]+)pt"', svg)
    return float(found[1]) * 4 / 3 if found else 0.0
