"""Curves by pseudo-arclength continuation, on curves that are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from solvers.budget import BudgetSpent, budget
from solvers.continuation import Control, Event, trace


def circle(y: np.ndarray) -> np.ndarray:
    return np.array([y[0] ** 2 + y[1] ** 2 - 1.0])


def cubic(y: np.ndarray) -> np.ndarray:
    """x^3 - x + p = 0 with y = (x, p): folds at x = +-1/sqrt(3), p = +-2/(3 sqrt(3))."""
    return np.array([y[1] - y[0] + y[0] ** 3])


def test_a_loop_closes_once_and_stays_on_the_curve() -> None:
    path = trace(circle, np.array([1.1, 0.0]), np.ones(2), control=Control(largest=0.2))
    assert path.closed
    table = np.array([point.y for point in path.points])
    assert np.abs(np.hypot(*table.T) - 1.0).max() < 1e-9
    angles = np.unwrap(np.arctan2(table[:, 1], table[:, 0]))
    assert abs(angles[-1] - angles[0]) == pytest.approx(2 * np.pi, abs=1e-9)


def test_folds_are_passed_and_located() -> None:
    limits = [Event("high", lambda p: 2 - p.y[1], terminal=True), Event("low", lambda p: 2 + p.y[1], terminal=True)]
    fold = Event("fold", lambda p: float(p.tangent[1]))
    path = trace(cubic, np.array([0.0, 0.0]), np.ones(2), [*limits, fold])
    assert sorted(path.ends) == ["high", "low"]
    found = sorted(tuple(c.point.y) for c in path.crossings if c.event == "fold")
    x, p = 1 / np.sqrt(3), 2 / (3 * np.sqrt(3))
    assert np.allclose(found, [(-x, -p), (x, p)], atol=1e-6)
    assert abs(path.points[0].y[1]) == pytest.approx(2.0, abs=1e-9)


def test_a_sign_that_jumps_without_a_zero_is_no_event() -> None:
    jump = Event("jump", lambda p: 1.0 if p.y[0] > 0.3 else -1.0)
    path = trace(circle, np.array([1.0, 0.0]), np.ones(2), [jump])
    assert path.closed
    assert not path.crossings


def test_crossings_of_a_loop() -> None:
    path = trace(circle, np.array([1.0, 0.0]), np.ones(2), [Event("axis", lambda p: p.y[0])])
    assert sorted(round(float(c.point.y[1]), 9) for c in path.crossings) == [-1.0, 1.0]


def test_no_unknown_but_the_parameter() -> None:
    ends = [Event("high", lambda p: 3 - p.y[0], terminal=True), Event("low", lambda p: p.y[0], terminal=True)]
    path = trace(lambda y: np.zeros(0), np.array([1.0]), np.array([3.0]), [*ends, Event("two", lambda p: p.y[0] - 2)])
    assert sorted(path.ends) == ["high", "low"]
    assert [c.point.y[0] for c in path.crossings if c.event == "two"] == pytest.approx([2.0])


def test_a_curve_that_stops_says_so() -> None:
    def half(y: np.ndarray) -> np.ndarray:
        return np.array([y[1] - 1.0 if y[0] < 1.0 else np.nan])

    path = trace(half, np.array([0.5, 1.0]), np.ones(2), [Event("left", lambda p: p.y[0], terminal=True)])
    assert sorted(path.ends)[1] == "left"
    assert "Newton's method fails" in sorted(path.ends)[0]
    assert max(point.y[0] for point in path.points) > 0.99


def test_no_curve_near_the_start() -> None:
    path = trace(lambda y: np.array([y[0] ** 2 + y[1] ** 2 + 1.0]), np.array([1.0, 1.0]), np.ones(2))
    assert path.points == ()
    assert "no point of the curve" in path.ends[0]


def test_the_budget_stops_a_path() -> None:
    with budget(1e-9):
        path = trace(circle, np.array([1.0, 0.0]), np.ones(2))
    assert path.ends[0] == str(BudgetSpent("stopped by the time budget"))


@pytest.mark.parametrize("aside", [-1e-8, 0.0, 1e-8])
def test_a_start_on_a_limit_is_followed_inward_only(aside: float) -> None:
    # Landing moves a start by rounding, to either side of the limit it was meant to lie on.
    ends = [Event("low", lambda p: p.y[1], terminal=True), Event("high", lambda p: 1 - p.y[1], terminal=True)]
    path = trace(lambda y: np.array([y[0] - 2 * y[1]]), np.array([0.0, aside]), np.ones(2), ends)
    assert path.ends in (("low", "high"), ("high", "low"))
    free = np.array([point.y[1] for point in path.points])
    assert free.min() > -1e-6
    assert free.max() == pytest.approx(1.0)
