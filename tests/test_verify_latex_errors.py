"""LaTeX formulas that are refused, with their places; and nothing but formulas and refusals, whatever the text."""

from __future__ import annotations

import random
import time
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latex_pairs import ALL, REFUSED_OR_OWN

from derive import load
from derive.site import site_form
from derive.verify.formula import Formula, FormulaError
from derive.verify.latex_input import read_latex
from derive.verify.vocabulary import Vocabulary, vocabulary


@cache
def words(cell: str) -> Vocabulary:
    return vocabulary(site_form(load(cell)))


# cell, LaTeX, the offending text (its first occurrence behind `=`, or at the end), part of the message
REFUSALS = [
    ("gru", r"1 = \left(h", r"\left(", "without `\\right`"),
    ("gru", r"1 = \right) h", r"\right)", "without `\\left`"),
    ("gru", r"1 = \left( h \right]", r"\left(", "not closed"),
    ("gru", r"1 = \left h", r"\left h", "without a bracket"),
    ("gru", r"1 = \left. h \right|", r"\left.", "invisible bracket"),
    ("gru", "1 = h}", "}", "closes nothing"),
    ("gru", "1 = {h", "{", "not closed"),
    ("gru", "1 = (h", "(", "not closed"),
    ("gru", "1 = h)", ")", "closes nothing"),
    ("gru", r"1 = \langle h)", r"\langle", "not closed"),
    ("gru", r"1 = |h", "|", "not closed"),
    ("gru", "1 = h = 2", None, "two equals signs"),
    ("gru", "= 2", None, "missing before"),
    ("gru", "1 + h", None, "ends here"),
    ("gru", "1 =", None, "ends here"),
    ("gru", "1 = h +", None, "ends here"),
    ("gru", r"1 = \frac{}{2}", "{}", "empty argument"),
    ("gru", r"1 = \frac{1}", "}", "no argument"),
    ("gru", r"1 = \sqrt{}", "{}", "empty argument"),
    ("gru", r"1 = \sqrt[3]{h}", "[", "root with an index"),
    ("gru", "1 = ()", "()", "nothing between"),
    ("gru", "1 = h^", "^", "no argument"),
    ("gru", "1 = h_", "_", "no argument"),
    ("gru", "1 = h^2^3", "^3", "two superscripts"),
    ("gru", "1 = h_1_2", "_2", "two subscripts"),
    ("gru", "1 = h^12", "12", "several digits"),
    ("gru", "1 = h^-1", "-", "needs braces"),
    ("gru", "1 = h^{(2)}", "(2)", "in brackets"),
    ("gru", r"1 = \foo + h", r"\foo", "not read"),
    ("gru", r"1 = \lamda", r"\lamda", "not read"),
    ("gru", r"1 = \sigma_x^2", r"\sigma_x^2", "not known"),
    ("gru", "1 = h_t", "h_t", "not known"),
    ("gru", r"1 = \sigma", r"\sigma", "not known"),
    ("gru", "1 = q_z", "q_z", "could be q[W_z], q[U_z] or q_total[z]"),
    ("gru", "1 = q^*", "q^*", "could be"),
    ("lstm", "1 = Q + h", "Q", "could be Q[c] or Q[h]"),
    ("gru", "1 = Q_z", "Q_z", "not known"),
    ("gru", "1 = K_h", "K_h", "not known"),
    ("gru", "1 = K_{hx}", "K_{hx}", "not known"),
    ("gru", "1 = C_h", "C_h", "not known"),
    ("gru", "1 = c^*", "c^*", "not known"),
    ("gru", "1 = h^*", "h^*", "a star on"),
    ("gru", "1 = (h)^*", "*", "a star on"),
    ("gru", "1 = W_h", "W_h", "is a matrix"),
    ("gru", "1 = h'", "h'", "no definition"),
    ("gru", "1 = 2'", "'", "no definition"),
    ("gru", "1 = (z)'", "'", "no definition"),
    ("gru", r"1 = \sigma_h'", r"\sigma_h'", "no definition"),
    ("gru", r"1 = z'(h-y)", "z'(h-y)", "an argument or a factor"),
    ("gru", "1 = z(h)", "z(h)", "an argument or a factor"),
    ("gru", r"1 = \sigma_h(z)", r"\sigma_h(z)", "an argument or a factor"),
    ("gated-rnn", r"1 = \sigma_z(h-z)", r"\sigma_z(h-z)", "an argument or a factor"),
    ("gated-rnn", r"1 = \sigma_z'(z)", r"\sigma_z'", "the derivative by"),
    ("gated-rnn", r"1 = \phi h", "h", "an argument or a factor"),
    ("gated-rnn", r"1 = \phi(1-\phi)", r"\phi(1-\phi)", "an argument or a factor"),
    ("gated-rnn", r"1 = \int Ds\, \sigma_r(\sqrt{q_r}s)", r"\sigma_r(\sqrt{q_r}s)", "an argument or a factor"),
    ("gru", "1 = 1/2 h", "h", "behind a quotient"),
    ("gru", "1 = h 2", "2", "no sign between"),
    ("gru", r"1 = \tanh h z", r"\tanh h", "how far"),
    ("gru", r"1 = \ln h / z", r"\ln h", "how far"),
    ("gru", r"1 = \tanh h^2", "h^2", "of the argument or of the function"),
    ("gru", r"1 = \tanh^{-1}(h)", "-1", "a power or an inverse"),
    ("gru", r"1 = \tanh + h", r"\tanh", "without an argument"),
    ("gru", r"1 = \tanh^2(h)^2", "^", "two powers"),
    ("gru", r"1 = \operatorname{sech}(h)", r"\operatorname{sech}(h)", "sech"),
    ("gru", r"1 = \cosh(h)", r"\cosh", "not read"),
    ("gru", "1 = |h|z|y|", "|", "two ways"),
    ("gru", r"1 = \int h", "h", "without Dz"),
    ("gru", r"1 = \int ds\, s", "d", "without Dz"),
    ("gru", r"1 = \int Dz\, z", "z", "already"),
    ("gru", r"1 = \int D\xi\, \xi", r"\xi", "already"),
    ("gru", r"1 = \int Ds", None, "ends here"),
    ("gru", r"1 = \int Ds\, -s", "-", "no integrand"),
    ("gru", r"1 = \int Ds\, \int Ds\, s", "s", "two integrals"),
    ("gru", r"1 = \int Ds\, h + s", "s", "not known"),
    ("gru", r"1 = \int_0^1 Ds\, h", "_0", "limits"),
    ("gru", r"1 = 2/\int Ds\, s", r"\int", "behind /"),
    ("gru", r"1 = \langle h\overline{h^2}\rangle", r"\overline{h^2}", "a bar"),
    ("gru", r"1 = \overline{h-\lambda}", r"\overline{h-\lambda}", "an average or a conjugate"),
    ("gru", r"1 = \mathbb{E} h z", r"\mathbb{E} h", "how far"),
    ("gru", r"1 = \mathbb{E} h^2", "h^2", "of the argument or of the function"),
    ("gru", r"1 = \bar{h}", r"\bar{h}", "a bar"),
    ("gru", r"1 = \dot{h}", r"\dot{h}", "time derivative"),
    ("gru", "1 = E h", "E", "without [...]"),
    ("gru", r"1 = \mathbb{E}_x[h]", r"\mathbb{E}_x", "without [...]"),
    ("gru", r"1 = \mathbb{E}^2[h]", r"\mathbb{E}^2", "sign of an average"),
    ("gru", r"1 = \langle h \rangle_x", "_", "no symbol"),
    ("gru", r"1 = h \\ z", "z", "line break"),
    ("gru", r"1 = \sum h", r"\sum", "not read"),
    ("gru", r"1 \approx h", r"\approx", "not read"),
    ("gru", "1 = <h>", "<", "not read"),
    ("gru", "1 = λ", "λ", "cannot be read"),
    ("gru", "$1 = h$ x", "x", "text after"),
    ("gru", "$1 = h", "$", "not closed"),
    ("gru", r"1 = \begin{cases} h \end{cases}", r"\begin{cases}", "environment"),
    ("gru", r"\begin{equation} 1 = h \end{align}", r"\end{align}", "closes nothing"),
    ("gru", "1 = " + "{" * 70, "{", "too deep"),
    ("gru", "1 = " + "h+" * 300 + "h", None, "too many terms"),
    ("gru", "1 = " + "9" * 90, None, "too long"),
]


