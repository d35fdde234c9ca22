"""Singular values: symbolic moments against the pencil's numbers and against matrices, density, Haar weights, ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from lively import LIVELY
from made_up_cells import any_units, cell_of

from derive import load
from derive.cell import resolve
from derive.cell.orthogonal import orthogonal
from derive.cell.substitute import substitute
from derive.errors import AnsatzError, ParameterError
from derive.gaussian.average import average
from derive.pipeline import derive_theory
from derive.site import site_form
from derive.stability.singular import singular_theory, symbolic_m1
from solvers.cli.main import main
from solvers.compare.networks import Preparation
from solvers.compare.singular import LEVELS, SingularRows
from solvers.measure import SiteMeasure, StaticSites, network_measure
from solvers.simulate import singular_values, sites_of
from solvers.singular.one_step import singular_of, symbolic_moments
from solvers.singular.quantiles import law_quantiles
from solvers.solution import Solved
from solvers.solve import solve
from solvers.spectrum.singular_law import SingularLaw
from solvers.spectrum.singular_memory import PencilMemory
from solvers.spectrum.singular_moments import moments_of
from solvers.spectrum.singular_newton import PencilSolver

CASES = [
    ("vanilla", {"sigma_w": 2.0}, ()),
    ("vanilla", {"sigma_w": 2.0}, ("W_h",)),
    ("gru", {"sigma_h": 3.0, "sigma_z": 2.0}, ()),
    ("gru", {"sigma_h": 3.0, "sigma_z": 2.0}, ("W_h", "W_r")),
    ("gru-reset-after", {"sigma_h": 3.0}, ("W_r",)),
    ("minimal-rnn", {"sigma_w": 3.0, "R": 1.0}, ()),
    ("lstm", {"sigma_g": 3.0, "sigma_f": 2.0, "mu_f": 1.0}, ("W_f",)),
    ("rate", {}, ("J",)),
    ("gated-rnn", {"g_h": 3.0}, ()),
    ("nested", {}, ()),
    ("nested", {}, ("B", "C")),
    ("shared", {}, ()),
    ("shared", {}, ("W",)),
    ("two-states", {}, ("A",)),
]


@pytest.mark.parametrize(("name", "parameters", "haar"), CASES)
def test_moments_and_law_are_those_of_matrices(
    name: str, parameters: dict[str, float], haar: tuple[str, ...], tmp_path: Path
) -> None:
    """N = 300: the measure of a network's own units says m1, m2 and shares of its Jacobian, to O(1/N)."""
    cell = cell_of(name, tmp_path, tuple(w for w in haar if w in load_names(name, tmp_path)))
    settings = resolve(cell, parameters)
    site = site_form(cell)
    gaps, N = [], 300
    for seed in range(4):
        network, state = any_units(cell, settings, N, seed)
        values = singular_values(network.jacobian(state))
        measure = network_measure(site, settings, sites_of(network, state))
        m1, m2 = moments_of(measure)
        levels = np.quantile(values, [0.3, 0.5, 0.8])
        gap = [np.mean(values**2) / m1 - 1, np.mean(values**4) / m2 - 1]
        if seed == 0:
            law = SingularLaw(measure)
            shares = law.share_below(levels)
            assert law.lost == 0
            assert np.abs(shares - [0.3, 0.5, 0.8]).max() < 4.0 / N  # an eigenvalue or two of so many
        gaps.append(gap)
    error = np.std(gaps, axis=0, ddof=1) / 2
    # 1/N corrections with a coefficient of a few, and four networks' scatter
    assert np.all(np.abs(np.mean(gaps, axis=0)) < 4 * error + np.array([3.0, 8.0]) / N)


def load_names(name: str, folder: Path) -> set[str]:
    return set(cell_of(name, folder).weights)


