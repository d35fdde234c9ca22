"""The edge of the spectrum on the real axis, for many solutions at once.

Where every entry of the transfer matrix is a number of a site over factors lam - l with real l, its modulus on a
vertical line is largest on the real axis, and on a circle at the end that lies on the side of the l.  The gain K then
decreases along the axis beyond all l, and the edge is the one place where its spectral radius is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from derive.elementary import Fn, X
from derive.gaussian.average import Average
from derive.gaussian.forms import affine_forms
from derive.gaussian.law import Law
from derive.gaussian.one_direction import standard_average
from derive.theory import SpectralTheory, Theory
from solvers.grid.program import Builder, Program, Unsupported, symbols_of
from solvers.spectrum.support import ETA

LAM = sp.Symbol("lam[real]", real=True)

BOUNDED = {"sigmoid": (sp.S.Zero, sp.S.One), "tanh": (sp.S.NegativeOne, sp.S.One)}
"""Limits of monotone functions whose range is an interval."""


@dataclass(frozen=True)
class Pole:
    """An eigenvalue l of L over the sites: from ``low`` to ``high`` (in either order), or ``constant`` where the
    variance of what it is a function of vanishes; function : the name of that function, mean : of its argument."""

    variance: sp.Expr
    low: sp.Expr
    high: sp.Expr
    constant: sp.Expr
    function: str = ""
    mean: sp.Expr = sp.S.Zero

    def at(self, known: Mapping[sp.Symbol, sp.Expr]) -> Pole:
        """The same where some parameters are numbers."""
        variance, low, high, constant, mean = (
            e.xreplace(known) for e in (self.variance, self.low, self.high, self.constant, self.mean)
        )
        return Pole(variance, low, high, constant, self.function, mean)


@dataclass(frozen=True)
class PlainGain:
    """The same entries with their averages left as they are: integrands in `X`, LAM and symbols, with mean and variance
    of X; entries : in LAM, the symbols ``names`` of the averages, and others."""

    averages: tuple[tuple[sp.Symbol, sp.Expr, sp.Expr, sp.Expr], ...]
    entries: tuple[sp.Expr, ...]
    blocks: tuple[int, ...]


@dataclass(frozen=True)
class EdgeProgram:
    """given : what is evaluated once for each solution (symbol and expression); gain : a program of (t, side, base) and
    of ``given`` at lam = side (base + exp t), whose outputs are those of each irreducible block of K; sizes : of these,
    0 for one whose output is the logarithm of its spectral radius, else its entries; poles : of T."""

    given: tuple[tuple[sp.Symbol, sp.Expr], ...]
    gain: Program
    sizes: tuple[int, ...]
    poles: tuple[Pole, ...]
    plain: PlainGain


PLACE = (sp.Symbol("t[]", real=True), sp.Symbol("side[]", real=True), sp.Symbol("base[]", real=True))


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
    here = {forms[0].symbol: mean}
    slope = calls[0].argument.diff(forms[0].symbol)
    low, high = (plain.xreplace({symbol: end}) for end in BOUNDED[calls[0].name])
    argument = calls[0].argument.xreplace(here)
    return Pole(slope**2 * variance, low, high, opened.xreplace(here), calls[0].name, argument)


def edge_program(theory: Theory, finish: Builder) -> EdgeProgram:
    """K on the real axis as a program; what does not hold lambda is left to ``finish``.

    Raises Unsupported where the edge is not known to lie on the real axis, or an average is no table.
    """
    spectrum = theory.spectrum
    assert spectrum is not None
    poles = tuple(pole.at(finish.known) for pole in poles_of(spectrum, theory.law))
    given: dict[sp.Expr, sp.Symbol] = {}
    moving = Builder(theory.law, finish.known_numbers, finish.tables)
    moving.assign(LAM, PLACE[1] * (PLACE[2] + sp.exp(PLACE[0])))
    outputs: list[sp.Expr] = []
    sizes: list[int] = []
    plain = _Plain(theory.law, finish, given)
    for block in spectrum.blocks:
        K = sp.Matrix(len(block), len(block), lambda i, j, b=block: _entry(
            spectrum.K[b[i], b[j]].xreplace({spectrum.lam: LAM, spectrum.lam_conj: LAM}), finish, moving, given))
        own = [_log_radius(K)] if _nonnegative(spectrum, block) and len(block) <= 2 else list(K)
        sizes.append(0 if len(own) == 1 else len(block))
        outputs += own
        plain.add(sp.Matrix(len(block), len(block), lambda i, j, b=block: spectrum.K[b[i], b[j]]), spectrum)
    needed = moving.program((), outputs)
    free = set().union(*(symbols_of(step) for _, step in needed.steps), *(o.free_symbols for o in needed.outputs))
    free |= plain.symbols()
    free -= {LAM, *PLACE, *(symbol for symbol, _ in needed.steps)}
    known = {symbol: expression for expression, symbol in given.items()}
    pairs = tuple((s, known.get(s, s)) for s in sorted(free, key=str))
    program = Program((*PLACE, *(s for s, _ in pairs)), needed.steps, needed.outputs)
    return EdgeProgram(pairs, program, tuple(sizes), poles, plain.found())


class _Plain:
    """Collects what `PlainGain` holds."""

    def __init__(self, law: Law, finish: Builder, given: dict[sp.Expr, sp.Symbol]) -> None:
        self.law, self.finish, self.given = law, finish, given
        self.averages: dict[Average, tuple[sp.Symbol, sp.Expr, sp.Expr, sp.Expr]] = {}
        self.entries: list[sp.Expr] = []
        self.blocks: list[int] = []

    def add(self, K: sp.Matrix, spectrum: SpectralTheory) -> None:
        """A block of K."""
        self.blocks.append(K.rows)
        line = {spectrum.lam: LAM + sp.I * ETA, spectrum.lam_conj: LAM - sp.I * ETA}
        for entry in K:
            total = sp.S.Zero
            for term in sp.Add.make_args(entry):
                factors = sp.Mul.make_args(term)
                held = [f for f in factors if f.has(spectrum.lam, spectrum.lam_conj)]
                value = self.finish.expression(sp.Mul(*[f for f in factors if f not in held]))
                if not value.is_number:
                    value = self.given.setdefault(value, sp.Symbol(f"coefficient[{len(self.given)}]", real=True))
                total += value * sp.Mul(*held).replace(lambda n: isinstance(n, Average), lambda n: self._name(n, line))
            self.entries.append(total.xreplace(line).xreplace(self.finish.known))

    def _name(self, node: Average, line: dict[sp.Symbol, sp.Expr]) -> sp.Symbol:
        if node not in self.averages:
            standard = standard_average(node.integrand, self.law, poles=True)
            assert standard is not None  # it is a table elsewhere
            parts = (e.xreplace(self.finish.known) for e in (
                standard.integrand.xreplace(line), standard.mean, standard.variance))  # fmt: skip
            name = sp.Symbol(f"average[{len(self.averages)}]", real=True)
            self.averages[node] = (name, *parts)
        return self.averages[node][0]

    def symbols(self) -> set[sp.Symbol]:
        """What has to be known of a solution."""
        names = {name for name, *_ in self.averages.values()}
        parts = [*self.entries, *(part for _, *rest in self.averages.values() for part in rest)]
        return set().union(*(part.free_symbols for part in parts)) - names - {X}

    def found(self) -> PlainGain:
        """All of it."""
        return PlainGain(tuple(self.averages.values()), tuple(self.entries), tuple(self.blocks))


def _nonnegative(spectrum: SpectralTheory, block: tuple[int, ...]) -> bool:
    """Whether the entries of a block are mean squares: no pair of different fields is in it."""
    return all(k == m for k, m in (spectrum.pairs[i] for i in block))


def _log_radius(K: sp.Matrix) -> sp.Expr:
    """ln of the largest eigenvalue of a matrix (1, 1) or (2, 2) of numbers that are not negative."""
    if K.rows == 1:
        return sp.log(K[0, 0])
    a, b, c, d = K
    return sp.log((a + d) / 2 + sp.sqrt((a - d) ** 2 / 4 + b * c))


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


def log_radius(rows: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """ln of the largest modulus of an eigenvalue of all blocks, from the outputs of a gain program (outputs, n)."""
    found: list[np.ndarray] = []
    start = 0
    for size in sizes:
        stop = start + max(size * size, 1)
        found.append(rows[start] if size == 0 else _of_block(rows[start:stop], size))
        start = stop
    return np.maximum(found[0] if len(found) == 1 else np.max(found, axis=0), -700.0)


def _of_block(part: np.ndarray, size: int) -> np.ndarray:
    lost = np.isnan(part).any(axis=0)
    matrices = np.where(lost, 0.0, part).T.reshape(-1, size, size)
    with np.errstate(divide="ignore"):
        return np.where(lost, np.nan, np.log(np.abs(np.linalg.eigvals(matrices)).max(axis=1)))
