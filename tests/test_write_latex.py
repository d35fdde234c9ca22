"""LaTeX of derivations: complete, legible, true to the expressions, and the same bytes every time."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import sympy as sp

from derive.cell import Cell, load, parse_cell
from derive.elementary import Fn
from derive.gaussian.average import Average
from derive.pipeline import derive_theory
from derive.stability.spectrum import LAM, LAM_CONJ
from derive.theory import Theory
from derive.write.collect import collect
from derive.write.identifiers import identifier_latex, identifier_unicode, prose_latex
from derive.write.latex import document, equations_latex
from derive.write.modulus import Conjugation
from derive.write.moments import read_integrand
from derive.write.nodes import Modulus2
from derive.write.prose import with_formulas

SHIPPED = ("vanilla", "minimal-rnn", "rate", "gru", "gru-reset-after", "gated-rnn", "lstm")

SHARED = r"""
name = "shared"
title = "A & B_c: {100%} $W$ ~ ^ \\ é 中 σ"
equations = '''
h' = z*h + (1 - z)*tanh(W @ h + p*s)
z = sigmoid(W @ (h*h) + b_1)
s' = sqrt(leak_rate)*s + relu(V @ (gate*(W @ h)))
gate = 1 / (1 + abs(V @ s)**2)
'''
[weights]
W = "2*sigma"
V = { gain = "g", ensemble = "haar" }
[biases]
b_1 = "mu"
p = { mean = 0, std = "rho" }
[parameters]
sigma = 1.0
g = "required"
mu = 0
rho = 0.1
leak_rate = 0.25
[latex]
s = "s^a"
"""
NESTED = """
name = "nested"
equations = '''
m = tanh(A @ (lam_bda*(B @ (k*h)) + x))
k = sigmoid(a*(C @ h) + lam)
h' = (1 - k)*h + k*m*phi(w)
w' = 0.5*w + 0.1*m - q
'''
[functions]
phi = "x + 0.1*tanh(x)"
[weights]
A = "g"
B = 1.5
C = "g/2"
[biases]
q = { mean = "mu", std = 1 }
[inputs]
x = { variance = "R", correlation = 0.5, mean = 0 }
[parameters]
g = 1.0
lam_bda = 1.0
a = 1.0
lam = 0.3
mu = 0.0
R = 1.0
"""
IMPLICIT = """
name = "implicit"
equations = '''
dh/dt = -h + tanh(h + W @ tanh(h) + a*c)
tau*dc/dt = -c + V @ h
'''
[weights]
W = "g"
V = "g"
[parameters]
g = 1.0
a = 0.5
tau = 2.0
"""
PAIR = """
name = "pair"
equations = '''
h' = tanh(W @ h + V @ k)
k' = 0.5*k + f*tanh(W @ (h*f))
f = sigmoid(G @ h)
'''
[weights]
W = "g_1"
V = "g_2"
G = "g_3"
[parameters]
g_1 = 1.0
g_2 = 1.0
g_3 = 1.0
"""
MADE_UP = {"shared": SHARED, "nested": NESTED, "implicit": IMPLICIT, "pair": PAIR}


CONTINUOUS = ("rate", "gated-rnn", "implicit")
CASES = sorted(
    f"{name} {ansatz}"
    for name in (*SHIPPED, *MADE_UP)
    for ansatz in ("static", "untied")
    if ansatz == "static" or name not in CONTINUOUS
)


def cell_of(name: str) -> Cell:
    """A shipped or a made-up cell."""
    return parse_cell(MADE_UP[name]) if name in MADE_UP else load(name)


@cache
def theory_of(case: str) -> Theory:
    """The theory of a case such as ``pair untied``."""
    name, ansatz = case.split()
    return derive_theory(cell_of(name), ansatz)


def balanced(text: str) -> bool:
    """Whether braces, unless escaped, come in pairs."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize("case", CASES)
