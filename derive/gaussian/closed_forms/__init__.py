"""Gaussian averages that have a closed form: one method, one file; `registry` puts them in order.

    term          an integrand as monomials times erf, sign, delta, sin, cos, exp of one Gaussian variable each
    joint         the law of these variables, tilted or conditioned
    exponential   exp of polynomials of degree two, and with them all derivatives of erf
    delta         delta functions and their derivatives
    arccosine     powers times two signs: relu and its relatives of any order
    trigonometric sines and cosines
    polynomial    powers in front of anything, by Stein's formula
    arcsine       erf and sign
    conditional   a delta function next to functions that have no closed average
"""

from derive.gaussian.closed_forms.conditional import given_zero
from derive.gaussian.closed_forms.registry import closed_form, gaussian_moment, stable_closed_form

__all__ = ["closed_form", "gaussian_moment", "given_zero", "stable_closed_form"]
