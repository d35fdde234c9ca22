"""Derivatives of averages in the parameters of their law.

    d E[f]/dm = E[f'],    d E[f]/dq = E[f'']/2,    d E[f]/dC_12 = E[d_1 d_2 f]                (Price 1958)

and by the chain rule through whatever means and covariances are functions of.
"""

from __future__ import annotations

import sympy as sp

from derive.errors import GatefieldError
from derive.gaussian.average import Average, Law, average
from derive.gaussian.rules import Rewriting, RuleStep, outermost

_WHY = "d E[f] = E[df] + sum_i dm_i E[d_i f] + 1/2 sum_ij dC_ij E[d_i d_j f] (Price 1958)"


def diff_average(expression: sp.Expr, symbol: sp.Symbol, law: Law) -> sp.Expr:
    """d(expression)/d(symbol), total: through averages, their laws, and the arithmetic around them.

    Raises
    ------
    GatefieldError : the symbol is itself random, or an average runs over states whose law is no Gaussian.
    """
    return differentiate(expression, symbol, law).expression


def differentiate(expression: sp.Expr, symbol: sp.Symbol, law: Law) -> Rewriting:
    """`diff_average` with one step for every average that was differentiated."""
    if symbol in law.blocks:
        raise GatefieldError(f"`{symbol}` is averaged over; only parameters of a law can be varied")
    expression = sp.sympify(expression)
    nodes = sorted(outermost(expression), key=sp.default_sort_key)
    marks = {node: sp.Symbol(f"a[{k}]", real=True) for k, node in enumerate(nodes)}
    plain = expression.xreplace(marks)
    back = {mark: node for node, mark in marks.items()}
    total = plain.diff(symbol).xreplace(back)
    steps: list[RuleStep] = []
    for node, mark in marks.items():
        slope = plain.diff(mark)
        inner = _of_node(node, symbol, law)
        if inner != 0:
            steps.append(RuleStep("Price", sp.Derivative(node, symbol, evaluate=False), inner, _WHY))
        total += slope.xreplace(back) * inner
    return Rewriting(total, tuple(steps), law)


def _of_node(node: Average, symbol: sp.Symbol, law: Law) -> sp.Expr:
    f = node.integrand
    if f.atoms(Average):
        raise GatefieldError(f"an average inside an average is not differentiated: {node}")
    random = sorted(law.random(f), key=str)
    total = average(f.diff(symbol), law)
    if set(random) & (law.unknown | set(law.depends)):
        if any(law.mean_of(s).has(symbol) for s in random) or total != 0:
            raise GatefieldError(f"{node} runs over states whose law is not Gaussian, and has no such derivative")
        return sp.S.Zero
    for i, x in enumerate(random):
        total += _times(law.mean_of(x).diff(symbol), f.diff(x), law)
        for y in random[i:]:
            weight = law.covariance(x, y).diff(symbol) / (2 if x == y else 1)
            total += _times(weight, f.diff(x).diff(y) if weight != 0 else f, law)
    return total


def _times(weight: sp.Expr, integrand: sp.Expr, law: Law) -> sp.Expr:
    return weight * average(integrand, law) if weight != 0 else sp.S.Zero