def test_document_is_complete_and_holds_no_raw_names(case: str) -> None:
    text = document(theory_of(case))
    assert balanced(text)
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert text.count(r"\left") - text.count(r"\leftarrow") == text.count(r"\right")
    for raw in ("**", "u[", "q[", "lam[]", "conj(", "sigmoid(", "Delta[", "E[", "P[", "d[", "<z>", "Average", "Named"):
        assert raw not in text, raw
    assert not re.search("[\ue000-\ue0ff]", text)
    assert text.isascii() or "é" not in text


@pytest.mark.parametrize("case", CASES)
def test_every_parameter_is_named(case: str) -> None:
    theory = theory_of(case)
    cell, text = theory.site.cell, document(theory)
    for name in cell.parameters:
        assert cell.latex.get(name, identifier_latex(name)) in text, name


@pytest.mark.parametrize("case", CASES)
def test_equations_of_steps_can_be_reused(case: str) -> None:
    theory = theory_of(case)
    found = equations_latex(theory)
    assert len(found) <= sum(len(step.equations) for step in theory.steps)
    assert bool(found) == any(step.equations for step in theory.steps)
    assert all(balanced(item) and "&" in item for item in found)


def test_boundary_of_a_gated_cell_reads_as_published() -> None:
    boundary = equations_latex(theory_of("gru static"))[-1]
    expected = (
        r"1 &= \sigma_h^{2}\,\langle y'^{2}\rangle\,\left\langle \left\lvert \frac{1 - z}{\lambda - z}\right\rvert^{2}"
        r"\right\rangle\,(\langle r^{2}\rangle + \sigma_r^{2}\,\langle h^{2}\rangle\,\langle r'^{2}\rangle)"
    )
    assert re.sub(r"\s", "", boundary) == re.sub(r"\s", "", expected)


def test_modulus_cancels_below_the_line() -> None:
    boundary = re.sub(r"\s", "", equations_latex(theory_of("gated-rnn static"))[-1])
    assert r"\frac{\alpha_r^{2}}{\lvert1+\tau_r\,\lambda\rvert^{2}}" in boundary
    assert r"\bar" not in boundary


def test_spectral_parameter_gives_way_to_a_name_of_the_cell() -> None:
    text = document(theory_of("nested static"))
    assert r"|\zeta|<1" in text


def test_missing_moment_is_named() -> None:
    text = document(theory_of("lstm untied"))
    assert re.search(r"\\langle\s*\\tanh\^\{2\}\(c'\)\\rangle", text)
    assert "chain of a single site is sampled" in text
    assert r"\sum_{kl}" in text
    assert r"\Delta_{kl}" in text


def test_title_is_escaped() -> None:
    assert r"A \& B\_c: \{100\%\} \$W\$" in document(theory_of("shared static"))
    assert prose_latex("é") == r"\'{e}"
    assert prose_latex("中") == r"\texttt{U+4E2D}"


@pytest.mark.parametrize(
    ("name", "latex", "text"),
    [
        ("sigma_w", r"\sigma_{w}", "σ_w"), ("W_h", "W_{h}", "W_h"), ("gate_z", r"\mathrm{gate}_{z}", "gate_z"),
        ("W1", "W_{1}", "W₁"), ("alpha_z", r"\alpha_{z}", "α_z"), ("lam", r"\lambda", "λ"), ("x_", "x", "x_"),
    ],
)  # fmt: skip
def test_identifiers(name: str, latex: str, text: str) -> None:
    assert identifier_latex(name) == latex
    assert identifier_unicode(name) == text


