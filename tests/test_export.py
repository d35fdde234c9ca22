"""The standalone file runs without gatefield and vanishes at gatefield's own solutions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from derive import load, mean_field, parse_cell, shipped
from derive.errors import ClosureError
from solvers import export, solve
from solvers.export import export_source

POINTS = {
    "gru": {"sigma_h": 4.0, "mu_z": 0.5, "rho_r": 0.3},
    "vanilla": {"sigma_w": 1.6, "sigma_b": 0.2},
    "rate": {"g": 1.8},
    "gated-rnn": {"g_h": 4.0, "alpha_r": 10.0, "beta_r": 2.0},
    "minimal-rnn": {"sigma_w": 6.88, "sigma_v": 1.39, "R": 0.46},
    "gru-reset-after": {"sigma_h": 4.0, "rho_c": 0.4, "mu_r": 0.5},
    "lstm": {"sigma_g": 4.0, "mu_f": 1.0, "mu_i": 1.0, "mu_o": 1.0},
}


def module_of(source: str) -> ModuleType:
    module = ModuleType("exported")
    exec(compile(source, "exported.py", "exec"), module.__dict__)
    return module


def check_residuals(name: str, ansatz: str) -> None:
    theory = mean_field(load(name), ansatz)
    module = module_of(export_source(theory))
    parameters = module.PARAMETERS | POINTS[name]
    solved = solve(theory, POINTS[name])
    assert solved.solutions
    for solution in solved.solutions:
        values = {symbol.name: value for symbol, value in solution.values.items()}
        unknowns = [values[key] for key in module.UNKNOWNS]
        assert np.abs(module.residuals(unknowns, parameters)).max() < 1e-8
        radius = solution.numbers.get("spectral_radius")
        if ansatz == "untied":
            assert module.chi1(unknowns, parameters) == pytest.approx(solution.numbers["chi1"], abs=1e-8)
        elif radius is not None and theory.site.discrete and name != "lstm":
            K = module.gain_matrix(radius + 1j * solution.numbers["eta"], unknowns, parameters)
            assert max(abs(np.linalg.eigvals(K))) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", shipped())
def test_residuals_of_static_solutions(name: str) -> None:
    check_residuals(name, "static")


@pytest.mark.parametrize("name", ["gru", "vanilla", "minimal-rnn", "gru-reset-after"])
def test_residuals_of_untied_solutions(name: str) -> None:
    check_residuals(name, "untied")


def test_residuals_see_a_wrong_solution() -> None:
    module = module_of(export_source(mean_field(load("rate"))))
    assert abs(module.residuals([0.7], {"g": 1.8})[0]) > 1e-3


def test_the_file_runs_alone(tmp_path: Path) -> None:
    export(load("minimal-rnn"), tmp_path / "alone.py", ansatz="untied")
    source = (tmp_path / "alone.py").read_text(encoding="utf-8")
    guard = "import sys; sys.modules.update(derive=None, solvers=None, sympy=None); import runpy; " \
            "runpy.run_path('alone.py', run_name='__main__')"  # fmt: skip
    found = subprocess.run([sys.executable, "-c", guard], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "q[W_u]" in found.stdout
    residuals = [float(line.split()[-1]) for line in found.stdout.splitlines()]
    assert max(map(abs, residuals)) < 1e-9
    assert "\t" not in source
    assert max(map(len, source.splitlines())) <= 120
    assert source.splitlines()[0].startswith('"""')


def test_own_functions_and_text_from_strangers() -> None:
    text = (
        'title = "a \\"\\"\\" b \\\\ \\r import os"\n'
        'equations = """\nh\' = f(W @ h) + f(V @ (g*h))\ng = sigmoid(W @ h)\n"""\n'
        '[functions]\nf = "tanh(x) + x/10"\n[weights]\nW = "s"\nV = 0.3\n[parameters]\ns = 0.9\n'
    )
    theory = mean_field(parse_cell(text))
    module = module_of(export_source(theory))
    for solution in solve(theory, {"s": 1.3}).solutions:
        values = {symbol.name: value for symbol, value in solution.values.items()}
        assert np.abs(module.residuals([values[k] for k in module.UNKNOWNS], {"s": 1.3})).max() < 1e-8


def test_a_sampled_closure_is_refused_with_a_way_out() -> None:
    with pytest.raises(ClosureError, match=r"do not close.*--ansatz static"):
        export_source(mean_field(load("lstm"), "untied"))


def test_an_implicit_state_is_refused_with_a_way_out() -> None:
    text = 'equations = """\nh\' = tanh(W @ h + a*h)\n"""\n[weights]\nW = 1.2\n[parameters]\na = 0.2\n'
    with pytest.raises(ClosureError, match="no closed form for h"):
        export_source(mean_field(parse_cell(text)))
