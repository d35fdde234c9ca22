"""Density of eigenvalues: exact cases, two independent evaluations of the equations, mass, and finite matrices."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from lively import LIVELY, lively

from derive import load
from derive.cell import parse_cell, resolve
from derive.errors import ParameterError
from solvers.compare.networks import Preparation, spectrum_by_blocks
from solvers.measure import network_measure, static_measure
from solvers.simulate import Network, relax, sites_of
from solvers.solution import Solved
from solvers.solve import solve
from solvers.spectra import spectra
from solvers.spectrum.density import Annulus, Density, Disk, HalfPlane, MeasureDensity, parse_region, static_density
from solvers.spectrum.density.components import components
from solvers.spectrum.density.counting import fraction_in
from solvers.spectrum.density.minors import MinorPotential
from solvers.spectrum.density.pencil import PencilPotential
from solvers.spectrum.density.potential import Potential
from solvers.spectrum.density.stationary import stationary

COUPLED = [name for name in LIVELY if name != "minimal-rnn"]
"""Shipped cells whose Jacobian at a static solution has a support (in the other one a unit rests at its input)."""

SHARED = """
z  = sigmoid(W @ (h*h))
h' = z*h + (1 - z)*tanh(W @ h + b)
[weights]
W = 1.5
[biases]
b = { mean = 0.0, std = 0.7 }
"""
GATED_HAAR = """
z  = sigmoid(U @ h + c)
h' = z*h + (1 - z)*tanh(W @ h + b)
[weights]
W = { gain = 1.1, ensemble = "haar" }
U = { gain = 1.5, ensemble = "haar" }
[biases]
b = { mean = 0.2, std = 0.6 }
c = { mean = 0.2, std = 0.6 }
"""
TWO_STATES = """
dh/dt = -h + W @ tanh(h) + V @ (g*c) + b
dc/dt = -1.5*c + U @ (tanh(c)*h)
g     = sigmoid(W_g @ h)
[weights]
W = 0.7
V = 0.8
U = 0.9
W_g = 1.5
[biases]
b = { mean = 0.0, std = 0.7 }
"""


def parsed(text: str) -> Solved:
    equations, head, rest = text.strip().partition("[weights]")
    return solve(parse_cell(f'name = "made-up"\nequations = """\n{equations}"""\n{head}{rest}'))


@cache
def last_density(name: str, log2_nodes: int = 10) -> Density:
    return static_density(lively(name).theory, lively(name).solutions[-1].linearised_at, log2_nodes=log2_nodes)


def linear(ensemble: str, gain: float = 0.8) -> Density:
    solved = parsed(f"h' = W @ h\n[weights]\nW = {{ gain = {gain}, ensemble = \"{ensemble}\" }}")
    return static_density(solved.theory, solved.solutions[0].linearised_at)


# Exact cases ----------------------------------------------------------------------------------------------------------


def test_the_circular_law_is_exact() -> None:
    density = linear("gaussian", 1.5)
    lam = np.array([0.0, 0.1, 0.3j, 1.2 + 0.5j, 1.49, 1.51, 2j])
    points = density(lam)
    inside = np.abs(lam) < 1.5
    assert points.inside.tolist() == inside.tolist()
    assert np.allclose(points.rho, np.where(inside, 1.0 / (np.pi * 1.5**2), 0.0), atol=1e-9)
    assert np.allclose(points.G[inside], lam[inside].conj() / 1.5**2, atol=1e-9)
    assert np.allclose(points.G[~inside], 1.0 / lam[~inside], atol=1e-12)
    with np.errstate(divide="ignore"):
        exact = np.where(inside, np.abs(lam) ** 2 / 1.5**2 - 1 + 2 * np.log(1.5), 2 * np.log(np.abs(lam)))
    assert np.allclose(points.value, exact, atol=1e-8)
    assert density.count(Disk(0j, 0.6), "").theory == pytest.approx(0.16, abs=1e-7)
    assert density.count(Annulus(0j, 0.3, 0.9), "").theory == pytest.approx(0.32, abs=1e-7)
    places = np.array([-1.0, 0.2])
    assert np.allclose(density.real_marginal(places), 2 * np.sqrt(1.5**2 - places**2) / (np.pi * 1.5**2), atol=1e-6)
    assert np.allclose(density.radial_marginal(np.array([0.5])), 2 * 0.5 / 1.5**2, atol=1e-6)


def test_an_orthogonal_matrix_has_all_eigenvalues_on_a_circle() -> None:
    density = linear("haar")
    assert density(np.array([0.0, 0.4 + 0.3j, 0.79, 0.81])).rho.max() < 1e-8
    assert density.count(Disk(0j, 0.79), "").theory == pytest.approx(0.0, abs=1e-8)
    assert density.count(Disk(0j, 0.81), "").theory == pytest.approx(1.0, abs=1e-8)
    assert density.count(HalfPlane(0.4), "").theory == pytest.approx(1.0 / 3.0, abs=1e-6)


def test_the_ring_of_an_orthogonal_matrix_with_slopes() -> None:
    """Products of an orthogonal matrix and a diagonal one: the mass inside r is g^2/(g^2 + x), with x the root of
    E[d^2/(r^2 + d^2 x)] = 1/(g^2 + x), from 1/sqrt(E d^-2) to sqrt(E d^2) (the single-ring theorem)."""
    text = "h' = tanh(W @ h + b)\n[weights]\nW = { gain = 1.2, ensemble = \"haar\" }\n[biases]\nb = 0.5"
    solved = parsed(text)
    density = static_density(solved.theory, solved.solutions[-1].linearised_at)
    slope = (density.measure.a * density.measure.b)[:, 0, 0] ** 2
    inner = 1.2 / np.sqrt(float(density.measure.mean(1.0 / slope)))
    for radius in (0.3, 0.5, 0.7):
        low, high = 1e-9, 1e9
        for _ in range(200):
            x = np.sqrt(low * high)
            excess = float(density.measure.mean(slope / (radius**2 + slope * x))) - 1.0 / (1.44 + x)
            low, high = (x, high) if excess > 0 else (low, x)
        assert density.count(Disk(0j, radius), "").theory == pytest.approx(1.44 / (1.44 + x), abs=1e-6)
    assert density.count(Disk(0j, 0.9 * inner), "").theory == pytest.approx(0.0, abs=1e-8)


# Two ways to the same numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ensemble", ["gaussian", "haar"])
@pytest.mark.parametrize("name", ["gru", "lstm", "gated-rnn"])
def test_minors_and_determinants_agree(name: str, ensemble: str) -> None:
    measure = static_measure(lively(name).theory, lively(name).solutions[-1].linearised_at, log2_nodes=6)
    (part,) = components(measure).coupled
    part = replace(part, ensembles=(ensemble,) * len(part.fields))
    lam = np.array([0.3 + 0.2j, 0.5, 2.0])
    found = [stationary(potential, lam) for potential in (MinorPotential(part), PencilPotential(part))]
    assert max(one.residual.max() for one in found) < 1e-8
    for quantity in ("value", "G", "rho"):
        left, right = (getattr(one, quantity) for one in found)
        assert np.allclose(left, right, atol=1e-7), quantity


@pytest.mark.parametrize("kind", [MinorPotential, PencilPotential])
def test_derivatives_are_those_of_the_potential(kind: type) -> None:
    """Gradient, Hessian, G, mixed and second derivatives against finite differences of Phi."""
    measure = static_measure(lively("gru").theory, lively("gru").solutions[-1].linearised_at, log2_nodes=5)
    (part,) = components(measure).coupled
    potential: Potential = kind(part)
    lam, step = 0.3 + 0.2j, 1e-5
    theta = potential.start(np.array([lam]))[0] * 1.1

    def slopes(change: complex, direction: np.ndarray):  # type: ignore[no-untyped-def]
        return potential.slopes(np.array([lam + change]), (theta + direction)[None, :])

    zero = np.zeros(potential.parameters)
    here = slopes(0.0, zero)
    across = [slopes(s, zero) for s in (step, -step, 1j * step, -1j * step)]
    along_x, along_y = ((across[k].value[0] - across[k + 1].value[0]) / (2 * step) for k in (0, 2))
    assert here.G[0] == pytest.approx(0.5 * (along_x - 1j * along_y), abs=1e-7)
    G_x, G_y = ((across[k].G[0] - across[k + 1].G[0]) / (2 * step) for k in (0, 2))
    assert here.curvature[0] == pytest.approx((0.5 * (G_x + 1j * G_y)).real, abs=1e-6)
    for k in range(potential.parameters):
        direction = zero.copy()
        direction[k] = step
        up, down = slopes(0.0, direction), slopes(0.0, -direction)
        assert here.mixed[0, k] == pytest.approx((up.G[0] - down.G[0]) / (2 * step), abs=1e-6)
        second = (up.value[0] - 2 * here.value[0] + down.value[0]) / step**2
        assert here.hessian[0, k, k] == pytest.approx(second, abs=3e-4)


def test_the_exponent_is_that_of_the_determinant() -> None:
    """Phi/2 = (1/SN) E ln|det(lam - J)| of one network with the density of its own units."""
    network, state = settled("vanilla", 400, 5)
    own = MeasureDensity(network_measure(lively("vanilla").theory.site, network.settings, sites_of(network, state)))
    jacobian = network.jacobian(state)
    for lam in (0.2 + 0.3j, 0.5, 1.4):
        exact = np.linalg.slogdet(lam * np.eye(len(jacobian)) - jacobian)[1] / len(jacobian)
        assert 0.5 * own(np.array([lam])).value[0] == pytest.approx(exact, abs=5.0 / 400)


# Mass -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIVELY)
def test_the_total_mass_is_one_and_no_density_is_negative(name: str) -> None:
    density = last_density(name)
    whole = fraction_in(density.whole, Disk(0j, 1.2 * density.reach), density.reach)
    assert whole.value == pytest.approx(1.0, abs=1e-6)
    grid = np.linspace(-density.reach, density.reach, 25)
    points = density((grid[None, :] + 1j * np.abs(grid[:12, None])).ravel())
    assert points.solved.all()
    assert points.rho.min() >= -1e-9


@pytest.mark.parametrize("name", ["vanilla", "gru", "gated-rnn"])
def test_density_integrates_to_the_count(name: str) -> None:
    """Gauss-Legendre in polar coordinates, away from the real axis and the edge, against the contour integral."""
    density = last_density(name).whole
    centre, radius = {"vanilla": (0.3 + 0.3j, 0.25), "gru": (0.3 + 0.3j, 0.2), "gated-rnn": (-0.6 + 0.3j, 0.2)}[name]
    x, w = np.polynomial.legendre.leggauss(12)
    r, weight = 0.5 * radius * (x + 1.0), 0.5 * radius * w
    angles = np.exp(2j * np.pi * np.arange(24) / 24)
    rho = density((centre + r[:, None] * angles).ravel()).rho.reshape(r.size, 24)
    area = float((weight * r) @ rho.mean(axis=1)) * 2.0 * np.pi
    assert area == pytest.approx(fraction_in(density, Disk(centre, radius), 2.0).value, abs=1e-7)
    assert area > 0.01


def test_slow_modes_pinch_as_the_update_gate_saturates() -> None:
    """A steeper gate holds more units: the fraction within 0.1 of one grows."""
    shares = []
    for gain in (1.0, 16.0):
        solved = solve(load("gru"), {"sigma_z": gain, "sigma_r": 0.5, "sigma_h": 3.0})
        found = static_density(solved.theory, solved.solutions[-1].linearised_at, log2_nodes=10)
        shares.append(found.slow(0.1).theory)
    assert shares[1] > 3.0 * shares[0]


# Finite matrices ------------------------------------------------------------------------------------------------------


def settled(name: str, N: int, seed: int) -> tuple[Network, np.ndarray]:
    """A network at the last solution of a shipped cell that its dynamics reach."""
    network = Network(load(name), resolve(load(name), LIVELY[name] | {"sigma_w": 0.9}), N, np.random.default_rng(seed))
    point = relax(network, network.random_state(0.1))
    assert point.converged
    return network, point.state


def matrices(solved: Solved, N: int, seeds: int) -> list[np.ndarray]:
    """Eigenvalues of networks at the last solution."""
    cell = solved.theory.site.cell
    *others, solution = solved.solutions
    prepare = Preparation(solved.theory, resolve(cell, solved.parameters), solution, others, 0)
    found = []
    for sequence in np.random.SeedSequence(11).spawn(seeds):
        prepared = prepare(sequence, N)
        if prepared.state is not None:
            found.append(spectrum_by_blocks(prepared.linearise().jacobian()))
    return found


def regions_of(density: Density, eigenvalues: np.ndarray, count: int) -> list[Disk | HalfPlane | Annulus]:
    """Disks, half planes and annuli spread over the spectrum."""
    centres = np.quantile(eigenvalues.real, [0.2, 0.5, 0.8])
    size = 0.5 * float(np.ptp(eigenvalues.real))
    found: list[Disk | HalfPlane | Annulus] = []
    for share in np.linspace(0.15, 0.95, max(count // 5, 1)):
        found += [Disk(complex(x), share * size) for x in centres]
        found.append(Disk(complex(centres[1], 0.2 * size), share * size))
        found.append(Annulus(complex(centres[1]), 0.1 * size, share * size))
    found += [HalfPlane(float(x)) for x in np.quantile(eigenvalues.real, np.linspace(0.1, 0.9, max(count // 5, 1)))]
    return found[:count]


def compare_counts(solved: Solved, N: int, seeds: int, count: int, log2_nodes: int | None) -> None:
    """Counts at N, extrapolated with those at N/2 as N^-1, within five standard errors and the theory's error."""
    density = static_density(solved.theory, solved.solutions[-1].linearised_at, log2_nodes=log2_nodes)
    large, small = matrices(solved, N, seeds), matrices(solved, N // 2, 2 * seeds)
    assert len(large) >= 0.7 * seeds
    far = []
    for region in regions_of(density, np.concatenate(large), count):
        theory = density.count(region, "")
        assert theory.verdict == "converged" or theory.error > 0.05  # few nodes, which the verdict says
        shares = [np.array([region.contains(found).mean() for found in sample]) for sample in (large, small)]
        means = [share.mean() for share in shares]
        errors = [max(share.std(ddof=1), 0.5 / (N * density.whole.states)) / np.sqrt(share.size) for share in shares]
        limit, error = 2.0 * means[0] - means[1], np.hypot(2.0 * errors[0], errors[1])
        # The next term of the finite-size law is of the size of the first times N^-1/2.
        error = np.hypot(error, abs(means[0] - means[1]) / np.sqrt(N))
        far.append(abs(limit - theory.theory) / (error + theory.error))
    assert max(far) < 5.0, far


@pytest.mark.parametrize("name", LIVELY)
def test_counts_of_small_matrices(name: str) -> None:
    compare_counts(lively(name), 100, 8, 5, 9)


@pytest.mark.parametrize("text", [SHARED, GATED_HAAR, TWO_STATES], ids=["shared", "orthogonal", "two states"])
def test_counts_of_made_up_cells(text: str) -> None:
    compare_counts(parsed(text), 80, 5, 2, 6)


@pytest.mark.slow
@pytest.mark.parametrize("text", [SHARED, GATED_HAAR, TWO_STATES], ids=["shared", "orthogonal", "two states"])
def test_counts_of_made_up_cells_at_large_size(text: str) -> None:
    compare_counts(parsed(text), 400, 12, 20, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", LIVELY)
def test_counts_of_large_matrices(name: str) -> None:
    compare_counts(lively(name), 1000, 20, 25, None)


# What is asked and refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["disk:0.3", "disk:0,0,0,1", "disk:0,-1", "disk:a,1", "annulus:0,2,1", "annulus:0,1", "re>x", "circle:0,1",
             "disk:nan,1", "re>inf", ""],
)  # fmt: skip
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="Regions are"):
        parse_region(text)


