"""What must hold of any page of a report, as seen by a browser."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from browser import Browser

WIDTHS = (1200, 400)

_LATER = """[...document.querySelectorAll('mfrac')].filter(f => f.children[0].getBoundingClientRect().bottom
  > f.children[1].getBoundingClientRect().top + 1).length"""

_RAISED = """[...document.querySelectorAll('msup')].filter(f => f.children[1].getBoundingClientRect().bottom
  >= f.children[0].getBoundingClientRect().bottom + 1).length"""

_FLAT = """[...document.querySelectorAll('math, math *')].filter(e => {
  const box = e.getBoundingClientRect(), blank = e.textContent.trim() === '';
  return e.namespaceURI !== 'http://www.w3.org/1998/Math/MathML' || !(blank || (box.width > 0 && box.height > 0));
}).map(e => e.outerHTML.slice(0, 80))"""

_WIDE = """[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, div.display, svg')
  && e.getBoundingClientRect().right > window.innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""

_BROKEN_LINKS = """[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))
  .filter(h => !h.startsWith('#') || !document.getElementById(h.slice(1)))"""

_DOUBLE = """(ids => ids.filter((id, k) => ids.indexOf(id) !== k))(
  [...document.querySelectorAll('[id]')].map(e => e.id))"""

_IMAGES = """[...document.images].map(i => ({size: i.complete ? i.naturalWidth * i.naturalHeight : 0,
  width: i.getBoundingClientRect().width, alt: i.alt}))"""

_HEADS = """[...document.querySelectorAll('table.data')].filter(t => !t.caption || !t.caption.textContent
  || [...t.querySelectorAll('th')].some(h => !['row', 'col'].includes(h.scope))
  || [...t.tBodies[0].rows].some(r => r.cells.length !== t.tHead.rows[0].cells.length)).length"""

_LEVELS = """[...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1])"""

_FAINT = """(() => {
  const part = c => c.match(/[\\d.]+/g).map(Number);
  const channel = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => .2126 * channel(c[0]) + .7152 * channel(c[1]) + .0722 * channel(c[2]);
  const behind = e => { for (; e; e = e.parentElement) { const c = part(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll('p, li, td, th, h2, h3, summary, code, span, figcaption, caption')].filter(e => {
    const [a, b] = [light(part(getComputedStyle(e).color)), light(behind(e))];
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5; }).map(e => e.outerHTML.slice(0, 80));
})()"""


def check_page(browser: Browser, path: Path) -> None:
    """Open a page in both widths and both colour schemes, unfolded, and look for what would annoy a reader."""
    for width, dark in zip(WIDTHS, (False, True), strict=True):
        browser.open(path, width=width, dark=dark)
        assert browser.complaints() == []
        assert [address for address in browser.requests() if address != path.absolute().as_uri()] == []
        browser.unfold()
        _check_formulas(browser)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(_WIDE) == []
        assert browser.run(_FAINT) == []
        assert browser.complaints() == []
    _check_structure(browser)


def _check_formulas(browser: Browser) -> None:
    assert browser.run("document.querySelectorAll('math').length") > 5
    assert browser.run(_FLAT) == []
    assert browser.run(_LATER) == 0
    assert browser.run(_RAISED) == 0


def _check_structure(browser: Browser) -> None:
    assert browser.run("document.compatMode") == "CSS1Compat"
    assert browser.run("document.documentElement.lang") == "en"
    assert browser.run("document.scripts.length") == 0
    assert browser.run(_BROKEN_LINKS) == []
    assert browser.run(_DOUBLE) == []
    assert browser.run(_HEADS) == 0
    levels = browser.run(_LEVELS)
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for image in images(browser):
        assert image["size"] > 10_000
        assert image["width"] > 200
        assert len(image["alt"]) > 40


def images(browser: Browser) -> list[dict[str, Any]]:
    """Size in pixels, width on the page and alternative text of every picture."""
    return list(browser.run(_IMAGES))


def tables(browser: Browser, caption: str) -> list[list[list[str]]]:
    """The rows, as texts, of all tables whose captions begin so."""
    found = browser.run(
        f"[...document.querySelectorAll('table.data')].filter(t => t.caption.textContent.startsWith({caption!r}))"
        ".map(t => [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText.trim())))"
    )
    return list(found)
