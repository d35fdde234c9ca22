"""Hand-written sites of the maps: vanilla, minimal-rnn, gru, gru-reset-after."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .measure import (
    Array,
    Axes,
    Kernel,
    Params,
    Site,
    iterate,
    line,
    mean,
    pair,
    positive,
    replica_numbers,
    sigmoid,
    two_moments,
)

FINE, PLAIN = line(0.1), line()


def gate_slope(x: Array) -> Array:
    s = sigmoid(x)
    return s * (1 - s)


def vanilla(ansatz: str, p: Params) -> Site:
    """h' = tanh(W_h h + U_x x + b)."""

    def variance(Q: float) -> float:
        return p["sigma_w"] ** 2 * Q + p["sigma_v"] ** 2 * p["R"] + p["sigma_b"] ** 2

    Q = positive(lambda Q: mean(lambda a: np.tanh(a) ** 2, p["mu_b"], variance(Q)))
    axes = Axes([FINE, FINE])
    phi = np.tanh(axes.normal(0, p["mu_b"], variance(Q)))
    # In the untied theory the state entering is tanh of an earlier, independent argument; at a fixed point it is phi.
    h = phi if ansatz == "static" else np.tanh(axes.normal(1, p["mu_b"], variance(Q)))
    numbers = {"Q[h]": Q, "q[W_h]": p["sigma_w"] ** 2 * Q, "q[U_x]": p["sigma_v"] ** 2 * p["R"]}
    site = Site(p, axes, {"h": h, "phi": phi}, {"phi": 1 - phi**2}, {**numbers})
    if ansatz == "static":

        def kernel(lam: complex) -> dict[tuple[str, str], float]:
            transfer = (1 - phi**2) / lam
            return {("W_h", "W_h"): p["sigma_w"] ** 2 * axes.average(abs(transfer) ** 2).real}

        site.kernel = kernel
    else:

        def overlap(C: float, correlation: float) -> float:
            shared = p["sigma_w"] ** 2 * C + p["sigma_v"] ** 2 * p["R"] * correlation + p["sigma_b"] ** 2
            return pair(np.tanh, np.tanh, p["mu_b"], variance(Q), shared)

        site.numbers |= replica_numbers(overlap, Q, p["Sigma"])
        site.numbers["chi1"] = p["sigma_w"] ** 2 * axes.average((1 - phi**2) ** 2).real
        site.extra["overlap"] = overlap
    return site


def minimal(ansatz: str, p: Params) -> Site:
    """u = sigmoid(W_u h + V_u x + b), h' = u h + (1 - u) x."""
    R, mu = p["R"], p["mu_b"]

    def variance(Q: float) -> float:
        return p["sigma_w"] ** 2 * Q + p["sigma_v"] ** 2 * R + p["sigma_b"] ** 2

    def step(Q: float) -> float:
        kept = mean(lambda a: sigmoid(a) ** 2, mu, variance(Q))
        new = mean(lambda a: (1 - sigmoid(a)) ** 2, mu, variance(Q))
        return kept * Q + new * R

    # A fixed point has h = x; the untied state has mean zero.
    Q = R if ansatz == "static" else iterate(step, 1.0)
    first, second = (PLAIN, PLAIN) if ansatz == "static" else two_moments(0.0, Q)
    sites = []
    for rule in (first, second):
        axes = Axes([FINE, rule])
        a = axes.normal(0, mu, variance(Q))
        h = axes.normal(1, 0.0, R) if ansatz == "static" else axes.along(1, rule[0])
        numbers = {
            "Q[h]": Q,
            "q[W_u]": p["sigma_w"] ** 2 * Q,
            "q[V_u]": p["sigma_v"] ** 2 * R,
            "q_total[u]": variance(Q),
        }
        sites.append(Site(p, axes, {"h": h, "u": sigmoid(a)}, {"u": gate_slope(a)}, {**numbers}))
    site = sites[0]
    if ansatz == "untied":
        site.other = sites[1]

        def overlap(C: float, correlation: float) -> float:
            shared = p["sigma_w"] ** 2 * C + p["sigma_v"] ** 2 * R * correlation + p["sigma_b"] ** 2

            def rest(a: Array) -> Array:
                return 1 - sigmoid(a)

            kept = pair(sigmoid, sigmoid, mu, variance(Q), shared)
            return kept * C + pair(rest, rest, mu, variance(Q), shared) * R * correlation

        # A perturbation d of h moves h' by u d + (h - x) u' (W d).
        kept = site.axes.average(site.variables["u"] ** 2).real
        turned = site.axes.average(site.derivatives["u"] ** 2).real
        site.numbers |= replica_numbers(overlap, Q, p["Sigma"])
        site.numbers["chi1"] = kept + turned * p["sigma_w"] ** 2 * (Q + R)
        site.extra["overlap"] = overlap
    return site


def gru(ansatz: str, p: Params) -> Site:
    """y = tanh(W_h (r h) + U_h x + b_h), h' = z h + (1 - z) y."""
    return gated(ansatz, p, after=False)


