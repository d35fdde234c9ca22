"""A section of a report's page."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from solvers.report.findings import Picture
from solvers.report.markup import element, text


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
    source = "data:image/svg+xml;base64," + base64.b64encode(picture.data).decode("ascii")
    image = f'<img src="{source}" alt="{text(picture.alt)}"/>'
    return element("figure", [image, element("figcaption", text(picture.caption))])
