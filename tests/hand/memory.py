"""Hand-written site of the LSTM: fixed points, and the untied chain of its memory by collocation."""

from __future__ import annotations

import numpy as np

from .measure import Array, Axes, NoSolutionError, Params, Site, line, mean, positive, sigmoid

GATES = "fiog"
REACH = 6.0
"""The memory is followed on [-REACH, REACH]; forget gates are drawn so that it stays well inside."""


def variances(p: Params, Q: float) -> dict[str, float]:
    return {k: p[f"sigma_{k}"] ** 2 * Q + p[f"nu_{k}"] ** 2 * p["R"] + p[f"rho_{k}"] ** 2 for k in GATES}


def numbers_of(p: Params, Q: float, cell: float) -> dict[str, float]:
    found = {"Q[h]": Q, "Q[c]": cell} | {f"q_total[{k}]": v for k, v in variances(p, Q).items()}
    found |= {f"q[W_{k}]": p[f"sigma_{k}"] ** 2 * Q for k in GATES}
    return found | {f"q[U_{k}]": p[f"nu_{k}"] ** 2 * p["R"] for k in GATES}


def gates(axes: Axes, p: Params, Q: float) -> tuple[dict[str, Array], dict[str, Array]]:
    """The gates on axes 0 to 3 and their derivatives."""
    spread = variances(p, Q)
    values, slopes = {}, {}
    for axis, k in enumerate(GATES):
        a = axes.normal(axis, p[f"mu_{k}"], spread[k])
        values[k] = np.tanh(a) if k == "g" else sigmoid(a)
        slopes[k] = 1 - values[k] ** 2 if k == "g" else values[k] * (1 - values[k])
    return values, slopes


def lstm(ansatz: str, p: Params) -> Site:
    """c' = f c + i g, h' = o tanh(c')."""
    return fixed(p) if ansatz == "static" else chain(p)


def fixed(p: Params) -> Site:
    """At a fixed point c = i g / (1 - f) and h = o tanh(c)."""
    # tanh(c) is sharp in g where f is close to one.
    rules = [line(0.25, 7.75), line(0.4, 7.2), line(0.5, 7.0), line(0.1, 7.0)]

    def build(Q: float) -> tuple[Axes, dict[str, Array], dict[str, Array]]:
        axes = Axes(rules)
        values, slopes = gates(axes, p, Q)
        values["c"] = values["i"] * values["g"] / (1 - values["f"])
        return axes, values, slopes

    def step(Q: float) -> float:
        axes, s, _ = build(Q)
        return axes.average(s["o"] ** 2).real * axes.average(np.tanh(s["c"]) ** 2).real

    Q = positive(step)
    axes, s, slopes = build(Q)
    s["h"] = s["o"] * np.tanh(s["c"])
    site = Site(p, axes, s, slopes, {**numbers_of(p, Q, axes.average(s["c"] ** 2).real)}, centre=0.5)
    bent = 1 - np.tanh(s["c"]) ** 2
    output = axes.average(s["o"] ** 2).real
    readout = axes.average(slopes["o"] ** 2).real * axes.average(np.tanh(s["c"]) ** 2).real

    def kernel(lam: complex) -> dict[tuple[str, str], float]:
        # (lam - L)(dc, dh) = a du has dc = a_c/(lam - f) and lam dh = a_h + f o tanh'(c) dc; every product reads h.
        read = {"o": readout / abs(lam) ** 2}
        moved = {"f": s["c"] * slopes["f"], "i": s["g"] * slopes["i"], "g": s["i"] * slopes["g"]}
        for k, a in moved.items():
            through = bent * a * (1 + s["f"] / (lam - s["f"])) / lam
            read[k] = output * axes.average(abs(through) ** 2).real
        return {(f"W_{k}", f"W_{m}"): p[f"sigma_{k}"] ** 2 * read[m] for k in GATES for m in GATES}

    site.kernel = kernel
    return site


def gauss_rule(values: Array, weights: Array, count: int) -> tuple[Array, Array]:
    """A Gauss rule of few nodes for a discrete measure, by the Lanczos process with full orthogonalisation."""
    basis = [np.sqrt(weights)]
    diagonal, beside = [], []
    for k in range(count):
        w = values * basis[-1]
        diagonal.append(float(basis[-1] @ w))
        for _ in range(2):
            for b in basis:
                w = w - (b @ w) * b
        beside.append(float(np.sqrt(w @ w)))
        if k + 1 < count:
            basis.append(w / beside[-1])
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
    return nodes, vectors[0] ** 2


def memory_law(p: Params, Q: float, count: int = 110) -> tuple[Array, Array]:
    """Nodes and weights of the stationary law of c' = f c + i g, f, i, g fresh: E of every polynomial in c of low
    degree and of every smooth function."""
    spread = variances(p, Q)
    t, w = line(0.2, 7.0)
    f = sigmoid(p["mu_f"] + np.sqrt(spread["f"]) * t)
    i = sigmoid(p["mu_i"] + np.sqrt(spread["i"]) * t)
    g = np.tanh(p["mu_g"] + np.sqrt(spread["g"]) * t)
    kick, kick_weight = gauss_rule(np.outer(i, g).ravel(), np.outer(w, w).ravel(), 22)
    angle = np.pi * (np.arange(count) + 0.5) / count
    nodes, bary = np.cos(angle), (-1.0) ** np.arange(count) * np.sin(angle)
    c = REACH * nodes
    moved = f[None, :, None] * c[:, None, None] + kick[None, None, :]
    weight = np.broadcast_to(w[:, None] * kick_weight[None, :], moved.shape)
    matrix = np.empty((count, count))
    for row in range(count):
        x = np.clip(moved[row].ravel() / REACH, -1, 1) + 1e-15
        terms = bary / (x[:, None] - nodes)
        matrix[row] = weight[row].ravel() @ (terms / terms.sum(axis=1, keepdims=True))
    # Left eigenvector of a matrix whose rows sum to one.
    system = np.vstack([matrix.T - np.eye(count), np.ones(count)])
    law = np.linalg.lstsq(system, np.append(np.zeros(count), 1.0), rcond=None)[0]
    return c, law


def chain(p: Params) -> Site:
    """Stationary chain: the state entering is o tanh(c) with an output gate of the step before."""

    def step(Q: float) -> tuple[float, tuple[Array, Array]]:
        rule = memory_law(p, Q)
        output = mean(lambda a: sigmoid(a) ** 2, p["mu_o"], variances(p, Q)["o"])
        return output * float(np.tanh(rule[0]) ** 2 @ rule[1]), rule

    # Secant steps on the fixed-point equation: each step is costly.
    old, Q = 0.1, 0.05
    old_gap = step(old)[0] - old
    for _ in range(20):
        gap, rule = step(Q)
        gap -= Q
        if abs(gap) < 1e-14:
            break
        if gap == old_gap:
            raise NoSolutionError("secant steps stall")
        old, Q, old_gap = Q, Q - gap * (Q - old) / (gap - old_gap), gap
    else:
        raise NoSolutionError("secant steps do not converge")
    plain = line(0.3, 6.9)
    axes = Axes([plain, plain, plain, plain, rule, plain])
    s, slopes = gates(axes, p, Q)
    s["c"] = axes.along(4, rule[0])
    s["h"] = np.tanh(s["c"]) * sigmoid(axes.normal(5, p["mu_o"], variances(p, Q)["o"]))
    return Site(p, axes, s, slopes, {**numbers_of(p, Q, axes.average(s["c"] ** 2).real)})
