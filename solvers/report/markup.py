"""HTML, element by element: text is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

Attributes = dict[str, str]


def text(words: object) -> str:
    """Plain text as HTML; characters that do not print are left out."""
    kept = "".join(c for c in str(words) if c.isprintable() or c in "\n\t\u00a0")
    return escape(kept)


def element(tag: str, inner: str | Iterable[str], **attributes: str) -> str:
    """An element; ``inner`` is HTML, attributes are text (``class_`` and ``for_`` lose their underscore)."""
    pairs = "".join(f' {name.rstrip("_").replace("_", "-")}="{text(value)}"' for name, value in attributes.items())
    body = inner if isinstance(inner, str) else "\n".join(inner)
    return f"<{tag}{pairs}>{body}</{tag}>"


def paragraph(words: str, **attributes: str) -> str:
    """A paragraph of plain text."""
    return element("p", text(words), **attributes)


def code(words: str) -> str:
    """Text as it is typed."""
    return element("code", text(words))


def listing(words: str, label: str) -> str:
    """Lines as they are typed or printed, scrolled where they are wide; label : for those who do not see them."""
    return scrolled(element("pre", element("code", text(words.rstrip("\n")))), label)


def scrolled(inner: str, label: str) -> str:
    """What may be wider than the page; reached by keyboard, so that it can be scrolled without a mouse."""
    return element("div", inner, class_="scroll", tabindex="0", role="region", aria_label=label)


def folded(summary: str, inner: str | Iterable[str], *, shown: bool = False, **attributes: str) -> str:
    """A part that a reader opens; summary : HTML."""
    body = inner if isinstance(inner, str) else "\n".join(inner)
    state = {"open": ""} if shown else {}
    return element("details", f"{element('summary', summary)}\n{body}", **attributes, **state)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; caption and head are text, rows hold HTML, the first cell of each being its header."""
    if not (body := [_row(cells) for cells in rows]):
        return ""
    top = element("tr", [element("th", text(name), scope="col") for name in head])
    parts = [element("caption", text(caption)), element("thead", top), element("tbody", body)]
    return scrolled(element("table", parts, class_="data"), caption)


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    return element("tr", [element("th", first, scope="row"), *(element("td", cell) for cell in others)])


def bullets(items: Iterable[str], **attributes: str) -> str:
    """A list of HTML items; nothing where there are none."""
    found = [element("li", item) for item in items]
    return element("ul", found, **attributes) if found else ""


def notes(items: Iterable[str]) -> str:
    """Notes as a list."""
    return bullets((text(item) for item in items), class_="notes")