def gru_after(ansatz: str, p: Params) -> Site:
    """y = tanh(U_h x + b_h + r (W_h h + c_h)), h' = z h + (1 - z) y."""
    return gated(ansatz, p, after=True)


def gated(ansatz: str, p: Params, after: bool) -> Site:
    """Both gated recurrent units: axes z, r, v = W_h product with its inner bias, G = the rest of the argument, h."""
    R = p["R"]
    inner_mean, inner_spread = (p["mu_c"], p["rho_c"]) if after else (0.0, 0.0)
    coarse = line(0.3, 6.9) if after else PLAIN

    def gate(name: str, Q: float) -> float:
        return p[f"sigma_{name}"] ** 2 * Q + p[f"nu_{name}"] ** 2 * R + p[f"rho_{name}"] ** 2

    def build(Q: float, rule: tuple[Array, Array]) -> tuple[Axes, dict[str, Array]]:
        axes = Axes([FINE if not after else line(0.15, 7.2), coarse, coarse, coarse, rule])
        z_argument = axes.normal(0, p["mu_z"], gate("z", Q))
        r_argument = axes.normal(1, p["mu_r"], gate("r", Q))
        r = sigmoid(r_argument)
        rest = p["nu_h"] ** 2 * R + p["rho_h"] ** 2
        if after:
            v = axes.normal(2, inner_mean, p["sigma_h"] ** 2 * Q + inner_spread**2)
            argument = axes.normal(3, p["mu_h"], rest) + r * v
        else:
            reset = axes.average(r * r).real
            v = axes.normal(2, 0.0, 0.0)
            argument = axes.normal(2, p["mu_h"], p["sigma_h"] ** 2 * reset * Q + rest)
        y = np.tanh(argument)
        h = y if ansatz == "static" else axes.along(4, rule[0])
        arrays = {"z": sigmoid(z_argument), "r": r, "y": y, "h": h, "v": v}
        slopes = {"z'": gate_slope(z_argument), "r'": gate_slope(r_argument), "y'": 1 / np.cosh(argument) ** 2}
        return axes, arrays | slopes

    point = (np.zeros(1), np.ones(1))

    def step(average: float, Q: float) -> tuple[float, float]:
        """Mean and second moment of the next state."""
        axes, s = build(Q, point)
        candidate, square = axes.average(s["y"]).real, axes.average(s["y"] ** 2).real
        if ansatz == "static":
            return candidate, square
        z = s["z"]
        kept, new = axes.average(z * z).real, axes.average((1 - z) ** 2).real
        mixed, part = axes.average(z * (1 - z)).real, axes.average(z).real
        return part * average + (1 - part) * candidate, kept * Q + new * square + 2 * mixed * average * candidate

    average, Q = 0.0, 1.0
    for _ in range(2000):
        last = (average, Q)
        average, Q = step(average, Q)
        if abs(average - last[0]) + abs(Q - last[1]) < 2e-15:
            break
    plain, other = two_moments(average, Q)
    sites = []
    for rule in (plain, other) if ansatz == "untied" else (point,):
        axes, s = build(Q, rule)
        reset = 1.0 if after else axes.average(s["r"] ** 2).real
        numbers = {f"q[W_{k}]": p[f"sigma_{k}"] ** 2 * Q for k in "zr"} | {"q[W_h]": p["sigma_h"] ** 2 * reset * Q}
        numbers |= {f"q[U_{k}]": p[f"nu_{k}"] ** 2 * R for k in "zrh"}
        numbers |= {"Q[h]": Q, "q_total[z]": gate("z", Q), "q_total[r]": gate("r", Q)}
        if after:
            moved = s["r"] * s["v"]
            spread = axes.average(moved**2).real - axes.average(moved).real ** 2
        else:
            spread = numbers["q[W_h]"]
        numbers["q_total[y]"] = spread + p["nu_h"] ** 2 * R + p["rho_h"] ** 2
        slopes = {k: s[k + "'"] for k in "zry"}
        sites.append(Site(p, axes, {k: s[k] for k in "zryh"}, slopes, {**numbers}, centre=0.5))
    site = sites[0]
    if ansatz == "static":
        site.kernel = kernels(site.axes, s, p, after)
    else:
        site.other = sites[1]
        site.numbers["chi1"] = growth(site, s, p, average, Q, after)
        overlap = overlaps(site, p, average, after)
        site.numbers |= replica_numbers(overlap, Q, p["Sigma"])
        site.extra["overlap"] = overlap
    return site


