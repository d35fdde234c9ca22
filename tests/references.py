"""Reference values of the shipped cells' mean fields, from formulas derived by hand and independent of the package.

One Gaussian direction: trapezoidal sums in mpmath at 30 digits, which converge geometrically for analytic
integrands; two directions (replicas, nested products, the LSTM's memory): the same in 80-bit floats.
``python tests/references.py`` prints the table that test_accuracy.py holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

ETA = 1e-3
"""Resolution of edges within the range of L; beyond it (lam > 1 for maps, lam > 0 for flows) there is none."""

Long = np.longdouble


class Mp:
    """One direction at 30 digits."""

    def __init__(self) -> None:
        mp.mp.dps = 34

    num = staticmethod(lambda x: mp.mpf(x))
    tanh = staticmethod(mp.tanh)
    sqrt = staticmethod(mp.sqrt)

    @staticmethod
    def sig(x: Any) -> Any:
        return 1 / (1 + mp.exp(-x))

    @staticmethod
    def average(f: Callable[[Any], Any], variance: Any, mean: Any = 0) -> Any:
        """E f(x), x ~ N(mean, variance), halving the step until 29 digits stand."""
        sd = mp.sqrt(variance)
        if sd == 0:
            return f(mp.mpf(mean))
        reach, h = mp.mpf("12.6"), mp.mpf(1) / 4

        def total(points: list[Any]) -> Any:
            return mp.fsum(mp.exp(-x * x / 2) * f(mean + sd * x) for x in points)

        count = int(reach / h)
        value = total([k * h for k in range(-count, count + 1)])
        last = value * h
        while True:
            value += total([(k + mp.mpf(1) / 2) * h for k in range(-count - 1, count + 1)])
            h, count = h / 2, 2 * count + 1
            if abs(value * h - last) <= mp.mpf(10) ** -29 * abs(last):
                return value * h / mp.sqrt(2 * mp.pi)
            last = value * h


class Floats:
    """One direction or two in 80-bit floats."""

    num = staticmethod(lambda x: Long(x))
    tanh = staticmethod(np.tanh)
    sqrt = staticmethod(np.sqrt)

    @staticmethod
    def sig(x: Any) -> Any:
        e = np.exp(-np.abs(x))
        return np.where(x >= 0, 1 / (1 + e), e / (1 + e))

    @staticmethod
    def average(f: Callable[[Any], Any], variance: Any, mean: Any = 0) -> Any:
        sd = np.sqrt(Long(variance))
        last = Long("inf")
        h = Long(1) / 4
        while True:
            x = h * np.arange(-int(9.6 / h), int(9.6 / h) + 1)
            weight = np.exp(-x * x / 2)
            value = np.sum(weight * f(mean + sd * x), axis=-1) / np.sum(weight)
            if np.max(np.abs(value - last)) <= 2e-17 * np.max(np.abs(value)) or h < 1e-5:
                return value
            h, last = h / 2, value


def pair(f: Callable[[Any], Any], variance: Any, shared: Any, mean: Any = 0) -> Any:
    """E f(x_a) f(x_b) for Gaussians of this variance whose covariance is ``shared`` >= 0."""
    variance, shared = Long(variance), Long(shared)
    spread = np.sqrt(max(variance - shared, Long(0)))
    root = np.sqrt(shared)
    h = min(Long(1) / 4, 1 / (4 * (1 + spread)))
    last = Long("inf")
    while True:
        xi = h * np.arange(-int(9.6 / h), int(9.6 / h) + 1)
        weight = np.exp(-xi * xi / 2) / np.sum(np.exp(-xi * xi / 2))

        def inner(w: Any, xi: Any = xi, weight: Any = weight) -> Any:
            return np.array([np.sum(weight * f(mean + root * x + spread * xi)) for x in w]) ** 2

        value = Floats.average(inner, 1) if shared > 0 else inner(np.zeros(1, Long))[0]
        if abs(value - last) <= 1e-17 * abs(value):
            return value
        h, last = h / 2, value


def fixed_point(image: Callable[[Any], Any], start: float, digits: float) -> Any:
    """The fixed point that iteration from ``start`` leads to, finished by secants."""
    x = start
    for _ in range(12):
        x = image(x)
    older, old = x, image(x)
    g_older, g_old = image(older) - older, image(old) - old
    while abs(old - older) > digits * abs(old) and g_old != g_older:
        older, old, g_older = old, old - g_old * (old - older) / (g_old - g_older), g_old
        g_old = image(old) - old
    return old


def rough_then(image_of: Callable[[Any], Callable[[Any], Any]]) -> tuple[Any, type[Mp]]:
    """Largest fixed point: found in 80-bit floats, finished at 30 digits."""
    rough = fixed_point(image_of(Floats), Long(1), 1e-17)
    image = image_of(Mp())
    x0 = mp.mpf(repr(float(rough)))
    x1 = x0 * (1 + mp.mpf(10) ** -12)
    return mp.findroot(lambda x: image(x) - x, (x0, x1), solver="secant", tol=mp.mpf(10) ** -56), Mp


def edge(excess: Callable[[Any], Any], start: float) -> Any:
    """Root near ``start`` of a function that falls with lambda, at 30 digits."""
    return mp.findroot(excess, (mp.mpf(start), mp.mpf(start) * (1 + mp.mpf(10) ** -6)), solver="secant",
                       tol=mp.mpf(10) ** -54)  # fmt: skip


def real_edge(gain: Callable[[Any], Any], low: float, high: float) -> float:
    """Where the gain falls through one, roughly."""
    while gain(high) > 1:
        high += high - low
    for _ in range(44):
        middle = (low + high) / 2
        low, high = (middle, high) if gain(middle) > 1 else (low, middle)
    return high


# Cells -----------------------------------------------------------------------------------------------------


def vanilla_static(p: dict[str, float]) -> dict[str, Any]:
    outside = p["sigma_b"] ** 2 + p["sigma_v"] ** 2 * p["R"]

    def image(B: Any) -> Any:
        s2, rest = B.num(p["sigma_w"]) ** 2, B.num(outside)
        return lambda Q: B.average(lambda x: B.tanh(x) ** 2, s2 * Q + rest)

    Q, B = rough_then(image)
    q = mp.mpf(p["sigma_w"]) ** 2 * Q
    slope = B.average(lambda x: (1 - mp.tanh(x) ** 2) ** 2, q + mp.mpf(outside))
    return {"q[W_h]": q, "Q[h]": Q, "spectral_radius": p["sigma_w"] * mp.sqrt(slope)}


def vanilla_untied(p: dict[str, float]) -> dict[str, Any]:
    found = vanilla_static(p)
    w2, v2 = Long(p["sigma_w"]) ** 2, Long(p["sigma_v"]) ** 2 * Long(p["R"])
    q = Long(str(found["Q[h]"])) * w2 + v2 + Long(p["sigma_b"]) ** 2

    def shared(C: Any) -> Any:
        return w2 * C + v2 * p["Sigma"] + Long(p["sigma_b"]) ** 2

    C = fixed_point(lambda C: pair(np.tanh, q, shared(C)), Long(str(found["Q[h]"])) * Long("0.9"), 1e-17)
    return {"q[W_h]": found["q[W_h]"], "Q[h]": found["Q[h]"], "chi1": found["spectral_radius"] ** 2, "C_star[h]": C,
            "chi_star": w2 * pair(lambda x: 1 - np.tanh(x) ** 2, q, shared(C))}  # fmt: skip


def rate_static(p: dict[str, float]) -> dict[str, Any]:
    found = vanilla_static({"sigma_w": p["g"], "sigma_b": 0.0, "sigma_v": 0.0, "R": 0.0})
    return {"q[J]": found["q[W_h]"], "spectral_abscissa": found["spectral_radius"] - 1}


def minimal_untied(p: dict[str, float]) -> dict[str, Any]:
    R, mean = p["R"], p["mu_b"]

    def total(B: Any, Q: Any) -> Any:
        return B.num(p["sigma_w"]) ** 2 * Q + B.num(p["sigma_v"]) ** 2 * B.num(R) + B.num(p["sigma_b"]) ** 2

    def image(B: Any) -> Any:
        def one(Q: Any) -> Any:
            q = total(B, Q)
            other = B.average(lambda x: (1 - B.sig(x)) ** 2, q, mean)
            return B.num(R) * other / (1 - B.average(lambda x: B.sig(x) ** 2, q, mean))

        return one

    Q, B = rough_then(image)
    q = total(Mp, Q)
    w2 = mp.mpf(p["sigma_w"]) ** 2
    slope = B.average(lambda x: (B.sig(x) * (1 - B.sig(x))) ** 2, q, mean)
    chi1 = B.average(lambda x: B.sig(x) ** 2, q, mean) + w2 * (Q + mp.mpf(R)) * slope
    big, sR = Long(str(q)), Long(R) * Long(p["Sigma"])

    def shared(C: Any) -> Any:
        return Long(str(w2)) * C + Long(p["sigma_v"]) ** 2 * sR + Long(p["sigma_b"]) ** 2

    def overlap(C: Any) -> Any:
        c = shared(C)
        return sR * pair(lambda x: Floats.sig(-x), big, c, mean) / (1 - pair(Floats.sig, big, c, mean))

    C = fixed_point(overlap, Long(str(Q)) * Long("0.5"), 1e-17)
    chi_star = pair(Floats.sig, big, shared(C), mean) + Long(str(w2)) * (C + sR) * pair(
        lambda x: Floats.sig(x) * Floats.sig(-x), big, shared(C), mean)  # fmt: skip
    return {"q[W_u]": w2 * Q, "q_total[u]": q, "Q[h]": Q, "chi1": chi1, "C_star[h]": C, "chi_star": chi_star}


def extra(p: dict[str, float], gate: str) -> float:
    """Variance that inputs and biases add to the argument of a gate."""
    return p.get(f"rho_{gate}", 0.0) ** 2 + p.get(f"nu_{gate}", 0.0) ** 2 * p.get("R", 0.0)


def gru_static(p: dict[str, float]) -> dict[str, Any]:
    """h = tanh(y); the gates of W_z, W_r have mean argument mu_z, mu_r."""
    mz, mr = p.get("mu_z", 0.0), p.get("mu_r", 0.0)

    def arguments(B: Any, Q: Any) -> Any:
        qz, qr = (B.num(p[f"sigma_{g}"]) ** 2 * Q + B.num(extra(p, g)) for g in "zr")
        r2 = B.average(lambda x: B.sig(x) ** 2, qr, mr)
        return qz, qr, r2, B.num(p["sigma_h"]) ** 2 * Q * r2 + B.num(extra(p, "h"))

    def image(B: Any) -> Any:
        return lambda Q: B.average(lambda x: B.tanh(x) ** 2, arguments(B, Q)[3])

    Q, B = rough_then(image)
    qz, qr, r2, qh = arguments(B, Q)
    slope = B.average(lambda x: (1 - mp.tanh(x) ** 2) ** 2, qh)
    dr2 = B.average(lambda x: (B.sig(x) * B.sig(-x)) ** 2, qr, mr)
    front = mp.mpf(p["sigma_h"]) ** 2 * slope * (r2 + mp.mpf(p["sigma_r"]) ** 2 * Q * dr2)

    def gain(lam: Any, B: Any = Mp) -> Any:
        e2 = B.num(0 if lam > 1 else ETA) ** 2
        return B.average(lambda x: B.sig(-x) ** 2 / ((lam - B.sig(x)) ** 2 + e2), B.num(str(qz)), mz) * B.num(
            str(front))  # fmt: skip

    start = real_edge(lambda lam: float(gain(Long(lam), Floats)), 0.3, 2.0)
    lam = edge(lambda lam: gain(lam) - 1, start)
    return {"q[W_z]": mp.mpf(p["sigma_z"]) ** 2 * Q, "q[W_h]": mp.mpf(p["sigma_h"]) ** 2 * Q * r2, "Q[h]": Q,
            "spectral_radius": lam}  # fmt: skip


def gru_untied(p: dict[str, float]) -> dict[str, Any]:
    mz, mr = p.get("mu_z", 0.0), p.get("mu_r", 0.0)

    def arguments(B: Any, Q: Any) -> Any:
        qz, qr = (B.num(p[f"sigma_{g}"]) ** 2 * Q + B.num(extra(p, g)) for g in "zr")
        r2 = B.average(lambda x: B.sig(x) ** 2, qr, mr)
        return qz, qr, r2, B.num(p["sigma_h"]) ** 2 * Q * r2 + B.num(extra(p, "h"))

    def image(B: Any) -> Any:
        def one(Q: Any) -> Any:
            qz, _, _, qh = arguments(B, Q)
            new = B.average(lambda x: B.sig(-x) ** 2, qz, mz) * B.average(lambda x: B.tanh(x) ** 2, qh)
            return new / (1 - B.average(lambda x: B.sig(x) ** 2, qz, mz))

        return one

    Q, B = rough_then(image)
    qz, qr, r2, qh = arguments(B, Q)
    z2, w2 = (B.average(f, qz, mz) for f in (lambda x: B.sig(x) ** 2, lambda x: B.sig(-x) ** 2))
    dz2 = B.average(lambda x: (B.sig(x) * B.sig(-x)) ** 2, qz, mz)
    dr2 = B.average(lambda x: (B.sig(x) * B.sig(-x)) ** 2, qr, mr)
    y2, dy2 = (B.average(f, qh) for f in (lambda x: mp.tanh(x) ** 2, lambda x: (1 - mp.tanh(x) ** 2) ** 2))
    sz, sr, sh = (mp.mpf(p[f"sigma_{g}"]) ** 2 for g in "zrh")
    chi1 = z2 + (Q + y2) * dz2 * sz + w2 * dy2 * sh * (r2 + Q * dr2 * sr)
    found = {"q[W_z]": sz * Q, "q[W_h]": sh * Q * r2, "Q[h]": Q, "chi1": chi1}
    big = {g: Long(str(x)) for g, x in zip("zrh", (qz, qr, qh), strict=True)}

    def replicas(C: Any) -> dict[str, Any]:
        c = {g: Long(p[f"sigma_{g}"]) ** 2 * C + shared_extra(p, g) for g in "zr"}
        rr = pair(Floats.sig, big["r"], c["r"], mr)
        c["h"] = Long(p["sigma_h"]) ** 2 * C * rr + shared_extra(p, "h")
        ww, yy = pair(lambda x: Floats.sig(-x), big["z"], c["z"], mz), pair(np.tanh, big["h"], c["h"])
        return {"zz": pair(Floats.sig, big["z"], c["z"], mz), "rr": rr, "c": c, "ww": ww, "yy": yy}

    def overlap(C: Any) -> Any:
        e = replicas(C)
        return e["ww"] * e["yy"] / (1 - e["zz"])

    C = fixed_point(overlap, Long(str(Q)) * Long("0.5"), 1e-17)
    e = replicas(C)
    slope = {g: pair(lambda x: Floats.sig(x) * Floats.sig(-x), big[g], e["c"][g], m) for g, m in (("z", mz), ("r", mr))}
    dy = pair(lambda x: 1 - np.tanh(x) ** 2, big["h"], e["c"]["h"])
    gains = {g: Long(p[f"sigma_{g}"]) ** 2 for g in "zrh"}
    chi_star = e["zz"] + (C + e["yy"]) * slope["z"] * gains["z"] + e["ww"] * dy * gains["h"] * (
        e["rr"] + C * slope["r"] * gains["r"])  # fmt: skip
    return found | {"C_star[h]": C, "chi_star": chi_star}


def shared_extra(p: dict[str, float], gate: str) -> Any:
    """What inputs and biases add to the covariance of two replicas."""
    return Long(p.get(f"rho_{gate}", 0.0)) ** 2 + Long(p.get(f"nu_{gate}", 0.0)) ** 2 * Long(p.get("R", 0.0)) * Long(
        p.get("Sigma", 0.0))  # fmt: skip


def over_gate(f: Callable[[Any], Any], variance: Any) -> Any:
    """E f(r), r the logistic function of a centred Gaussian; f by one float at a time."""
    return Floats.average(lambda x: np.array([f(r) for r in Floats.sig(x)]), variance)


def inner_moments(s: Any) -> tuple[Any, Any, Any]:
    """E tanh^2, E tanh'^2, E x^2 tanh'^2 (of the unit Gaussian x) for arguments s x."""
    def three(y: Any) -> Any:
        slope = (1 - np.tanh(y) ** 2) ** 2
        return np.array([np.tanh(y) ** 2, slope, (y / s) ** 2 * slope])

    if s == 0:
        return Long(0), Long(1), Long(1)
    return tuple(Floats.average(three, s * s))


def after_arguments(p: dict[str, float], Q: Any) -> Any:
    """q_z, q_r, q_W (of the inner product) and the function r -> spread of y's argument."""
    qz, qr, qw = (Long(p[f"sigma_{g}"]) ** 2 * Q for g in "zrh")
    qz, qr = qz + Long(extra(p, "z")), qr + Long(extra(p, "r"))
    return qz, qr, qw, lambda r: np.sqrt(Long(extra(p, "h")) + r * r * qw)


