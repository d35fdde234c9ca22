"""Quotients and roots that closed forms need where a variance vanishes.

A closed form such as  asin(C / sqrt(q_1 q_2))  is 0/0 at q = 0, where solvers evaluate it.  These nodes carry the limit
with them: each prints as the plain expression and is evaluated by a kernel that knows the degenerate case.
"""

from __future__ import annotations

from typing import Any

import sympy as sp


class Ratio(sp.Function):
    """numerator / denominator, with 0/0 = 0 and x/0 = sign(x) oo."""

    nargs = 2

    @classmethod
    def eval(cls, numerator: Any, denominator: Any) -> Any:
        """Zero above, or a denominator that cannot vanish, needs no care."""
        if numerator.is_zero:
            return sp.S.Zero
        if denominator.is_nonzero:
            return numerator / denominator
        if denominator.is_zero and numerator.is_number:
            return sp.sign(numerator) * sp.oo
        above, top = numerator.as_coeff_Mul()
        below, bottom = denominator.as_coeff_Mul()
        if (above != 1 or below != 1) and above.is_Rational and below.is_Rational:
            return above / below * cls(top, bottom)
        return None

    @property
    def plain(self) -> sp.Expr:
        """The expression away from degenerate points."""
        return self.args[0] / self.args[1]

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Derivative in one argument."""
        numerator, denominator = self.args
        return Ratio(sp.S.One, denominator) if argindex == 1 else -Ratio(numerator, denominator**2)

    def _eval_is_extended_real(self) -> bool | None:
        return True if all(part.is_extended_real for part in self.args) else None

    def _eval_is_real(self) -> bool | None:
        return self._eval_is_extended_real()


class Correlation(sp.Function):
    """C / sqrt(v_1 v_2) within [-1, 1]; zero where a variance is."""

    nargs = 3

    @classmethod
    def eval(cls, covariance: Any, left: Any, right: Any) -> Any:
        """Exact where the variables are multiples of each other, or all three are numbers."""
        if covariance.is_zero or left.is_zero or right.is_zero:
            return sp.S.Zero
        if left == right and covariance in (left, -left):
            return sp.S.One if covariance == left else sp.S.NegativeOne
        if covariance.is_number and left.is_number and right.is_number:
            value = covariance / sp.sqrt(left * right)
            return sp.Max(-1, sp.Min(1, value)) if value.is_extended_real else None
        slope = sp.cancel(covariance / left)
        if slope.is_number and slope.is_real and sp.cancel(slope * covariance - right) == 0:
            return sp.sign(slope)
        return None

    @property
    def plain(self) -> sp.Expr:
        """The expression away from degenerate points."""
        covariance, left, right = self.args
        return covariance / sp.sqrt(left * right)

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Derivative in one argument."""
        _, left, right = self.args
        if argindex == 1:
            return Ratio(sp.S.One, root(left) * root(right))
        own = left if argindex == 2 else right
        return -Ratio(self, 2 * own)

    def _eval_is_extended_real(self) -> bool | None:
        return True if all(part.is_extended_real for part in self.args) else None

    def _eval_is_real(self) -> bool | None:
        return self._eval_is_extended_real()


class Root(sp.Function):
    """sqrt(v) of a variance, zero where rounding made it negative."""

    nargs = 1

    @classmethod
    def eval(cls, variance: Any) -> Any:
        """A plain root where the sign is known."""
        if variance.is_nonnegative:
            return sp.sqrt(variance)
        if variance.is_number and variance.is_negative:
            return sp.S.Zero
        return None

    @property
    def plain(self) -> sp.Expr:
        """The expression away from degenerate points."""
        return sp.sqrt(self.args[0])

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Derivative."""
        return Ratio(sp.S.One, 2 * self)

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.args[0].is_extended_real else None

    def _eval_is_extended_real(self) -> bool | None:
        return True if self.args[0].is_extended_real else None


class DampedSinh(sp.Function):
    """exp(-s) sinh(c) with |c| <= s, which neither overflows nor cancels."""

    nargs = 2

    @classmethod
    def eval(cls, argument: Any, damping: Any) -> Any:
        """Odd in the first argument."""
        if argument.is_zero:
            return sp.S.Zero
        if argument.is_number and damping.is_number:
            return sp.exp(-damping) * sp.sinh(argument)
        return -cls(-argument, damping) if argument.could_extract_minus_sign() else None

    @property
    def plain(self) -> sp.Expr:
        """In elementary functions."""
        return sp.exp(-self.args[1]) * sp.sinh(self.args[0])

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Derivative in one argument."""
        argument, damping = self.args
        return sp.exp(-damping) * sp.cosh(argument) if argindex == 1 else -self

    def _eval_is_extended_real(self) -> bool | None:
        return True if all(part.is_extended_real for part in self.args) else None

    def _eval_is_real(self) -> bool | None:
        return self._eval_is_extended_real()


SAFE = (Ratio, Correlation, Root, DampedSinh)
"""Every node of this module."""


def ratio(numerator: sp.Expr, denominator: sp.Expr) -> sp.Expr:
    """numerator / denominator in lowest terms, with 0/0 = 0 where the denominator may vanish."""
    if numerator == 0:
        return sp.S.Zero
    top, bottom = sp.fraction(sp.cancel(numerator / denominator)) if _rational(numerator, denominator) else (
        numerator, denominator)  # fmt: skip
    return Ratio(top, bottom)


def _rational(*parts: sp.Expr) -> bool:
    return not any(part.atoms(sp.Function) for part in parts)


def root(variance: sp.Expr) -> sp.Expr:
    """The standard deviation of a variance."""
    return Root(variance)


def per_root(covariance: sp.Expr, variance: sp.Expr) -> sp.Expr:
    """C / sqrt(v), where |C| is at most a multiple of sqrt(v): zero where the variance is."""
    if covariance == 0:
        return sp.S.Zero
    if _rational(covariance, variance):
        multiple = sp.cancel(covariance / variance)
        if not sp.fraction(multiple)[1].free_symbols:
            return multiple * root(variance)
    return Ratio(covariance, root(variance))


def has_limits(expression: sp.Basic) -> bool:
    """Whether an expression holds a node of this module."""
    return bool(expression.atoms(*SAFE))


def plain(expression: sp.Expr) -> sp.Expr:
    """The expression away from degenerate points, for reading and for algebra."""
    return expression.replace(lambda node: isinstance(node, SAFE), lambda node: node.plain)