def test_there_are_enough_refusals() -> None:
    assert len(REFUSALS) >= 40


@pytest.mark.parametrize(("cell", "latex", "offence", "text"), REFUSALS, ids=range(len(REFUSALS)))
def test_refusals(cell: str, latex: str, offence: str | None, text: str) -> None:
    with pytest.raises(FormulaError) as caught:
        read_latex(latex, words(cell))
    error = caught.value
    assert text in error.what
    start, end = error.span
    assert 0 <= start < end
    if offence is not None:
        assert latex[start:end] == offence
    shown, carets = str(error).split("\n")[1:3]
    assert carets.strip() == "^" * (end - start)
    assert len(carets) <= len(shown) + 1


@pytest.mark.parametrize(("cell", "latex"), REFUSED_OR_OWN, ids=range(len(REFUSED_OR_OWN)))
def test_doubtful_styles_of_papers(cell: str, latex: str) -> None:
    """An error in words, or a formula with a node of its own; never a guess."""
    outcome = outcome_of(latex, cell)
    if isinstance(outcome, FormulaError):
        assert outcome.rule


def test_places_of_some_errors() -> None:
    for latex, place in ((r"Q_h = \langle y^2", (6, 13)), ("1 = h = 2", (6, 7)), (r"z + \frac{1}{} = 2", (12, 14))):
        with pytest.raises(FormulaError) as caught:
            read_latex(latex, words("gru"))
        assert caught.value.span == place