def kernels(axes: Axes, s: dict[str, Array], p: Params, after: bool) -> Kernel:
    """sigma_k^2 E|T_kl|^2 with T = b (lam - L)^-1 a + e, L = z; the update gate's field drops out as h = y."""
    gain = {"W_r": p["sigma_r"], "W_h": p["sigma_h"]}
    if after:
        # v_r = v_h = h; the candidate's argument moves by r du_h + v r' du_r.
        by_r, by_h = s["v"] * s["r'"] * s["y'"], s["r"] * s["y'"]
        through = {("W_r", "W_r"): by_r, ("W_r", "W_h"): by_h, ("W_h", "W_r"): by_r, ("W_h", "W_h"): by_h}
        direct = {}
    else:
        # v_h = r h moves by r dh + h r' du_r.
        through = {("W_r", "W_h"): s["y'"], ("W_h", "W_h"): s["r"] * s["y'"]}
        direct = {("W_r", "W_r"): 0 * s["r"], ("W_h", "W_r"): s["h"] * s["r'"]}
    moved = {key: gain[key[0]] ** 2 * axes.average(t**2).real for key, t in through.items()}
    still = {key: gain[key[0]] ** 2 * axes.average(t**2).real for key, t in direct.items()}

    def kernel(lam: complex) -> dict[tuple[str, str], float]:
        # The update gate is independent of all the rest.
        update = axes.average(abs((1 - s["z"]) / (lam - s["z"])) ** 2).real
        return still | {key: value * update for key, value in moved.items()}

    return kernel


def growth(site: Site, s: dict[str, Array], p: Params, average: float, Q: float, after: bool) -> float:
    """Second moment of dh' for a perturbation dh of second moment one: fields of one step and h are independent."""
    E = site.axes.average
    kept, new, turned = E(s["z"] ** 2).real, E((1 - s["z"]) ** 2).real, E(s["z'"] ** 2).real
    apart = Q + E(s["y"] ** 2).real - 2 * average * E(s["y"]).real
    if after:
        candidate = p["sigma_h"] ** 2 * E((s["r"] * s["y'"]) ** 2).real
        candidate += p["sigma_r"] ** 2 * E((s["v"] * s["r'"] * s["y'"]) ** 2).real
    else:
        argument = E(s["r"] ** 2).real + Q * E(s["r'"] ** 2).real * p["sigma_r"] ** 2
        candidate = p["sigma_h"] ** 2 * argument * E(s["y'"] ** 2).real
    return kept + p["sigma_z"] ** 2 * turned * apart + new * candidate


def overlaps(site: Site, p: Params, average: float, after: bool) -> Callable[[float, float], float]:
    """The map C -> E h' h~' of two replicas that share weights and biases, with one-replica moments at rest."""
    R = p["R"]
    candidate_mean = site.axes.average(site.variables["y"]).real

    def rest(a: Array) -> Array:
        return 1 - sigmoid(a)

    def shared(name: str, C: float, correlation: float) -> float:
        return p[f"sigma_{name}"] ** 2 * C + p[f"nu_{name}"] ** 2 * R * correlation + p[f"rho_{name}"] ** 2

    def overlap(C: float, correlation: float) -> float:
        z = p["mu_z"], site.number("q_total[z]"), shared("z", C, correlation)
        r = p["mu_r"], site.number("q_total[r]"), shared("r", C, correlation)
        outer = p["nu_h"] ** 2 * R * correlation + p["rho_h"] ** 2
        if after:
            candidates = nested_pair(p, r, site.number("q[W_h]"), p["sigma_h"] ** 2 * C, outer)
        else:
            c = p["sigma_h"] ** 2 * C * pair(sigmoid, sigmoid, *r) + outer
            candidates = pair(np.tanh, np.tanh, p["mu_h"], site.number("q_total[y]"), c)
        mixed = 2 * pair(sigmoid, rest, *z) * average * candidate_mean
        return pair(sigmoid, sigmoid, *z) * C + pair(rest, rest, *z) * candidates + mixed

    return overlap


def nested_pair(p: Params, r: tuple[float, float, float], q: float, c: float, outer: float) -> float:
    """E y y~ for the reset after the product, on a coarse grid of four directions."""
    nodes, weights = line(0.5, 6.0)
    centre, variance, cov = r
    a = nodes.reshape(-1, 1, 1, 1)
    b = nodes.reshape(1, -1, 1, 1)
    sd = np.sqrt(variance)
    first = sigmoid(centre + sd * a)
    second = sigmoid(centre + cov / sd * a + np.sqrt(max(variance - cov**2 / variance, 0.0)) * b)
    own = p["nu_h"] ** 2 * p["R"] + p["rho_h"] ** 2
    spread = p["rho_c"] ** 2
    v1, v2 = own + first**2 * (q + spread), own + second**2 * (q + spread)
    joint = outer + first * second * (c + spread)
    s, t = nodes.reshape(1, 1, -1, 1), nodes.reshape(1, 1, 1, -1)
    left = np.tanh(p["mu_h"] + first * p["mu_c"] + np.sqrt(v1) * s)
    remainder = np.sqrt(np.maximum(v2 - joint**2 / v1, 0.0))
    right = np.tanh(p["mu_h"] + second * p["mu_c"] + joint / np.sqrt(v1) * s + remainder * t)
    return float(np.einsum("abst,a,b,s,t->", left * right, weights, weights, weights, weights, optimize=True))
