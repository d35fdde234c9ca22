"""Gaussian averages against 30-digit references, closed forms and factorised products."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, expit, owens_t

from solvers.codegen.quadrature import Average, gaussian_average, gaussian_average_batch
from solvers.codegen.rules import NODES, WEIGHTS

mpmath.mp.dps = 30
STEEPNESS = (0.1, 1.0, 3.0, 7.5, 20.0, 100.0, 1000.0)


def mp_sigmoid(y: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.exp(-y)) if y > 0 else mpmath.exp(y) / (1 + mpmath.exp(y))


def reference(f: Callable[[mpmath.mpf], mpmath.mpf], centres: list[tuple[float, float]]) -> mpmath.mpf:
    """E[f] by mpmath on panels graded around (centre, scale)."""
    edges = {mpmath.mpf(e) for e in np.linspace(-13, 13, 14).tolist()}
    for centre, scale in centres:
        middle = mpmath.mpf(centre)
        edges.add(middle)
        offset = mpmath.mpf(scale)
        while 0 < offset < 2:
            edges |= {middle - offset, middle + offset}
            offset *= 4
    inside = sorted(e for e in edges if abs(e) <= 13)
    return mpmath.quad(lambda x: f(x) * mpmath.npdf(x), inside, maxdegree=5)


def check(result: Average, expected: float | mpmath.mpf, rtol: float = 1e-10, slack: float = 3.0) -> None:
    true_error = abs(mpmath.mpf(float(result.value[0])) - expected)
    assert result.converged
    assert true_error <= slack * result.error[0]
    assert true_error <= rtol * abs(expected)


FAMILY = {
    "tanh squared": (lambda y: np.tanh(y) ** 2, lambda y: mpmath.tanh(y) ** 2),
    "sigmoid squared": (lambda y: expit(y) ** 2, lambda y: mp_sigmoid(y) ** 2),
    "sigmoid slope squared": (
        lambda y: (expit(y) * expit(-y)) ** 2,
        lambda y: (mp_sigmoid(y) * mp_sigmoid(-y)) ** 2,
    ),
}


def test_kronrod_table_is_exact_to_degree_31_and_no_further() -> None:
    for degree in range(32):
        exact = 2.0 / (degree + 1) if degree % 2 == 0 else 0.0
        assert abs(WEIGHTS @ NODES**degree - exact) < 1e-15
    assert abs(WEIGHTS @ NODES**32 - 2.0 / 33.0) > 1e-12


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("s", STEEPNESS)
@pytest.mark.parametrize("b", [0.0, -3.0, 5.0])
def test_one_dimension_against_thirty_digits(name: str, s: float, b: float) -> None:
    numeric, exact = FAMILY[name]
    expected = reference(lambda x: exact(mpmath.mpf(s) * x + mpmath.mpf(b)), [(-b / s, 1 / s)])
    result = gaussian_average(lambda x: numeric(s * x[0] + b), 1)
    assert result.method == "adaptive"
    check(result, expected)


@pytest.mark.parametrize("c", [0.0, 0.37, 0.4999, -2.1, 8.3])
def test_kinks_and_jumps_with_and_without_hints(c: float) -> None:
    tail = mpmath.ncdf(-mpmath.mpf(c))
    ramp = mpmath.npdf(mpmath.mpf(c)) - mpmath.mpf(c) * tail
    for hints in (None, [[(c, 0.0)]]):
        check(gaussian_average(lambda x: x[0] > c, 1, hints=hints), tail)
        check(gaussian_average(lambda x: np.maximum(x[0] - c, 0.0), 1, hints=hints), ramp)


def test_products_and_several_integrands_share_nodes() -> None:
    result = gaussian_average(lambda x: np.array([erf(x[0]) * x[0], np.tanh(3 * x[0]) * (x[0] > 0.2)]), 1)
    assert abs(result.value[0] - 2 / np.sqrt(3 * np.pi)) < 1e-14
    expected = reference(lambda x: mpmath.tanh(3 * x) if x > mpmath.mpf(0.2) else mpmath.mpf(0), [(0.2, 0.0)])
    assert abs(result.value[1] - float(expected)) <= 1e-11


@pytest.mark.parametrize("eta", [1e-3, 1e-6])
@pytest.mark.parametrize("s", [1.0, 3.0, 20.0])
def test_near_pole_averages(eta: float, s: float) -> None:
    lam, b = 0.37 + 1j * eta, 1.0
    pole = (np.log(0.37 / 0.63) - b) / s

    def exact(x: mpmath.mpf) -> mpmath.mpf:
        z = mp_sigmoid(mpmath.mpf(s) * x + b)
        return abs((1 - z) / (mpmath.mpc(lam) - z)) ** 2

    expected = reference(exact, [(pole, eta / s), (-b / s, 1 / s)])
    result = gaussian_average(lambda x: np.abs(expit(-s * x[0] - b) / (lam - expit(s * x[0] + b))) ** 2, 1, rtol=1e-10)
    check(result, expected)


def test_growing_integrands() -> None:
    check(gaussian_average(lambda x: np.exp(10 * x[0]), 1), mpmath.exp(50))
    check(gaussian_average(lambda x: x[0] ** 20, 1), mpmath.fac2(19))
    check(gaussian_average(lambda x: np.exp(2 * x[0] - 3 * x[1]), 2), mpmath.exp(6.5))


def test_narrow_peak_is_found_with_a_hint_and_at_a_thousandth_without() -> None:
    def peak(c: float, w: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: 1.0 + np.exp(-0.5 * ((x[0] - c) / w) ** 2) / w

    def exact(c: float, w: float) -> float:
        return 1.0 + np.exp(-0.5 * c * c / (1 + w * w)) / np.sqrt(1 + w * w)

    hinted = gaussian_average(peak(0.123456, 1e-6), 1, hints=[[(0.123456, 1e-6)]])
    check(hinted, exact(0.123456, 1e-6))
    for c in np.linspace(-3.0, 3.0, 101):
        check(gaussian_average(peak(c, 1.5e-3), 1), exact(c, 1.5e-3))


def test_batch_agrees_with_single_calls() -> None:
    lam = np.linspace(0.05, 0.95, 40) + 1e-3j

    def f(xi: np.ndarray, index: np.ndarray) -> np.ndarray:
        z = expit(3 * xi + 1)
        return np.array([np.abs((1 - z) / (lam[index] - z)) ** 2, (1 - z) / (lam[index] - z)])

    batch = gaussian_average_batch(f, lam.size)
    assert batch.value.shape == batch.error.shape == (2, 40)
    assert batch.converged.all()
    for k in range(0, 40, 7):
        single = gaussian_average(lambda x, k=k: f(x[0], np.full(x.shape[1], k)), 1)
        assert np.all(np.abs(single.value - batch.value[:, k]) <= single.error + batch.error[:, k])


def test_batch_with_hints_and_kinks_per_member() -> None:
    kinks = np.linspace(-2.0, 2.0, 25)
    batch = gaussian_average_batch(lambda x, i: np.abs(x - kinks[i]), kinks.size, hints=[(kinks, 0.0)])
    exact = [float(2 * mpmath.npdf(c) + c * (1 - 2 * mpmath.ncdf(-c))) for c in map(mpmath.mpf, kinks.tolist())]
    assert batch.converged.all()
    assert np.all(np.abs(batch.value[0] - exact) <= 3 * batch.error[0])
    assert batch.evaluations < 40_000


def one(g: Callable[[np.ndarray], np.ndarray]) -> float:
    return float(gaussian_average(lambda x: g(x[0]), 1, rtol=1e-13).value[0])


@pytest.mark.parametrize("s", STEEPNESS)
def test_unfactorised_products(s: float) -> None:
    def g(y: np.ndarray) -> np.ndarray:
        return np.tanh(s * y + 0.5) ** 2

    def h(y: np.ndarray) -> np.ndarray:
        return expit(s * y - 3)

    def ramp(y: np.ndarray) -> np.ndarray:
        return np.maximum(y - 0.2, 0.0)

    two, three = one(g) * one(h), one(g) * one(h) * one(ramp)
    check(gaussian_average(lambda x: g(x[0]) * h(x[1]), 2), two)
    check(gaussian_average(lambda x: g(x[0]) * h(x[1]) * ramp(x[2]), 3), three)


def test_four_dimensions() -> None:
    parts = [lambda y: np.tanh(y) ** 2, lambda y: expit(y - 1), lambda y: np.exp(0.3 * y), lambda y: erf(y) ** 2]
    result = gaussian_average(lambda x: np.prod([g(y) for g, y in zip(parts, x, strict=True)], axis=0), 4, rtol=1e-9)
    check(result, float(np.prod([one(g) for g in parts])), rtol=1e-9)


@pytest.mark.parametrize("s", [1.0, 7.5, 100.0, 1000.0])
@pytest.mark.parametrize("c", [0.3, 0.95])
def test_arcsine_law_of_correlated_replicas(s: float, c: float) -> None:
    d = np.sqrt(1 - c * c)
    expected = 2 / mpmath.pi * mpmath.asin(2 * s * s * mpmath.mpf(c) / (1 + 2 * s * s))
    result = gaussian_average(lambda x: erf(s * x[0]) * erf(s * (c * x[0] + d * x[1])), 2)
    check(result, expected)


def test_oblique_jump_in_two_dimensions() -> None:
    # P(x > h, y > a x) is the angular measure given by Owen's function.
    h, a = 0.4, 0.7
    expected = 0.5 * one(lambda y: (y > h) * 1.0) - owens_t(h, a)
    # Windows between the two jumps can be narrower than any grid: slow, but the error must say so.
    result = gaussian_average(lambda x: (x[0] > h) & (x[1] > a * x[0]), 2, rtol=1e-7, max_evaluations=1e7)
    assert abs(result.value[0] - expected) <= 3 * result.error[0] + 1e-16
    assert result.error[0] < 1e-4


@pytest.mark.parametrize(("std", "mean"), [(1.0, 0.0), (3.0, 2.0), (5.0, -2.0)])
def test_gated_cell_average_in_three_dimensions(std: float, mean: float) -> None:
    """The candidate enters through a tanh whose steepness varies over exp(8 std)."""

    def gate(forget: np.ndarray, gated: np.ndarray) -> np.ndarray:
        return expit(std * gated + mean) * (1 + np.exp(std * forget + mean))

    result = gaussian_average(lambda x: np.tanh(gate(x[0], x[1]) * np.tanh(std * x[2])) ** 2, 3, rtol=1e-10)
    # Independent route: tabulated trapezoids over the two gates, the adaptive rule over the candidate.
    y = np.linspace(-8.5, 8.5, 601)
    w = (y[1] - y[0]) * np.exp(-0.5 * y * y) / np.sqrt(2 * np.pi)
    logs = np.log(gate(y[:, None], y[None, :])).ravel()
    weights = (w[:, None] * w).ravel()
    grid = np.linspace(logs.min(), logs.max(), 1400)
    inner = gaussian_average_batch(
        lambda x, i: np.tanh(np.exp(grid[i]) * np.tanh(std * x)) ** 2, grid.size, hints=[(0.0, np.exp(-grid) / std)]
    )
    from scipy.interpolate import make_interp_spline

    expected = weights @ make_interp_spline(grid, inner.value[0], k=7)(logs)
    assert result.method == "tensor"
    assert result.converged
    assert abs(result.value[0] - expected) <= 3 * result.error[0] + 2e-12


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    s=st.floats(0.1, 1000.0),
    b=st.floats(-4.0, 4.0),
    c=st.floats(-3.0, 3.0),
    rtol=st.sampled_from([1e-3, 1e-6, 1e-9, 1e-12]),
)
def test_errors_bound_the_truth(s: float, b: float, c: float, rtol: float) -> None:
    functions = (
        lambda x: erf(s * x + b) + 1.5,
        lambda x: 1.0 * (x > c),
        lambda x: np.abs(x - c),
    )
    exact = (
        mpmath.erf(mpmath.mpf(b) / mpmath.sqrt(1 + 2 * mpmath.mpf(s) ** 2)) + 1.5,
        mpmath.ncdf(-mpmath.mpf(c)),
        2 * mpmath.npdf(c) + c * (1 - 2 * mpmath.ncdf(-mpmath.mpf(c))),
    )
    for f, expected in zip(functions, exact, strict=True):
        result = gaussian_average(lambda x, f=f: f(x[0]), 1, rtol=rtol)
        assert result.converged
        assert abs(mpmath.mpf(float(result.value[0])) - expected) <= 3 * result.error[0]
    pair = gaussian_average(lambda x: functions[0](x[0]) * functions[2](x[1]), 2, rtol=rtol)
    assert abs(mpmath.mpf(float(pair.value[0])) - exact[0] * exact[2]) <= 3 * pair.error[0]


@pytest.mark.parametrize("dimension", [0, 1, 2, 5])
def test_impossible_tolerance_is_not_claimed(dimension: int) -> None:
    result = gaussian_average(
        lambda x: np.cos(x.sum(axis=0)), dimension, rtol=1e-30, max_evaluations=3e5
    )
    assert not result.converged
    assert result.error[0] > 0
    assert abs(result.value[0] - np.exp(-0.5 * dimension)) <= 3 * result.error[0]


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_nan_is_never_silent(dimension: int) -> None:
    def f(x: np.ndarray) -> np.ndarray:
        return np.array([np.ones(x.shape[1]), np.where(x[0] > 1.0, np.nan, 1.0)])

    result = gaussian_average(f, dimension, max_evaluations=1e6)
    assert not result.converged
    assert np.isnan(result.value[1])
    assert np.isinf(result.error[1])
    assert abs(result.value[0] - 1.0) < 1e-10


def test_nan_in_the_negligible_tail_is_tolerated() -> None:
    result = gaussian_average(lambda x: np.where(x[0] > 20.0, np.nan, np.tanh(x[0]) ** 2), 1)
    check(result, 0.394294490397841, rtol=1e-12)


def test_complex_values_and_shapes() -> None:
    result = gaussian_average(lambda x: np.exp(1j * (x[0] + 2 * x[1]))[None], 2)
    assert result.value.dtype == complex
    assert abs(result.value[0] - np.exp(-2.5)) <= 3 * result.error[0]
    constant = gaussian_average(lambda x: np.full((2, x.shape[1]), 3.0), 0)
    assert constant.method == "exact"
    assert constant.converged
    assert constant.value.tolist() == [3.0, 3.0]


def test_results_are_reproducible() -> None:
    for dimension in (1, 2, 5):
        a, b = (gaussian_average(lambda x: np.tanh(x.sum(axis=0)) ** 2, dimension, rtol=1e-4) for _ in range(2))
        assert a.value == b.value
        assert a.error == b.error


def test_sobol_average_in_six_dimensions() -> None:
    result = gaussian_average(lambda x: np.exp(0.2 * x.sum(axis=0)), 6, rtol=1e-3)
    assert result.method == "qmc"
    check(result, np.exp(6 * 0.02), rtol=1e-3)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="dimension"):
        gaussian_average(lambda x: x[0], -1)
    with pytest.raises(ValueError, match="hints"):
        gaussian_average(lambda x: x[0], 2, hints=[None])
    with pytest.raises(ValueError, match="shape"):
        gaussian_average(lambda x: np.ones(3), 1)