@pytest.mark.parametrize(
    ("latex", "suggestion"), [(r"1 = \sigma_x", r"\sigma_z"), (r"1 = \sgima_h", r"\sigma"), (r"1 = \mu_q", r"\mu_")]
)
def test_suggestions(latex: str, suggestion: str) -> None:
    with pytest.raises(FormulaError) as caught:
        read_latex(latex, words("gru"))
    assert suggestion in caught.value.rule


# Anything at all -----------------------------------------------------------------------------------------------------

SIGNS = r"""
\left( \right) \left \right { } [ ] ( ) | \| \langle \rangle ^ _ ' * \ast \star \prime \cdot / = + - , . $ & \\ % ''
\frac \sqrt \int Dz \mathcal{D}s \mathbb{E} E \sigma \phi \tanh \ln \lambda \bar \overline \mathrm \Re \chi_1 q Q K_{hr}
C^* e^ 12 .5 u h z \begin{equation} \end{equation} \label{a} \bigl \bigr \, \; ~ {} ^{ _{ }} ^* ^2 \overline{u}
"""
PIECES = (
    *SIGNS.split(), "\n", "\\", "\x00", "λ", "\ud800", "\\ ", "{" * 70, "(" * 70, r"\tanh" * 70, r"\bar" * 70,
    r"\frac" * 70, "^{h" * 70, "h+" * 400, "-" * 100, "h(" * 65, r"\phi(" * 65,
)  # fmt: skip
ORIGINALS = [(cell, latex) for cell, latex, _ in ALL]


def outcome_of(latex: str, cell: str) -> Formula | FormulaError:
    """The formula, or the error as a value; both come soon, and nothing else is raised."""
    started = time.process_time()
    try:
        found: Formula | FormulaError = read_latex(latex, words(cell))
    except FormulaError as error:
        found = error
    assert time.process_time() - started < 1.0
    return found


def mutated(latex: str, rng: random.Random) -> str:
    """One to four small changes."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(latex) + 1)
        to = min(len(latex), at + rng.randrange(1, 12))
        match rng.randrange(5):
            case 0:
                latex = latex[:at] + latex[at + 1 :]
            case 1:
                latex = latex[:at] + latex[at:to] + latex[at:]
            case 2:
                latex = latex[:at] + latex[to:]
            case 3:
                other = rng.choice(ORIGINALS)[1]
                latex = latex[:at] + other[: rng.randrange(len(other))]
            case _:
                latex = latex[:at] + rng.choice(PIECES) + latex[at:]
    return latex


RELAXED = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@RELAXED
@given(st.integers(0, 2**32))
def test_mutations_end_in_a_formula_or_an_error(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(8):
        cell, latex = rng.choice(ORIGINALS)
        judge(mutated(latex, rng), cell)


@RELAXED
@given(st.lists(st.sampled_from(PIECES), max_size=14), st.sampled_from(("gru", "gated-rnn", "vanilla")))
def test_any_pieces(pieces: list[str], cell: str) -> None:
    judge("1 = " + "".join(pieces), cell)
    judge(" ".join(pieces), cell)


@RELAXED
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    judge(text, "gru")


def judge(latex: str, cell: str) -> None:
    outcome = outcome_of(latex, cell)
    if isinstance(outcome, FormulaError):
        start, end = outcome.span
        assert 0 <= start < end
        assert start <= len(outcome.text)
        assert len(str(outcome)) < 20_000
        assert outcome.what


def test_long_texts_are_quick() -> None:
    for latex in ("h" * 10_000, "{" * 3999, "1 = " + r"\bar" * 900, "1 = " + "h(" * 1900, "1 = " + r"\tanh" * 700,
                  "1 = " + "|" * 3900, "1 = " + "h'" * 1900, "1 = " + "{h" * 59 + "}" * 59,
                  r"1 = \tanh(" + "h+" * 1900 + "h)"):  # fmt: skip
        outcome_of(latex, "gru")