def after_static(p: dict[str, float]) -> dict[str, Any]:
    """Reset after the product: y = tanh(A + r u), A from inputs and biases; conditional on r everything is Gaussian."""

    def image(Q: Any) -> Any:
        _, qr, _, spread = after_arguments(p, Q)
        return over_gate(lambda r: inner_moments(spread(r))[0], qr)

    Q = fixed_point(image, Long(1), 1e-17)
    qz, qr, qw, spread = after_arguments(p, Q)
    slope = over_gate(lambda r: (r * r) * inner_moments(spread(r))[1], qr)
    # u = (r qw / s) x + independent rest, s x the whole argument: E[u^2 phi'^2 | r]
    other = over_gate(lambda r: (r * (1 - r)) ** 2 * u_squared(qw, r, spread(r)), qr)
    front = Long(p["sigma_h"]) ** 2 * slope + Long(p["sigma_r"]) ** 2 * other

    def gain(lam: float) -> float:
        e2 = Long(0 if lam > 1 else ETA) ** 2
        gate = Floats.average(lambda x: Floats.sig(-x) ** 2 / ((lam - Floats.sig(x)) ** 2 + e2), qz)
        return gate * front

    low, high = Long(real_edge(lambda lam: float(gain(Long(lam))), 0.3, 2.0)) + np.array([-1e-9, 1e-9], Long)
    for _ in range(6):
        g_low, g_high = np.log(gain(low)), np.log(gain(high))
        if g_low == g_high:
            break
        low, high = high, high - g_high * (high - low) / (g_high - g_low)
    return {"q[W_h]": qw, "Q[h]": Q, "spectral_radius": high}