def test_one_state_without_nesting_is_the_known_formula() -> None:
    """m1 = E L^2 + sum c_k E b_k^2 and the four terms of m2; orthogonal weights lower it by the known sum."""
    for haar in ((), ("B",), ("A", "B")):
        rng = np.random.default_rng(0)
        n, gains = 500, np.array([1.3, 0.7])
        L, a, b = rng.standard_normal((n, 1, 1)), rng.standard_normal((n, 1, 2)), rng.standard_normal((n, 2, 1))
        measure = SiteMeasure(
            np.full(n, 1 / n), L, a, b, np.zeros((n, 2, 2)), np.zeros((n, 2)), np.zeros((n, 2)), ("A", "B"),
            ("A", "B"), gains, tuple("haar" if w in haar else "gaussian" for w in "AB"), True,
        )  # fmt: skip
        l2, a2, b2, g2 = L[:, 0, 0] ** 2, a[:, 0] ** 2, b[:, :, 0] ** 2, gains**2
        c = g2 * a2.mean(0)
        m1 = l2.mean() + c @ b2.mean(0)
        crossed = (l2[:, None] * a2).mean(0) * b2.mean(0) + a2.mean(0) * (l2[:, None] * b2).mean(0)
        m2 = (l2**2).mean() + 2 * g2 @ crossed
        m2 += ((a2 @ (g2 * b2.mean(0))) ** 2).mean() + ((b2 @ c) ** 2).mean()
        m2 -= sum((c[k] * b2[:, k].mean()) ** 2 for k, w in enumerate("AB") if w in haar)
        assert moments_of(measure) == pytest.approx((m1, m2), rel=1e-12)


@pytest.mark.parametrize("name", ["vanilla", "minimal-rnn", "gru", "gru-reset-after"])
def test_m1_is_chi1_of_one_state(name: str) -> None:
    theory = derive_theory(load(name), "untied")
    assert theory.perturbation is not None
    assert sp.expand(symbolic_m1(theory) - theory.perturbation[0, 0]) == 0


def test_symbolic_m2_of_a_map_without_gates() -> None:
    """s' = phi(W s + ...): m2 = sigma^4 (E phi'^4 + (E phi'^2)^2), orthogonal: sigma^4 E phi'^4."""
    for haar, factor in (((), 1), (("W_h",), 0)):
        theory = derive_theory(orthogonal(load("vanilla"), haar), "untied")
        found = singular_theory(theory)
        slope = theory.site.a[0, [f.weight for f in theory.site.fields].index("W_h")]
        second, fourth = (average(slope**power, theory.law) for power in (2, 4))
        gain = theory.site.parameters["sigma_w"]
        assert sp.expand(found.in_averages(found.m2) - gain**4 * (fourth + factor * second**2)) == 0


@pytest.mark.parametrize("case", [
    ("gru", {"sigma_h": 3.0}),
    pytest.param(("lstm", {"sigma_g": 3.0, "mu_f": 1.0}), marks=pytest.mark.slow),
    pytest.param(("nested", {}), marks=pytest.mark.slow),
])  # fmt: skip
def test_symbolic_moments_are_those_of_the_measure(
    case: tuple[str, dict[str, float]], tmp_path: Path
) -> None:
    solved = solve(cell_of(case[0], tmp_path), case[1])
    solution = solved.solutions[-1]
    m1, m2 = symbolic_moments(solved, solution, 1e-7)
    sites = StaticSites(solved.theory, solution.linearised_at)
    numbers = [moments_of(sites.measure(sites.rule(log2_nodes=12, scramble=k, fitted=False))) for k in range(4)]
    error = np.std(numbers, axis=0, ddof=1) / 2 + 1e-9
    assert np.all(np.abs(np.mean(numbers, axis=0) - [m1.value, m2.value]) < 6 * error)


def test_density_has_mass_one_and_its_own_moments() -> None:
    """Square Gaussian matrix: quarter circle; total mass and moments by integration, the law by its formula."""
    solved = solve(load("vanilla"), {"sigma_w": 1.5})
    law = SingularLaw(StaticSites(solved.theory, solved.solutions[0].linearised_at).measure(
        StaticSites(solved.theory, solved.solutions[0].linearised_at).rule()))  # fmt: skip
    edge = 3.0
    x, w = np.polynomial.legendre.leggauss(40)
    s = edge * np.sin(0.25 * np.pi * (x + 1))
    w = w * 0.25 * np.pi * edge * np.cos(0.25 * np.pi * (x + 1))
    rho = law.density(s)
    assert rho == pytest.approx(np.sqrt(4 * 1.5**2 - s**2) / (np.pi * 1.5**2), rel=1e-6)
    assert w @ rho == pytest.approx(1.0, abs=1e-6)
    assert w @ (rho * s**2) == pytest.approx(law.m1, rel=1e-6)
    assert w @ (rho * s**4) == pytest.approx(law.m2, rel=1e-6)
    assert law.ends().upper == pytest.approx(edge, rel=1e-3)


def test_density_is_the_derivative_of_the_share_below(tmp_path: Path) -> None:
    cell = cell_of("nested", tmp_path, ("B",))
    network, state = any_units(cell, resolve(cell), 200, 0)
    law = SingularLaw(network_measure(site_form(cell), resolve(cell), sites_of(network, state)))
    s = law.size * np.array([0.4, 0.9, 1.3])
    step = 1e-3 * law.size
    slope = (law.share_below(s + step) - law.share_below(s - step)) / (2 * step)
    assert law.density(s) == pytest.approx(slope, rel=2e-2)


