"""Cells whose equations close without quadrature: found by the derivation itself, and equal to quadrature's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive import parse_cell as read
from derive.gaussian import average as averages
from derive.gaussian.average import Average
from derive.pipeline import derive_theory
from solvers.export import export_source
from solvers.solve import solve

GATED = """
name = "gated"
equations = '''
z  = gate(W_z @ h + b_z)
r  = gate(W_r @ h)
y  = erf(W_h @ (r*h))
h' = z*h + (1 - z)*y
'''
[functions]
gate = "(1 + erf(x))/2"
[weights]
W_z = 1.5
W_r = 1.0
W_h = 4.0
[biases]
b_z = { mean = 0, std = 0.5 }
"""

ONE = """
name = "one"
equations = "h' = {0}(W @ h + U @ x + b)"
[weights]
W = 1.3
U = 0.5
[biases]
b = {{ mean = 0, std = 0.3 }}
[inputs]
x = {{ variance = 0.8, correlation = 0.5 }}
"""


@pytest.mark.parametrize("ansatz", ["static", "untied"])
def test_error_function_gates_close(ansatz: str) -> None:
    theory = derive_theory(read(GATED), ansatz)
    assert not any(right.atoms(Average) for right in theory.system.equations.values())
    assert any(right.has(sp.asin) for right in theory.system.equations.values())


@pytest.mark.parametrize("name", ["erf", "relu", "step", "sign", "sin", "gelu", "leaky_relu"])
def test_as_quadrature_has_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Static numbers with and without closed forms agree within their errors."""
    cell = read(ONE.format(name))
    closed = solve(cell).solutions
    monkeypatch.setattr(averages, "stable_closed_form", lambda integrand, law: None)
    rough = solve(cell).solutions
    assert len(closed) == len(rough)
    for one, other in zip(closed, rough, strict=True):
        for key in ("q", "Q"):
            for field, value in one.numbers[key].items():
                error = one.errors[key][field] + other.errors[key][field] + 1e-14
                assert abs(value - other.numbers[key][field]) <= error
        if np.isfinite(one.numbers["spectral_radius"] or np.nan):
            expected = other.numbers["spectral_radius"]
            assert one.numbers["spectral_radius"] == pytest.approx(expected, rel=1e-9)


def test_a_step_has_no_growth_rate_but_a_moment() -> None:
    """chi1 needs the square of a delta function and diverges; the moments do not."""
    solution = solve(read(ONE.format("sign")), ansatz="untied").solutions[-1]
    assert np.isinf(solution.numbers["chi1"])
    assert solution.numbers["Q"]["h"] == pytest.approx(1.0)


def test_closed_equations_are_exported() -> None:
    namespace: dict[str, object] = {"__name__": "exported"}
    exec(export_source(derive_theory(read(ONE.format("relu")), "static")), namespace)
    found = namespace["solve"]()  # type: ignore[operator]
    expected = solve(read(ONE.format("relu"))).solutions[0].numbers["q"]["W"]
    assert found[0] == pytest.approx(expected, rel=1e-9)
