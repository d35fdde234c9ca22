"""Evaluator of hand-written formulas that shares no code with the package.

Formulas are Python expressions once E[...], D[...], Q[...] are read as subscripts, so that `ast` parses them. Both
sides are evaluated at random parameters on non-trivial solutions (see measure, discrete, memory, flows).

    python tests/hand/independent.py          confirms every formula of corpus.toml
"""

from __future__ import annotations

import ast
import sys
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parent.parent))
    __package__ = "hand"

from hand import formulas, parse_where
from hand.discrete import gru, gru_after, minimal, vanilla
from hand.flows import gated_rnn, rate
from hand.measure import BeyondError, NoSolutionError, Params, Site
from hand.memory import lstm

CELLS = {
    "vanilla": vanilla,
    "rate": rate,
    "minimal-rnn": minimal,
    "gru": gru,
    "gru-reset-after": gru_after,
    "lstm": lstm,
    "gated-rnn": gated_rnn,
}
EQUAL, APART = 1e-8, 1e-6
"""Two sides are equal below the first relative difference and differ above the second."""

MEANS, SPREADS, INPUTS = (-0.6, 0.6), (0.2, 0.5), (0.3, 0.8)
GRU_RANGES = {
    **dict.fromkeys(("sigma_z", "sigma_r"), (1.0, 2.0)),
    "sigma_h": (1.8, 3.0),
    **dict.fromkeys(("nu_z", "nu_r", "nu_h"), INPUTS),
    **dict.fromkeys(("mu_z", "mu_r", "mu_h"), MEANS),
    **dict.fromkeys(("rho_z", "rho_r", "rho_h"), SPREADS),
    "R": (0.4, 1.3),
    "Sigma": (0.2, 0.8),
}
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "vanilla": {
        "sigma_w": (1.2, 2.0),
        "sigma_v": (0.4, 1.0),
        "mu_b": MEANS,
        "sigma_b": SPREADS,
        "R": (0.4, 1.3),
        "Sigma": (0.2, 0.8),
    },
    "rate": {"g": (1.3, 2.0)},
    "minimal-rnn": {
        "sigma_w": (0.8, 2.5),
        "sigma_v": (0.4, 1.2),
        "mu_b": MEANS,
        "sigma_b": SPREADS,
        "R": (0.4, 1.3),
        "Sigma": (0.2, 0.8),
    },
    "gru": GRU_RANGES,
    "gru-reset-after": {**GRU_RANGES, "mu_c": MEANS, "rho_c": SPREADS},
    "lstm": {
        **dict.fromkeys(("sigma_f", "sigma_i", "sigma_o"), (0.8, 1.6)),
        "sigma_g": (1.5, 2.5),
        **dict.fromkeys(("nu_f", "nu_i", "nu_o", "nu_g"), INPUTS),
        "mu_f": (-1.4, -0.7),
        **dict.fromkeys(("mu_i", "mu_o", "mu_g"), MEANS),
        **dict.fromkeys(("rho_f", "rho_i", "rho_o", "rho_g"), SPREADS),
        "R": (0.4, 1.0),
        "Sigma": (0.2, 0.8),
    },
    "gated-rnn": {
        "g_h": (2.8, 3.6),
        "alpha_z": (0.8, 1.6),
        "alpha_r": (0.8, 1.6),
        "beta_z": MEANS,
        "beta_r": MEANS,
        "tau_z": (0.5, 2.0),
        "tau_r": (0.5, 2.0),
    },
}
FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "abs": np.abs,
    "conj": np.conj,
    "re": np.real,
    "im": np.imag,
}


class Point:
    """A solution at random parameters, and values of lambda: off the boundary, on it, and on either side of it."""

    def __init__(self, site: Site, rng: np.random.Generator) -> None:
        self.site = site
        self.angle = rng.uniform(0.5, 2.6)
        self.lam = site.centre + rng.uniform(0.5, 1.1) * np.exp(1j * self.angle)
        self.root: complex | None = None

    def radius(self, lam: complex) -> float:
        """Spectral radius of the gain matrix."""
        if self.site.kernel is None:
            raise BeyondError("no gain matrix")
        entries = self.site.kernel(lam)
        names = sorted({k for k, _ in entries})
        matrix = np.array([[entries[k, m] for m in names] for k in names])
        return float(max(abs(np.linalg.eigvals(matrix))))

    def boundary(self) -> complex:
        """The point of the boundary on a ray from the middle of the range of L."""
        if self.root is None:
            ray = np.exp(1j * self.angle)

            def excess(rho: float) -> float:
                return self.radius(self.site.centre + rho * ray) - 1

            if excess(0.25) < 0:
                raise NoSolutionError("the ray does not cross the boundary away from the range of L")
            self.root = self.site.centre + brentq(excess, 0.25, 20.0, xtol=1e-14, rtol=1e-14) * ray
        return self.root


