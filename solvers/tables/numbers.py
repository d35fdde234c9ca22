"""Numbers with their errors, as people write them: 0.3178968499854(1)."""

from __future__ import annotations

import math

DIGITS = 15
"""Significant digits a float64 is good for; an error below the last of them is not shown."""


def compact(value: float | None, error: float | None) -> str:
    """A value with the error of its last digit in brackets, the error rounded up to one digit."""
    if value is None or not math.isfinite(value):
        return "—"
    if error is None or not math.isfinite(error):
        return f"{value:.6g} (error unknown)"
    if value == 0 and error == 0:
        return "0"
    if error <= abs(value) * 10.0**-DIGITS:
        return f"{value:.{DIGITS}g}"
    if error >= 0.5 * abs(value):
        return f"{value:.2g} ± {error:.1g}"
    return _bracketed(value, error)


def plus_minus(value: float | None, error: float | None) -> str:
    """A measured value and its standard error, to two digits of the error."""
    if value is None or not math.isfinite(value):
        return "—"
    if error is None or not math.isfinite(error):
        return f"{value:.6g}"
    if error == 0:
        return f"{value:.6g} ± 0"
    decimals = 1 - math.floor(math.log10(error))
    if not 0 <= decimals <= 12:
        return f"{value:.6g} ± {error:.2g}"
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def short(value: float | None) -> str:
    """A number to four digits; — for none."""
    return "—" if value is None or not math.isfinite(value) else f"{value:.4g}"


def _bracketed(value: float, error: float) -> str:
    exponent = math.floor(math.log10(abs(value)))
    plain = -4 <= exponent < 7
    scale = 0 if plain else exponent
    place = math.floor(math.log10(error))
    digit = math.ceil(error / 10.0**place - 1e-9)
    if digit == 10:
        digit, place = 1, place + 1
    if place < exponent + 1 - DIGITS:
        digit, place = 1, exponent + 1 - DIGITS
    decimals = scale - place
    if decimals < 0:
        return f"{value:.6g} ± {error:.1g}"
    return f"{value / 10.0**scale:.{decimals}f}({digit})" + _e(scale)


def _e(scale: int) -> str:
    return f"e{scale:+03d}" if scale else ""