def test_regions_are_read() -> None:
    assert parse_region("disk:0.3,0.5") == Disk(0.3 + 0j, 0.5)
    assert parse_region(" disk: 0.3, -0.1, 0.5 ") == Disk(0.3 - 0.1j, 0.5)
    assert parse_region("annulus:1,0.1,0.2") == Annulus(1 + 0j, 0.1, 0.2)
    assert parse_region("re>-0.5") == HalfPlane(-0.5)


def test_a_region_that_holds_nothing_says_so() -> None:
    found = spectra(load("vanilla"), {"sigma_w": 0.9}, density=True, regions=["re>3", "disk:0,5"]).as_dict()
    (solution,) = found["solutions"]
    nothing, everything = solution["counts"]
    assert (nothing["theory"], everything["theory"]) == (0.0, pytest.approx(1.0))
    assert "no part" in nothing["notes"][0]
    assert "whole" in everything["notes"][0]
    assert np.shape(solution["density"]["rho"]) == (len(solution["density"]["im"]), len(solution["density"]["re"]))
    cell = (solution["density"]["re"][1] - solution["density"]["re"][0]) * (
        solution["density"]["im"][1] - solution["density"]["im"][0]
    )
    assert np.sum(solution["density"]["rho"]) * cell == pytest.approx(1.0, abs=0.02)
