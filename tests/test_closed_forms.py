"""Closed forms of Gaussian averages against quadrature at up to 50 digits, and their limits at degenerate laws."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import mpmath as mp
import pytest
import sympy as sp

from derive.elementary import Fn, FunctionTable, X
from derive.gaussian.closed_forms import closed_form, gaussian_moment, given_zero
from derive.gaussian.law import Law

U, V = sp.symbols("u v", real=True)
Q, P = sp.symbols("q p", nonnegative=True)
C, M, K = sp.symbols("c m k", real=True)
CENTRED = Law({U: "A", V: "A"}, {}, {(U, U): Q, (V, V): P, (U, V): C})
MEANS = Law({U: "A", V: "A"}, {U: M, V: K}, {(U, U): Q + M**2, (V, V): P + K**2, (U, V): C + M * K})
POINT = {Q: sp.Rational(13, 10), P: sp.Rational(7, 10), C: -sp.Rational(2, 5), M: sp.Rational(3, 10), K: -sp.S.One / 5}


def f(name: str, argument: Any, order: int = 0) -> sp.Expr:
    return Fn(name, order, argument)


def number(expression: sp.Expr, values: dict[sp.Symbol, Any], digits: int = 50) -> Any:
    found = sp.N(expression.subs(values), digits + 10)
    assert found.is_number, found
    return mp.mpf(str(found)) if found.is_finite else found


def density(z: Any) -> Any:
    return mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)


def one(g: Callable[[Any], Any], mean: Any, variance: Any, kinks: tuple[Any, ...] = ()) -> Any:
    """E g(x), split at kinks."""
    mean, std = mp.mpf(mean), mp.sqrt(mp.mpf(variance))
    inner = sorted((k - mean) / std for k in kinks)
    edges = [mp.mpf(-16), *(z for z in inner if abs(z) < 16), mp.mpf(16)]
    return mp.quad(lambda z: g(mean + std * z) * density(z), mp.linspace(edges[0], edges[-1], 9) if len(edges) == 2
                   else _finer(edges))  # fmt: skip


def _finer(edges: list[Any]) -> list[Any]:
    points: list[Any] = []
    for low, high in pairwise(edges):
        points += mp.linspace(low, high, 5)[:-1]
    return [*points, edges[-1]]


def smooth_pair(
    g: Callable[[Any, Any], Any], values: dict[sp.Symbol, Any], law: Law, digits: int, step: str = "0.25"
) -> Any:
    """E g(x, y) by the trapezoid rule, which converges geometrically for analytic integrands."""
    mean = [mp.mpf(str(law.mean_of(s).subs(values).evalf(60))) for s in (U, V)]
    q, p, c = (mp.mpf(values[s].p) / values[s].q for s in (Q, P, C))
    a, b = mp.sqrt(q), c / mp.sqrt(q)
    d = mp.sqrt(p - b * b)
    h, reach = mp.mpf(step), mp.sqrt(2 * digits * mp.log(10)) + 3
    nodes = [(k * h, density(k * h) * h) for k in range(-int(reach / h), int(reach / h) + 1)]
    return mp.fsum(
        wx * mp.fsum(wy * g(mean[0] + a * x, mean[1] + b * x + d * y) for y, wy in nodes) for x, wx in nodes
    )


def angular(n: int, m: int, cut: Callable[[Any, Any], Any], values: dict[sp.Symbol, Any]) -> Any:
    """E x^n y^m cut(sign x, sign y) at zero mean, in polar coordinates: one integral over the angle, split at kinks."""
    q, p, c = (mp.mpf(values[s].p) / values[s].q for s in (Q, P, C))
    r = c / mp.sqrt(q * p)
    turn = mp.acos(r)
    radial = mp.mpf(2) ** (mp.mpf(n + m) / 2) * mp.gamma(mp.mpf(n + m) / 2 + 1) / (2 * mp.pi)

    def integrand(t: Any) -> Any:
        x, y = mp.cos(t), mp.cos(t - turn)
        return x**n * y**m * cut(mp.sign(x), mp.sign(y))

    kinks = sorted({t % (2 * mp.pi) for t in (mp.pi / 2, 3 * mp.pi / 2, turn + mp.pi / 2, turn + 3 * mp.pi / 2)})
    total = mp.quad(integrand, [kinks[0] + mp.mpf(0), *kinks[1:], kinks[0] + 2 * mp.pi])
    return mp.sqrt(q) ** n * mp.sqrt(p) ** m * radial * total


def up(s: Any) -> Any:
    """The step function of a sign."""
    return (1 + s) / 2


def leaky(x: Any) -> Any:
    return x if x > 0 else x / 100


def cdf(x: Any) -> Any:
    return (1 + mp.erf(x / mp.sqrt(2))) / 2


def hard(x: Any) -> Any:
    return min(max(x, -1), 1)


def erf1(x: Any) -> Any:
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


ONE: dict[str, tuple[sp.Expr, Callable[[Any], Any], tuple[int, ...]]] = {
    "erf": (f("erf", U), mp.erf, ()),
    "erf affine": (f("erf", 2 * U - 1), lambda x: mp.erf(2 * x - 1), ()),
    "erf'": (f("erf", U, 1), erf1, ()),
    "erf'^2": (f("erf", U, 1) ** 2, lambda x: erf1(x) ** 2, ()),
    "erf''": (f("erf", U, 2), lambda x: -2 * x * erf1(x), ()),
    "erf' erf": (f("erf", U, 1) * f("erf", U), lambda x: erf1(x) * mp.erf(x), ()),
    "x^3 erf": (U**3 * f("erf", U), lambda x: x**3 * mp.erf(x), ()),
    "gelu": (f("gelu", U), lambda x: x * cdf(x), ()),
    "gelu'": (f("gelu", U, 1), lambda x: cdf(x) + x * density(x), ()),
    "relu": (f("relu", U), lambda x: max(x, 0), (0,)),
    "relu^2": (f("relu", U) ** 2, lambda x: max(x, 0) ** 2, (0,)),
    "relu^5": (f("relu", U) ** 5, lambda x: max(x, 0) ** 5, (0,)),
    "relu affine": (f("relu", 1 - 2 * U) ** 3, lambda x: max(1 - 2 * x, 0) ** 3, (mp.mpf(1) / 2,)),
    "x^2 relu'": (U**2 * f("relu", U, 1), lambda x: x**2 * (x > 0), (0,)),
    "leaky": (f("leaky_relu", U), leaky, (0,)),
    "leaky^3": (f("leaky_relu", U) ** 3, lambda x: leaky(x) ** 3, (0,)),
    "leaky'^2": (f("leaky_relu", U, 1) ** 2, lambda x: 1 if x > 0 else mp.mpf(1) / 10**4, (0,)),
    "abs": (f("abs", U), abs, (0,)),
    "abs^3 step": (f("abs", U) ** 3 * f("step", U), lambda x: max(x, 0) ** 3, (0,)),
    "step": (f("step", U), lambda x: mp.mpf(x > 0), (0,)),
    "sign": (f("sign", U), mp.sign, (0,)),
    "x sign": (U * f("sign", U - 1), lambda x: x * mp.sign(x - 1), (1,)),
    "hard_tanh": (f("hard_tanh", U), hard, (-1, 1)),
    "hard_tanh^2": (f("hard_tanh", U) ** 2, None, (-1, 1)),
    "hard_sigmoid": (f("hard_sigmoid", U), lambda x: min(max(x / 6 + mp.mpf(1) / 2, 0), 1), (-3, 3)),
    "elu": (f("elu", U), lambda x: x if x > 0 else mp.expm1(x), (0,)),
    "elu^2": (f("elu", U) ** 2, lambda x: (x if x > 0 else mp.expm1(x)) ** 2, (0,)),
    "elu'^2": (f("elu", U, 1) ** 2, lambda x: 1 if x > 0 else mp.exp(2 * x), (0,)),
    "exp": (f("exp", U), mp.exp, ()),
    "x^2 exp": (U**2 * f("exp", -U), lambda x: x**2 * mp.exp(-x), ()),
    "gaussian": (f("exp", -(U**2) / 2 + U), lambda x: mp.exp(-x * x / 2 + x), ()),
    "x^2 gaussian": (U**2 * f("exp", -(U**2)), lambda x: x * x * mp.exp(-x * x), ()),
    "sin": (f("sin", U), mp.sin, ()),
    "cos": (f("cos", 3 * U + 1), lambda x: mp.cos(3 * x + 1), ()),
    "sin^2 cos": (f("sin", U) ** 2 * f("cos", U), lambda x: mp.sin(x) ** 2 * mp.cos(x), ()),
    "x^3 sin cos": (U**3 * f("sin", U) * f("cos", U), lambda x: x**3 * mp.sin(x) * mp.cos(x), ()),
    "exp cos": (f("exp", U) * f("cos", U, 1), lambda x: -mp.exp(x) * mp.sin(x), ()),
}
ONE["hard_tanh^2"] = (ONE["hard_tanh^2"][0], lambda x: hard(x) ** 2, (-1, 1))


UNKNOWN_WITH_MEAN = {"hard_tanh^2"}
"""Two signs of correlated variables with means need Owen's T."""


