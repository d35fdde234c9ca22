"""Parameters become gains, biases and inputs, or a refusal by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest

from derive.cell import parse_cell, resolve
from derive.cell.expression import Call, Name, Next, Product
from derive.cell.parameters import InputSettings, evaluate
from derive.errors import ParameterError

CELL = parse_cell(
    """
name = "mine"
equations = "h' = tanh(W @ h + V @ x + b)"
[weights]
W = "2*sigma"
V = { gain = "sqrt(nu)", ensemble = "haar" }
[biases]
b = { mean = "mu/2", std = "rho" }
[inputs]
x = { variance = "R", mean = "m", correlation = "Sigma", time = "constant" }
[parameters]
sigma = "required"
nu = 4
mu = 1.0
rho = 0
R = 1
m = 0
Sigma = 0.5
"""
)


def test_values_reach_every_table() -> None:
    settings = resolve(CELL, {"sigma": 1.5, "rho": 0.25})
    assert settings.gains == {"W": 3.0, "V": 2.0}
    assert settings.ensembles == {"W": "gaussian", "V": "haar"}
    assert settings.biases == {"b": (0.5, 0.25)}
    assert settings.inputs == {"x": InputSettings(1.0, 0.0, 0.5, "constant")}
    assert list(settings.parameters) == ["sigma", "nu", "mu", "rho", "R", "m", "Sigma"]
    assert all(type(value) is float for value in settings.parameters.values())


@pytest.mark.parametrize("value", [2, 2.0, Fraction(2), np.float64(2), np.float32(2), np.int64(2)])
def test_numbers_of_other_kinds(value: object) -> None:
    assert resolve(CELL, {"sigma": value}).gains["W"] == 4.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sgima": 1}, ["`sgima`", "mine", "Did you mean `sigma`?"]),
        ({"quux": 1, "sigma": 1}, ["`quux`", "sigma, nu, mu"]),
        ({1: 1}, ["by name"]),
        ({}, ["`sigma`", "no default", "sigma=1.0"]),
        ({"sigma": "1"}, ["`sigma`", "not a real number"]),
        ({"sigma": True}, ["`sigma`", "not a real number"]),
        ({"sigma": None}, ["`sigma`", "not a real number"]),
        ({"sigma": 1j}, ["`sigma`", "not a real number"]),
        ({"sigma": [1.0]}, ["`sigma`", "not a real number"]),
        ({"sigma": np.ones(3)}, ["`sigma`", "not a real number"]),
        ({"sigma": math.nan}, ["`sigma`", "nan", "finite"]),
        ({"sigma": -math.inf}, ["`sigma`", "-inf", "finite"]),
        ({"sigma": 10**400}, ["`sigma`", "finite"]),
        ({"sigma": -1}, ["gain of `W`", "2*sigma", "-2", "sign", "absolute value"]),
        ({"sigma": 1, "nu": -1}, ["sqrt(nu)", "nu = -1.0"]),
        ({"sigma": 1e308}, ["2*sigma", "sigma = 1e+308"]),
        ({"sigma": 1, "rho": -0.1}, ["std of `b`", "rho = -0.1", "absolute value"]),
        ({"sigma": 1, "R": -1}, ["variance of `x`", "second moment"]),
        ({"sigma": 1, "m": 2}, ["variance of `x`", "mean squared, 4", "mean**2"]),
        ({"sigma": 1, "Sigma": 1.1}, ["correlation of `x`", "between -1 and 1"]),
        ({"sigma": 1, "Sigma": -1.1}, ["correlation of `x`", "Sigma = -1.1"]),
        ({"sigma": 1, "R": 2, "m": 1, "Sigma": -0.1}, ["correlation of `x`", "between 0 and 1"]),
    ],
)
def test_refusals(given: Mapping[str, object], words: list[str]) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve(CELL, given)
    for word in words:
        assert word in str(caught.value)


def test_inequalities_hold_at_their_limits() -> None:
    for given in (
        {"Sigma": 1},
        {"Sigma": -1},
        {"m": 1, "Sigma": 1},
        {"R": 0, "Sigma": 1},
        {"R": 0.1 * 0.1, "m": 0.1, "Sigma": 1},
        {"R": 2, "m": 1, "Sigma": 0},
    ):
        resolve(CELL, {"sigma": 0, **given})


def test_evaluate() -> None:
    assert evaluate(Call("exp", Name("a")), {"a": 0.0}) == 1.0
    with pytest.raises(ParameterError, match=r"exp\(a\).*a = 1000"):
        evaluate(Call("exp", Name("a")), {"a": 1000.0})
    with pytest.raises(ParameterError, match="`a` has no value"):
        evaluate(Name("a"), {})
    for node in (Product("W", Name("a")), Next("a"), Call("gelu", Name("a"))):
        with pytest.raises(ParameterError, match="not arithmetic"):
            evaluate(node, {"a": 1.0})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/3", 1 / 3),
        ("-s**2", -4.0),
        ("2**-s", 0.25),
        ("s - 1 - 1", 0.0),
        ("abs(-s)*sqrt(s)", 2 * math.sqrt(2)),
        ("sigmoid(-600) + sigmoid(600)", 1.0),
        ("log(s) + tanh(s) + erf(s) + arctan(s)", math.log(2) + math.tanh(2) + math.erf(2) + math.atan(2)),
        ("sin(s)**2 + cos(s)**2", 1.0),
    ],
)
def test_arithmetic(text: str, value: float) -> None:
    cell = parse_cell(f"equations = \"h' = h + b\"\n[biases]\nb = '{text}'\n[parameters]\ns = 2\n")
    assert math.isclose(resolve(cell).biases["b"][0], value, rel_tol=1e-15, abs_tol=1e-15)


@pytest.mark.parametrize("text", ["1/s", "s**-1", "log(s)", "(s - 1)**0.5", "10.0**(300*(s + 2))"])
def test_no_finite_value_names_the_expression(text: str) -> None:
    cell = parse_cell(f"equations = \"h' = h + b\"\n[biases]\nb = '{text}'\n[parameters]\ns = 0\n")
    with pytest.raises(ParameterError, match=r"`.*s.*` has no finite real value at s = 0\.0"):
        resolve(cell)
