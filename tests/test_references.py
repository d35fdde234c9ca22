"""Equations refer to each other: every reference has its equation, earlier in the document, in every format."""

from __future__ import annotations

import re

import pytest
from test_write_latex import CASES as WRITTEN
from test_write_latex import theory_of

from derive.write.content import blocks
from derive.write.html import html
from derive.write.latex import document, equations_latex
from derive.write.markdown import markdown
from derive.write.presenter import Display, Heading, Paragraph, text_presenter
from derive.write.references import SOURCES, Register, sources_of
from derive.write.text import derivation_text

CASES = [*WRITTEN, "rate stationary", "gated-rnn stationary"]
WITHOUT = {"fields", "stability"}
"""The step that starts from the model, and one that has no equations to start from."""


def text_steps(case: str) -> list[tuple[str, list[int], list[tuple[int, int]]]]:
    """Rule, numbers of its equations, and ranges it refers to, for each step."""
    found: list[tuple[str, list[int], list[tuple[int, int]]]] = []
    for item in blocks(text_presenter(theory_of(case))):
        match item:
            case Heading(level=1):
                found.append(("", [], []))
            case Heading(rule=rule):
                found.append((rule, [], []))
            case Display():
                found[-1][1].extend(int(tag) for tag in item.tags() if tag)
            case Paragraph(label="From", text=text):
                ranges = re.findall(r"\((\d+)\)(?:–\((\d+)\))?", text)
                found[-1][2].extend((int(first), int(last or first)) for first, last in ranges)
    return [step for step in found if step[0]]


@pytest.mark.parametrize("case", CASES)
def test_steps_refer_to_earlier_steps(case: str) -> None:
    steps = text_steps(case)
    owner = {number: rule for rule, numbers, _ in steps for number in numbers}
    for rule, numbers, ranges in steps:
        known = [source for source in SOURCES.get(rule.split("`")[0].strip(), ()) if source in owner.values()]
        assert bool(ranges) == bool(known) or rule.startswith("growth per step"), rule
        assert ranges or rule in WITHOUT, rule
        for first, last in ranges:
            assert first <= last
            assert {owner[number] for number in range(first, last + 1)} <= {owner[first]}
            assert not numbers or last < min(numbers)


def test_the_boundary_refers_to_the_gain_matrix() -> None:
    steps = {rule: (numbers, ranges) for rule, numbers, ranges in text_steps("gru static")}
    gain = steps["gain matrix"][0]
    assert steps["boundary of the support"][1] == [(min(gain), max(gain))]
    assert len(gain) == 3
    assert f"From: ({gain[0]})–({gain[-1]})" in derivation_text(theory_of("gru static"))
    assert f"**From:** ({gain[0]})–({gain[-1]})" in markdown(theory_of("gru static"))
    assert r"\textbf{From:} \eqref{eq:gain-matrix-1}--\eqref{eq:gain-matrix-3}" in document(theory_of("gru static"))


@pytest.mark.parametrize("case", CASES)
def test_labels_of_latex(case: str) -> None:
    text = document(theory_of(case))
    labels = re.findall(r"\\label\{([^}]*)\}", text)
    assert len(labels) == len(set(labels))
    assert all(re.fullmatch(r"eq:[a-z0-9-]+", label) for label in labels)
    references = list(re.finditer(r"\\eqref\{([^}]*)\}", text))
    assert references
    for reference in references:
        assert text.index(rf"\label{{{reference[1]}}}") < reference.start()
    assert not any(r"\label" in line for line in equations_latex(theory_of(case)))


@pytest.mark.parametrize("case", CASES)
def test_links_of_html(case: str) -> None:
    text = html(theory_of(case))
    links = list(re.finditer(r'<a href="#(eq\d+)">\((\d+)\)</a>', text))
    assert links
    for link in links:
        assert link[1] == f"eq{link[2]}"
        assert text.count(f'id="{link[1]}"') == 1
        assert text.index(f'id="{link[1]}"') < link.start()


def test_every_rule_that_is_cited_is_a_rule() -> None:
    rules = {rule.split("`")[0].strip() for case in CASES for rule, _, _ in text_steps(case)}
    assert set(SOURCES) <= rules
    assert {source for sources in SOURCES.values() for source in sources} <= rules


def test_labels_are_told_apart() -> None:
    register = Register()
    first, second = register.add("gate `a_b`", 2), register.add("gate `a-b`", 1)
    assert [item.label for item in (*first, *second)] == ["gate-a-b-1", "gate-a-b-2", "gate-a-b-no-2-1"]
    assert [item.number for item in (*first, *second)] == [1, 2, 3]
    assert [item.label for item in register.add("gate `a_b`", 1)] == ["gate-a-b-3"]
    assert sources_of("saturated gate `z`") == SOURCES["saturated gate"]
    assert register.add("nothing", 0) == ()
