"""Hand formulas in the symbols of a notation: what documents are written in can be read back, and says the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sympy as sp
from test_golden import CASES, theory_of

from derive.cell import load
from derive.site import site_form
from derive.verify.formula import Formula, FormulaError
from derive.verify.grammar import read_formula
from derive.verify.latex_input import read_latex
from derive.verify.latex_notation import PLAIN, reading
from derive.verify.vocabulary import vocabulary
from derive.write.nodes import Named
from derive.write.presenter import latex_presenter
from derive.write.preset import NotationError, load_notation, shipped_notations
from solvers.cli import main
from solvers.verify import verify


def read(cell: str, formula: str, notation: str) -> Formula:
    spoken = reading(load_notation(notation))
    return read_latex(formula, vocabulary(site_form(load(cell)), None, spoken))


@pytest.mark.parametrize(
    ("cell", "notation", "formula", "plain"),
    [
        ("minimal-rnn", "chen-2018", r"\chi_1 = \int \mathcal{D}z\, u^2 + \sigma_w^2 (Q^* + R)\int Dz\, u'^2",
         "chi1 = E[u**2] + sigma_w**2*(Q[h] + R)*E[D[u]**2]"),
        ("minimal-rnn", "chen-2018", r"Q^* = R \frac{\int Dz\,(1-u)^2}{1 - \int Dz\, u^2}",
         "Q[h] = R*(E[(1 - u)**2]/(1 - E[u**2]))"),
        ("minimal-rnn", "chen-2018", r"q^*_{W_u} = \sigma_w^2 Q^*", "q[W_u] = sigma_w**2*Q[h]"),
        ("minimal-rnn", "chen-2018", r"\chi_{C^*} = C^*", "chi_star = C_star[h]"),
        ("gru", "chen-2018", r"q^{*}_{W_h} = \sigma_h^{2}\,Q^{*}\,\int \mathcal{D}z\,r^{2}",
         "q[W_h] = sigma_h**2*Q[h]*E[r**2]"),
        ("gru", "can-2020", r"K_{W_r W_h} = \sigma_r^2\,\mathbb{E}[y'^2]\,"
         r"\mathbb{E}\left[\left|\frac{1-z}{\lambda-z}\right|^2\right]",
         "K[W_r,W_h] = sigma_r**2*E[D[y]**2]*E[abs((1 - z)/(lam - z))**2]"),
        ("gru", "can-2020", r"\mathbb{E}\left[\frac{1}{\lambda^{*}-z}\right] = 0", "E[1/(conj(lam) - z)] = 0"),
        ("gated-rnn", "krishnamurthy-2022", r"C_{J_h} = g_h^2 C_{\sigma_r} C_{\phi}",
         "q[J_h] = g_h**2*E[gate_r**2]*E[phi**2]"),
        ("gated-rnn", "krishnamurthy-2022", r"C_{J_z} = C_\phi", "q[J_z] = E[phi**2]"),
        ("gated-rnn", "krishnamurthy-2022", r"C_{\phi(h)}^2 = C_{\phi'(h)}", "E[phi(h)**2]**2 = E[D[phi]**2]"),
        ("gated-rnn", "krishnamurthy-2022", r"C_h = C_{\sigma_r'} + \langle z^2 \rangle",
         "E[h**2] = E[D[gate_r]**2] + E[z**2]"),
        ("gru", "gatefield", r"\langle h^2\rangle = Q_h", "E[h**2] = Q[h]"),
    ],
)  # fmt: skip
def test_symbols_of_each_notation(cell: str, notation: str, formula: str, plain: str) -> None:
    found, wanted = read(cell, formula, notation), read_formula(plain)
    if "phi(h)" in plain:  # brackets say the same as the bare function, which the cell applies to h alone
        theory = theory_of(cell, "static")
        first = verify(theory, formula, latex=True, notation=notation, explain=False)
        assert first.verdict == verify(theory, plain, explain=False).verdict
        return
    assert (found.left, found.right) == (wanted.left, wanted.right)


@pytest.mark.parametrize(
    ("cell", "notation", "formula", "message"),
    [
        ("minimal-rnn", "can-2020", r"Q_h = \int \mathcal{D}z\, u^2", "u` varies"),
        ("gru", "chen-2018", r"Q^* = \int \mathcal{D}z\, z^2", "`z` means something already"),
        ("gru", "chen-2018", r"Q^* = \int \mathcal{D}z\, z'^2", "`z` means something already"),
        ("gru", "krishnamurthy-2022", r"Q_h = \langle \eta_{W_h}\rangle", "product of a matrix has no name"),
        ("gru", "chen-2018", r"q^* = \sigma_h^2 Q^*", "could be"),
        ("gated-rnn", "krishnamurthy-2022", r"C_{\sigma_r \, w} = 1", "is not known here"),
        ("gated-rnn", "gatefield", r"C_{J_h} = 1", "is not known here"),
        ("gated-rnn", "krishnamurthy-2022", r"C = 1", "could be"),
    ],
)
def test_what_is_refused(cell: str, notation: str, formula: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        verify(load(cell), formula, latex=True, notation=notation)


def equations(name: str, ansatz: str, notation: str) -> Iterator[str]:
    """Equations of a document that speak of states, definitions, variances and averages of one replica."""
    theory = theory_of(name, ansatz)
    show = latex_presenter(theory, notation)
    rows = list(theory.system.equations.items())
    if theory.spectrum is not None:
        rows += [(sp.S.One, item) for item in theory.spectrum.boundary]
    for left, right in rows:
        spelled_out = [Named(left.name)] if isinstance(left, sp.Symbol) else []
        yield f"{show.plain(left).flat().text} = {show.show(right, spelled_out).flat().text}"
    if theory.perturbation is not None:
        yield f"{show.medium.symbolic('chi1').text} = {show.show(theory.perturbation[0, 0]).flat().text}"


GATE = re.compile(r"(?<!D\})(?<![\w_{])z")
"""A name z of the cell, where it is not the z of the integration measure."""
UNSPEAKABLE = ("u_{", r"\eta_{", r"\zeta_{", "h'")
"""Products of matrices and next states, which have no name in hand formulas."""


@pytest.mark.parametrize("notation", shipped_notations())
def test_documents_can_be_read_back(notation: str) -> None:
    """Every such equation of every shipped cell is read and proved."""
    proved = 0
    for name, ansatz in CASES:
        for formula in equations(name, ansatz, notation):
            if any(mark in formula for mark in UNSPEAKABLE):
                continue
            if notation == "chen-2018" and "z" in theory_of(name, ansatz).site.cell.latex and GATE.search(formula):
                with pytest.raises(FormulaError, match="`z` means something already"):
                    verify(theory_of(name, ansatz), formula, latex=True, notation=notation)
                continue
            found = verify(theory_of(name, ansatz), formula, latex=True, notation=notation, explain=False)
            assert found.verdict == "proved", formula
            proved += 1
    assert proved >= 45


def test_a_wrong_formula_differs_in_each_notation() -> None:
    wrong = {
        ("minimal-rnn", "untied", "chen-2018"):
            r"\chi_1 = \int \mathcal{D}z\,u^{2} + \sigma_w^{2}\,(Q^{*} + R)\left(\int \mathcal{D}z\,u'\right)^2",
        ("gru", "static", "can-2020"): r"q_{W_h} = \sigma_h^2\,\mathbb{E}[h^2]\,\mathbb{E}[r]^2",
        ("gated-rnn", "static", "krishnamurthy-2022"): r"C_{J_h} = g_h^2\,C_{\sigma_z}\,C_{\phi}",
    }  # fmt: skip
    for (name, ansatz, notation), formula in wrong.items():
        found = verify(theory_of(name, ansatz), formula, latex=True, notation=notation, explain=False)
        assert found.verdict == "differs", formula


def test_letters_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[latex]\naverage = ["\\\\mathcal{M}", "[", "]"]\nvariance = "\\\\kappa"\nlambda = "\\\\mu"\n'
        'gain = "G"\nchi1 = "\\\\Lambda"\nsquare = "S_{@}"\noverlap = ""\n', encoding="utf-8",
    )  # fmt: skip
    for formula, plain in (
        (r"\kappa_J = g^2 \mathcal{M}[\phi^2]", "q[J] = g**2*E[phi**2]"),
        (r"G_{JJ} = \frac{g^2}{|1 + \mu|^2} \mathcal{M}[\phi'^2]", "K[J,J] = g**2/abs(1 + lam)**2*E[D[phi]**2]"),
        (r"\Lambda = S_x", "chi1 = E[x**2]"),
    ):
        found, wanted = read("rate", formula, str(path)), read_formula(plain)
        assert (found.left, found.right) == (wanted.left, wanted.right)
    with pytest.raises(FormulaError, match="of no state"):
        read("rate", r"S_\phi = 1", str(path))
    with pytest.raises(NotationError, match="Did you mean `chen-2018`"):
        verify(load("rate"), "g = g", latex=True, notation="chen2018")


def test_no_notation_is_no_change() -> None:
    assert reading(load_notation("gatefield")).square is None
    assert PLAIN.heads == {}
    with pytest.raises(FormulaError, match="not known here"):
        read_latex(r"C_{J_h} = 1", vocabulary(site_form(load("gated-rnn"))))


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    formula = r"\chi_1 = \int \mathcal{D}z\,u^2 + \sigma_w^2\,(Q^* + R)\int \mathcal{D}z\,u'^2"
    options = ["verify", "minimal-rnn", formula, "--ansatz", "untied", "--latex"]
    assert main([*options, "--notation", "chen-2018"]) == 0
    assert "proved" in capsys.readouterr().out
    assert main(options) == 2
    assert "varies from unit to unit" in capsys.readouterr().err
    assert main([*options, "--notation", "nonsense"]) == 2
    assert "there is no notation `nonsense`" in capsys.readouterr().err