@pytest.mark.parametrize("haar", [(), ("B",)])
def test_a_neighbour_leads_to_what_coming_down_leads_to(haar: tuple[str, ...], tmp_path: Path) -> None:
    """Points solved from others, also from those of other units, are those found from above, one by one."""
    cell = cell_of("nested", tmp_path, haar)
    memory, s = PencilMemory(), np.linspace(0.02, 2.5, 40)
    for seed in (0, 1):
        network, state = any_units(cell, resolve(cell), 100, seed)
        solver = PencilSolver(network_measure(site_form(cell), resolve(cell), sites_of(network, state)), memory)
        beside = solver.at(solver.size * s)
        alone = [PencilSolver(solver.pencil.measure).at(np.array([solver.size * x])) for x in s]
        assert beside.converged.all()
        assert beside.angle == pytest.approx(np.concatenate([one.angle for one in alone]), abs=1e-9)
        assert np.allclose(beside.trace, np.concatenate([one.trace for one in alone]), rtol=1e-6, atol=1e-6)


def test_a_quantile_in_a_gap_is_known_as_far_as_the_gap_is_wide() -> None:
    """Half of the units have slopes about one, half about three: hardly a singular value lies between them."""
    rng, n = np.random.default_rng(0), 400
    measures = [
        SiteMeasure(
            np.full(n, 1 / n), (np.where(np.arange(n) % 2, 1.0, 3.0) + 0.05 * rng.standard_normal(n))[:, None, None],
            0.01 * np.ones((n, 1, 1)), np.ones((n, 1, 1)), np.zeros((n, 1, 1)), np.zeros((n, 1)), np.zeros((n, 1)),
            ("A",), ("A",), np.ones(1), ("gaussian",), True,
        ) for _ in range(3)
    ]  # fmt: skip
    found = law_quantiles(measures, SingularLaw, (0.25, 0.5, 0.75), 50).by_level
    assert abs(found[0.25].value - 1.0) < 0.02 > found[0.25].error
    assert abs(found[0.75].value - 3.0) < 0.02 > found[0.75].error
    assert 1.0 < found[0.5].value < 3.0
    assert found[0.5].error > 0.1


def test_dead_units_are_exact_zeros_and_the_condition_number_is_infinite() -> None:
    solved = solve(load("vanilla"), {"sigma_w": 1.2, "sigma_b": 1.0}, ansatz="untied")
    assert singular_of(solved, solved.solutions[0], levels=(0.5,)).ends.zero == 0.0
    solved = solve(substitute(load("vanilla"), ["phi=relu"]), {"sigma_w": 1.0, "sigma_b": 0.5})
    found = singular_of(solved, solved.solutions[-1], levels=(0.2, 0.9))
    assert found.ends.zero == pytest.approx(0.5, abs=2e-3)  # half of all units are dead
    assert found.quantiles[0.2].value == 0.0
    assert found.condition[0.0].value == np.inf


def test_isometry_is_one_point() -> None:
    solved = solve(orthogonal(load("vanilla"), ("W_h",)), {"sigma_w": 1.0}, ansatz="untied")
    found = singular_of(solved, solved.solutions[0])
    assert found.m1.value == pytest.approx(1.0)
    assert found.m2.value == pytest.approx(1.0)
    assert {item.value for item in found.quantiles.values()} == {found.law.size}
    assert found.condition[0.0].value == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "haar", "edges"), [("vanilla", (), (0.0, 3.0)), ("nested", (), None)])
def test_ends_and_condition_numbers_lie_within_their_errors(
    name: str, haar: tuple[str, ...], edges: tuple[float, float] | None, tmp_path: Path
) -> None:
    """A square Gaussian matrix ends at twice its gain; two sets of node sets agree on the ends of any law."""
    cell = cell_of(name, tmp_path, haar)
    solved = solve(cell, {"sigma_w": 1.5}) if edges else solve(cell, ansatz="untied")
    first = singular_of(solved, solved.solutions[0] if edges else solved.solutions[-1], levels=(0.5,))
    if edges:
        assert abs(first.ends.upper - edges[1]) <= first.ends.upper_error < 0.01
        assert first.ends.lower - first.ends.lower_error <= edges[0]
        return
    second = singular_of(solved, solved.solutions[-1], levels=(0.5,), seed=7)
    for key in ("lower", "upper"):
        gap = abs(getattr(first.ends, key) - getattr(second.ends, key))
        assert gap <= getattr(first.ends, f"{key}_error") + getattr(second.ends, f"{key}_error")
    one, other = first.condition[0.1], second.condition[0.1]
    assert 0.0 < one.error < 0.1 * one.value
    assert abs(one.value - other.value) <= 2.0 * (one.error + other.error)


