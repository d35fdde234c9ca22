"""Perturbations and replicas of every shipped derivation in numbers, and that a wrong term would be seen.

Before a step: sites of both replicas are drawn, the equations of the cell are evaluated on them, and their derivatives
are differences of these values.  After it: the right-hand side that the step arrives at, by quadrature.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest
import sympy as sp
from scipy.special import ndtri
from scipy.stats import qmc, t
from test_steps import numbers

from derive.cell import load, shipped
from derive.gaussian.average import Average
from derive.pipeline import derive_theory
from solvers.averages import Evaluator
from solvers.codegen.emit import compile_function

CLOSED = [n for n in shipped() if load(n).time == "discrete" and derive_theory(load(n), "untied").closure == "exact"]
SCRAMBLES, LOG2 = 12, 13
SURPRISE = t.isf(0.5e-6, SCRAMBLES - 1)
"""How many standard errors a right step passes once in a million."""
STEP = 1e-4
"""Of central differences: their relative error is about 1e-8, far below that of sampling."""


class Sites:
    """Two replicas of one site at generic values, in batches of scrambled Sobol points (equal in law, independent)."""

    def __init__(self, name):
        self.theory = derive_theory(load(name), "untied")
        self.site, self.law = self.theory.site, self.theory.law
        (self.state,) = self.site.states
        self.a = [item.symbol for item in self.site.fields]
        self.b = [sp.Symbol(f"{u.name}^b", real=True) for u in self.a]
        self.quenched = [item.symbol for item in self.site.quenched]
        self.quenched_b = [s if item.kind == "bias" else sp.Symbol(f"{s.name}^b", real=True)
                           for s, item in zip(self.quenched, self.site.quenched, strict=True)]  # fmt: skip
        self.parameters = list(self.site.parameters.values())
        arguments = (self.state, *self.a, *self.quenched, *self.parameters)
        outputs = [*self.site.F, *(item.v for item in self.site.fields)]
        self.equations = compile_function(arguments, outputs, self.site.functions)
        self.second = sp.Symbol(f"E[{self.state}**2]", nonnegative=True)
        self.mean = sp.Symbol(f"E[{self.state}]", real=True)
        self.overlap = sp.Symbol(f"C[{self.state}*{self.state}^b]", real=True)
        self.values = self.generic()

    def generic(self):
        """Parameters and unknowns where no term is small; averages need not be consistent."""
        values = numbers(self.theory, seed=5)
        if self.mean in values:
            values[self.mean] = 0.6 * np.sqrt(values[self.second])
        for symbol in self.theory.replicas.system.equations:
            values[symbol] = 0.6 * values[self.theory.replicas.diagonal[symbol]]
        return values

    def gaussians(self, values):
        """Symbol -> (batches, sites) for all that is Gaussian in either replica."""
        symbols = list(dict.fromkeys([*self.a, *self.b, *self.quenched, *self.quenched_b]))
        at = lambda e: float(sp.sympify(e).xreplace(values))  # noqa: E731
        mean = np.array([at(self.law.mean_of(s)) for s in symbols])
        table = np.array([[at(self.law.covariance(s, u)) if self.law.blocks[s] == self.law.blocks[u] else 0.0
                           for u in symbols] for s in symbols])  # fmt: skip
        root = np.linalg.cholesky(table + 1e-14 * np.eye(len(symbols)))
        batches = [qmc.Sobol(len(symbols), seed=np.random.default_rng(k)).random_base2(LOG2) for k in range(SCRAMBLES)]
        xi = ndtri(np.array(batches))
        return dict(zip(symbols, np.moveaxis(mean + xi @ root.T, -1, 0), strict=True))

    def overlaps(self):
        """Unknowns of two replicas: of the state, then of each field."""
        return [self.overlap, *(sp.Symbol(f"c[{f.name}]", real=True) for f in self.site.fields)]

    def states(self, values):
        """The states of both replicas with their probabilities: two points each, as far from a Gaussian as can be."""
        second = values[self.second]
        mean = values.get(self.mean, 0.0)
        variance = second - mean**2
        coherence = (values[self.overlap] - mean**2) / variance
        for left, right in product((1.0, -1.0), repeat=2):
            yield mean + np.sqrt(variance) * left, mean + np.sqrt(variance) * right, (1 + coherence * left * right) / 4

    def evaluate(self, state, fields, quenched):
        """F and all v at sites: 1 + K arrays."""
        given = [np.float64(self.values[p]) for p in self.parameters]
        size = np.broadcast(*fields, *quenched).shape
        return [np.broadcast_to(x, size) for x in self.equations(state, *fields, *quenched, *given)]

    def slopes(self, state, fields, quenched):
        """Derivatives of F and all v along the state and each field, by central differences: (1 + K, 1 + K) arrays."""
        columns = []
        for k in range(1 + len(fields)):
            up, down = ([state, *fields], [state, *fields])
            up[k], down[k] = up[k] + STEP, down[k] - STEP
            high, low = (self.evaluate(x[0], x[1:], quenched) for x in (up, down))
            columns.append([(h - m) / (2 * STEP) for h, m in zip(high, low, strict=True)])
        return [[column[row] for column in columns] for row in range(1 + len(fields))]

    def replicas_mean(self, values):
        """E[F_a F_b] and sigma^2 E[v_k^a v_k^b]: (1 + K) x batches."""
        drawn = self.gaussians(values)
        total = 0.0
        for left, right, weight in self.states(values):
            one = self.evaluate(left, [drawn[u] for u in self.a], [drawn[x] for x in self.quenched])
            two = self.evaluate(right, [drawn[u] for u in self.b], [drawn[x] for x in self.quenched_b])
            total = total + weight * np.array([(p * q).mean(axis=1) for p, q in zip(one, two, strict=True)])
        return total * self.gains()[:, None]

    def gains(self):
        """1 for the state, then sigma^2 of each field."""
        return np.array([1.0, *(float(sp.sympify(f.gain**2).xreplace(self.values)) for f in self.site.fields)])


@cache
def sites(name):
    return Sites(name)


@cache
def evaluator(name):
    return Evaluator(sites(name).law)


def after(name, expression, values=None):
    return evaluator(name)(sp.sympify(expression), values or sites(name).values, 1e-7)


def differ(samples, estimate):
    """Whether batches of independent means contradict a number with an error."""
    error = samples.std(ddof=1) / np.sqrt(samples.size)
    size = abs(estimate.value) + np.abs(samples).mean()
    return abs(samples.mean() - estimate.value) > SURPRISE * error + estimate.error + 1e-7 * size


@cache
def squared_slopes(name):
    """sigma^2 E[(dv_k/dy)^2] in the rows of the fields, E[(dF/dy)^2] above them; y = state, fields; with batches."""
    s = sites(name)
    drawn = s.gaussians(s.values)
    fields, quenched = [drawn[u] for u in s.a], [drawn[x] for x in s.quenched]
    total = 0.0
    for left, _, weight in s.states(s.values):
        slopes = np.array(s.slopes(left, fields, quenched))
        total = total + weight * (slopes**2).mean(axis=-1)
    return total * s.gains()[:, None, None]


@cache
def perturbation_step(name):
    """Right-hand sides with what they should be, in batches: growth of squares at given field perturbations."""
    s = sites(name)
    step = next(x for x in s.theory.steps if x.rule == "perturbations")
    rng = np.random.default_rng(6)
    symbols = [sp.Symbol(f"P[d[{s.state}]**2]", nonnegative=True)]
    symbols += [sp.Symbol(f"Delta[{f.name},{f.name}]", real=True) for f in s.site.fields]
    given = rng.uniform(0.3, 0.9, len(symbols))
    expected = np.einsum("rcb,c->rb", squared_slopes(name), given)
    return dict(step.equations), dict(zip(symbols, expected, strict=True)), s.values | dict(
        zip(symbols, map(float, given), strict=True))  # fmt: skip


@cache
def replica_step(name):
    """Right-hand sides of the overlaps with what they should be, in batches."""
    s = sites(name)
    step = next(x for x in s.theory.steps if x.rule == "two replicas")
    return dict(step.equations), dict(zip(s.overlaps(), s.replicas_mean(s.values), strict=True)), s.values


STEPS = {"perturbations": perturbation_step, "two replicas": replica_step}


@pytest.mark.parametrize("rule", STEPS)
@pytest.mark.parametrize("name", CLOSED)
def test_step_is_true_of_sites(name, rule):
    equations, expected, values = STEPS[rule](name)
    assert set(equations) == set(expected)
    for symbol, right in equations.items():
        assert not differ(expected[symbol], after(name, right, values)), symbol


def without_fields(table):
    """The map of the state alone, in batches: fields move with it in the same step."""
    ident = np.eye(len(table) - 1)
    batches = np.moveaxis(table, 2, 0)
    return np.array([m[0, 0] + m[0, 1:] @ np.linalg.solve(ident - m[1:, 1:], m[1:, 0]) for m in batches])


@pytest.mark.parametrize("name", CLOSED)
def test_chi1_is_the_growth_of_squares(name):
    chi1 = sites(name).theory.perturbation[0, 0]
    samples = without_fields(squared_slopes(name))
    assert not differ(samples, after(name, chi1))
    for wrong in mutants(chi1):
        assert differ(samples, after(name, wrong)), wrong


@pytest.mark.parametrize("name", CLOSED)
def test_chi_star_is_the_derivative_of_the_overlap_map(name):
    s, columns = sites(name), []
    for symbol in s.overlaps():
        up, down = (s.replicas_mean(s.values | {symbol: s.values[symbol] + h}) for h in (STEP, -STEP))
        columns.append((up - down) / (2 * STEP))
    samples = without_fields(np.moveaxis(np.array(columns), 0, 1))
    chi_star = s.theory.replicas.perturbation[0, 0]
    assert not differ(samples, after(name, chi_star))
    for wrong in mutants(chi_star):
        assert differ(samples, after(name, wrong)), wrong


@pytest.mark.parametrize("name", CLOSED)
def test_stationary_overlaps_do_not_move(name):
    """C* solves the recursion of the step: the form that is solved for C gives back what the recursion gives."""
    equations, _, values = replica_step(name)
    system = sites(name).theory.replicas.system.equations
    assert set(system) == set(equations)
    overlap = sites(name).overlap
    values = values | {overlap: after(name, system[overlap], values).value}
    assert after(name, equations[overlap], values).value == pytest.approx(values[overlap], rel=1e-6)
    assert all(system[symbol] == right for symbol, right in equations.items() if symbol != overlap)


def mutants(right):
    """Each term left out or doubled; the square of a mean for the mean of a square."""
    names = {node: sp.Dummy() for node in right.atoms(Average)}
    expanded = sp.expand(right.xreplace(names)).xreplace({dummy: node for node, dummy in names.items()})
    for term in sp.Add.make_args(expanded):
        yield right - term
        yield right + term
    for node in right.atoms(Average):
        squares = [f for f in sp.Mul.make_args(node.integrand) if f.is_Pow and f.exp == 2]
        if squares and sp.Mul(*squares) == node.integrand:
            yield right.xreplace({node: Average(sp.sqrt(node.integrand, evaluate=False))**2})


@pytest.mark.parametrize("rule", STEPS)
@pytest.mark.parametrize("name", CLOSED)
def test_a_wrong_step_would_be_seen(name, rule):
    equations, expected, values = STEPS[rule](name)
    seen = 0
    for symbol, right in equations.items():
        for wrong in mutants(right) if right != 0 else ():
            assert differ(expected[symbol], after(name, wrong, values)), (symbol, wrong)
            seen += 1
    assert seen >= 5
