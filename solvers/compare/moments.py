"""Second moments of a network at rest, freed of most of their scatter.

q_k = gain^2 mean v_k^2 of N units scatters by sqrt(2/N) and more, 5 % at N = 1000, because N fields and biases have
sample moments that are not exactly those of their law.  Given the network's own q, the fields of its units are
Gaussian with that variance, and so are biases and inputs with theirs; polynomials of them (Hermite, with mean zero)
are control variates:

    y_i = intercept + sum_c beta_c He_c(unit i),      intercept = E[y] at the network's own q, up to 1/N

by least squares over units, for y = gain^2 v_k^2 and y = s^2.  The coefficient of He_2(u_l) is q_l dE[y]/dq_l, so
the self-consistent fluctuation follows too:  q_N - q = eps + A (q_N - q),  A_kl = dE[y_k]/dq_l.  Nothing of the
theory's numbers enters, only the law of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from solvers.simulate import Network
from solvers.simulate.elementwise import Array

UNITS_PER_CONTROL = 6


def moments(network: Network, state: Array) -> dict[str, float]:
    """``q[W]`` by field and ``Q[s]`` by state at a fixed point (S, N), with control variates.

    Raw means where a matrix has several products (their fields are correlated; no coefficient is read off then).
    """
    step = network.evaluate(state)
    gains = network.settings.gains
    y = {f"q[{name}]": gains[network.weight_of[name]] ** 2 * v**2 for name, v in step.operands.items()}
    y |= {f"Q[{name}]": row**2 for name, row in zip(network.states, state, strict=True)}
    raw = {name: float(np.mean(column)) for name, column in y.items()}
    if len(set(network.weight_of.values())) < len(network.weight_of):
        return raw
    live = [name for name in network.fields if raw[f"q[{name}]"] > 0]
    fields = [step.fields[name] / np.sqrt(raw[f"q[{name}]"]) for name in live]
    gaussians = [*fields, *_quenched(network)]
    if not gaussians:
        return raw
    table = np.array(list(y.values())).T
    intercept, second = _regress(gaussians, table, len(fields))
    return dict(zip(y, _self_consistent(list(y), table.mean(axis=0), intercept, second, live, raw), strict=True))


def _quenched(network: Network) -> list[Array]:
    """Biases and inputs with a spread, standardised by their law."""
    columns = []
    for name, (mean, std) in network.settings.biases.items():
        if std > 0:
            columns.append((network.biases[name] - mean) / std)
    for name, given in network.settings.inputs.items():
        spread = given.variance - given.mean**2
        if spread > 0:
            columns.append((network.inputs[name] - given.mean) / np.sqrt(spread))
    return columns


def _regress(gaussians: list[Array], table: Array, fields: int) -> tuple[Array, Array]:
    """Intercepts (m,) and coefficients of the He_2 of each field (fields, m)."""
    second = [g**2 - 1.0 for g in gaussians]
    controls = [*second, *gaussians]
    controls += [a * b for a, b in combinations(gaussians, 2)]
    controls += [g**4 - 6.0 * g**2 + 3.0 for g in gaussians]
    controls += [a * b for a, b in combinations(second, 2)]
    controls += [g**3 - 3.0 * g for g in gaussians]
    controls += [g**6 - 15.0 * g**4 + 45.0 * g**2 - 15.0 for g in gaussians]
    controls += [a * g for a in second for g in gaussians if g is not a]
    units = len(gaussians[0])
    kept = controls[: max(len(gaussians), units // UNITS_PER_CONTROL)]
    design = np.column_stack([np.ones(units), *kept])
    coefficients, *_ = np.linalg.lstsq(design, table, rcond=1e-10)
    return coefficients[0], coefficients[1 : 1 + fields]


def _self_consistent(
    names: list[str], mean: Array, intercept: Array, second: Array, live: list[str], raw: Mapping[str, float]
) -> list[float]:
    """Means without their own fluctuation eps and without what it does through the fields' variances."""
    eps = mean - intercept
    rows = [names.index(f"q[{name}]") for name in live]
    variances = np.array([raw[f"q[{name}]"] for name in live])
    slopes = second / variances[:, None]  # dE[y_m]/dq_l at (l, m)
    A = slopes[:, rows].T
    shift = np.linalg.solve(np.eye(len(live)) - A, eps[rows]) if live else np.zeros(0)
    return [float(x) for x in mean - eps - shift @ slopes]