def u_squared(qw: Any, r: Any, s: Any) -> Any:
    """E[u^2 phi'(A + r u)^2] given r, s the spread of A + r u."""
    _, slope, weighted = inner_moments(s)
    if s == 0:
        return qw * slope
    part = r * qw / s
    return part**2 * weighted + (qw - part**2) * slope


def after_untied(p: dict[str, float]) -> dict[str, Any]:
    def arguments(Q: Any) -> Any:
        return after_arguments(p, Q)

    def image(Q: Any) -> Any:
        qz, qr, _, spread = arguments(Q)
        y2 = over_gate(lambda r: inner_moments(spread(r))[0], qr)
        return Floats.average(lambda x: Floats.sig(-x) ** 2, qz) * y2 / (
            1 - Floats.average(lambda x: Floats.sig(x) ** 2, qz))  # fmt: skip

    Q = fixed_point(image, Long(1), 1e-17)
    qz, qr, qw, spread = arguments(Q)
    y2 = over_gate(lambda r: inner_moments(spread(r))[0], qr)
    slope = over_gate(lambda r: r * r * inner_moments(spread(r))[1], qr)
    other = over_gate(lambda r: (r * (1 - r)) ** 2 * u_squared(qw, r, spread(r)), qr)
    dz2 = Floats.average(lambda x: (Floats.sig(x) * Floats.sig(-x)) ** 2, qz)
    z2 = Floats.average(lambda x: Floats.sig(x) ** 2, qz)
    w2 = Floats.average(lambda x: Floats.sig(-x) ** 2, qz)
    sz, sr, sh = (Long(p[f"sigma_{g}"]) ** 2 for g in "zrh")
    return {"q[W_h]": qw, "Q[h]": Q, "chi1": z2 + sz * (Q + y2) * dz2 + w2 * (sh * slope + sr * other)}