@pytest.mark.parametrize("name", ONE)
def test_one_variable_with_mean(name: str) -> None:
    integrand, g, kinks = ONE[name]
    found = closed_form(integrand, MEANS)
    if name in UNKNOWN_WITH_MEAN:
        assert found is None
        return
    assert found is not None
    with mp.workdps(50):
        expected = one(g, mp.mpf(3) / 10, mp.mpf(13) / 10, kinks)
        assert abs(number(found, POINT) - expected) < mp.mpf(10) ** -46 * (1 + abs(expected))


@pytest.mark.parametrize("name", ONE)
def test_one_variable_that_does_not_vary(name: str) -> None:
    """At q = 0 the average is the value at the mean."""
    integrand, g, _ = ONE[name]
    found = closed_form(integrand, MEANS)
    if found is None:
        return
    with mp.workdps(40):
        expected = mp.mpf(g(mp.mpf(3) / 10))
        assert abs(number(found, POINT | {Q: 0, C: 0}, 40) - expected) < mp.mpf(10) ** -38


PAIRS: dict[str, tuple[sp.Expr, Callable[[Any, Any], Any], Law]] = {
    "erf erf": (f("erf", U) * f("erf", V), lambda x, y: mp.erf(x) * mp.erf(y), CENTRED),
    "erf' erf'": (f("erf", U, 1) * f("erf", V, 1), lambda x, y: erf1(x) * erf1(y), MEANS),
    "erf'^2 erf'": (f("erf", U, 1) ** 2 * f("erf", V, 1), lambda x, y: erf1(x) ** 2 * erf1(y), MEANS),
    "x y erf": (U * V**2 * f("erf", U), lambda x, y: x * y * y * mp.erf(x), MEANS),
    "x y erf erf": (U * V * f("erf", U) * f("erf", V), lambda x, y: x * y * mp.erf(x) * mp.erf(y), CENTRED),
    "gelu gelu": (f("gelu", U) * f("gelu", V), lambda x, y: x * cdf(x) * y * cdf(y), CENTRED),
    "erf sum": (U * f("erf", U + 2 * V - 1), lambda x, y: x * mp.erf(x + 2 * y - 1), MEANS),
    "exp erf": (f("exp", U) * f("erf", V), lambda x, y: mp.exp(x) * mp.erf(y), MEANS),
    "exp y": (f("exp", U - V) * V**2, lambda x, y: mp.exp(x - y) * y * y, MEANS),
    "sin cos": (f("sin", U) * f("cos", V), lambda x, y: mp.sin(x) * mp.cos(y), MEANS),
    "cos cos y": (V * f("cos", U) * f("cos", V), lambda x, y: y * mp.cos(x) * mp.cos(y), MEANS),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_two_smooth_variables(name: str) -> None:
    integrand, g, law = PAIRS[name]
    found = closed_form(integrand, law)
    assert found is not None
    with mp.workdps(24):
        expected = smooth_pair(g, POINT, law, 22)
        assert abs(number(found, POINT, 24) - expected) < mp.mpf(10) ** -18


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_two_smooth_variables_to_fifty_digits(name: str) -> None:
    integrand, g, law = PAIRS[name]
    with mp.workdps(55):
        expected = smooth_pair(g, POINT, law, 54, "0.16")
        assert abs(number(closed_form(integrand, law), POINT, 55) - expected) < mp.mpf(10) ** -46


ROUGH: dict[str, tuple[sp.Expr, int, int, Callable[[Any, Any], Any]]] = {
    "step step": (f("step", U) * f("step", V), 0, 0, lambda s, t: up(s) * up(t)),
    "sign sign": (f("sign", U) * f("sign", V), 0, 0, lambda s, t: s * t),
    "relu relu": (f("relu", U) * f("relu", V), 1, 1, lambda s, t: up(s) * up(t)),
    "relu^2 relu^2": (f("relu", U) ** 2 * f("relu", V) ** 2, 2, 2, lambda s, t: up(s) * up(t)),
    "relu^3 relu^2": (f("relu", U) ** 3 * f("relu", V) ** 2, 3, 2, lambda s, t: up(s) * up(t)),
    "relu^4 relu": (f("relu", U) ** 4 * f("relu", V), 4, 1, lambda s, t: up(s) * up(t)),
    "relu relu'": (f("relu", U) * f("relu", V, 1), 1, 0, lambda s, t: up(s) * up(t)),
    "relu^2 step": (f("relu", U) ** 2 * f("step", V), 2, 0, lambda s, t: up(s) * up(t)),
    "abs abs": (f("abs", U) * f("abs", V), 1, 1, lambda s, t: s * t),
    "abs^3 abs": (f("abs", U) ** 3 * f("abs", V), 3, 1, lambda s, t: s * t),
    "leaky leaky": (f("leaky_relu", U) * f("leaky_relu", V), 1, 1,
                    lambda s, t: (up(s) + up(-s) / 100) * (up(t) + up(-t) / 100)),
    "x y sign": (U * V * f("sign", U), 1, 1, lambda s, t: s),
    "y sign": (V * f("sign", U), 0, 1, lambda s, t: s),
}  # fmt: skip


@pytest.mark.parametrize("name", ROUGH)
@pytest.mark.parametrize("c", [-sp.Rational(2, 5), sp.Rational(9, 10), sp.S.Zero])
def test_two_variables_with_kinks(name: str, c: sp.Expr) -> None:
    integrand, n, m, cut = ROUGH[name]
    found = closed_form(integrand, CENTRED)
    values = POINT | {C: c}
    with mp.workdps(50):
        expected = angular(n, m, cut, values)
        assert found is not None
        assert abs(number(found, values) - expected) < mp.mpf(10) ** -46 * (1 + abs(expected))


@pytest.mark.parametrize("name", ROUGH)
def test_degenerate_pairs(name: str) -> None:
    """Perfect correlation of either sign, and one variable that does not vary, are limits."""
    integrand, *_ = ROUGH[name]
    found = closed_form(integrand, CENTRED)
    assert found is not None
    tiny = sp.Rational(1, 10**24)
    for limit, near in (
        ({Q: 1, P: 4, C: 2}, {Q: 1, P: 4, C: 2 - tiny}),
        ({Q: 1, P: 4, C: -2}, {Q: 1, P: 4, C: tiny - 2}),
        ({Q: 0, P: 4, C: 0}, {Q: tiny**2, P: 4, C: 0}),
        ({Q: 0, P: 0, C: 0}, {Q: tiny**2, P: tiny**2, C: 0}),
    ):
        with mp.workdps(50):
            assert abs(number(found, limit) - number(found, near)) < mp.mpf(10) ** -10


def test_three_steps() -> None:
    """P(x, y, z > 0) = 1/8 + (sum of arcsines)/(4 pi); equal correlations 1/2 give 1/4."""
    w = sp.Symbol("w", real=True)
    half = sp.Rational(1, 2)
    second = {(a, b): sp.S.One if a == b else half for a in (U, V, w) for b in (U, V, w)}
    law = Law({U: "A", V: "A", w: "A"}, {}, second)
    assert sp.simplify(closed_form(f("step", U) * f("step", V) * f("step", w), law)) == sp.Rational(1, 4)


DELTAS: dict[str, tuple[sp.Expr, sp.Expr]] = {
    "sign'": (f("sign", U, 1), 2 * sp.exp(-(M**2) / (2 * Q)) / sp.sqrt(2 * sp.pi * Q)),
    "step' y": (f("step", U, 1) * V, (K - C * M / Q) * sp.exp(-(M**2) / (2 * Q)) / sp.sqrt(2 * sp.pi * Q)),
    "step''": (f("step", U, 2), -M / Q * sp.exp(-(M**2) / (2 * Q)) / sp.sqrt(2 * sp.pi * Q)),
    "x step''": (U * f("step", U, 2), -sp.exp(-(M**2) / (2 * Q)) / sp.sqrt(2 * sp.pi * Q)),
    "relu''": (f("relu", U, 2), sp.exp(-(M**2) / (2 * Q)) / sp.sqrt(2 * sp.pi * Q)),
    "x sign'": (U * f("sign", U, 1), sp.S.Zero),
}


@pytest.mark.parametrize("name", DELTAS)
def test_delta_functions(name: str) -> None:
    integrand, expected = DELTAS[name]
    found = closed_form(integrand, MEANS)
    assert found is not None
    assert abs(number(found - expected, POINT, 40)) < mp.mpf(10) ** -38


def test_two_delta_functions() -> None:
    found = closed_form(f("sign", U, 1) * f("sign", V, 1), CENTRED)
    assert found is not None
    assert abs(number(found - 2 / (sp.pi * sp.sqrt(Q * P - C**2)), POINT, 40)) < mp.mpf(10) ** -38


def test_the_square_of_a_delta_function_has_no_value() -> None:
    assert closed_form(f("sign", U, 1) ** 2, CENTRED) is None
    assert closed_form(f("step", U, 1) * f("sign", U, 1), CENTRED) is None


def test_a_delta_function_next_to_tanh() -> None:
    """E[delta(u) tanh(v)^2] = p(0) E[tanh(v - c/q u)^2]."""
    found = given_zero(f("step", U, 1) * f("tanh", V) ** 2, CENTRED)
    assert found is not None
    height, rest = found
    assert abs(number(height - 1 / sp.sqrt(2 * sp.pi * Q), POINT, 30)) < 1e-28
    assert rest.has(Fn)
    assert given_zero(f("step", U, 1) ** 2 * f("tanh", V), CENTRED) is None


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "silu", "softsign", "arctan", "log", "sqrt"])
def test_what_has_no_closed_form_is_left_alone(name: str) -> None:
    assert closed_form(f(name, U), MEANS) is None
    assert closed_form(f(name, U) * f("erf", V), CENTRED) is None


