"""Stationary theory against networks, and a theory that is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

import solvers.compare.stationary as module
from derive import load
from solvers.cli import main
from solvers.compare.stationary import check_stationary
from solvers.dynamics import Dynamics, dynamics

DRIVEN: dict[str, object] = {"sigma_w": 1.5, "sigma_v": 1.0, "R": 1.0}


def test_a_driven_map_agrees_at_every_lag() -> None:
    found = check_stationary(load("vanilla"), DRIVEN, N=400, seeds=6)
    assert found.verdict == "agrees", [row.as_dict() for row in found.rows]
    names = {row.quantity for row in found.rows}
    assert {"q[W_h]", "q[U_x]", "Q[h]", "C[W_h](1)", "C[W_h](4)", "correlation_time[W_h]", "lyapunov_max"} == names - {
        "C[W_h](2)", "C[U_x](1)", "C[U_x](2)", "C[U_x](4)"
    }


def test_a_wrong_theory_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*given: object, **more: object) -> Dynamics:
        found = dynamics(load("vanilla"), DRIVEN)
        (state,) = found.solutions
        C = {name: curve.copy() for name, curve in state.C.items()}
        C["W_h"][1] += 0.3
        bent = replace(state, Q={"h": 1.2 * state.Q["h"]}, C=C, lyapunov_max=0.0)
        return replace(found, solutions=(bent,))

    monkeypatch.setattr(module, "dynamics", wrong)
    found = check_stationary(load("vanilla"), DRIVEN, N=200, seeds=6)
    assert found.verdict == "disagrees"
    wrong_rows = {"Q[h]", "C[W_h](1)", "correlation_time[W_h]", "lyapunov_max"}
    assert {row.quantity for row in found.rows if row.verdict == "disagrees"} == wrong_rows


def test_fixed_points_are_left_to_the_static_ansatz(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "rate", "--ansatz", "stationary", "-p", "g=0.5", "-N", "64", "--seeds", "4"])
    shown = capsys.readouterr().out
    assert "--ansatz static" in shown
    assert "verdict: inconclusive" in shown