def gated_static(p: dict[str, float]) -> dict[str, Any]:
    """dh/dt = gate_z (-h + J(phi(h) gate_r)):  q_h = g^2 E[phi^2] E[gate_r^2], q_z = q_r = E[phi^2]."""
    az, ar, bz, br = (p[k] for k in ("alpha_z", "alpha_r", "beta_z", "beta_r"))

    def reset(B: Any, v: Any) -> Any:
        return B.average(lambda x: B.sig(x) ** 2, B.num(ar) ** 2 * v, -br)

    def image(B: Any) -> Any:
        return lambda v: B.average(lambda x: B.tanh(x) ** 2, B.num(p["g_h"]) ** 2 * v * reset(B, v))

    v, B = rough_then(image)
    g2 = mp.mpf(p["g_h"]) ** 2
    qh = g2 * v * reset(B, v)
    slope = B.average(lambda x: (1 - mp.tanh(x) ** 2) ** 2, qh)
    dr2 = mp.mpf(ar) ** 2 * B.average(lambda x: (B.sig(x) * B.sig(-x)) ** 2, mp.mpf(ar) ** 2 * v, -br)

    def gain(lam: Any, B: Any = Mp) -> Any:
        n = B.num
        eta2 = n(0 if lam > 0 else ETA) ** 2 if az else n(0)
        pole = B.average(lambda x: B.sig(x) ** 2 / ((lam + B.sig(x)) ** 2 + eta2), n(az) ** 2 * n(str(v)), -bz)
        reads = n(str(reset(Mp, v))) + n(str(v * dr2)) / ((1 + n(p["tau_r"]) * lam) ** 2 + n(p["tau_r"]) ** 2 * eta2)
        return n(str(g2 * slope)) * pole * reads

    start = real_edge(lambda lam: float(gain(Long(lam), Floats)), 1e-3, 1.0)
    return {"q[J_h]": qh, "q[J_z]": v, "spectral_abscissa": edge(lambda lam: gain(lam) - 1, start)}