def test_owen_s_function_is_left_alone() -> None:
    assert closed_form(f("erf", U) * f("erf", V), MEANS) is None
    assert closed_form(f("step", U) * f("step", V), MEANS) is None
    assert closed_form(f("erf", U) ** 2 * f("erf", V) ** 2, CENTRED) is None


def test_growing_gaussians_are_left_alone() -> None:
    assert closed_form(f("exp", U**2), CENTRED) is None


def test_a_function_of_the_cell_is_opened() -> None:
    table = FunctionTable({"gate": (1 + Fn("erf", 0, X)) / 2})
    law = Law(CENTRED.blocks, CENTRED.mean, CENTRED.second, functions=table)
    found = closed_form(f("gate", U) * f("gate", V), law)
    expected = sp.Rational(1, 4) + sp.asin(2 * C / sp.sqrt((1 + 2 * Q) * (1 + 2 * P))) / (2 * sp.pi)
    assert abs(number(found - expected, POINT, 40)) < mp.mpf(10) ** -38


def test_moments_of_any_degree() -> None:
    """Isserlis: E[u^4 v^2] = 3 q^2 p + 12 q c^2, and with means against the smooth rule."""
    assert sp.expand(gaussian_moment(U**4 * V**2, CENTRED) - 3 * Q**2 * P - 12 * Q * C**2) == 0
    with mp.workdps(34):
        expected = smooth_pair(lambda x, y: x**5 * y**3 + y**4, POINT, MEANS, 40)
        found = gaussian_moment(U**5 * V**3 + V**4, MEANS)
        assert abs(number(found, POINT, 34) - expected) < mp.mpf(10) ** -26
