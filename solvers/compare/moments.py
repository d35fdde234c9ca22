"""Second moments of a network at rest, freed of most of their scatter.

q_k = gain^2 mean v_k^2 of N units scatters by sqrt(2/N) and more, 5 % at N = 1000, because N fields and biases have
sample moments that are not exactly those of their law.  Given the network's own q, the fields of its units are
Gaussian with that variance, and so are biases and inputs with theirs, g = u/sqrt(q): products of Hermite polynomials
of them, which have mean zero, are control variates,

    y_i = beta_0 + sum_n beta_n prod_l He_{n_l}(g_l of unit i),      y = gain^2 v_k^2 and s^2,

by least squares over units.  If the fields had variances q_l (1 + x_l) instead, the mean of y would be

    G(x) = sum_n beta_n prod_l (n_l - 1)!! x_l^(n_l/2)      (n even in every field, zero in biases and inputs),

and q_l (1 + x_l) = G_l(x) is the self-consistent variance without the sample's fluctuations.  Nothing of the
theory's numbers enters, only the law of the fields.  (Two Gaussians, N = 300: the scatter falls from 10 % to 0.7 %;
polynomials must be complete to their degree, or the error grows.)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement
from math import comb, prod

import numpy as np
from numpy.polynomial import hermite_e
from scipy.optimize import root

from solvers.simulate import Network
from solvers.simulate.elementwise import Array

UNITS_PER_CONTROL = 6
MOST_DEGREE = 6
FOLDS = 8


def moments(network: Network, state: Array) -> dict[str, float]:
    """``q[W]`` by field and ``Q[s]`` by state at a fixed point (S, N), with control variates.

    Raw means where a matrix has several products (their fields are correlated), or where N is too small.
    """
    step = network.evaluate(state)
    gains = network.settings.gains
    y = {f"q[{name}]": gains[network.weight_of[name]] ** 2 * v**2 for name, v in step.operands.items()}
    y |= {f"Q[{name}]": row**2 for name, row in zip(network.states, state, strict=True)}
    raw = {name: float(np.mean(column)) for name, column in y.items()}
    live = [name for name in network.fields if raw[f"q[{name}]"] > 0]
    fields = [step.fields[name] / np.sqrt(raw[f"q[{name}]"]) for name in live]
    gaussians = [*fields, *_quenched(network)]
    degree = _degree(len(gaussians), network.N)
    if degree < 2 or len(set(network.weight_of.values())) < len(network.weight_of):
        return raw
    exponents = list(_exponents(len(gaussians), degree))
    beta = _regress(_controls(gaussians, exponents, degree), np.array(list(y.values())).T)
    terms = [k for k, n in enumerate(exponents) if not any(n[len(fields) :]) and all(m % 2 == 0 for m in n)]
    powers = np.array([exponents[k][: len(fields)] for k in terms]) // 2
    weights = np.array([prod(_double_factorial(2 * m - 1) for m in row) for row in powers])
    names = list(y)

    def mean_at(x: Array) -> Array:
        return np.asarray((weights * np.prod(x[None, :] ** powers, axis=1)) @ beta[terms])

    own = np.array([raw[f"q[{name}]"] for name in live])
    rows = [names.index(f"q[{name}]") for name in live]
    found = root(lambda x: mean_at(x)[rows] / own - 1.0 - x, np.zeros(len(live))) if live else None
    if found is None:
        return dict(zip(names, (float(value) for value in mean_at(np.zeros(0))), strict=True))
    if not found.success:
        return raw
    return dict(zip(names, (float(value) for value in mean_at(found.x)), strict=True))


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


def _degree(variables: int, units: int) -> int:
    """Highest total degree whose polynomials are few enough for so many units; 0 if there is nothing to do."""
    fitting = [d for d in range(2, MOST_DEGREE + 1) if comb(variables + d, d) * UNITS_PER_CONTROL <= units]
    return max(fitting, default=0) if variables else 0


def _exponents(variables: int, degree: int) -> Iterator[tuple[int, ...]]:
    """All exponents of total degree up to ``degree``, the constant first."""
    for total in range(degree + 1):
        for chosen in combinations_with_replacement(range(variables), total):
            yield tuple(chosen.count(k) for k in range(variables))


def _controls(gaussians: list[Array], exponents: list[tuple[int, ...]], degree: int) -> Array:
    """Products of Hermite polynomials, (N, number of exponents)."""
    tables = [hermite_e.hermevander(g, degree) for g in gaussians]
    one = np.ones(len(tables[0]))
    return np.column_stack([prod((t[:, m] for t, m in zip(tables, n, strict=True)), start=one) for n in exponents])


def _regress(design: Array, table: Array) -> Array:
    """Coefficients (controls, m), the constant first.

    A unit's own noise must not enter the coefficients that correct it, or the constant is biased by the number of
    controls over N: it is fitted on the other folds.
    """
    beta: Array = np.linalg.lstsq(design, table, rcond=1e-10)[0]
    constant = np.zeros(table.shape[1])
    for fold in range(FOLDS):
        held = np.arange(fold, len(design), FOLDS)
        rest = np.delete(np.arange(len(design)), held)
        others = np.linalg.lstsq(design[rest], table[rest], rcond=1e-10)[0]
        constant += np.sum(table[held] - design[held, 1:] @ others[1:], axis=0)
    beta[0] = constant / len(design)
    return beta


def _double_factorial(n: int) -> int:
    return prod(range(n, 0, -2)) if n > 0 else 1