# LSTM: c = K tanh(u_g) with K = i/(1-f); averages over u_g are tabulated as functions of ln K --------------------


class MemoryTable:
    """ln of E tanh^2(K g), E g^2 tanh'(K g)^2, E g'^2 tanh'(K g)^2 for g = tanh(u), as functions of ln K."""

    DEGREE = 24

    def __init__(self, variance: Any, low: float, high: float) -> None:
        sd = np.sqrt(Long(variance))
        x, w = np.polynomial.legendre.leggauss(24)
        ends = float(9.6 * sd) * 2.0 ** -np.arange(0, 160)
        extra_ends = np.linspace(0, float(9.6 * sd), 60 + int(20 * sd))
        ends = np.unique(np.concatenate([ends, extra_ends[1:]]))
        half, centre = np.diff(ends) / 2, (ends[1:] + ends[:-1]) / 2
        u = (centre[:, None] + half[:, None] * x).ravel()
        weight = (half[:, None] * w).ravel().astype(Long) * np.exp(-((u / sd) ** 2) / 2)
        self.weight = (weight / weight.sum()).astype(float)
        self.g, self.dg = np.tanh(u), np.cosh(np.minimum(u, 300.0)) ** -2
        self.edges = np.linspace(low, high, int(high - low) + 2)
        nodes = np.cos(np.pi * (np.arange(self.DEGREE) + 0.5) / self.DEGREE)
        grid = (self.edges[:-1, None] + self.edges[1:, None]) / 2 + np.diff(self.edges)[:, None] / 2 * nodes
        values = np.concatenate([self.direct(np.exp(part)) for part in grid], axis=1).reshape(3, *grid.shape)
        basis = np.linalg.inv(np.polynomial.chebyshev.chebvander(nodes, self.DEGREE - 1))
        self.series = np.einsum("pd,knd->knp", basis, np.log(values))

    def direct(self, K: Any) -> Any:
        """The three averages at K (n,), shape (3, n)."""
        y = np.minimum(np.outer(K, self.g), 170.0)
        slope = np.cosh(y) ** -4
        rows = (np.tanh(y) ** 2, self.g**2 * slope, self.dg**2 * slope)
        return np.array([row @ self.weight for row in rows])

    def __call__(self, kappa: Any) -> Any:
        kappa = np.asarray(kappa, float)
        panel = np.clip(np.searchsorted(self.edges, kappa.ravel()) - 1, 0, len(self.edges) - 2)
        left, right = self.edges[panel], self.edges[panel + 1]
        basis = np.polynomial.chebyshev.chebvander(
            2 * (kappa.ravel() - left) / (right - left) - 1, self.DEGREE - 1)  # fmt: skip
        return np.exp(np.einsum("knp,np->kn", self.series[:, panel, :], basis)).reshape(3, *kappa.shape)


