"""Orthogonal weights at static solutions: what they leave as it is, planted networks, outliers, export, criticality."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from derive import load, mean_field, parse_cell
from derive.cell import resolve
from derive.cell.orthogonal import orthogonal
from derive.cell.spec import Cell
from derive.cell.substitute import substitute
from solvers.branches.static import fixed_points
from solvers.compare.curves import outside
from solvers.critical import critical
from solvers.export import export_source
from solvers.mean_field_draw import MeanFieldDraw
from solvers.phase import phase
from solvers.simulate import Network, eigenvalues, plant, relax
from solvers.simulate.planted import _rotated
from solvers.solution import Solved
from solvers.solve import solve
from solvers.spectrum import SpectrumResult, spectrum_of
from solvers.spectrum.density import Disk, static_density

NESTED = """
name = "switch"
equations = \"\"\"
r  = sigmoid(a*(R @ h) - 2)
h' = tanh(W @ (r*h))
\"\"\"
[weights]
R = 1.0
W = "g"
[parameters]
g = 4.0
a = 10.0
"""

SHARED = NESTED.replace("R @ h", "W @ h").replace("R = 1.0\n", "").replace("a = 10.0", "a = 2.5")

DRIVEN = """
name = "driven"
equations = \"\"\"
r  = sigmoid(W @ h + b)
h' = tanh(W @ (r*h) + V @ h + b)
\"\"\"
[weights]
W = 1.5
V = 0.8
[biases]
b = { mean = 0.2, std = 0.6 }
"""


@pytest.mark.parametrize("haar", [("W", "V"), ("W",)])
def test_the_static_mean_field_does_not_know_the_ensemble(haar: tuple[str, ...]) -> None:
    """q of networks at rest, N = 200: the theory of independent entries, to 4 standard errors and O(1/N)."""
    cell, N, seeds = orthogonal(parse_cell(DRIVEN), haar), 200, 8
    gaussian, own = solve(parse_cell(DRIVEN)), solve(cell)
    assert own.solutions[0].numbers["q"] == gaussian.solutions[0].numbers["q"]
    found = []
    for seed in range(seeds):
        network = Network(cell, resolve(cell), N, np.random.default_rng(seed))
        point = relax(network, network.random_state(0.5))
        if point.converged:
            found.append(point.Q["h"])
    assert len(found) > seeds / 2
    expected = own.solutions[0].numbers["Q"]["h"]
    assert abs(np.mean(found) - expected) < 4 * np.std(found, ddof=1) / np.sqrt(len(found)) + 4.0 / N * expected


@pytest.mark.parametrize("k", [1, 3])
def test_a_rotated_matrix_is_orthogonal_and_takes_v_to_the_nearest_u(k: int) -> None:
    rng = np.random.default_rng(0)
    whole, _ = np.linalg.qr(rng.standard_normal((60, 60)))
    other, _ = np.linalg.qr(rng.standard_normal((60, 60)))
    v = rng.standard_normal((60, k))
    found = _rotated(whole, v, other @ v)
    assert found @ found.T == pytest.approx(np.eye(60), abs=1e-12)
    assert found @ v == pytest.approx(other @ v, abs=1e-11)
    rest = np.linalg.svd(v)[0][:, k:]
    assert np.abs(found @ rest - other @ rest).max() > 0.1  # elsewhere it stays its own
    assert np.array_equal(_rotated(whole, np.zeros((60, 1)), np.zeros((60, 1))), whole)


OUTLIERS = [(NESTED, ("W",)), (NESTED, ("W", "R")), pytest.param((SHARED, ("W",)), marks=pytest.mark.slow)]


@pytest.mark.parametrize("case", OUTLIERS)
def test_outliers_of_planted_orthogonal_networks_are_those_of_the_formula(case: tuple[str, tuple[str, ...]]) -> None:
    """The support's edge is far inside: the formula for independent entries is what networks of N = 200 show."""
    text, haar = case
    cell, N = orthogonal(parse_cell(text), haar), 200
    solved = solve(cell)
    solution = next(s for s in solved.solutions if s.numbers["outliers"])
    ((outlier, _),) = solution.numbers["outliers"]
    edge = solution.numbers["spectral_radius"]
    assert outlier > edge + 0.4
    assert not solution.stable
    draw, found = MeanFieldDraw(solved.theory, solution.values), []
    for seed in range(12):
        network = Network(cell, resolve(cell), N, np.random.default_rng(seed))
        point = plant(network, draw(N, network.rng))
        if point.converged and abs(np.log(point.Q["h"] / solution.numbers["Q"]["h"])) < 0.3:
            found.append(float(eigenvalues(network.jacobian(point.state)).real.max()))
            for weight in haar:
                gram = network.weights[weight] @ network.weights[weight].T
                assert gram / gram[0, 0] == pytest.approx(np.eye(N), abs=1e-9)
    assert len(found) >= 4
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - outlier) < 4 * error + 4.0 / N
    assert 4 * error < 0.5 * (outlier - edge)  # an outlier that was not there would be seen