@pytest.mark.parametrize(
    ("sentence", "marked"),
    [
        ("C_kl = sigma^2 E[v_k v_l]: a sum over N weights", "$C_kl = sigma^2 E[v_k v_l]$: a sum over $N$ weights"),
        ("replicas a and b share weights", "replicas a and b share weights"),
        ("T(lam) = b (lam - L)^-1 a + e at a point", "$T(lam) = b (lam - L)^-1 a + e$ at a point"),
        ("the condition s = F(s, u) is solved", "the condition $s = F(s, u)$ is solved"),
        ("det(1 - K) = 0", "$det(1 - K) = 0$"),
    ],
)
def test_formulas_in_sentences(sentence: str, marked: str) -> None:
    assert with_formulas(sentence) == marked


def point_value(expression: sp.Expr, values: dict[sp.Basic, sp.Expr]) -> sp.Expr:
    """Exact value where every symbol and call has a rational one and E[f] is a polynomial in f."""
    conjugation = Conjugation(LAM, LAM_CONJ)

    def at(node: sp.Basic) -> sp.Expr:
        if isinstance(node, Average):
            inner = at(node.integrand)
            return inner**3 + inner + 2
        if isinstance(node, Modulus2):
            return at(node.inner) * at(conjugation.conjugate(node.inner))
        if isinstance(node, (Fn, sp.Symbol)) or (isinstance(node, sp.Pow) and not node.exp.is_Integer):
            return values.setdefault(
                node, sp.Rational(int(hashlib.md5(str(node).encode()).hexdigest()[:4], 16) + 1, 97)
            )
        return node.func(*(at(part) for part in node.args)) if node.args else node

    return at(expression)


@pytest.mark.parametrize("case", [case for case in CASES if case.endswith("static")])
def test_moduli_and_common_factors_keep_the_value(case: str) -> None:
    theory = theory_of(case)
    assert theory.spectrum is not None
    conjugation, values = Conjugation(LAM, LAM_CONJ), {}
    for expression in (*theory.spectrum.boundary, *theory.spectrum.K, *theory.spectrum.response):
        shown = collect(conjugation.fold(expression))
        assert sp.cancel(point_value(shown, values) - point_value(expression, values)) == 0


@pytest.mark.parametrize("case", [case for case in CASES if case.endswith("untied")])
def test_common_factors_keep_the_value_of_maps(case: str) -> None:
    theory = theory_of(case)
    values: dict[sp.Basic, sp.Expr] = {}
    for expression in theory.perturbation if theory.perturbation is not None else ():
        assert point_value(collect(expression), values) == point_value(expression, values)


def test_moment_names_read_back() -> None:
    known = {name: sp.Symbol(name, real=True) for name in ("h", "h^b", "d[h]", "u[W.2]", "b", "d[h]^b")}
    h, copy, delta, field, bias, delta_b = known.values()
    for integrand in (
        h**2,
        h * copy,
        delta**2,
        1 - h,
        Fn("tanh", 1, bias + field) ** 2 * h,
        -h / (1 + h),
        delta * delta_b,
    ):
        assert read_integrand(str(integrand), known) == integrand
    assert read_integrand("h**", known) is None
    assert read_integrand("h ? 2", known) is None


SCRIPT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from test_write_latex import theory_of
from derive.write.html import html
from derive.write.latex import document
from derive.write.markdown import markdown
from derive.write.text import derivation_text
for case in sys.argv[2:]:
    theory = theory_of(case)
    every = "".join(write(theory) for write in (document, derivation_text, markdown, html))
    every += document(theory, "chen-2018")
    print(hashlib.sha256(every.encode()).hexdigest())
"""


def test_bytes_do_not_depend_on_the_hash_seed_or_on_what_was_derived_before() -> None:
    cases = ["gru static", "gru untied", "gated-rnn static", "shared static", "lstm static", "pair untied"]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), *order],
            env={**os.environ, "PYTHONHASHSEED": seed}, cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE, text=True,
        )
        for seed, order in (("0", cases), ("42", cases[::-1]))
    ]  # fmt: skip
    printed = [run.communicate()[0].splitlines() for run in runs]
    assert all(run.returncode == 0 for run in runs)
    assert len(printed[0]) == len(cases)
    assert printed[0] == printed[1][::-1]
