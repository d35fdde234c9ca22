"""Phase diagrams: curves, regimes, what is written, and what is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from derive.cell import load, parse_cell, resolve
from derive.pipeline import derive_theory
from solvers.cli import main
from solvers.critical.problem import Space
from solvers.dynamics import StationaryState
from solvers.phase import PhaseDiagram, phase
from solvers.phase.boundaries import Boundary
from solvers.phase.lattice import Axis, Lattice
from solvers.phase.onset import find_onset, reaching
from solvers.phase.regimes import CHAOS, COEXISTENCE, NAMES, STABLE_ZERO, Probe, Prober, decide
from solvers.phase.regions import cut_regions
from solvers.phase.statics import Statics, StaticSolver, StaticState
from solvers.simulate import measure_lyapunov

LEAKY = """
name = "leaky"
equations = '''
tau*dx/dt = -x + J @ phi(x)
'''
[functions]
phi = "tanh(x)"
[weights]
J = "g*s"
[parameters]
g = 1.0
s = 1.0
tau = 1.0
"""
"""Chaos beyond g s = 1, whatever the time constant."""


def test_a_lattice_is_cut_by_a_curve_that_runs_through_its_points() -> None:
    lattice = Lattice(Axis("a", 0.0, 4.0, 5), Axis("b", 0.0, 1.0, 3))
    lattice.cut(np.array([2.0, 2.0]), np.array([-0.1, 1.1]))
    labels = lattice.on_grid(lattice.labels())
    assert len(np.unique(labels)) == 2
    assert np.all(labels[:, :3] == labels[0, 0])
    assert np.all(labels[:, 3:] == labels[0, 4])


def test_the_way_inside_a_region_goes_around_a_cut() -> None:
    lattice = Lattice(Axis("a", 0.0, 1.0, 3), Axis("b", 0.0, 1.0, 3))
    lattice.cut(np.array([0.5, 0.5]), np.array([-0.1, 0.8]))
    labels = lattice.labels()
    assert len(np.unique(labels)) == 1
    last = lattice.shape[1] - 1
    path = lattice.path(labels == labels[0, 0], (0, 0), (0, last))
    assert max(row for row, _ in path) >= 0.79 * (lattice.shape[0] - 1)


@pytest.fixture(scope="module")
def leaky() -> PhaseDiagram:
    return phase(parse_cell(LEAKY), ("g", 0.2, 3.0, 15), ("s", 0.2, 2.0, 10))


def test_chaos_begins_where_the_zero_state_loses_stability(leaky: PhaseDiagram) -> None:
    assert leaky.verdict == "converged"
    (curve,) = leaky.curves
    assert curve.kind == "zero state loses stability"
    assert curve.computed
    np.testing.assert_allclose(curve.x * curve.y, 1.0, atol=5e-4)  # straight lines between points of a hyperbola
    for row, s in enumerate(leaky.y.values):
        for column, g in enumerate(leaky.x.values):
            if abs(g * s - 1.0) > 1e-9:
                assert NAMES[leaky.regime[row, column]] == ("chaos" if g * s > 1.0 else "stable zero"), (g, s)


def test_points_deep_inside_chaos_have_positive_exponents(leaky: PhaseDiagram) -> None:
    found = leaky.dataset()["lambda_max"].values
    assert np.nanmin(found) > 0
    assert np.isfinite(found).sum() >= 2


def test_a_dataset_holds_everything_and_survives_a_file(leaky: PhaseDiagram, tmp_path: Path) -> None:
    path = tmp_path / "leaky.nc"
    leaky.dataset().to_netcdf(path, engine="scipy")
    with xr.open_dataset(path) as read:
        assert read["regime"].dims == ("s", "g")
        meanings = read["regime"].attrs["flag_meanings"].split()
        assert [name.replace("_", " ") for name in meanings] == list(NAMES)
        row, column = 9, 14
        assert meanings[int(read["regime"][row, column])] == "chaos"
        assert "J @ phi(x)" in read.attrs["cell"]
        assert read.attrs["parameters"] == "tau = 1"
        assert "gatefield" in read.attrs["versions"]
        np.testing.assert_allclose(read["curve_x"], leaky.curves[0].x)
        assert [bytes(kind).decode() if isinstance(kind, bytes) else str(kind) for kind in read["curve_kind"].values
                ] == ["zero state loses stability"]  # fmt: skip


@pytest.fixture(scope="module")
def gated() -> PhaseDiagram:
    return phase(load("gated-rnn"), ("g_h", 0.0, 4.0, 41), ("alpha_r", 0.0, 20.0, 21), moving=False)


def test_the_zero_state_of_the_gated_network_is_lost_at_the_published_line(gated: PhaseDiagram) -> None:
    zero = [curve for curve in gated.curves if curve.kind == "zero state loses stability"]
    assert len(zero) == 1
    np.testing.assert_allclose(zero[0].x, 2.0, atol=1e-9)
    assert zero[0].y.min() < 1e-6
    assert zero[0].y.max() > 20.0 - 1e-6


def test_the_fold_leaves_that_line_at_the_tricritical_point(gated: PhaseDiagram) -> None:
    """To third order q = (g/2)^2 q (1 + q (a^2/4 - 2)): bistability beyond a = sqrt 8."""
    (point,) = gated.points
    assert point.kind == "tricritical"
    assert abs(point.x - 2.0) <= point.error[0] + 1e-12
    assert abs(point.y - np.sqrt(8.0)) <= point.error[1]
    assert max(point.error) < 1e-5
    (fold,) = [curve for curve in gated.curves if curve.kind == "fold of non-zero solutions"]
    upper = fold.x[np.argsort(fold.y)]
    assert np.all(np.diff(upper) < 2 * fold.error[0])
    assert fold.error[0] < 1e-5
    assert np.sqrt(2.0) < upper[-1] < 1.65


def test_the_number_of_static_solutions_jumps_at_the_fold(gated: PhaseDiagram) -> None:
    found = gated.dataset()["static_solutions"]
    at = {"alpha_r": 15.0}
    assert [int(found.sel(at, method="nearest").sel(g_h=g, method="nearest")) for g in (1.0, 1.85, 3.0)] == [1, 3, 2]
    assert int(found.sel(alpha_r=1.0, g_h=1.85, method="nearest")) == 1


def test_what_cannot_be_known_without_dynamics_is_undecided(gated: PhaseDiagram) -> None:
    assert gated.regime_at(1.0, 15.0) == "stable zero"
    assert gated.regime_at(1.85, 15.0) == "undecided"
    assert "time-dependent states were not asked for" in gated.verdict


def test_the_command_writes_data_and_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell, data, figure = tmp_path / "leaky.toml", tmp_path / "a.nc", tmp_path / "a.png"
    cell.write_text(LEAKY, encoding="utf-8")
    options = ["--x", "g=0.2:3:8", "--y", "s=0.5:2:4", "-o", str(data), "--plot", str(figure), "--json"]
    assert main(["phase", str(cell), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"cell", "parameters", "x", "y", "regimes", "curves", "points", "representatives", "verdict"}
    assert len(found["regimes"]) == 4
    assert len(found["regimes"][0]) == 8
    assert {name for row in found["regimes"] for name in row} == {"stable zero", "chaos"}
    assert figure.stat().st_size > 10_000
    with xr.open_dataset(data) as read:
        assert dict(read.sizes)["g"] == 8


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ("g=0:4:9", "g=0:2:9", "free twice"),
        ("G=0:4:9", "s=0:2:9", "is not a parameter"),
        ("g=0:4", "s=0:2:9", "--x g=0:4: write NAME=LO:HI:COUNT"),
        ("g=0:4:9", "s=0:2:1", "from 2 to"),
        ("g=4:0:9", "s=0:2:9", "is empty"),
        ("g=-1:4:9", "s=0.5:2:9", "--x or --y"),
    ],
)
def test_bad_axes_are_refused(
    x: str, y: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = tmp_path / "leaky.toml"
    cell.write_text(LEAKY, encoding="utf-8")
    assert main(["phase", str(cell), "--x", x, "--y", y]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_refused_before_work(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--x", "g_h=0:4:9", "--y", "alpha_r=0:20:9", "-o", "/nowhere/at/all.nc"]
    assert main(["phase", "gated-rnn", *options]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_budget_stops_with_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "part.nc"
    options = ["--x", "g_h=0:4:9", "--y", "alpha_r=0:20:9", "--budget", "0.5", "-o", str(data), "--json"]
    assert main(["phase", "gated-rnn", *options]) == 3
    found = json.loads(capsys.readouterr().out)
    assert "stopped" in found["verdict"]
    assert {name for row in found["regimes"] for name in row} == {"undecided"}
    assert data.exists()


def test_what_is_there_is_written_however_long_that_takes(
    leaky: PhaseDiagram, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "leaky.toml"
    path.write_text(LEAKY)
    monkeypatch.setattr("solvers.cli.alarm.GRACE", 0.0)
    monkeypatch.setattr("solvers.cli.phase.phase", lambda *_given, **_named: leaky)
    monkeypatch.setattr("solvers.cli.phase.write_dataset", lambda *_given: time.sleep(3.0))
    code = main(["phase", str(path), "--x", "g=0.2:3:15", "--y", "s=0.2:2:10", "--budget", "2", "--json",
                 "-o", str(tmp_path / "d.nc")])  # fmt: skip
    assert code == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "converged"


def static(state: str, stability: str, complexity: float = 0.0) -> StaticState:
    return StaticState(state, {"x": float(state == "active")}, stability, -1.0, 0.0, (complexity, 1e-6))


def fluctuating(exponent: float | None, error: float) -> StationaryState:
    return StationaryState({}, {}, np.zeros(1), {}, {}, 0.1, 1.0, exponent, "", {"lyapunov_max": error}, "converged")


@pytest.mark.parametrize(
    ("states", "moving", "notes", "regime"),
    [
        ([static("zero", "stable")], [], [], "stable zero"),
        ([static("zero", "unstable"), static("active", "stable")], [], [], "stable non-zero"),
        ([static("zero", "stable"), static("active", "stable")], [], [], "several stable fixed points"),
        ([static("zero", "stable"), static("active", "unstable", 0.02)], [], [],
         "many unstable fixed points without chaos"),
        ([static("zero", "stable"), static("active", "unstable")], [], [], "stable zero"),
        ([static("zero", "unstable"), static("active", "unstable")], [fluctuating(0.1, 0.01)], [], "chaos"),
        ([static("zero", "stable"), static("active", "unstable")], [fluctuating(0.1, 0.01)], [], "coexistence"),
        ([static("zero", "unstable")], [fluctuating(0.005, 0.01)], [], "marginal"),
        ([static("zero", "unstable")], [fluctuating(-0.1, 0.01)], [], "undecided"),
        ([static("zero", "unstable")], [fluctuating(None, 0.0)], [], "undecided"),
        ([static("zero", "unstable"), static("active", "marginal")], [], [], "marginal"),
        ([static("zero", "unstable")], [], ["the covariance grows without bound: the network diverges"], "diverges"),
        ([static("zero", "unstable")], [], [], "undecided"),
        ([static("zero", "unknown")], [], [], "undecided"),
    ],
)  # fmt: skip
def test_what_decides_a_regime(
    states: list[StaticState], moving: list[StationaryState], notes: list[str], regime: str
) -> None:
    number, verdict = decide(Statics(tuple(states), (), True), moving, notes)
    assert NAMES[number] == regime
    assert verdict.startswith("undecided") == (regime == "undecided")


def test_an_onset_is_found_as_a_curve_on_lines_across_a_region() -> None:
    lattice = Lattice(Axis("a", 0.0, 2.0, 21), Axis("b", 0.0, 1.0, 11))
    region = np.ones(lattice.shape, bool)
    looked: list[tuple[float, float]] = []

    def side(x: float, y: float) -> bool:
        looked.append((x, y))
        return x > 0.6 + 0.5 * y

    found = find_onset(lattice, region, None, side, "chaos onset").curve
    assert found is not None
    assert len(found.x) == 4
    assert np.all(np.abs(found.x - 0.6 - 0.5 * found.y) <= found.error[0] + 0.5 * found.error[1])
    assert found.error[0] < 0.03
    assert len(looked) < 60
    lattice.cut(*reaching(lattice, region, found))
    labels = lattice.labels()
    assert len(np.unique(labels)) == 2
    x = np.linspace(0.0, 2.0, lattice.shape[1])[None, :]
    y = np.linspace(0.0, 1.0, lattice.shape[0])[:, None]
    off = (labels == labels[0, -1]) != (x > 0.6 + 0.5 * y)
    assert off.mean() < 0.02


def test_nothing_is_found_where_all_points_are_alike() -> None:
    lattice = Lattice(Axis("a", 0.0, 2.0, 21), Axis("b", 0.0, 1.0, 11))
    found = find_onset(lattice, np.ones(lattice.shape, bool), None, lambda x, y: True, "chaos onset")
    assert (found.curve, found.spent) == (None, "")


STEEP = """
name = "steep"
equations = '''
dx/dt = -x + J @ phi(a*x)
'''
[functions]
phi = "tanh(x)**3"
[weights]
J = "g"
[parameters]
g = 1.0
a = 1.0
"""
"""The zero state is always stable; everything else depends on the product a g alone."""


@pytest.mark.slow
def test_chaos_beside_a_stable_zero_begins_beyond_the_fold() -> None:
    found = phase(parse_cell(STEEP), ("g", 1.5, 5.0, 36), ("a", 0.5, 1.0, 6))
    assert found.verdict == "converged"
    (fold,) = [curve for curve in found.curves if curve.kind == "fold of non-zero solutions"]
    products = fold.x * fold.y
    assert np.ptp(products) < 1e-3  # a hyperbola
    (onset,) = [curve for curve in found.curves if curve.kind == "chaos onset"]
    error = onset.error[0] * onset.y + onset.error[1] * onset.x
    assert not onset.computed
    assert np.all(onset.x * onset.y > products.mean())
    centre = np.mean(onset.x * onset.y)
    assert np.all(np.abs(onset.x * onset.y - centre) <= 2 * error)
    assert found.regime_at(5.0, 1.0) == "coexistence"
    assert found.regime_at(1.5, 0.5) == "stable zero"


@pytest.mark.slow
@pytest.mark.parametrize(("g", "chaotic"), [(1.8, False), (4.0, True)])
def test_networks_agree_about_chaos_beside_a_stable_zero(g: float, chaotic: bool) -> None:
    """From large activity 400 units stay chaotic or come to rest; from small activity they always rest."""
    cell = parse_cell(STEEP)
    settings = resolve(cell, {"g": g})
    large = measure_lyapunov(cell, settings, N=400, seeds=4, scale=3.0, transient=50.0, window=200.0, longest=800.0)
    small = measure_lyapunov(cell, settings, N=400, seeds=4, scale=0.05, transient=50.0, window=200.0, longest=800.0)
    row = large["lyapunov[1]"]
    if chaotic:
        assert np.all(row.measured > 4 * np.array([sample.errors[0] for sample in large.samples]))
    else:
        assert np.all(row.measured < 0)
    np.testing.assert_allclose(small["lyapunov[1]"].measured, -1.0, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("g_h", "alpha_r", "regime", "large", "small"),
    [
        (0.95, 4.75, "stable zero", -1, -1),
        (1.85, 8.5, "many unstable fixed points without chaos", -1, -1),
        (1.95, 18.0, "coexistence", 1, -1),
        (3.0, 5.0, "chaos", 1, 1),
    ],
)
def test_networks_confirm_the_regimes_of_the_gated_network(
    g_h: float, alpha_r: float, regime: str, large: int, small: int
) -> None:
    """The sign of the largest exponent of three networks of 300 units that start from large and from small activity."""
    cell, names = load("gated-rnn"), ("g_h", "alpha_r")
    space = Space.of(derive_theory(cell, "static"), resolve(cell, {}), names)
    probe = Prober(cell, names, {}, StaticSolver(space), moving=True, seed=0)(g_h, alpha_r)
    assert (NAMES[probe.regime], probe.verdict) == (regime, "converged")
    settings = resolve(cell, {"g_h": g_h, "alpha_r": alpha_r})
    for scale, sign in ((2.0, large), (0.02, small)):
        found = measure_lyapunov(cell, settings, N=300, seeds=3, scale=scale, transient=100.0, window=150.0,
                                 longest=300.0, precision=0.03)  # fmt: skip
        errors = np.array([sample.errors[0] for sample in found.samples])
        assert np.all(sign * found["lyapunov[1]"].measured > 2 * errors), (scale, found["lyapunov[1]"].measured)


class LateChaos:
    """A zero state that is stable below x = 1, where chaos goes on down to ``onset``; the only other static states are
    beyond."""

    def __init__(self, onset: float) -> None:
        self.onset, self.asked = onset, 0

    def __call__(self, x: float, y: float) -> Probe:
        zero = static("zero", "stable" if x < 1.0 else "unstable")
        chaos = x > self.onset
        regime = CHAOS if x > 1.0 else COEXISTENCE if chaos else STABLE_ZERO
        return Probe(x, y, regime, "converged", Statics((zero,), (), True))

    def chaotic(self, x: float, y: float) -> bool:
        self.asked += 1
        return x > self.onset


@pytest.mark.parametrize("onset", [0.9, 0.3, 0.05])
def test_chaos_is_followed_into_a_region_with_a_stable_zero_alone(onset: float) -> None:
    lattice = Lattice(Axis("a", 0.0, 2.0, 21), Axis("b", 0.0, 1.0, 11))
    line = Boundary("zero state loses stability", np.array([1.0, 1.0]), np.array([-0.1, 1.1]), (1e-6, 1e-6))
    found = cut_regions(lattice, [line], LateChaos(onset))
    (curve,) = found.curves
    assert curve.kind == "chaos onset"
    assert np.all(np.abs(curve.x - onset) <= curve.error[0] + 1e-9)
    regimes = {region.number: region.regime for region in found.regions}
    for column, value in enumerate(lattice.axes[0].values):
        if min(abs(value - onset), abs(value - 1.0)) > 0.02:
            own = {regimes[number] for number in found.table[:, column]}
            assert own == {CHAOS if value > 1.0 else COEXISTENCE if value > onset else STABLE_ZERO}


def test_no_curve_is_invented_where_chaos_ends_with_the_zero_state() -> None:
    lattice = Lattice(Axis("a", 0.0, 2.0, 21), Axis("b", 0.0, 1.0, 11))
    line = Boundary("zero state loses stability", np.array([1.0, 1.0]), np.array([-0.1, 1.1]), (1e-6, 1e-6))
    looker = LateChaos(1.0)
    assert not cut_regions(lattice, [line], looker).curves
    assert looker.asked <= 3


NOVELTY = """
equations = '''
dh/dt = -h + J @ (tanh(h) * gate)
tau*ds/dt = h - s
gate = sigmoid(a*((h - s)*(h - s) - c))
'''
[weights]
J = "g"
[parameters]
g = 6.0
a = 4.0
c = 0.5
tau = 4.0
"""
"""A gate that opens only to what is new: at rest it is shut, so that zero is stable and alone, beside chaos."""


@pytest.mark.slow
def test_networks_agree_about_chaos_beside_a_zero_that_is_alone() -> None:
    cell = parse_cell(NOVELTY)
    solver = StaticSolver(Space.of(derive_theory(cell, "static"), resolve(cell, {}), ("g", "c")))
    found = Prober(cell, ("g", "c"), {}, solver, moving=True, seed=0)(6.0, 0.5)
    assert NAMES[found.regime] == "coexistence"
    assert [own.state for own in found.statics.states] == ["zero"]
    measured = measure_lyapunov(cell, resolve(cell, {}), N=400, seeds=3, scale=4.0)
    assert all(sample.exponents[0] > 0.3 for sample in measured.samples)
    asleep = measure_lyapunov(cell, resolve(cell, {}), N=400, seeds=3, scale=0.1)
    assert all(sample.at_rest for sample in asleep.samples)