IN_HOLES = {
    "one": "h' = tanh(W @ h)\n[weights]\nW = 1.35",
    "gated": "h' = c*h + (1 - c)*tanh(W @ h)\n[weights]\nW = 1.35\n[parameters]\nc = 0.3",
    "two states": "h' = tanh(W @ c)\nc' = tanh(V @ h)\n[weights]\nW = 1.3\nV = 1.1",
    "nested": "r = 1 + tanh(V @ h)/2\nh' = tanh(W @ (r*h))\n[weights]\nW = 1.25\nV = 0.3",
}


def in_holes(name: str, haar: tuple[str, ...]) -> tuple[Cell, Solved, SpectrumResult]:
    equations, head, rest = IN_HOLES[name].partition("[weights]")
    cell = orthogonal(parse_cell(f'name = "made-up"\nequations = """\n{equations}"""\n{head}{rest}\n'), haar)
    solved = solve(cell)
    at = solved.solutions[-1].linearised_at
    return cell, solved, spectrum_of(solved.theory, at, solved.same_evaluator(), 1e-9)


def test_an_outlier_in_a_hole_has_its_closed_form() -> None:
    """h' = tanh(W h): lam = q / E[u sinh u cosh u], inside the hole of radius sigma / sqrt(E[cosh^4 u])."""
    _, solved, found = in_holes("one", ("W",))
    q = solved.solutions[-1].numbers["q"]["W"]
    u = np.sqrt(q) * np.linspace(-9.0, 9.0, 4001)
    weight = np.exp(-0.5 * u**2 / q) / np.exp(-0.5 * u**2 / q).sum()
    exact = q / float(weight @ (u * np.sinh(u) * np.cosh(u)))
    (value,), (error,) = found.inner, found.inner_errors
    assert abs(value - exact) < error + 1e-7
    assert error < 1e-3
    assert exact < 1.35 / np.sqrt(float(weight @ np.cosh(u) ** 4))
    _, _, plain = in_holes("one", ())
    assert plain.inner == ()


@pytest.mark.parametrize(("name", "haar"), [
    ("one", ("W",)), ("gated", ("W",)), ("nested", ("W",)),
    pytest.param("nested", ("W", "V"), marks=pytest.mark.slow),
    pytest.param("two states", ("W", "V"), marks=pytest.mark.slow),
])  # fmt: skip
def test_outliers_in_holes_are_those_of_planted_networks(name: str, haar: tuple[str, ...]) -> None:
    """At N = 300, to four standard errors and O(1/N); the rest of the spectrum keeps away."""
    cell, solved, found = in_holes(name, haar)
    assert found.inner
    draw, N, gaps = MeanFieldDraw(solved.theory, solved.solutions[-1].values), 300, []
    for seed in range(8):
        network = Network(cell, resolve(cell), N, np.random.default_rng(seed))
        point = plant(network, draw(N, network.rng))
        if abs(np.log(point.Q["h"] / solved.solutions[-1].numbers["Q"]["h"])) < 0.15:
            own = eigenvalues(network.jacobian(point.state))
            gaps.append(own[np.abs(own - found.inner[0]).argmin()].real - found.inner[0].real)
            distances = np.sort(np.abs(own - found.inner[0]))
            assert distances[1] > 1.5 * distances[0]
    assert len(gaps) >= 3
    error = np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < 4 * error + 4.0 / N + found.inner_errors[0]
    assert 4 * error < 0.6 * found.inner[0].real  # none at all, or one at zero, would be seen


@pytest.mark.slow
def test_stability_along_branches_is_that_of_orthogonal_networks() -> None:
    """Planted networks of N = 200 on either side of where the support crosses the unit circle."""
    cell = orthogonal(parse_cell(DRIVEN.replace("W = 1.5", 'W = "g"') + "[parameters]\ng = 1.0\n"), ("W", "V"))
    (branch,) = fixed_points(cell, ("g", 0.5, 4.5, 3)).branches
    assert {point.stable for point in branch.points} == {True, False}
    for point in branch.points:
        solved = solve(cell, {"g": point.value})
        (solution,) = solved.solutions
        draw, found = MeanFieldDraw(solved.theory, solution.values), []
        for seed in range(4):
            network = Network(cell, resolve(cell, {"g": point.value}), 200, np.random.default_rng(seed))
            planted = plant(network, draw(200, network.rng))
            if planted.converged:
                found.append(float(np.abs(eigenvalues(network.jacobian(planted.state))).max()))
        assert len(found) >= 2
        assert all((largest < 1.0) == point.stable for largest in found), (point.value, found)


