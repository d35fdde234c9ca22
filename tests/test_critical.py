"""Critical initialisations: published points, closed forms, branches, folds, curves, isometry, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from derive.cell import load, parse_cell
from derive.errors import AnsatzError, ParameterError
from derive.pipeline import derive_theory
from derive.stability.critical import AT_MOMENTS, AT_ZERO, critical_steps
from solvers import solve
from solvers.budget import budget
from solvers.cli import main
from solvers.critical import Critical, critical

PUBLISHED = [
    ("minimal-rnn", "R", {"sigma_w": 6.88, "sigma_v": 1.39}, 0.461566, 1e-6),
    ("vanilla", "sigma_w", {"sigma_b": 0.05**0.5}, 1.7609546**0.5, 1e-8),
]


@pytest.mark.parametrize(("name", "free", "given", "expected", "accuracy"), PUBLISHED)
def test_published_points(name: str, free: str, given: dict[str, float], expected: float, accuracy: float) -> None:
    found = critical(load(name), free, given)
    (point,) = found.points
    assert found.converged
    assert point[free] == pytest.approx(expected, rel=2 * accuracy)
    (solution,) = solve(load(name), {**given, free: point[free]}, ansatz="untied").solutions
    assert abs(solution["chi1"] - 1.0) < 1e-9  # by the solver of solutions, which knows nothing of this search
    assert point.numbers["Q"]["h"] == pytest.approx(solution["Q[h]"], rel=1e-9)


ZERO_STATES = [
    ("vanilla", "sigma_w", {}, False, 1.0),
    ("vanilla", "sigma_w", {}, True, 1.0),
    ("gru", "sigma_h", {}, True, 2.0),
    pytest.param("gated-rnn", "g_h", {}, True, 2.0, marks=pytest.mark.slow),
    ("lstm", "sigma_g", {"mu_f": 5.0}, False, None),
    pytest.param("lstm", "sigma_g", {}, True, 2.0, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "free", "given", "radius", "expected"), ZERO_STATES)
def test_zero_states(name: str, free: str, given: dict[str, float], radius: bool, expected: float | None) -> None:
    found = critical(load(name), free, given, radius=radius)
    (point,) = [point for point in found.points if point.state == "zero"]
    (form,) = [form for form in found.closed_form if form["rule"] == AT_ZERO]
    assert point.converged
    assert point[free] == pytest.approx(form["value"], rel=1e-9)
    if expected is not None:
        assert point[free] == pytest.approx(expected, rel=1e-9)


def test_closed_form_holds_at_the_critical_point() -> None:
    given = {"sigma_w": 6.88, "sigma_v": 1.39}
    point = critical(load("minimal-rnn"), "R", given).points[0]
    theory = derive_theory(load("minimal-rnn"), "untied")
    solved = solve(theory, {**given, "R": point["R"]})
    for free in ("R", "sigma_w"):
        (step,) = [step for step in critical_steps(theory, [free]) if step.rule == AT_MOMENTS]
        ((left, right),) = step.equations
        value = solved.same_evaluator()(right, solved.solutions[0].values, 1e-11).value
        assert float(left.xreplace(solved.solutions[0].values)) == pytest.approx(value, rel=1e-9)


def test_a_parameter_inside_an_average_has_no_closed_form() -> None:
    assert not critical_steps(derive_theory(load("minimal-rnn"), "untied"), ["mu_b"])


def test_closed_form_of_a_cell_nobody_has_seen() -> None:
    """Two coupled states with a nested product: chi1 at zero is a quadratic in the square of the gain."""
    cell = parse_cell(
        'name = "pair"\n'
        'equations = """\ng = sigmoid(W_g @ b)\na\' = tanh(W_a @ (g*b))\nb\' = tanh(W_b @ a)/2 + b/3\n"""\n'
        '[weights]\nW_g = 1.0\nW_a = "k"\nW_b = "k"\n[parameters]\nk = 1.0\n'
    )
    found = critical(cell, "k")
    (point,) = [point for point in found.points if point.state == "zero"]
    k2 = sp.Symbol("k2", positive=True)
    # a' = k^2/4 b, b' = k^2/4 a + b/9 in squares: (1 - 0)(1 - 1/9) = k^4/16
    assert point["k"] ** 2 == pytest.approx(float(sp.solve((1 - sp.Rational(1, 9)) - k2**2 / 16, k2)[0]), rel=1e-9)
    assert found.closed_form[-1]["value"] == pytest.approx(point["k"], rel=1e-9)


