"""Designs: which points a sweep visits, how they are cut into chunks, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from derive.cell import load, parse_cell, shipped
from derive.cell.limit import limit
from derive.cell.orthogonal import orthogonal
from derive.cell.substitute import substitute
from derive.errors import ParameterError
from derive.write.cell_file import cell_file
from solvers.sweep.design import blocks_of, design_of, split


def test_grids_logarithms_and_lists() -> None:
    design = design_of({"a": "0:4:5", "b": "log:0.1:10:3", "c": "list:2,-1", "d": np.array([0.5])})
    assert design.shape == (5, 3, 2, 1)
    columns = {name: axis.columns[name] for axis in design.axes for name in axis.columns}
    np.testing.assert_allclose(columns["a"], [0, 1, 2, 3, 4])
    np.testing.assert_allclose(columns["b"], [0.1, 1.0, 10.0])
    np.testing.assert_allclose(columns["c"], [2, -1])
    assert design.point(7) == {"a": 1.0, "b": pytest.approx(0.1), "c": -1.0, "d": 0.5}


def test_latin_hypercube_has_one_value_in_each_interval() -> None:
    design = design_of({"a": "latin:0:4", "k": "0:1:2", "b": "latin:log:0.1:10"}, samples=50, seed=3)
    assert [axis.dimension for axis in design.axes] == ["k", "sample"]
    a, b = design.axes[1].columns.values()
    assert sorted(np.floor(a / 4 * 50)) == list(range(50))
    assert sorted(np.floor(np.log(b / 0.1) / np.log(100) * 50)) == list(range(50))
    assert abs(np.corrcoef(a, np.log(b))[0, 1]) < 0.6
    again = design_of({"a": "latin:0:4", "k": "0:1:2", "b": "latin:log:0.1:10"}, samples=50, seed=4)
    assert again.axes[1].digest != design.axes[1].digest


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("list:1,nan,2", ["g", "value 2 of 3", "nan"]),
        (np.array([0.0, 1.0, np.inf]), ["g", "value 3 of 3", "inf"]),
        ("list:1,x", ["value 2", "`x`", "not a number"]),
        ("0:4", ["g=0:4", "LO:HI:COUNT"]),
        ("0:nan:4", ["finite"]),
        ("log:-1:2:3", ["one sign"]),
        ("0:4:0", ["0 values"]),
        ("latin:0:1", ["--samples"]),
        ("list:", ["is not a number"]),
        ([], ["one value or more"]),
    ],
)
def test_what_is_no_design_is_refused_with_its_place(given: object, told: list[str]) -> None:
    with pytest.raises(ParameterError) as error:
        design_of({"g": given})  # type: ignore[dict-item]
    for text in told:
        assert text in str(error.value)


def test_arguments_without_a_name_are_refused() -> None:
    for text in ("0:4:3", "=0:4:3", "g="):
        with pytest.raises(ParameterError, match="write NAME="):
            split(text)


@pytest.mark.parametrize(
    ("shape", "points", "chunk"),
    [((7,), 3, (3,)), ((5, 8), 4, (1, 4)), ((5, 8), 16, (2, 8)), ((3, 4, 5), 1, (1, 1, 1)), ((2, 2), 100, (2, 2)),
     ((5, 3), 8, (2, 3))],
)  # fmt: skip
def test_chunks_hold_every_point_once(shape: tuple[int, ...], points: int, chunk: tuple[int, ...]) -> None:
    blocks = blocks_of(shape, points)
    assert blocks.chunk == chunk
    visits = np.zeros(shape, int)
    for number in range(len(blocks)):
        visits[blocks.block(number)] += 1
    assert (visits == 1).all()


@pytest.mark.parametrize("name", shipped())
def test_a_cell_written_as_a_file_is_the_same_cell(name: str) -> None:
    cell = load(name)
    again = parse_cell(cell_file(cell), cell.path)
    assert again == cell
    assert cell_file(again) == cell_file(cell)


def test_a_changed_cell_written_as_a_file_keeps_the_change() -> None:
    cell = orthogonal(limit(substitute(load("gru"), ["tanh=erf(x/3)", "b_z=0.1", "W_z=1/sqrt(3)"]), ["sigma_r=oo"]),
                      ["W_h"])  # fmt: skip
    again = parse_cell(cell_file(cell), cell.path)
    for part in ("time", "states", "weights", "biases", "inputs", "functions", "parameters"):
        assert getattr(again, part) == getattr(cell, part)
    assert [(e.target, e.kind, e.right) for e in again.equations] == [
        (e.target, e.kind, e.right) for e in parse_cell(cell_file(again)).equations
    ]
    assert "step(" in cell_file(cell)
    assert "erf(" in cell_file(cell)