def test_delta_functions_are_refused() -> None:
    theory = derive_theory(substitute(load("vanilla"), ["phi=sign"]), "untied")
    with pytest.raises(AnsatzError, match="delta"):
        singular_theory(theory)


def test_unknown_weight_is_refused() -> None:
    with pytest.raises(ParameterError, match="W_h"):
        orthogonal(load("vanilla"), ("W_x",))


def at_rest(solved: Solved, N: int, seeds: int) -> list[list[float]]:
    """m1, m2 and quantiles of networks of N units at the last solution, less what is the scatter of their units."""
    cell, (*others, solution) = solved.theory.site.cell, solved.solutions
    settings = resolve(cell, solved.parameters)
    rows = SingularRows(solved, solution, settings)
    prepare = Preparation(solved.theory, settings, solution, others, 0)
    found = []
    for sequence in np.random.SeedSequence(5).spawn(4 * seeds):  # planted orthogonal networks may lie on other branches
        prepared = prepare(sequence, N) if len(found) < seeds else None
        if prepared is not None and prepared.state is not None:
            units = sites_of(prepared.network, prepared.state)
            measured = rows.measure(prepared.linearise().jacobian(), units)
            found.append([measured[name] - rows.theory(name)[0] for name in measured])
    assert len(found) == seeds
    return found


def compare_singular(name: str, ensemble: str, N: int, seeds: int) -> None:
    """The limit from N and N/2, within five standard errors, the theory's error and the next order in 1/N."""
    cell = load(name)
    if ensemble == "orthogonal":
        cell = orthogonal(cell, [field.weight for field in site_form(cell).fields])
    solved = solve(cell, LIVELY[name])
    large, small = np.array(at_rest(solved, N, seeds)), np.array(at_rest(solved, N // 2, 2 * seeds))
    limit = 2.0 * large.mean(axis=0) - small.mean(axis=0)
    errors = [table.std(axis=0, ddof=1) / np.sqrt(len(table)) for table in (large, small)]
    error = np.hypot(np.hypot(2.0 * errors[0], errors[1]), np.abs(large.mean(axis=0) - small.mean(axis=0)) / np.sqrt(N))
    found = singular_of(solved, solved.solutions[-1], levels=LEVELS)
    stated = [found.m1.error, found.m2.error, *(item.error for item in found.quantiles.values() if item.error < 0.02)]
    assert np.all(np.abs(limit) < 5.0 * error + np.array(stated)[: limit.size])
    assert np.all(5.0 * error[2:] < 0.1)  # quantiles of other matrices would be seen


@pytest.mark.slow
@pytest.mark.parametrize("ensemble", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", LIVELY)
def test_every_shipped_cell_against_large_matrices(name: str, ensemble: str) -> None:
    compare_singular(name, ensemble, 1000 if len(load(name).states) < 3 else 500, 4)


@pytest.mark.parametrize("ensemble", ["gaussian", "orthogonal"])
def test_a_shipped_cell_against_small_matrices(ensemble: str) -> None:
    compare_singular("gru", ensemble, 160, 6)


def test_a_wrong_pencil_is_seen(tmp_path: Path) -> None:
    """A tenth in one matrix moves the share below the median by more than matrices allow."""
    cell = cell_of("nested", tmp_path)
    settings = resolve(cell)
    network, state = any_units(cell, settings, 300, 0)
    values = singular_values(network.jacobian(state))
    measure = network_measure(site_form(cell), settings, sites_of(network, state))
    wrong = SingularLaw(replace(measure, a=1.1 * measure.a))
    share = wrong.share_below(np.quantile(values, [0.5]))[0]
    assert abs(share - 0.5) > 4.0 / 300


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    base = ["spectrum", "vanilla", "-p", "sigma_w=1", "--ansatz", "untied"]
    assert main([*base, "--singular", "--orthogonal", "W_h", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["solutions"]
    assert found["singular"]["m2"] == pytest.approx(1.0)
    assert set(found["singular"]["quantiles"]) == set(found["error"]["singular"]["quantiles"])
    assert main(base) == 2
    assert "--singular" in capsys.readouterr().err
    assert main([*base, "--singular", "--orthogonal", "V"]) == 2
    assert "no weight `V`" in capsys.readouterr().err
