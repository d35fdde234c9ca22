"""Thirty digits: averages in balls against mpmath's own quadrature, and the functions of balls one by one."""

from __future__ import annotations

import mpmath as mp
import pytest
import sympy as sp
from flint import arb, ctx

from derive import load
from derive.elementary import BUILTINS, Fn, X, builtin_derivative
from derive.gaussian.average import Average, Law
from solvers.verify import verify
from solvers.verify.balls import ball_function, number_of
from solvers.verify.precise import PreciseAverage

U, V, Q = sp.Symbol("u", real=True), sp.Symbol("v", real=True), sp.Symbol("q", nonnegative=True)
LAW = Law(blocks={U: "a", V: "b"}, second={(U, U): Q, (V, V): sp.S.One})
PLACES = (mp.mpf(1) / 3, mp.mpf(-5) / 7, mp.mpf(7))


@pytest.mark.parametrize("name", sorted(set(BUILTINS) - {"sign", "step"}))
@pytest.mark.parametrize("order", [0, 1])
def test_functions_of_balls(name: str, order: int) -> None:
    with mp.workdps(60), ctx.workprec(200):
        function = ball_function([X], Fn(name, order, X), LAW)
        plain = sp.lambdify([X], builtin_derivative(name, order), modules="mpmath")
        for place in PLACES:
            if name in ("log", "sqrt") and place < 0:
                continue
            assert mp.almosteq(number_of(arb(function(arb(place)))), plain(place), rel_eps=mp.mpf(10) ** -48)


@pytest.mark.parametrize(
    ("integrand", "reference"),
    [
        (Fn("tanh", 1, U) ** 2, lambda x, y: mp.sech(x) ** 4),
        (Fn("log", 0, 1 + Fn("exp", 0, U)), lambda x, y: mp.log(1 + mp.exp(x))),
        (Fn("abs", 0, U - sp.Rational(1, 3)), lambda x, y: abs(x - mp.mpf(1) / 3)),
    ],
)
def test_one_direction(integrand: sp.Expr, reference) -> None:  # type: ignore[no-untyped-def]
    with mp.workdps(40):
        value, error = PreciseAverage(Average(integrand), LAW).evaluate({Q: mp.mpf(3) / 2})
        root = mp.sqrt(mp.mpf(3) / 2)
        breaks = [-14, -7, -3, mp.mpf(1) / 3 / root, 3, 7, 14]
        expected = mp.quad(lambda t: reference(root * t, 0) * mp.npdf(t), breaks)
        assert abs(value - expected) < mp.mpf(10) ** -30
        assert abs(value - expected) < error + mp.mpf(10) ** -35


def test_two_directions() -> None:
    """E[tanh'(v sigma(u))]: given u one Gaussian direction of variance sigma(u)^2."""
    with mp.workdps(40):
        gate = Fn("sigmoid", 0, U)
        node = Average(gate * Fn("erf", 1, V * gate))
        value, error = PreciseAverage(node, LAW).evaluate({Q: mp.mpf(2)})

        def inner(x: mp.mpf) -> mp.mpf:
            s = 1 / (1 + mp.exp(-mp.sqrt(2) * x))
            return s * 2 / mp.sqrt(mp.pi) / mp.sqrt(1 + 2 * s**2) * mp.npdf(x)

        expected = mp.quad(inner, [-14, -7, -3, 0, 3, 7, 14])
        assert abs(value - expected) < mp.mpf(10) ** -30
        assert error < mp.mpf(10) ** -30


@pytest.mark.parametrize(
    ("formula", "where"),
    [("chi_star = chi1", "Sigma=1, sigma_w=0.8"), ("C_star[h] = 0", "Sigma=0, mu_b=0, sigma_b=0, sigma_w=0.9")],
)
def test_two_replicas_to_thirty_digits(formula: str, where: str) -> None:
    """Overlaps are polished like every unknown; equal replicas are equal to the last digit."""
    fixed = {name: sp.Rational(value) for name, value in (part.split("=") for part in where.split(", "))}
    found = verify(load("vanilla"), formula, ansatz="untied", where=fixed)
    assert found.verdict == "agrees"
    assert "equal to 30 digits" in found.steps[-1]
