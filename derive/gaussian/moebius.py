"""Quotients of a logistic function with one pole are polynomials in the same function, shifted.

For sigma = sigmoid(X) and d (c + d) > 0, with sigma' = sigmoid(X + ln((c + d)/d)),

    1/(c sigma + d) = (c + d - c sigma') / (d (c + d)),        sigma/(c sigma + d) = sigma' / (c + d),

so that averages of ((1 - sigma)/(lam - sigma))^2, which have lam as a third variable, are averages of sigma'^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.elementary import Fn, X

_S = sp.Symbol("logistic[]", real=True)


@dataclass(frozen=True)
class Shifted:
    """A quotient in sigmoid(scale X) as ``polynomial``, in which `X` now stands for scale X + shift; it holds where
    ``positive`` is."""

    polynomial: sp.Expr
    scale: sp.Expr
    shift: sp.Expr
    positive: sp.Expr


def one_pole(expression: sp.Expr) -> Shifted | None:
    """The polynomial that a quotient with one pole in sigmoid(r X), or tanh(r X), is; None where it is none."""
    scale = _scale(expression)
    if scale is None:
        return None
    plain = expression.replace(lambda node: isinstance(node, Fn), lambda node: _in_logistic(node, scale))
    if plain.has(X) or plain.has(Fn):
        return None
    above, below = sp.fraction(sp.together(plain))
    pole = _pole(below)
    if pole is None:
        return None
    slope, offset, order = pole
    numerator = sp.Poly(above, _S)
    if numerator.degree() > order:
        return None
    shifted = _S * offset / (slope + offset - slope * _S)
    polynomial = sp.factor(sp.cancel(sp.together(plain.xreplace({_S: shifted}))))
    if not sp.fraction(polynomial)[1].is_polynomial(_S) or sp.fraction(polynomial)[1].has(_S):
        return None
    return Shifted(
        _named(polynomial), scale, sp.log((slope + offset) / offset), (slope + offset) * offset
    )


def _scale(expression: sp.Expr) -> sp.Expr | None:
    """r, if every function of X is sigmoid(+-r X) or tanh(+-r X/2), or one of their derivatives."""
    scales = set()
    for node in expression.atoms(Fn):
        if node.name not in ("sigmoid", "tanh") or node.order > 1:
            return None
        slope = sp.cancel(node.argument / X) * (2 if node.name == "tanh" else 1)
        if not slope.is_number:
            return None
        scales.add(abs(slope))
    return scales.pop() if len(scales) == 1 else None


def _in_logistic(node: Fn, scale: sp.Expr) -> sp.Expr:
    own = 2 if node.name == "tanh" else 1
    here = _S if sp.cancel(own * node.argument / X) == scale else 1 - _S
    if node.name == "sigmoid":
        return here if node.order == 0 else here * (1 - here)
    return 2 * here - 1 if node.order == 0 else 4 * here * (1 - here)


def _pole(below: sp.Expr) -> tuple[sp.Expr, sp.Expr, int] | None:
    """(c, d, n) of a denominator that is a multiple of (c sigma + d)^n; None where there is another pole, or none."""
    found: list[tuple[sp.Expr, sp.Expr, int]] = []
    for factor, power in sp.factor_list(below)[1]:
        if not factor.has(_S):
            continue
        line = sp.Poly(factor, _S)
        if line.degree() != 1:
            return None
        slope, offset = line.all_coeffs()
        found.append((slope, offset, int(power)))
    if not found or not any(slope.free_symbols | offset.free_symbols for slope, offset, _ in found):
        return None
    slope, offset, _ = found[0]
    if any(sp.expand(slope * other - offset * line) != 0 for line, other, _ in found[1:]):
        return None
    return slope, offset, sum(power for *_, power in found)


def _named(polynomial: sp.Expr) -> sp.Expr:
    """Back from the symbol to the function; 1 - sigma is written sigmoid(-X), with all digits of a saturated gate."""
    found = sp.S.One
    for factor in sp.Mul.make_args(polynomial):
        base, power = factor.as_base_exp()
        if base.has(_S) and sp.expand(base.subs(_S, 1)) == 0 and sp.Poly(base, _S).degree() == 1:
            found *= (-base.coeff(_S) * Fn("sigmoid", 0, -X)) ** power
        else:
            found *= factor.xreplace({_S: Fn("sigmoid", 0, X)})
    return found