def lstm_static(p: dict[str, float]) -> dict[str, Any]:
    """h = o tanh(c), c = i g/(1-f); zero-mean arguments but the forget gate's, mu_f; no inputs, no random biases."""
    gains = {k: p[f"sigma_{k}"] ** 2 for k in "fiog"}
    mf = p["mu_f"]

    def grid(v: float, mean: float, h: float) -> Any:
        x = h * np.arange(-int(9.2 / h), int(9.2 / h) + 1)
        w = np.exp(-x * x / 2)
        return mean + np.sqrt(v) * x, w / w.sum()

    def moments(Q: float, h: float, lam: float | None = None) -> Any:
        uf, wf = grid(gains["f"] * Q, mf, h)
        ui, wi = grid(gains["i"] * Q, 0.0, h)
        kappa = np.logaddexp(0, uf)[:, None] - np.logaddexp(0, -ui)[None, :]  # ln 1/(1-f) + ln i
        table = MemoryTable(gains["g"] * Q, float(kappa.min()) - 0.01, float(kappa.max()) + 0.01)
        t2, g2, dg2 = table(kappa)
        if lam is None:
            return wf @ t2 @ wi, None
        f, i = (Floats.sig(x)[:, None] if k else Floats.sig(x)[None, :] for k, x in ((1, uf), (0, ui)))
        df, di = (s * Floats.sig(-x) for s, x in ((f, uf[:, None]), (i, ui[None, :])))
        K2 = np.exp(2 * kappa)
        poles = (lam - f) ** 2 + ETA**2
        inner = (gains["f"] * df**2 * K2 * g2 + gains["i"] * di**2 * g2 + gains["g"] * i**2 * dg2) / poles
        return wf @ t2 @ wi, wf @ inner @ wi

    def out(f: Callable[[Any], Any], Q: float) -> float:
        return float(Floats.average(f, gains["o"] * Q))

    def step(Q: float) -> float:
        return 0.25 / max(1.0, np.sqrt(max(gains["f"], gains["i"]) * Q))

    def image(Q: float, fine: float = 1.0) -> float:
        return moments(Q, fine * step(Q))[0] * out(lambda x: Floats.sig(x) ** 2, Q)

    Q = fixed_point(image, 0.5, 3e-16)
    if abs(image(Q, 0.6) / image(Q) - 1) > 1e-14:
        raise AssertionError("the grid is too coarse")

    def gain(lam: float, fine: float = 1.0) -> float:
        t2, inner = moments(Q, fine * step(Q), lam)
        o2 = out(lambda x: Floats.sig(x) ** 2, Q)
        do2 = out(lambda x: (Floats.sig(x) * Floats.sig(-x)) ** 2, Q)
        return o2 * inner + gains["o"] * do2 * t2 / (lam**2 + ETA**2)

    low, high = 1.0005, 1.5
    while gain(high) > 1:
        high *= 1.5
    from scipy.optimize import brentq

    lam = brentq(lambda x: gain(x) - 1, low, high, xtol=1e-15, rtol=1e-15)
    assert abs(gain(lam, 0.6) - 1) < 1e-12
    return {"q[W_f]": gains["f"] * Q, "Q[h]": Q, "spectral_radius": lam}