@cache
def points(cell: str, ansatz: str, where: str, count: int, boundary: bool) -> list[Point]:
    """The same random points at every call."""
    seed = zlib.crc32(f"{cell} {ansatz} {where} {boundary}".encode())
    rng = np.random.default_rng(seed)
    found: list[Point] = []
    for _ in range(60):
        params: Params = {name: float(rng.uniform(*span)) for name, span in RANGES[cell].items()}
        params |= parse_where(where)
        try:
            with np.errstate(all="ignore"):
                point = Point(CELLS[cell](ansatz, params), rng)
                if boundary:
                    point.boundary()
        except NoSolutionError:
            continue
        found.append(point)
        if len(found) == count:
            return found
    raise NoSolutionError(f"too few solutions of {cell} ({ansatz}) with {where}")


@cache
def sides(formula: str) -> tuple[ast.expr, ast.expr]:
    left, right = formula.split("=")
    return ast.parse(left.strip(), mode="eval").body, ast.parse(right.strip(), mode="eval").body


def evaluate(node: ast.expr, site: Site, lam: complex, inside: bool = False) -> Any:
    """The value of an expression: a number, or inside E an array on the site's grid."""

    def sub(part: ast.expr) -> Any:
        return evaluate(part, site, lam, inside)

    match node:
        case ast.Constant(value=int() | float()):
            return float(node.value)
        case ast.Name(id=name):
            if inside and name in site.variables:
                return site.variables[name]
            if name in site.params:
                return site.params[name]
            if name in ("lam", "pi"):
                return lam if name == "lam" else np.pi
            return site.number(name)
        case ast.UnaryOp(op=ast.USub()):
            return -sub(node.operand)
        case ast.BinOp(left=left, op=op, right=right):
            x, y = sub(left), sub(right)
            match op:
                case ast.Add():
                    return x + y
                case ast.Sub():
                    return x - y
                case ast.Mult():
                    return x * y
                case ast.Div():
                    return x / y
                case ast.Pow():
                    return x**y
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return FUNCTIONS[name](sub(argument))
        case ast.Subscript(value=ast.Name(id="E"), slice=what):
            return average(what, site, lam)
        case ast.Subscript(value=ast.Name(id="D"), slice=ast.Name(id=name)):
            if name not in site.derivatives or not inside:
                raise BeyondError(f"no derivative of {name} here")
            return site.derivatives[name]
        case ast.Subscript(value=ast.Name(id="K"), slice=ast.Tuple(elts=[ast.Name(id=k), ast.Name(id=m)])):
            entries = site.kernel(lam) if site.kernel else {}
            if (k, m) not in entries:
                raise BeyondError(f"no entry K[{k},{m}]")
            return entries[k, m]
        case ast.Subscript(value=ast.Name(id=kind), slice=ast.Name(id=name)):
            return site.number(f"{kind}[{name}]")
    raise BeyondError(f"cannot read {ast.dump(node)}")


def average(what: ast.expr, site: Site, lam: complex) -> complex | float:
    """E[what], refused where it depends on more moments of a state than are known."""
    value = site.axes.average(evaluate(what, site, lam, inside=True))
    if site.other is not None and any(isinstance(n, ast.Name) and n.id == "h" for n in ast.walk(what)):
        again = site.other.axes.average(evaluate(what, site.other, lam, inside=True))
        if abs(again - value) > 1e-10 * max(abs(value), 1e-3):
            raise BeyondError("needs more than two moments of h")
    return value.real if value.imag == 0 else value


def finite(value: Any) -> complex:
    value = complex(value)
    if not np.isfinite(value):
        raise BeyondError("not finite")
    return value


def difference(formula: str, point: Point) -> float:
    """How far the two sides of a formula are apart, relative to them; for `boundary = X`, |X| on the boundary
    relative to |X| beside it."""
    left, right = sides(formula)
    with np.errstate(all="ignore"):
        if isinstance(left, ast.Name) and left.id == "boundary":
            root, centre = point.boundary(), point.site.centre
            on, out, inner = (
                abs(finite(evaluate(right, point.site, centre + scale * (root - centre)))) for scale in (1.0, 1.3, 0.9)
            )
            beside = min(out, inner)
            return on / beside if beside > 1e-9 else np.inf
        x = finite(evaluate(left, point.site, point.lam))
        y = finite(evaluate(right, point.site, point.lam))
    return abs(x - y) / max(abs(x), abs(y), 1e-6)


def differences(cell: str, ansatz: str, where: str, formula: str, count: int = 3) -> list[float]:
    """The difference of the two sides at several random points."""
    chosen = points(cell, ansatz, where, count, formula.startswith("boundary"))
    return [difference(formula, point) for point in chosen]


def main() -> None:
    worst = 0.0
    for entry in formulas():
        try:
            found = max(differences(entry.cell, entry.ansatz, entry.where, entry.formula))
        except (BeyondError, NoSolutionError) as error:
            print(f"{entry.id}: {type(error).__name__} {error}")
            continue
        worst = max(worst, found)
        if not found < EQUAL:
            print(f"{entry.id}: {found:.2e}  {entry.formula}")
    print(f"{len(formulas())} formulas, largest difference {worst:.2e}")


if __name__ == "__main__":
    main()
