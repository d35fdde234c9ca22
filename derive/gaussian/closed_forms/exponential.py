"""E[exp(b.x - x.A x / 2) f(x)]: the exponential changes the law and leaves a factor.

    E[e^{b.x - x.Ax/2} f] = det(1 + A C)^{-1/2} exp(b.m - m.Am/2 + g.C (1 + A C)^{-1} g / 2) E'[f],   g = b - A m

(Girsanov's formula for A = 0.)  Derivatives of erf are such factors: erf'(y) = 2/sqrt(pi) exp(-y^2).
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from derive.gaussian.closed_forms.joint import Joint
from derive.gaussian.closed_forms.method import Expect
from derive.gaussian.closed_forms.term import Term


def applies(term: Term, joint: Joint) -> bool:
    """Whether an exponential is there."""
    return term.exponent != 0


def value(term: Term, joint: Joint, expect: Expect) -> sp.Expr | None:
    """E[term]; None where the exponent may grow faster than a Gaussian falls."""
    symbols = tuple(s for s in sorted(joint.mean, key=str) if term.exponent.has(s))
    slope = sp.Matrix([term.exponent.diff(s) for s in symbols])
    curvature = -slope.jacobian(list(symbols))
    if curvature.free_symbols & set(symbols) or not _falls(curvature):
        return None
    at_zero = dict.fromkeys(symbols, sp.S.Zero)
    linear, constant = slope.xreplace(at_zero), term.exponent.xreplace(at_zero)
    rest = replace(term, exponent=sp.S.Zero)
    inner = expect(rest, joint.tilted(curvature, linear, symbols, rest.variables))
    if inner is None or inner == 0:
        return inner
    return _factor(curvature, linear, constant, symbols, joint) * inner


def _factor(
    curvature: sp.Matrix, linear: sp.Matrix, constant: sp.Expr, symbols: tuple[sp.Symbol, ...], joint: Joint
) -> sp.Expr:
    """E[exp(constant + linear.x - x.curvature x / 2)]."""
    own = sp.Matrix([[joint.of(s, t) for t in symbols] for s in symbols])
    mean = sp.Matrix([joint.mean[s] for s in symbols])
    matrix = sp.eye(len(symbols)) + curvature * own
    pull = linear - curvature * mean
    exponent = constant + (linear.T * mean)[0] - (mean.T * curvature * mean)[0] / 2
    determinant = matrix.det(method="berkowitz")  # of 1 + C Sigma, both without negative eigenvalues: never zero
    exponent += (pull.T * own * matrix.adjugate() * pull)[0] / determinant / 2
    if not exponent.atoms(sp.Function):
        exponent, determinant = sp.factor(exponent), sp.factor(determinant)
    return sp.exp(exponent) / sp.sqrt(determinant)


def _falls(curvature: sp.Matrix) -> bool:
    """Whether the exponent is certain to be bounded above along every quadratic direction."""
    if curvature.is_diagonal():
        return all(entry.is_nonnegative for entry in curvature.diagonal())
    return not curvature.free_symbols and bool(curvature.is_positive_semidefinite)
