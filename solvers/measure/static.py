"""The site measure of a static solution: quadrature nodes for the Gaussians that one unit sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from derive.gaussian.rational import tidy
from derive.stability.spectrum import at_fixed_point
from derive.theory import Theory
from solvers.averages import CompiledAverage, Values
from solvers.codegen.emit import compile_function
from solvers.codegen.product_nodes import product_nodes
from solvers.codegen.sampling import normal_points
from solvers.measure.columns import assemble, entries, fed_fields, refuse_deltas
from solvers.measure.site_measure import Array, SiteMeasure

MOST_FITTED = 2
"""Directions up to which product rules are used; beyond them scrambled Sobol points."""

LOG2_NODES = 12
FITTED_RTOL = 1e-10
FITTED_ERROR = 1e-7
"""A product rule that does worse than this on the site's derivatives is replaced by Sobol points."""


@dataclass(frozen=True)
class NodeRule:
    """Nodes (d, n) in standard normals with weights (n,); fitted : whether they are a product rule, of which there is
    only one, or a scramble, of which there are many; error : relative error of the rule on the site's derivatives."""

    nodes: Array
    weights: Array
    fitted: bool
    error: float


class StaticSites:
    """The site derivatives of a static theory at one solution, compiled once, at any nodes.

    theory : a static theory; values : parameters and unknowns of one solution (`Solution.linearised_at`);
    products : fill the column u (nan otherwise), which takes more directions where biases or inputs are random.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    """

    def __init__(self, theory: Theory, values: Values, *, products: bool = False) -> None:
        site, states = theory.site, dict(theory.states)
        self.site, self._values = site, values
        self._fields = fed_fields(site)
        derivatives = entries(at_fixed_point(site, states), self._fields)
        refuse_deltas(derivatives, site.functions)
        v = [tidy(site.fields[k].v.xreplace(states)) for k in self._fields]
        self._size, self._given_products = len(derivatives), products
        u = [site.fields[k].symbol for k in self._fields] if products else []
        self._compiled = CompiledAverage([*derivatives, *v, *u], theory.law, theory.implicit)
        self.dimension = self._compiled.geometry(values)[0].dimension
        self._gains = self._numbers([site.fields[k].gain for k in self._fields])

    def _numbers(self, expressions: list[sp.Expr]) -> list[float]:
        symbols = sorted(self.site.parameters.values(), key=str)
        given = [self._values[symbol] for symbol in symbols]
        return [float(x) for x in compile_function(symbols, expressions, self.site.functions)(*given)]

    def rows(self, xi: Array) -> Array:
        """Derivatives, v (and u) at standard normals xi (d, n); (m, n)."""
        return self._compiled.sites(self._values, xi)

    def rule(
        self, *, log2_nodes: int = LOG2_NODES, scramble: int = 0, fitted: bool = True, rtol: float = FITTED_RTOL
    ) -> NodeRule:
        """One node where nothing is random, a fitted product rule in one or two directions, Sobol points in more.

        scramble : number of the Sobol net; product rules know only one; fitted : allow product rules,
        which aim at the relative error ``rtol``.
        """
        if self.dimension == 0:
            return NodeRule(np.zeros((0, 1)), np.ones(1), True, 0.0)
        if fitted and self.dimension <= MOST_FITTED:
            limit = 4.0 * 2.0**log2_nodes
            nodes, weights, error = product_nodes(
                self._fitted_to, self.dimension, rtol, max_nodes=limit
            )
            if error <= max(FITTED_ERROR, 100 * rtol) and weights.size <= limit:
                return NodeRule(nodes, weights / weights.sum(), True, error)
        nodes = normal_points(self.dimension, log2_nodes, scramble)
        return NodeRule(nodes, np.full(nodes.shape[1], 1.0 / nodes.shape[1]), False, np.nan)

    def _fitted_to(self, xi: Array) -> Array:
        """What a product rule is fitted to: the rows and the logarithm of their size, whose poles are the site's."""
        rows = self.rows(xi)
        return np.concatenate([rows, np.log1p(np.sum(rows[: self._size] ** 2, axis=0))[None, :]])

    def measure(self, rule: NodeRule) -> SiteMeasure:
        """The site measure on the nodes of ``rule``."""
        rows = self.rows(rule.nodes)
        count = len(self._fields)
        v = rows[self._size : self._size + count]
        u = rows[self._size + count :] if self._given_products else np.full_like(v, np.nan)
        return assemble(self.site, self._fields, rule.weights, rows[: self._size], u, v, self._gains)


def static_measure(
    theory: Theory, values: Values, *, log2_nodes: int = LOG2_NODES, scramble: int = 0, products: bool = False
) -> SiteMeasure:
    """The site measure of one static solution.

    log2_nodes : Sobol points are 2**log2_nodes; scramble : number of the net, so that independent ones can be
    compared; products : fill the column u (nan otherwise), which may take more directions.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    """
    sites = StaticSites(theory, values, products=products)
    return sites.measure(sites.rule(log2_nodes=log2_nodes, scramble=scramble))