def test_a_fold_is_a_jump_and_no_root() -> None:
    found = critical(load("gated-rnn"), "g_h", {"alpha_r": 20.0}, radius=True)
    (point,) = found.points
    (turn,) = found.turns
    assert point["g_h"] == pytest.approx(2.0, rel=1e-9)
    assert turn.crosses
    assert turn.excess > 0
    before, after = (
        len(solve(load("gated-rnn"), {"alpha_r": 20.0, "g_h": turn.parameter * factor}).solutions)
        for factor in (0.999, 1.001)
    )
    assert (before, after) == (1, 3)


def test_a_state_that_appears_discontinuously_has_no_critical_gain() -> None:
    cell = parse_cell(
        'name = "switch"\nequations = """\ndx/dt = -x + J @ (x**2/(1 + x**2))\n"""\n[weights]\nJ = "g"\n'
        "[parameters]\ng = 1.0\n"
    )
    found = critical(cell, "g", radius=True, ranges={"g": (0.5, 12.0)})
    (turn,) = found.turns
    assert turn.crosses
    assert not found.points
    assert found.converged


def test_a_driven_static_solution_of_a_cell_nobody_has_seen() -> None:
    cell = parse_cell(
        'name = "driven"\nequations = """\nh\' = tanh(W @ (h**2) + b)\n"""\n[weights]\nW = "g"\n'
        '[biases]\nb = { mean = "m", std = 0.3 }\n[parameters]\ng = 1.0\nm = 0.2\n'
    )
    (point,) = critical(cell, "g", radius=True, ranges={"g": (0.5, 8.0)}).points
    solved = solve(cell, {"g": point["g"]})
    assert any(abs((solution["spectral_radius"] or 0.0) - 1.0) < 1e-8 for solution in solved.solutions)


