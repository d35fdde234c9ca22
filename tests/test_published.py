"""Numbers and formulas of the literature: derivations/*/numbers.toml through `solve`, and formulas term by term."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

from derive import load, shipped
from derive.cell.parameters import resolve
from derive.gaussian.average import Average
from derive.pipeline import derive_theory
from derive.theory import Theory
from solvers.averages import Evaluator
from solvers.codegen.emit import compile_function
from solvers.equations import Equations
from solvers.fixed_point import solve_all
from solvers.solution import Solution
from solvers.solve import parameter_values, solve

FOLDER = Path(__file__).parent.parent / "derivations"


@cache
def theory_of(name: str, ansatz: str) -> Theory:
    return derive_theory(load(name), ansatz)


def entries(kind: str) -> list[Any]:
    return list(_entries(kind))


def _entries(kind: str) -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*/numbers.toml")):
        for entry in tomllib.loads(path.read_text()).get(kind, []):
            what = entry.get("quantity", "solutions")
            marks = pytest.mark.slow if entry.get("slow") else ()
            yield pytest.param(path.parent.name, entry, id=f"{path.parent.name}-{what}-{entry['value']}", marks=marks)


def entry_solution(name: str, entry: dict[str, Any], **changes: float) -> Solution:
    solved = solve(theory_of(name, entry["ansatz"]), entry["parameters"] | changes)
    return solved.solutions[entry.get("solution", -1)]


def quantity(found: Solution, name: str) -> float:
    """A number with a small error; other numbers of the solution may be ill-conditioned (C* at criticality is)."""
    if name == "outlier":
        assert found.errors["outliers"][0] < 1e-7
        return float(found.numbers["outliers"][0][0])
    value = found[name]
    assert value is not None
    assert found.error(name) < 1e-8
    return value


def test_every_shipped_cell_has_published_numbers() -> None:
    assert {path.parent.name for path in FOLDER.glob("*/numbers.toml")} == set(shipped())


def test_every_entry_is_checked() -> None:
    for path in FOLDER.glob("*/numbers.toml"):
        table = tomllib.loads(path.read_text())
        assert table.keys() <= {"number", "critical", "onset"}, path
        assert all(entry["source"] for kind in table.values() for entry in kind)


@pytest.mark.parametrize(("name", "entry"), entries("number"))
def test_number(name: str, entry: dict[str, Any]) -> None:
    assert quantity(entry_solution(name, entry), entry["quantity"]) == pytest.approx(
        entry["value"], abs=entry["tolerance"]
    )


@pytest.mark.parametrize(("name", "entry"), entries("critical"))
def test_critical_point(name: str, entry: dict[str, Any]) -> None:
    def excess(x: float) -> float:
        return quantity(entry_solution(name, entry, **{entry["parameter"]: x}), entry["quantity"]) - entry["level"]

    root = brentq(excess, *entry["bracket"], xtol=1e-10) ** entry.get("power", 1)
    assert root == pytest.approx(entry["value"], abs=entry["tolerance"])


def onset(name: str, entry: dict[str, Any], steps: int = 9, **changes: float) -> float:
    """Parameter at which the number of solutions reaches ``solutions``, by bisection."""
    low, high = entry["bracket"]
    theory = theory_of(name, entry["ansatz"])
    evaluator = Evaluator(theory.law, theory.implicit)

    def count(x: float) -> int:
        settings = resolve(theory.site.cell, entry["parameters"] | changes | {entry["parameter"]: x})
        equations = Equations(theory.system, theory.law, evaluator, parameter_values(theory, settings))
        return len(solve_all(equations, 1e-8).solutions)

    assert count(low) < entry["solutions"] == count(high)
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (low, middle) if count(middle) >= entry["solutions"] else (middle, high)
    return high


@pytest.mark.parametrize(("name", "entry"), entries("onset"))
def test_onset(name: str, entry: dict[str, Any]) -> None:
    assert onset(name, entry) == pytest.approx(entry["value"], abs=entry["tolerance"])


def test_gated_network_onset_tends_to_root_two() -> None:
    """The jump moves down towards sqrt(2) as the reset gate sharpens, and stays above it."""
    entry = {"solutions": 3, "ansatz": "static", "parameters": {}, "parameter": "g_h", "bracket": [1.40, 1.55]}
    onsets = [onset("gated-rnn", entry, steps=9, alpha_r=alpha_r) for alpha_r in (1e2, 1e3, 1e4, 1e5)]
    distances = np.array(onsets) - np.sqrt(2)
    assert np.all(distances > -5e-4)
    assert np.all(distances[1:] < 0.5 * distances[:-1])
    assert distances[-1] < 2e-3


@pytest.mark.parametrize(("beta_z", "beta_r"), [(0.0, 0.0), (0.7, -0.4)])
def test_ungated_limit_is_the_rate_network_with_time_and_gain_rescaled(beta_z: float, beta_r: float) -> None:
    """Constant gates s_z, s_r:  dh/dt = s_z (-h + s_r J phi(h))."""
    speed, scale = 1 / (1 + np.exp(beta_z)), 1 / (1 + np.exp(beta_r))
    gated = solve(theory_of("gated-rnn", "static"), {"g_h": 3.0, "alpha_z": 0, "alpha_r": 0,
                                                     "beta_z": beta_z, "beta_r": beta_r})  # fmt: skip
    plain = solve(theory_of("rate", "static"), {"g": 3.0 * scale})
    assert len(gated.solutions) == len(plain.solutions) == 2
    for ours, theirs in zip(gated.solutions, plain.solutions, strict=True):
        assert ours["Q[h]"] == pytest.approx(theirs["Q[x]"], rel=1e-11, abs=1e-300)
        assert ours["spectral_abscissa"] == pytest.approx(speed * theirs["spectral_abscissa"], rel=1e-9)


@pytest.mark.parametrize(
    ("name", "gain", "g"),
    [
        *((name, "sigma_h", g) for name in ("gru", "gru-reset-after") for g in (0.5, 1.7, 4.0)),
        ("lstm", "sigma_g", 1.7),
        pytest.param("lstm", "sigma_g", 4.0, marks=pytest.mark.slow),
    ],
)
def test_zero_state_of_gated_units_without_biases(name: str, gain: str, g: float) -> None:
    zero = solve(theory_of(name, "static"), {gain: g}).solutions[0]
    assert zero["Q[h]"] == 0.0
    assert zero["spectral_radius"] == pytest.approx(0.5 + g / 4, abs=1e-10)
    assert zero.stable is (g < 2)


# Formulas, term by term ----------------------------------------------------------------------------------


def sigmoid(x: complex) -> complex:
    return 1 / (1 + np.exp(-x))


def named_averages(theory: Theory, expression: sp.Expr, known: dict[str, Any]) -> dict[Average, sp.Symbol]:
    """Recognise each average by the values of its integrand; known: name -> function of a dict of site values."""
    assert theory.spectrum is not None
    symbols = sorted({*theory.law.blocks, theory.spectrum.lam, theory.spectrum.lam_conj}, key=str)
    rng = np.random.default_rng(0)
    points = [dict(zip(map(str, symbols), rng.normal(size=len(symbols)), strict=True)) for _ in range(5)]
    found: dict[Average, sp.Symbol] = {}
    for node in expression.atoms(Average):
        function = compile_function(symbols, [node.integrand], theory.law.functions)
        values = [complex(function(*(p[str(s)] for s in symbols))[0]) for p in points]
        names = [name for name, own in known.items() if np.allclose([own(p) for p in points], values, rtol=1e-11)]
        assert len(names) == 1, f"{node}: {names}"
        found[node] = sp.Symbol(names[0])
    return found


def test_boundary_of_the_gated_unit_reset_before_the_product() -> None:
    """1 = sigma_h^2 E|(1-z)/(lam-z)|^2 E[phi'(y)^2] (E[r^2] + sigma_r^2 E[h^2] E[r'^2])."""
    theory = theory_of("gru", "static")
    assert theory.spectrum is not None
    (boundary,) = theory.spectrum.boundary

    def argument(p: dict[str, float], gate: str) -> float:
        return p[f"u[W_{gate}]"] + p[f"u[U_{gate}]"] + p[f"b_{gate}"]

    def pole(p: dict[str, float]) -> complex:
        z = sigmoid(argument(p, "z"))
        return (1 - z) ** 2 / ((p["lam[]"] - z) * (p["conj(lam)[]"] - z))

    known = {
        "pole": pole,
        "h2": lambda p: np.tanh(argument(p, "h")) ** 2,
        "dh2": lambda p: np.cosh(argument(p, "h")) ** -4,
        "r2": lambda p: sigmoid(argument(p, "r")) ** 2,
        "dr2": lambda p: (sigmoid(argument(p, "r")) * (1 - sigmoid(argument(p, "r")))) ** 2,
    }
    written = boundary.xreplace(named_averages(theory, boundary, known))
    parameters = theory.site.parameters
    averages = [sp.Symbol(name) for name in known]
    pole_, h2, dh2, r2, dr2 = averages
    expected = parameters["sigma_h"] ** 2 * pole_ * dh2 * (r2 + parameters["sigma_r"] ** 2 * h2 * dr2)
    assert sp.expand(written - expected) == 0
    assert written.free_symbols == {*averages, parameters["sigma_h"], parameters["sigma_r"]}


def test_moment_equations_of_the_minimal_network() -> None:
    """Q = R E[(1-u)^2] / (1 - E[u^2]) and chi_1 = E[u^2] + sigma_w^2 (Q + R) E[u'^2], evaluated independently."""
    found = solve(theory_of("minimal-rnn", "untied"), {"sigma_w": 2.0, "sigma_v": 0.7, "R": 1.3, "mu_b": 0.4}).solutions
    assert len(found) == 1
    x, w = np.polynomial.hermite_e.hermegauss(300)
    w = w / w.sum()
    Q = found[0]["Q[h]"]
    assert Q is not None
    q = 4.0 * Q + 0.49 * 1.3
    u = sigmoid(np.sqrt(q) * x + 0.4)
    assert found[0]["q_total[u]"] == pytest.approx(q, rel=1e-10)
    assert pytest.approx(1.3 * (w @ (1 - u) ** 2) / (1 - w @ u**2), rel=1e-10) == Q
    chi1 = w @ u**2 + 4.0 * (Q + 1.3) * (w @ (u * (1 - u)) ** 2)
    assert found[0]["chi1"] == pytest.approx(chi1, rel=1e-10)