def test_phase_diagrams_of_orthogonal_weights_have_the_curves_of_gaussian_ones() -> None:
    text = 'name = "leaky"\nequations = "dx/dt = -x + J @ tanh(x)"\n[weights]\nJ = "g*s"\n'
    plain = parse_cell(text + "[parameters]\ng = 1.0\ns = 1.0\n")
    own, gaussian = (
        phase(cell, ("g", 0.2, 3.0, 4), ("s", 0.2, 2.0, 4), moving=moving)
        for cell, moving in ((orthogonal(plain, ("J",)), True), (plain, False))
    )
    assert len(own.curves) == len(gaussian.curves) == 1
    for axis in ("x", "y"):
        assert np.array_equal(getattr(own.curves[0], axis), getattr(gaussian.curves[0], axis))
    assert "stay undecided" in own.notes[-1]


def test_eigenvalues_on_the_boundary_are_not_outside() -> None:
    """An orthogonal matrix has all of them there, up to rounding; a little further out they count."""
    whole, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((50, 50)))
    values, every = eigenvalues(0.8 * whole), np.ones(50, bool)
    curve = lambda lam: 2.0 * np.log(0.8 / np.abs(lam))  # noqa: E731
    assert outside(values, every, curve)[1.0] == 0.0
    assert outside(1.001 * values, every, curve)[1.0] == 1.0


def test_exported_equations_of_orthogonal_weights() -> None:
    theory = mean_field(orthogonal(load("vanilla"), ("W_h",)), "static")
    source = export_source(theory)
    module = ModuleType("exported")
    exec(compile(source, "exported.py", "exec"), module.__dict__)
    solution = solve(theory, {"sigma_w": 1.6, "sigma_b": 0.3}).solutions[-1]
    values = {symbol.name: value for symbol, value in solution.values.items()}
    unknowns = [values[key] for key in module.UNKNOWNS]
    parameters = module.PARAMETERS | {"sigma_w": 1.6, "sigma_b": 0.3}
    assert np.abs(module.residuals(unknowns, parameters)).max() < 1e-8
    K = module.gain_matrix(solution.numbers["spectral_radius"], unknowns, parameters)
    assert max(abs(np.linalg.eigvals(K))) == pytest.approx(1.0, abs=1e-5)
    assert "holes" in module.gain_matrix.__doc__
    assert "holes" not in export_source(mean_field(load("vanilla"), "static"))


def test_criticality_of_orthogonal_weights_is_that_of_gaussian_ones_and_isometry_is_nearer() -> None:
    cell, given = load("vanilla"), {"sigma_b": 0.3}
    plain, haar = (
        critical(c, "sigma_w", given, radius=True, ranges={"sigma_w": (0.8, 3.0)}).points
        for c in (cell, orthogonal(cell, ("W_h",)))
    )
    assert [p["sigma_w"] for p in haar] == pytest.approx([p["sigma_w"] for p in plain], rel=1e-9)
    for one, other in zip(haar, plain, strict=True):  # the terms sigma^4 (E phi'^2)^2 = m1^2 are gone
        assert other["isometry_variance"] - one["isometry_variance"] == pytest.approx(1.0, rel=1e-6)


def test_a_region_whose_boundary_is_a_ring_of_eigenvalues_is_not_converged() -> None:
    """All eigenvalues on one circle: of a disk that ends there anything may be said, and nothing is."""
    cell = orthogonal(substitute(load("vanilla"), ["phi=identity"]), ("W_h",))
    solved = solve(cell, {"sigma_w": 0.8})
    density = static_density(solved.theory, solved.solutions[0].linearised_at)
    along = density.count(Disk(0j, 0.8), "")
    assert "runs along" in along.verdict
    for possible in (0.0, 1.0):
        assert abs(along.theory - possible) <= along.error + 1e-6
    across = density.count(Disk(0.3 + 0j, 0.7), "")
    assert across.verdict == "converged"
    assert abs(across.theory - 1.0 / 3.0) < across.error + 1e-6