def curve_of(name: str, free: tuple[str, str], **options: object) -> Critical:
    return critical(load(name), free, **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_critical_curve_passes_through_the_published_point() -> None:
    found = curve_of("vanilla", ("sigma_w", "sigma_b"), ranges={"sigma_w": (0.5, 2.0), "sigma_b": (0.0, 0.4)})
    table = np.array([[point["sigma_w"], point["sigma_b"]] for point in found.points])
    order = np.argsort(table[:, 1])
    at = np.interp(0.05**0.5, table[order, 1], table[order, 0])
    assert at == pytest.approx(1.7609546**0.5, rel=2e-3)
    assert found.converged
    assert len(found.curves) == 1
    assert found.best is not None
    best = found.points[found.best]
    assert best["isometry_variance"] == min(point["isometry_variance"] for point in found.points)
    assert "end of its curve" in found.best_note
    for point in found.points[:: max(1, len(found.points) // 4)]:
        solved = solve(load("vanilla"), point.free, ansatz="untied")
        assert any(abs(solution["chi1"] - 1.0) < 1e-8 for solution in solved.solutions)


def test_isometry_on_the_curve_of_zero_states() -> None:
    """Two states, one of which is a function of the other: half of the singular values vanish, the variance tends to
    one from above as the forget gate opens."""
    found = curve_of("lstm", ("sigma_g", "mu_f"), ranges={"sigma_g": (0.01, 4.0), "mu_f": (0.0, 8.0)})
    for point in found.points:
        f = 1 / (1 + np.exp(-point["mu_f"]))
        assert point["sigma_g"] ** 2 == pytest.approx(16 * (1 - f**2), rel=1e-8)
        assert point["isometry_variance"] > 1.0
    variance = np.array([point["isometry_variance"] for point in found.points])
    bias = np.array([point["mu_f"] for point in found.points])
    assert np.all(np.diff(variance[np.argsort(bias)]) < 0)


def test_isometry_of_the_zero_state_against_a_matrix() -> None:
    """The Jacobian of two states written by hand, at the critical gain for an open forget gate."""
    (point,) = critical(load("lstm"), "sigma_g", {"mu_f": 3.0}).points
    size, rng = 400, np.random.default_rng(5)
    f, gate = 1 / (1 + np.exp(-3.0)), 0.5
    found = []
    for _ in range(4):
        W = rng.normal(size=(size, size)) * point["sigma_g"] / np.sqrt(size)
        upper = np.hstack([f * np.eye(size), gate * W])
        squares = np.linalg.svd(np.vstack([upper, gate * upper]), compute_uv=False) ** 2
        found.append(np.mean(squares**2) / np.mean(squares) ** 2 - 1.0)
    error = np.std(found, ddof=1) / 2
    assert abs(np.mean(found) - point["isometry_variance"]) < 4 * error + 2.0 / size


@pytest.mark.slow
def test_a_sampled_root_agrees_with_an_independent_chain() -> None:
    given = {"sigma_f": 3.0, "sigma_i": 2.0, "mu_f": 1.0, "nu_g": 1.0, "R": 0.1}
    found = critical(load("lstm"), "sigma_g", given, ranges={"sigma_g": (0.5, 6.0)})
    (point,) = found.points
    assert found.converged
    (solution,) = solve(load("lstm"), {**given, "sigma_g": point["sigma_g"]}, ansatz="untied", seed=91).solutions
    slope = 0.05  # of chi1 in the gain, from the scan; the root's own error moves chi1 by less than its own
    allowed = 4 * np.hypot(solution.error("chi1"), slope * point.free_errors["sigma_g"])
    assert abs(solution["chi1"] - 1.0) < allowed


REFUSED = [
    (("nothing",), {}, "not a parameter"),
    (("W_h",), {}, "is a weight"),
    (("sigma_w", "sigma_w"), {}, "free twice"),
    (("sigma_w",), {"parameters": {"sigma_w": 1.0}}, "has a value as well"),
    (("sigma_w",), {"ranges": {"sigma_w": (2.0, 1.0)}}, "is empty"),
    (("sigma_w",), {"ranges": {"sigma_w": (0.0, float("inf"))}}, "not finite"),
    (("sigma_w",), {"ranges": {"sigma_w": (-1.0, 1.0)}}, "is negative"),
    ((), {}, "can be free"),
]


@pytest.mark.parametrize(("free", "options", "message"), REFUSED)
def test_bad_input(free: tuple[str, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        critical(load("vanilla"), free, **options)  # type: ignore[arg-type]


def test_untied_in_continuous_time_is_refused() -> None:
    with pytest.raises(AnsatzError, match="continuous time"):
        critical(load("rate"), "g")
    with pytest.raises(AnsatzError, match="static solutions"):
        critical(load("vanilla"), "sigma_w", ansatz="untied", radius=True)


def test_a_spent_budget_is_not_converged() -> None:
    theory = derive_theory(load("vanilla"), "untied")
    with budget(1e-6):
        found = critical(theory, "sigma_w")
    assert not found.converged
    assert any("budget" in note for note in found.notes)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "critical", "rate", "--free", "g", "--radius", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["cell"] == "rate"
    assert found["criterion"] == "spectral_abscissa"
    (point,) = found["critical"]
    assert point["g"] == pytest.approx(1.0)
    assert {"spectral_abscissa", "isometry_variance", "decides", "error", "verdict"} <= set(point)
    assert point["error"]["g"] < 1e-9


@pytest.mark.parametrize(
    "arguments",
    [
        ("--free", "nothing"),
        ("--free", "sigma_w", "--and", "sigma_w"),
        ("--free", "sigma_w", "-p", "sigma_w=1"),
        ("--free", "sigma_w", "--range", "2:1"),
        ("--free", "sigma_w", "--range", "two"),
        ("--free", "sigma_w", "--range", "0:1", "--range", "0:1"),
        ("--free", "sigma_w", "--plot", "figure.txt"),
    ],
)
def test_command_line_refusals(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "critical", "vanilla", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("gatefield: ")


def test_figures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "critical.png"
    code, out, _ = run(capsys, "critical", "rate", "--free", "g", "--radius", "--plot", str(target))
    assert code == 0
    assert "closed form, criticality of the zero state" in out
    assert target.read_bytes().startswith(b"\x89PNG")