OPEN = {"nu_z": 0.6, "nu_r": 0.4, "nu_h": 0.8, "R": 1.0, "Sigma": 0.5, "rho_z": 0.3, "rho_h": 0.4}

CASES: dict[str, tuple[str, str, Callable[[dict[str, float]], dict[str, Any]], dict[str, float]]] = {
    "vanilla easy": ("vanilla", "static", vanilla_static, {"sigma_w": 1.5, "sigma_b": 0.3, "sigma_v": 0.5, "R": 1.0}),
    "vanilla hard": ("vanilla", "static", vanilla_static, {"sigma_w": 20.0, "sigma_b": 0.5, "sigma_v": 0.0, "R": 0.0}),
    "vanilla untied easy": ("vanilla", "untied", vanilla_untied,
                            {"sigma_w": 1.2, "sigma_b": 0.3, "sigma_v": 0.8, "R": 1.0, "Sigma": 0.5}),
    "vanilla untied hard": ("vanilla", "untied", vanilla_untied,
                            {"sigma_w": 15.0, "sigma_b": 1.0, "sigma_v": 3.0, "R": 2.0, "Sigma": 0.5}),
    "rate easy": ("rate", "static", rate_static, {"g": 2.0}),
    "rate hard": ("rate", "static", rate_static, {"g": 20.0}),
    "minimal untied easy": ("minimal-rnn", "untied", minimal_untied,
                            {"sigma_w": 1.5, "sigma_v": 1.0, "sigma_b": 0.5, "R": 1.0, "mu_b": 0.3, "Sigma": 0.5}),
    "minimal untied hard": ("minimal-rnn", "untied", minimal_untied,
                            {"sigma_w": 40.0, "sigma_v": 3.0, "sigma_b": 0.0, "R": 0.5, "mu_b": 1.0, "Sigma": 0.5}),
    "gru easy": ("gru", "static", gru_static, {"sigma_z": 3.0, "sigma_r": 1.0, "sigma_h": 4.0}),
    "gru driven": ("gru", "static", gru_static, {"sigma_z": 1.0, "sigma_r": 2.0, "sigma_h": 3.0, "mu_z": 0.5} | OPEN),
    "gru stable": ("gru", "static", gru_static, {"sigma_z": 2.0, "sigma_r": 1.0, "sigma_h": 1.0, "rho_h": 0.7}),
    "gru hard": ("gru", "static", gru_static, {"sigma_z": 20.0, "sigma_r": 5.0, "sigma_h": 8.0}),
    "gru hard reset": ("gru", "static", gru_static, {"sigma_z": 2.0, "sigma_r": 30.0, "sigma_h": 20.0, "mu_r": -3.0}),
    "gru untied easy": ("gru", "untied", gru_untied, {"sigma_z": 1.0, "sigma_r": 1.0, "sigma_h": 2.0} | OPEN),
    "gru untied hard": ("gru", "untied", gru_untied, {"sigma_z": 20.0, "sigma_r": 5.0, "sigma_h": 8.0} | OPEN),
    "gru-reset-after easy": ("gru-reset-after", "static", after_static,
                             {"sigma_z": 1.0, "sigma_r": 1.0, "sigma_h": 4.0}),
    "gru-reset-after hard": ("gru-reset-after", "static", after_static,
                             {"sigma_z": 20.0, "sigma_r": 5.0, "sigma_h": 8.0, "rho_h": 0.5}),
    "gru-reset-after untied easy": ("gru-reset-after", "untied", after_untied,
                                    {"sigma_z": 1.0, "sigma_r": 1.0, "sigma_h": 4.0, "rho_h": 0.5}),
    "gru-reset-after untied hard": ("gru-reset-after", "untied", after_untied,
                                    {"sigma_z": 20.0, "sigma_r": 10.0, "sigma_h": 8.0}),
    "gated-rnn easy": ("gated-rnn", "static", gated_static,
                       {"g_h": 3.0, "alpha_z": 1.0, "alpha_r": 1.0, "beta_z": 0.0, "beta_r": 0.0, "tau_r": 2.0}),
    "gated-rnn hard": ("gated-rnn", "static", gated_static,
                       {"g_h": 4.0, "alpha_z": 20.0, "alpha_r": 30.0, "beta_z": 1.0, "beta_r": 2.0, "tau_r": 1.0}),
    "lstm easy": ("lstm", "static", lstm_static,
                  {"sigma_f": 3.0, "sigma_i": 2.0, "sigma_o": 1.0, "sigma_g": 4.0, "mu_f": 1.0}),
    "lstm hard": ("lstm", "static", lstm_static,
                  {"sigma_f": 8.0, "sigma_i": 5.0, "sigma_o": 5.0, "sigma_g": 20.0, "mu_f": 0.0}),
}  # fmt: skip


def text(value: Any) -> str:
    """Twenty digits, enough for a test in double precision."""
    if isinstance(value, mp.mpf):
        return str(mp.nstr(value, 20))
    return np.format_float_positional(Long(value), precision=19, fractional=False, trim="-")


def reference(case: str) -> dict[str, str]:
    """The numbers of one case, computed afresh."""
    _, _, compute, parameters = CASES[case]
    return {name: text(value) for name, value in compute(parameters).items()}


if __name__ == "__main__":
    import sys
    import time

    for name in sys.argv[1:] or CASES:
        start = time.perf_counter()
        print(f"    {name!r}: {reference(name)},  # {time.perf_counter() - start:.0f} s", flush=True)
