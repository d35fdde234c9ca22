"""Finite networks at many points: seeding, precision, shared weights, and agreement with theory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sweeping import digest

from derive.cell import load, parse_cell, resolve
from derive.errors import AnsatzError, ParameterError
from solvers.cli import main
from solvers.simulate import Network, relax, sample_static
from solvers.simulate.together import relax_together
from solvers.solve import solve
from solvers.sweep import Networks, sweep
from solvers.sweep.engine import NOT_CONVERGED

CELL = load("vanilla")
OVER = {"sigma_w": "0.5:0.9:3"}
WANTED = ["Q", "q", "spectral_radius"]


def measured(path: Path, networks: Networks, **given: object) -> xr.Dataset:
    found = sweep(CELL, OVER, WANTED, path, {"sigma_b": 0.5}, networks=networks, jobs=1, **given)  # type: ignore[arg-type]
    assert found.converged
    return found.dataset().load()


def test_a_network_depends_on_seed_point_size_and_number_alone(tmp_path: Path) -> None:
    data = measured(tmp_path / "a.zarr", Networks((40, 64), 3), seed=5)
    assert data["spectral_radius"].dims == ("sigma_w", "N", "seed")
    assert data["Q"].dims == ("sigma_w", "N", "seed", "state")
    assert data["N"].values.tolist() == [40, 64]
    settings = resolve(CELL, {"sigma_w": 0.7, "sigma_b": 0.5})
    own = sample_static(CELL, settings, 64, np.random.SeedSequence(5, spawn_key=(1, 64, 2))).values
    point = data.sel(N=64, seed=2).isel(sigma_w=1)
    assert float(point["spectral_radius"]) == own["spectral_radius"]
    assert float(point["q"].sel(field="W_h")) == own["q[W_h]"]
    other = measured(tmp_path / "b.zarr", Networks((64, 50, 40), 4), seed=5, chunk=1)
    xr.testing.assert_equal(other["Q"].sel(N=[40, 64], seed=[0, 1, 2]), data["Q"])
    assert not np.array_equal(measured(tmp_path / "c.zarr", Networks((40, 64), 3), seed=6)["Q"], data["Q"])


def test_the_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    given = {"networks": Networks((40,), 2), "chunk": 1}
    for name, jobs in (("a.zarr", 1), ("b.zarr", 2)):
        sweep(CELL, OVER, WANTED, tmp_path / name, jobs=jobs, **given)  # type: ignore[arg-type]
    assert digest(tmp_path / "a.zarr") == digest(tmp_path / "b.zarr")


def test_single_precision_is_the_same_network_up_to_rounding(tmp_path: Path) -> None:
    double = measured(tmp_path / "a.zarr", Networks((64,), 3))
    single = measured(tmp_path / "b.zarr", Networks((64,), 3, precision="float32"))
    for name in WANTED:
        difference = abs(single[name] - double[name]).max()
        assert 0 < float(difference) < 2e-5, name


def test_initial_states_of_one_network_share_its_weights(tmp_path: Path) -> None:
    data = measured(tmp_path / "a.zarr", Networks((48,), 2, starts=3))
    assert data["Q"].dims == ("sigma_w", "N", "seed", "start", "state")
    spread = data["Q"].max("start") - data["Q"].min("start")
    assert float(spread.max()) < 1e-10  # a single stable state, reached from everywhere
    assert float(data["Q"].std("seed").min()) > 1e-4


@pytest.mark.parametrize("name", ["vanilla", "rate"])
def test_states_followed_together_end_where_each_ends_alone(name: str) -> None:
    cell = load(name)
    gain = {"vanilla": {"sigma_w": 1.2, "sigma_b": 1.0}, "rate": {"g": 0.8}}[name]
    network = Network(cell, resolve(cell, gain), 60, np.random.default_rng(3))
    initial = np.stack([network.random_state() for _ in range(4)], axis=-1)
    together = relax_together(network, initial)
    for m, found in enumerate(together):
        alone = relax(network, initial[..., m])
        assert found.converged
        np.testing.assert_allclose(found.state, alone.state, atol=1e-9)


def test_networks_agree_with_theory(tmp_path: Path) -> None:
    data = measured(tmp_path / "a.zarr", Networks((200,), 8))
    for k, w in enumerate(data["sigma_w"].values):
        theory = solve(CELL, {"sigma_w": float(w), "sigma_b": 0.5}).solutions[-1]
        own = data["Q"].isel(sigma_w=k, N=0, state=0)
        error = float(own.std("seed", ddof=1)) / np.sqrt(8)
        assert abs(float(own.mean("seed")) - theory["Q[h]"]) < 4 * error + 2 * theory["Q[h]"] / 200  # and O(1/N)


def test_networks_that_never_rest_are_told(tmp_path: Path) -> None:
    found = sweep(CELL, {"sigma_w": [3.0]}, ["Q"], tmp_path / "a.zarr", networks=Networks((100,), 2), jobs=1)
    data = found.dataset()
    assert (data["verdict"] == NOT_CONVERGED).all()
    assert np.isnan(data["Q"]).all()
    assert "did not come to rest" in found.reasons[0][1]
    assert not found.converged


def test_untied_networks_have_their_quantities(tmp_path: Path) -> None:
    found = sweep(CELL, OVER, ["chi1", "C_star"], tmp_path / "a.zarr", ansatz="untied", networks=Networks((64,), 2),
                  jobs=1)  # fmt: skip
    chi1 = found.dataset()["chi1"].mean(("seed", "N")).values
    theory = [solve(CELL, {"sigma_w": w}, ansatz="untied").solutions[-1]["chi1"] for w in (0.5, 0.7, 0.9)]
    np.testing.assert_allclose(chi1, theory, rtol=0.1)


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    def refused(
        networks: Networks, quantities: list[str] = WANTED, ansatz: str = "static", name: str = "vanilla"
    ) -> str:
        over = {"sigma_w": "1:2:2"} if name == "vanilla" else {"g": "1:2:2"}
        with pytest.raises((ParameterError, AnsatzError)) as error:
            sweep(load(name), over, quantities, tmp_path / "a.zarr", networks=networks, ansatz=ansatz)
        assert not (tmp_path / "a.zarr").exists()
        return str(error.value)

    assert "at least 32" in refused(Networks((16,), 2))
    assert "different" in refused(Networks((64, 64), 2))
    assert "there are q, mean_u2, q_total, Q, spectral_radius" in refused(Networks((64,), 2), ["chi1"])
    assert "weights are held" in refused(Networks((64,), 2, precision="float32"), ["chi1"], "untied")
    assert "continuous time" in refused(Networks((64,), 2), ["chi1"], "untied", "rate")


def test_a_parameter_called_n_is_not_in_the_way(tmp_path: Path) -> None:
    cell = parse_cell("equations = \"x' = tanh(W @ x + b)\"\n[weights]\nW = \"N\"\n[biases]\nb = \"seed\"\n"
                      "[parameters]\nN = 1.0\nseed = 0.5\n")  # fmt: skip
    found = sweep(cell, {"N": [0.5], "seed": [0.1, 0.2]}, ["Q"], tmp_path / "a.zarr", networks=Networks((40,), 2),
                  jobs=1)  # fmt: skip
    assert found.dataset()["Q"].dims == ("N_parameter", "seed_parameter", "N", "seed", "state")


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(tmp_path / "a.zarr")
    command = ["sweep", "vanilla", "--over", "sigma_w=0.5:0.9:2", "--quantity", "Q", "-o", store, "--jobs", "1"]
    networks = ["--simulate", "-N", "40,80", "--seeds", "3"]
    assert main([*command, *networks, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["points"] == 12
    assert found["over"] == {"sigma_w": "0.5:0.9:2", "N": "40,80", "seed": "3 networks"}
    assert main([*command, *networks, "--float32"]) == 2
    assert "precision: float64 there, float32 here" in capsys.readouterr().err
    assert main([*command, "-N", "40"]) == 2
    assert "add --simulate" in capsys.readouterr().err
    assert main([*command, "--simulate", "-N", "many"]) == 2
    assert "whole numbers" in capsys.readouterr().err
    assert main(["plot", store, "--quantity", "Q[h]", "-o", str(tmp_path / "a.png")]) == 0
