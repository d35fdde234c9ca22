"""LaTeX formulas: the same trees as the plain notation, refusals with their places, and nothing else ever raised."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import hand
import pytest
from latex_pairs import PAIRS

from derive import load, shipped
from derive.cell import parse_cell
from derive.pipeline import derive_theory
from derive.site import site_form
from derive.verify.formula import (
    Binary,
    Call,
    Formula,
    FormulaError,
    GaussianIntegral,
    Indexed,
    Name,
    Node,
    Number,
    SlopeAt,
    children,
)
from derive.verify.grammar import read_formula
from derive.verify.latex_input import read_latex
from derive.verify.meaning import read_claim
from derive.verify.vocabulary import Vocabulary, vocabulary
from derive.write.latex import equations_latex


@cache
def words(cell: str) -> Vocabulary:
    return vocabulary(site_form(load(cell)))


def trees(formula: Formula) -> tuple[Node, Node]:
    return formula.left, formula.right


def read(latex: str, cell: str = "minimal-rnn") -> tuple[Node, Node]:
    return trees(read_latex(latex, words(cell)))


def right(latex: str, cell: str = "minimal-rnn") -> Node:
    return read(f"1 = {latex}", cell)[1]


def test_there_are_enough_pairs() -> None:
    assert len(PAIRS) >= 60


@pytest.mark.parametrize(("cell", "latex", "plain"), PAIRS, ids=range(len(PAIRS)))
def test_same_tree_as_the_plain_notation(cell: str, latex: str, plain: str) -> None:
    assert read(latex, cell) == trees(read_formula(plain))


@pytest.mark.parametrize(("cell", "latex", "plain"), PAIRS, ids=range(len(PAIRS)))
def test_spans_lie_in_the_text(cell: str, latex: str, plain: str) -> None:
    pending = list(read(latex, cell))
    while pending:
        node = pending.pop()
        start, end = node.span
        assert 0 <= start < end <= len(latex)
        for child in children(node):
            pending.append(child)
            if isinstance(child, Name) and not isinstance(node, Binary):
                assert start <= child.span[0] < child.span[1] <= end


# What the plain notation does not have -------------------------------------------------------------------------------

Z = Name("z")
ROOT_Q = Call("sqrt", Indexed("q", ("W_h",)))
TWO = Number(Fraction(2))


def test_integral() -> None:
    expected = GaussianIntegral("z", Binary("**", Call("phi", Binary("*", ROOT_Q, Z)), TWO))
    for measure in (r"Dz\,", r"\mathcal{D}z", r"D z", r"\!\mathrm{D}z\;", r"_{-\infty}^{\infty} \mathcal{D}z"):
        assert right(rf"\int {measure} \phi(\sqrt{{q_{{W_h}}}} z)^2", "vanilla") == expected


def test_integral_ends_at_a_sum() -> None:
    expected = Binary("+", GaussianIntegral("z", Binary("*", Z, Name("R"))), Name("sigma_b"))
    assert right(r"\int Dz\, z R + \sigma_b", "vanilla") == expected


def test_integral_in_brackets() -> None:
    inner = Binary("+", Z, Name("R"))
    assert right(r"\int Dz \left[ z + R \right]", "vanilla") == GaussianIntegral("z", inner)


def test_nested_integrals() -> None:
    product = Binary("*", Name("z_1"), Name("z_2"))
    expected = GaussianIntegral("z_1", GaussianIntegral("z_2", product))
    assert right(r"\int Dz_1 \int Dz_2\, z_1 z_2", "vanilla") == expected
    assert right(r"\int \mathcal{D}z_1\,\mathcal{D}z_2\, z_{1} z_{2}", "vanilla") == expected


def test_derivative_at_an_argument() -> None:
    argument = Binary("*", ROOT_Q, Z)
    expected = GaussianIntegral("z", Binary("**", SlopeAt("phi", 1, argument), TWO))
    for head in (r"\phi'(%)^2", r"\phi'^2(%)", r"{\phi'}^2\left(%\right)", r"\left[\phi'\!\left(%\right)\right]^2"):
        latex = head.replace("%", r"\sqrt{q_{W_h}} z")
        assert right(rf"\int Dz\, {latex}", "vanilla") == expected
    assert right(r"\tanh''(h)") == SlopeAt("tanh", 2, Name("h"))
    assert right(r"\sigma'(h)") == SlopeAt("sigmoid", 1, Name("h"))


def test_integral_and_derivative_have_a_meaning() -> None:
    theory = derive_theory(load("rate"), "static")
    latex = r"\langle\phi'(x)\rangle = \int Dz\,\phi'(\sqrt{q_J}\,z)"
    claim = read_claim(read_latex(latex, words("rate")), theory)
    assert len(claim.left.free_symbols) == 1
    assert "phi'" in str(claim.right)


# A cell's own symbols ------------------------------------------------------------------------------------------------

OWN = """
equations = '''
a = tanh(W @ h + V @ h + lam)
s = sigmoid(h)
h' = a*s + (1 - s)*h + sigma*e
'''
[weights]
W = "w"
V = 1
[biases]
e = 1
[parameters]
w = 1
lam = 1
sigma = 1
k = 1
[latex]
a = "u_t"
s = "\\\\tilde{u}"
w = "h^{(1)}"
k = "\\\\mathbf{g}"
"""


@cache
def own() -> Vocabulary:
    return vocabulary(site_form(parse_cell(OWN.replace("k = 1\n[latex]", "k = 1\n[latex]"), "own.toml")))


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"u_t^2 + u_{t}'", "a**2 + D[a]"),
        (r"\tilde{u} + \tilde u' + \tilde{u}(h)^2", "s + D[s] + s**2"),
        (r"h^{(1)} + h^2", "w + h**2"),
        (r"\mathbf{g} + g", "k + k"),
        ("a + s", "a + s"),
        (r"\sigma^2 (1 + h) + \sigma\cdot(1 + h)", "sigma**2*(1 + h) + sigma*(1 + h)"),
        (r"\mathtt{lam}", "lam"),
        (r"q_W + q_{V} + q_a^{\mathrm{total}} + q_{u_t}", "q[W] + q[V] + q_total[a] + q_total[a]"),
        (r"\tilde{u}'(h)", "D[s]"),
    ],
)
def test_own_spellings(latex: str, plain: str) -> None:
    assert read_latex(f"1 = {latex}", own()).right == read_formula(f"1 = {plain}").right


@pytest.mark.parametrize(
    ("latex", "first", "last", "text"),
    [
        (r"1 = \lambda", 4, 11, "lam"),
        (r"1 = e^{h}", 4, 9, "could be e or Euler's number"),
        (r"1 = \sigma(h)", 4, 10, "could be sigma or a function"),
        (r"1 = q", 4, 5, "could be q[W], q[V], q_total[a] or q_total[s]"),
    ],
)
def test_two_meanings_are_refused(latex: str, first: int, last: int, text: str) -> None:
    if "lambda" in latex:
        # One name for two things: the tree is that of the name, which `read_claim` then refuses for such a cell.
        assert read_latex(latex, own()).right == Name("lam")
        return
    with pytest.raises(FormulaError) as caught:
        read_latex(latex, own())
    assert caught.value.span == (first, last)
    assert text in caught.value.what


def test_symbols_can_be_given() -> None:
    symbols = {"q": "q_total[u]", "c^*": "C_star[h]/Q[h]", r"\sigma": "sigmoid", "K_hr": "-E[h]", "v": "u"}
    given = vocabulary(site_form(load("minimal-rnn")), symbols)
    found = read_latex(r"\sigma(h) + c^* = q^* q^2 K_{hr}v'", given)
    assert trees(found) == trees(read_formula("sigmoid(h) + C_star[h]/Q[h] = q_total[u]*q_total[u]**2*(-E[h])*D[u]"))


@pytest.mark.parametrize("symbols", [{"a b": "R"}, {"q": "R +"}, {"": "R"}])
def test_symbols_that_cannot_be_given(symbols: dict[str, str]) -> None:
    with pytest.raises(FormulaError):
        read_latex("q = 1", vocabulary(site_form(load("minimal-rnn")), symbols))


def test_equal_spellings_are_refused() -> None:
    given = Vocabulary(parameters=("a", "b"), spellings=((r"\alpha", "a"), (r"\alpha", "b")))
    with pytest.raises(FormulaError, match="could be a or b"):
        read_latex(r"\alpha = 1", given)


def test_every_printed_variance_and_boundary_is_read() -> None:
    """What a derivation prints for q and Q can be read back."""
    for cell in shipped():
        theory = derive_theory(load(cell), "static")
        printed = [line for line in equations_latex(theory) if line.startswith(("q_", "Q_"))]
        assert printed or cell == "vanilla"
        for line in printed:
            if line.count("=") == 1:
                read_latex(line, words(cell))


# The corpus ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not (hand.FOLDER / "latex.toml").exists(), reason="the corpus has no LaTeX yet")
def test_all_of_the_corpus_is_read() -> None:
    for entry in hand.latex():
        given = vocabulary(site_form(load(entry.formula.cell)), entry.symbols)
        assert read_latex(entry.latex, given).text == entry.latex
