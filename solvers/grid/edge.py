"""The edge of the spectrum on the real axis, for many solutions at once.

Where every entry of the transfer matrix is a number of a site over factors lam - l with real l, its modulus on a vertical
line is largest on the real axis, and on a circle at the end that lies on the side of the l.  The gain K then decreases
along the axis beyond all l, and the edge is the one place where its spectral radius is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from derive.elementary import Fn
from derive.gaussian.forms import affine_forms
from derive.gaussian.law import Law
from derive.theory import SpectralTheory, Theory
from solvers.grid.program import Builder, Program, Unsupported, symbols_of

LAM = sp.Symbol("lam[real]", real=True)

BOUNDED = {"sigmoid": (sp.S.Zero, sp.S.One), "tanh": (sp.S.NegativeOne, sp.S.One)}
"""Limits of monotone functions whose range is an interval."""


@dataclass(frozen=True)
class Pole:
    """An eigenvalue l of L over the sites: from ``low`` to ``high`` (in either order), or ``constant`` where the
    variance of what it is a function of vanishes."""

    variance: sp.Expr
    low: sp.Expr
    high: sp.Expr
    constant: sp.Expr


@dataclass(frozen=True)
class EdgeProgram:
    """given : what is evaluated once for each solution (symbol and expression); gain : entries of the irreducible blocks
    of K, block after block, as a program of lam and of ``given``; sizes : of the blocks; poles : of T."""

    given: tuple[tuple[sp.Symbol, sp.Expr], ...]
    gain: Program
    sizes: tuple[int, ...]
    poles: tuple[Pole, ...]


def poles_of(spectrum: SpectralTheory, law: Law) -> tuple[Pole, ...]:
    """The eigenvalues of L that the transfer matrix has as poles.

    Raises Unsupported where T is not a number of a site over real factors lam - l, or the range of an l is not known.
    """
    found: dict[sp.Expr, Pole] = {}
    for entry in spectrum.T:
        above, below = sp.fraction(entry)
        if above.has(spectrum.lam):
            raise Unsupported("the transfer matrix has zeros in lambda: its extremes may lie off the real axis")
        for factor in sp.Mul.make_args(sp.factor(below, spectrum.lam)):
            base = factor.as_base_exp()[0]
            if not base.has(spectrum.lam):
                continue
            line = sp.Poly(base, spectrum.lam)
            if line.degree() != 1:
                raise Unsupported("poles of the transfer matrix that are roots of an equation in lambda")
            slope, offset = line.all_coeffs()
            if law.random(slope):
                raise Unsupported("a pole of the transfer matrix that is a quotient of functions of the site")
            place = sp.expand(-offset / slope)
            found[place] = _pole(place, law)
    return tuple(found.values())


def _pole(place: sp.Expr, law: Law) -> Pole:
    if not law.random(place):
        return Pole(sp.S.Zero, place, place, place)
    opened, forms = affine_forms(law.functions.expand(place), law)
    calls = [node for node in opened.atoms(Fn) if any(node.has(form.symbol) for form in forms)]
    if len(forms) != 1 or len(calls) != 1 or calls[0].order or calls[0].name not in BOUNDED:
        raise Unsupported(f"the range of {place} over the sites is not known")
    symbol = sp.Symbol("bounded[]")
    plain = opened.xreplace({calls[0]: symbol})
    if plain.has(forms[0].symbol) or not plain.is_polynomial(symbol) or sp.degree(plain, symbol) > 1:
        raise Unsupported(f"the range of {place} over the sites is not known")
    coefficients = forms[0].coefficients
    mean = sp.Add(*[c * law.mean_of(s) for s, c in coefficients.items()])
    variance = sp.Add(
        *[c * d * law.covariance(s, t) for s, c in coefficients.items() for t, d in coefficients.items()]
    )
    slope = calls[0].argument.diff(forms[0].symbol)
    low, high = (plain.xreplace({symbol: end}) for end in BOUNDED[calls[0].name])
    return Pole(slope**2 * variance, low, high, opened.xreplace({forms[0].symbol: mean}))


def edge_program(theory: Theory, finish: Builder) -> EdgeProgram:
    """K on the real axis as a program; what does not hold lambda is left to ``finish``.

    Raises Unsupported where the edge is not known to lie on the real axis, or an average is no table.
    """
    spectrum = theory.spectrum
    assert spectrum is not None
    poles = poles_of(spectrum, theory.law)
    given: dict[sp.Expr, sp.Symbol] = {}
    moving = Builder(theory.law, finish.known_numbers, finish.tables)
    outputs: list[sp.Expr] = []
    for block in spectrum.blocks:
        for i in block:
            for j in block:
                entry = spectrum.K[i, j].xreplace({spectrum.lam: LAM, spectrum.lam_conj: LAM})
                outputs.append(_entry(entry, finish, moving, given))
    needed = moving.program((), outputs)
    free = set().union(*(symbols_of(step) for _, step in needed.steps), *(o.free_symbols for o in needed.outputs))
    free -= {LAM, *(symbol for symbol, _ in needed.steps)}
    known = {symbol: expression for expression, symbol in given.items()}
    pairs = tuple((s, known.get(s, s)) for s in sorted(free, key=str))
    program = Program((LAM, *(s for s, _ in pairs)), needed.steps, needed.outputs)
    return EdgeProgram(pairs, program, tuple(len(block) for block in spectrum.blocks), poles)


def _entry(entry: sp.Expr, finish: Builder, moving: Builder, given: dict[sp.Expr, sp.Symbol]) -> sp.Expr:
    """An entry as a sum of coefficients times what holds lambda."""
    total = sp.S.Zero
    for term in sp.Add.make_args(entry):
        held = [factor for factor in sp.Mul.make_args(term) if factor.has(LAM)]
        rest = sp.Mul(*[factor for factor in sp.Mul.make_args(term) if not factor.has(LAM)])
        value = finish.expression(rest)
        if not value.is_number:
            value = given.setdefault(value, sp.Symbol(f"coefficient[{len(given)}]", real=True))
        total += value * moving.expression(sp.Mul(*held))
    return total


def spectral_radius(rows: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Largest modulus of the eigenvalues of each block-diagonal matrix; rows (entries, n), block after block."""
    largest = np.zeros(rows.shape[1])
    start = 0
    for size in sizes:
        part = rows[start : start + size * size]
        start += size * size
        largest = np.maximum(largest, _radius(part, size))
    return largest


def _radius(part: np.ndarray, size: int) -> np.ndarray:
    if size == 1:
        return np.abs(part[0])
    if size == 2:
        a, b, c, d = part
        middle, square = 0.5 * (a + d), 0.25 * (a - d) ** 2 + b * c
        with np.errstate(invalid="ignore"):
            real = np.abs(middle) + np.sqrt(square)
            return np.where(square >= 0, real, np.sqrt(np.abs(a * d - b * c)))
    lost = np.isnan(part).any(axis=0)
    matrices = np.where(lost, 0.0, part).T.reshape(-1, size, size)
    return np.where(lost, np.nan, np.abs(np.linalg.eigvals(matrices)).max(axis=1))

