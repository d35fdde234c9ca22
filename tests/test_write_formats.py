"""Markdown and HTML: the same content as LaTeX, well formed, complete in themselves, the same bytes every time."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from test_write_latex import CASES, theory_of

from derive.cell.latex import ALLOWED_COMMANDS
from derive.write.content import blocks
from derive.write.html import html
from derive.write.latex import document
from derive.write.markdown import formula, markdown
from derive.write.mathml import FormulaError, mathml, plain_text
from derive.write.presenter import Display, Heading, latex_presenter
from derive.write.preset import shipped_notations
from derive.write.text import derivation_text

CHOSEN = ("gru static", "lstm untied", "shared static", "pair untied")


def tree_of(page: str) -> ElementTree.Element:
    """The page as XML."""
    doctype, _, rest = page.partition("\n")
    assert doctype == "<!DOCTYPE html>"
    return ElementTree.fromstring(rest)


def text_of(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


@pytest.mark.parametrize("case", CASES)
def test_page_is_well_formed_and_needs_nothing_else(case: str) -> None:
    page = html(theory_of(case))
    root = tree_of(page)
    assert not root.findall(".//script")
    assert not root.findall(".//link")
    assert not root.findall(".//img")
    for element in root.iter():
        assert not set(element.attrib) & {"src", "srcset", "onload", "onclick", "data"}
        assert element.attrib.get("href", "#").startswith("#")
    assert "://" not in page
    assert "@import" not in page
    targets = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(targets) == len(set(targets))
    assert {element.attrib["href"][1:] for element in root.iter("a")} <= set(targets)


@pytest.mark.parametrize("case", CASES)
def test_mathml_holds_no_latex_and_every_element_has_its_parts(case: str) -> None:
    root = tree_of(html(theory_of(case)))
    parts = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "mover": 2, "munder": 2, "munderover": 3}
    found = list(root.iter("math"))
    assert len(found) > 20
    for item in found:
        assert not re.search(r"[\\{}$]", text_of(item).replace("∖", ""))
        for element in item.iter():
            assert len(element) == parts.get(element.tag, len(element)), element.tag
            assert element.tag.startswith("m")


@pytest.mark.parametrize("case", CASES)
def test_every_medium_has_the_same_headings_and_numbers(case: str) -> None:
    theory = theory_of(case)
    items = list(blocks(latex_presenter(theory)))
    headings = [item.number for item in items if isinstance(item, Heading)]
    tags = [tag for item in items if isinstance(item, Display) for tag in item.tags() if tag]
    assert tags == [str(number) for number in range(1, len(tags) + 1)]
    tex, text, page, plain = document(theory), markdown(theory), html(theory), derivation_text(theory)
    assert tex.count(r"\section{") + tex.count(r"\subsection{") == len(headings)
    assert re.findall(r"^##+ (\d[\d.]*) ", text, re.MULTILINE) == headings
    assert re.findall(r'<h[23] id="s([\d.]+)">', page) == headings
    assert re.findall(r"^(\d+(?:\.\d+)?)  \S", plain, re.MULTILINE) == headings
    assert re.findall(r"\\tag\{(\d+)\}", text) == tags
    assert re.findall(r'<td class="number" id="eq(\d+)">', page) == tags
    assert re.findall(r"^    .* \((\d+)\)$", plain, re.MULTILINE) == tags


@pytest.mark.parametrize("case", CASES)
def test_markdown_formulas_are_delimited(case: str) -> None:
    text = markdown(theory_of(case))
    outside = re.sub(r"^\$\$\n.*?\n\$\$$", "", text, flags=re.MULTILINE | re.DOTALL)
    outside = re.sub(r"(?<!\\)\$(?! )[^$\n]*?(?<![ \\])\$(?![0-9])", "", outside)
    assert not re.search(r"(?<!\\)\$", outside)
    assert not re.search(r"\\(?:[a-z]{2,}|[,;])", outside)
    assert text.count(r"\begin{aligned}") == text.count(r"\end{aligned}")
    for body in re.findall(r"^\$\$\n(.*?)\n\$\$$", text, re.MULTILINE | re.DOTALL):
        assert "\n\n" not in body
        assert not re.search(r"\\[,;{}_]|[<>*]|operatorname", body)


@pytest.mark.parametrize("notation", shipped_notations())
@pytest.mark.parametrize("case", CHOSEN)
def test_every_notation_in_every_format(case: str, notation: str) -> None:
    theory = theory_of(case)
    tree_of(html(theory, notation))
    assert markdown(theory, notation).endswith("\n")
    assert derivation_text(theory, notation)


def test_what_a_reader_looks_for_is_there() -> None:
    shown = " ".join(text_of(tree_of(html(theory_of("gru static")))).split())
    for words in ("Self-averaging", "Gradient independence", "Stationarity", "Gain matrix", "Outliers", "Zero state"):
        assert words in shown
    text = markdown(theory_of("minimal-rnn untied"))
    assert r"\chi_{1} = \langle u^{2}\rangle" in text


@pytest.mark.parametrize("command", sorted(ALLOWED_COMMANDS))
def test_every_command_of_a_cell_file_has_mathml(command: str) -> None:
    root = ElementTree.fromstring(mathml(rf"\{command}{{x}}_1^{{2}}"))
    assert root.tag == "math"
    assert "\\" not in text_of(root).replace("∖", "")


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        ("x_{1}^{2}", "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>"),
        ("y'^{2}", "<msup><mrow><mi>y</mi><mo>′</mo></mrow><mn>2</mn></msup>"),
        ("F_z''", "<mrow><msub><mi>F</mi><mi>z</mi></msub><mo>′′</mo></mrow>"),
        (r"\frac{1}{\tau}", "<mfrac><mn>1</mn><mi>τ</mi></mfrac>"),
        ("x^23", "<mrow><msup><mi>x</mi><mn>2</mn></msup><mn>3</mn></mrow>"),
        (r"\mathbb{E}", '<mi mathvariant="normal">𝔼</mi>'),
        (r"\mathrm{total}", "<mi>total</mi>"),
        ("1.25", "<mn>1.25</mn>"),
        ("", "<mrow></mrow>"),
        ("x=-2", '<mrow><mi>x</mi><mo>=</mo><mo form="prefix">−</mo><mn>2</mn></mrow>'),
        ("(-x)", '<mrow><mo form="prefix" stretchy="false">(</mo><mo form="prefix">−</mo><mi>x</mi>'
                 '<mo form="postfix" stretchy="false">)</mo></mrow>'),
        ("x-2", "<mrow><mi>x</mi><mo>−</mo><mn>2</mn></mrow>"),
    ],
)  # fmt: skip
def test_mathml_of(latex: str, expected: str) -> None:
    assert mathml(latex) == f"<math>{expected}</math>"


def test_scripts_belong_to_the_whole_bracket() -> None:
    root = ElementTree.fromstring(mathml(r"(a + b)^{2}"))
    assert root[0].tag == "msup"
    assert text_of(root[0][0]) == "(a+b)"


def test_fences_that_a_line_break_parts_are_kept() -> None:
    assert text_of(ElementTree.fromstring(mathml(r"\Bigl( a + \frac{b}{c}"))) == "(a+bc"
    assert text_of(ElementTree.fromstring(mathml(r"+ d\Bigr)^{2}", continued=True))) == "+d)2"


@pytest.mark.parametrize("latex", [r"\unknown{x}", "a}", r"\left( a", r"\right)"])
def test_a_formula_that_cannot_be_translated_is_refused(latex: str) -> None:
    with pytest.raises(FormulaError):
        mathml(latex)


def test_prose_of_formulas_is_plain_text() -> None:
    assert plain_text(r"\'{e} \ss{} \texttt{U+4E2D} A\_b") == "é ß 中 A_b"


def test_markdown_escapes() -> None:
    assert formula(r"|\lambda|<1 \, \{a*b\} \operatorname{Re} x") == (
        r"|\lambda|\lt 1 \thinspace  \lbrace a\ast b\rbrace  \mathop{\mathrm{Re}} x"
    )
    title = markdown(theory_of("shared static")).splitlines()[0]
    assert title.startswith(r"# A & B\_c: \{100%\} \$W\$ \~ ^ \\ é 中 σ")


class _Strict(HTMLParser):
    """Counts elements as a browser's parser meets them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_html_as_well() -> None:
    parser = _Strict()
    parser.feed(html(theory_of("shared static")))
    assert parser.open == []
