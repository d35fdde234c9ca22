"""Hand-written sites of the flows: rate and gated-rnn, at their fixed points."""

from __future__ import annotations

import numpy as np

from .measure import Array, Axes, NoSolutionError, Params, Site, line, mean, positive, sigmoid


def static_only(ansatz: str) -> None:
    if ansatz != "static":
        raise NoSolutionError("a flow has no untied theory")


def rate(ansatz: str, p: Params) -> Site:
    """dx/dt = -x + J tanh(x): at rest x is the product J tanh(x)."""
    static_only(ansatz)
    q = positive(lambda q: p["g"] ** 2 * mean(lambda x: np.tanh(x) ** 2, 0.0, q))
    axes = Axes([line(0.05)])
    x = axes.normal(0, 0.0, q)
    phi = np.tanh(x)
    slope = 1 / np.cosh(x) ** 2

    def kernel(lam: complex) -> dict[tuple[str, str], float]:
        return {("J", "J"): p["g"] ** 2 * axes.average(abs(slope / (lam + 1)) ** 2).real}

    return Site(p, axes, {"x": x, "phi": phi}, {"phi": slope}, {"Q[x]": q, "q[J]": q}, kernel, -1.0)


def gated_rnn(ansatz: str, p: Params) -> Site:
    """The continuous gated network: at rest h, z, r are its three products."""
    static_only(ansatz)

    def reset(x: Array) -> Array:
        return sigmoid(p["alpha_r"] * x - p["beta_r"])

    def signal(q: float) -> float:
        return mean(lambda h: np.tanh(h) ** 2, 0.0, q)

    def step(q: float) -> float:
        return p["g_h"] ** 2 * signal(q) * mean(lambda r: reset(r) ** 2, 0.0, signal(q))

    q = positive(step)
    gate = signal(q)
    axes = Axes([line(0.15), line(0.1), line(0.2)])
    h, z, r = axes.normal(0, 0.0, q), axes.normal(1, 0.0, gate), axes.normal(2, 0.0, gate)
    phi, phi_slope = np.tanh(h), 1 / np.cosh(h) ** 2
    gate_z, gate_r = sigmoid(p["alpha_z"] * z - p["beta_z"]), reset(r)
    r_slope = gate_r * (1 - gate_r)

    def kernel(lam: complex) -> dict[tuple[str, str], float]:
        # dh = gate_z (-dh + du_h) as u_h = h; tau_r dr = -dr + du_r; v_h = phi gate_r, v_r = phi.
        state, filtered = gate_z / (lam + gate_z), 1 / (1 + p["tau_r"] * lam)
        transfer = {
            ("J_h", "J_h"): gate_r * phi_slope * state,
            ("J_h", "J_r"): phi * r_slope * p["alpha_r"] * filtered,
            ("J_r", "J_h"): phi_slope * state,
            ("J_r", "J_r"): 0 * phi,
        }
        gain = {"J_h": p["g_h"], "J_r": 1.0}
        return {(k, m): gain[k] ** 2 * axes.average(abs(t) ** 2).real for (k, m), t in transfer.items()}

    numbers = {"Q[h]": q, "q[J_h]": q} | {f"{kind}[{k}]": gate for kind, k in (("Q", "z"), ("Q", "r"))}
    numbers |= {"q[J_z]": gate, "q[J_r]": gate}
    numbers |= {f"q_total[gate_{k}]": p[f"alpha_{k}"] ** 2 * gate for k in "zr"}
    variables = {"h": h, "z": z, "r": r, "phi": phi, "gate_z": gate_z, "gate_r": gate_r}
    slopes = {"phi": phi_slope, "gate_z": gate_z * (1 - gate_z), "gate_r": r_slope}
    return Site(p, axes, variables, slopes, {**numbers}, kernel, -0.5)
