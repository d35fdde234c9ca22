"""Figures in every format that is offered, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import pytest

STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
ROWS = [{"quantity": "Q[h]", "theory": 1.0, "measured": 1.01, "standard_error": 0.02, "z": 0.5}]


@pytest.mark.parametrize("suffix", sorted(STARTS))
def test_a_figure_has_the_same_bytes_twice(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from solvers.plots.spectrum import check_figure

    found = []
    for name in ("first", "second"):
        path = tmp_path / f"{name}{suffix}"
        check_figure(path, "theory against networks", ROWS)
        found.append(path.read_bytes())
    assert found[0].startswith(STARTS[suffix])
    assert found[0] == found[1]
    assert b"Date" not in found[0]
