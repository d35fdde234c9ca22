"""Figures of sweeps: the right numbers are drawn, and what cannot be drawn is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sweeping import arithmetic, sweep_with

from derive.errors import ParameterError
from solvers.cli import main
from solvers.plots.sweep import sweep_figure
from solvers.sweep.engine import NOT_CONVERGED, Answer, Points, Request
from solvers.sweep.select import lines, open_sweep, select


def partly(request: Request, points: Points) -> Answer:
    """As `arithmetic`, with a doubt about one point."""
    answer = arithmetic(request, points)
    answer.verdict[points.numbers == 5] = NOT_CONVERGED
    return answer


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plots") / "out.zarr"
    sweep_with(partly, {"sigma_w": "log:0.25:1:3", "mu_b": "0:1:4", "R": "0:1:2"}, path, jobs=1)
    return path


def test_maps_have_y_upwards_and_others_held_at_the_nearest_value(store: Path) -> None:
    shown = select(open_sweep(store), "chi1", "mu_b", "sigma_w", {"R": 0.9})
    assert shown.values.dims == ("sigma_w", "mu_b")
    assert shown.note == "R = 1"
    np.testing.assert_allclose(shown.values.values, [[w + np.sin(m) for m in np.linspace(0, 1, 4)]
                                                     for w in (0.25, 0.5, 1.0)])  # fmt: skip
    assert np.argwhere(~shown.good.values).tolist() == [[0, 2]]


def test_curves_have_a_line_for_each_value_of_the_other_parameter(store: Path) -> None:
    found = lines(select(open_sweep(store), "q[W_h]", None, None, {"R": 0.0}))
    assert [line.text for line in found] == ["mu_b = 0", "mu_b = 0.3333", "mu_b = 0.6667", "mu_b = 1"]
    np.testing.assert_allclose(found[1].values.values, np.array([0.25, 0.5, 1.0]) + np.sin(1 / 3))


def test_networks_are_drawn_by_mean_and_standard_error() -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((3, 2, 5))
    data = xr.Dataset(
        {"chi1": (("g", "N", "seed"), table), "chi1_error": (("g", "N", "seed"), 0 * table),
         "verdict": (("g", "N", "seed"), np.zeros(table.shape, np.int8))},
        {"g": [0.0, 1.0, 2.0], "N": [100, 200], "seed": np.arange(5)},
    )  # fmt: skip
    found = lines(select(data, "chi1", "g", None, {}))
    assert [line.text for line in found] == ["N = 100", "N = 200"]
    np.testing.assert_allclose(found[1].values.values, table[:, 1].mean(axis=-1))
    np.testing.assert_allclose(found[1].error.values, table[:, 1].std(axis=-1, ddof=1) / np.sqrt(5))


@pytest.mark.parametrize(
    ("quantity", "x", "y", "at", "told"),
    [
        ("chi2", None, None, {}, "this sweep has chi1, q, solutions"),
        ("chi1", "g", None, {}, "--x g: this sweep has sigma_w, mu_b, R"),
        ("chi1", None, None, {}, "R has 2 values from 0 to 1: hold it with --at R=VALUE"),
        ("q", "sigma_w", "mu_b", {"R": 0}, r"NAME\[LABEL\], with a label of field: W_h, U_x"),
        ("q[W]", None, None, {"R": 0}, "this sweep has W_h, U_x"),
        ("chi1", "mu_b", "mu_b", {}, "two different"),
        ("chi1", "mu_b", None, {"S": 0}, "--at S"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    quantity: str, x: str | None, y: str | None, at: dict[str, float], told: str, store: Path
) -> None:
    with pytest.raises(ParameterError, match=told):
        select(open_sweep(store), quantity, x, y, at)


@pytest.mark.parametrize(("x", "y"), [("sigma_w", None), ("mu_b", "sigma_w")])
def test_figures_are_written_and_the_same_each_time(x: str, y: str | None, store: Path, tmp_path: Path) -> None:
    shown = select(open_sweep(store), "chi1", x, y, {"R": 0.0})
    for name in ("a.png", "b.png"):
        sweep_figure(tmp_path / name, shown)
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert content == (tmp_path / "b.png").read_bytes()


def test_a_map_of_values_that_do_not_exist_is_grey_and_no_error(tmp_path: Path) -> None:
    data = xr.Dataset({"xi": (("a", "b"), np.full((2, 3), np.nan)), "xi_error": (("a", "b"), np.full((2, 3), np.nan))},
                      {"a": [0.0, 1.0], "b": [0.0, 1.0, 2.0]})  # fmt: skip
    sweep_figure(tmp_path / "a.svg", select(data, "xi", "a", "b", {}))
    assert "no number" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_command_line(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "a.pdf"
    options = ["--quantity", "chi1", "--x", "mu_b", "--y", "sigma_w", "--at", "R=1/2", "-o"]
    assert main(["plot", str(store), *options, str(figure)]) == 0
    assert figure.read_bytes().startswith(b"%PDF")
    capsys.readouterr()
    assert main(["plot", str(tmp_path / "no.zarr"), *options, str(figure)]) == 2
    assert "there is no sweep" in capsys.readouterr().err
    assert main(["plot", str(store), *options, str(tmp_path / "a.txt")]) == 2
    assert "ends with" in capsys.readouterr().err
