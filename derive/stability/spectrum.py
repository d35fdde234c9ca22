"""Eigenvalues of the Jacobian at a static solution: transfer matrix, gain matrix, boundary, outliers.

    T(lam) = b (lam - L)^-1 a + e,     K = sigma^2 E[T (x) conj T],     boundary: spectral radius of K = 1
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.gaussian.average import Average, Law, average
from derive.gaussian.rational import quotient, tidy
from derive.site import SiteForm
from derive.theory import SpectralTheory, Step, Theory

LAM = sp.Symbol("lam[]")
LAM_CONJ = sp.Symbol("conj(lam)[]")

MAX_BLOCK = 4
"""The determinant of a larger block of K is not expanded: it would fill pages, and numbers need only K itself."""


@dataclass(frozen=True)
class Linearisation:
    """Site derivatives at the fixed point and the transfer matrix between live fields."""

    fields: tuple[int, ...]
    L: sp.Matrix
    a: sp.Matrix
    b: sp.Matrix
    T: sp.Matrix


def linearise(site: SiteForm, states: dict[sp.Symbol, sp.Expr]) -> Linearisation:
    """Evaluate L, a, b, e at the fixed point and keep the fields that can carry an eigenvalue.

    A field is dropped, repeatedly, when no live field reaches it (its row of T vanishes) or it reaches
    none (its column vanishes).
    """
    L, a, b, e = at_fixed_point(site, states)
    T = _transfer(L, a, b, e)
    live = tuple(k for k in range(len(site.fields)) if k not in site.input_fields)
    while (kept := _connected(T, live)) != live:
        live = kept
    pick = list(live)
    return Linearisation(live, L, a.extract(list(range(a.rows)), pick), b.extract(pick, list(range(b.cols))),
                         T.extract(pick, pick))  # fmt: skip


def _connected(T: sp.Matrix, live: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(
        k for k in live if any(T[k, m] != 0 for m in live) and any(T[m, k] != 0 for m in live)
    )


def transfer_matrix(site: SiteForm, states: dict[sp.Symbol, sp.Expr]) -> sp.Matrix:
    """T(lam) = b (lam - L)^-1 a + e between all fields at the fixed point, live or not, shape (K, K)."""
    return _transfer(*at_fixed_point(site, states))


def at_fixed_point(
    site: SiteForm, states: dict[sp.Symbol, sp.Expr]
) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix, sp.Matrix]:
    """L (S,S), a (S,K), b (K,S), e (K,K) of all fields, with the states eliminated."""

    def fixed(matrix: sp.Matrix) -> sp.Matrix:
        return matrix.applyfunc(lambda entry: tidy(entry.xreplace(states)))

    return fixed(site.L), fixed(site.a), fixed(site.b), fixed(site.e)


def _transfer(L: sp.Matrix, a: sp.Matrix, b: sp.Matrix, e: sp.Matrix) -> sp.Matrix:
    return (b * _resolvent(L) * a + e).applyfunc(_lowest_terms)


def _lowest_terms(entry: sp.Expr) -> sp.Expr:
    top, bottom = quotient(entry, LAM)
    return top / bottom


def _resolvent(L: sp.Matrix) -> sp.Matrix:
    """(lam - L)^-1 with every entry in lowest terms."""
    size = L.rows
    shifted = LAM * sp.eye(size) - L
    determinant = shifted.det(method="berkowitz")
    adjugate = shifted.adjugate(method="berkowitz") if size > 1 else sp.eye(1)
    return adjugate.applyfunc(lambda cofactor: _lowest_terms(cofactor / determinant))


def spectral_theory(theory: Theory) -> tuple[SpectralTheory, tuple[Step, ...]]:
    """Derive the spectrum of the Jacobian at the static solutions of ``theory``.

    Raises SizeError where an average expands beyond the stated limit.
    """
    site, law = theory.site, theory.law
    line = linearise(site, dict(theory.states))
    pairs = live_pairs(site, line.fields)
    K = sp.zeros(len(pairs), len(pairs))
    for row, (k, m) in enumerate(pairs):
        for column, (j, n) in enumerate(pairs):
            left, right = line.T[k, j], line.T[m, n].xreplace({LAM: LAM_CONJ})
            K[row, column] = site.fields[line.fields[k]].gain ** 2 * average(left * right, law)
    blocks = strongly_connected(K)
    matrices = {site.fields[k].weight for k in line.fields}
    fixed = tuple(k for k, item in enumerate(site.fields) if item.weight in matrices)
    v = tuple(tidy(site.fields[k].v.xreplace(dict(theory.states))) for k in fixed)
    conditions = _conditions(site, line.fields, fixed)
    spectrum = SpectralTheory(
        lam=LAM,
        lam_conj=LAM_CONJ,
        fields=line.fields,
        L=line.L,
        a=line.a,
        b=line.b,
        T=line.T,
        pairs=tuple(pairs),
        K=K,
        fixed=fixed,
        v=v,
        conditions=conditions,
        response=_response(site, line, dict(zip(fixed, v, strict=True)), conditions, law),
        overlap=_overlap(site, fixed, v, law),
        blocks=blocks,
        boundary=tuple(_boundary(K, block) for block in blocks if len(block) <= MAX_BLOCK),
    )
    return spectrum, _steps(site, spectrum)


def _conditions(site: SiteForm, live: tuple[int, ...], fixed: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """(l, k): a live field k moves along u_l, for every field l of its matrix, whether live or not."""
    return tuple((m, k) for m in fixed for k in live if site.fields[m].weight == site.fields[k].weight)


def _response(
    site: SiteForm, line: Linearisation, v: dict[int, sp.Expr], conditions: tuple[tuple[int, int], ...], law: Law
) -> sp.Matrix:
    """E[v_m T_kj u_p] for conditions (m, k) and (p, j)."""
    place = {k: position for position, k in enumerate(line.fields)}
    found = sp.zeros(len(conditions), len(conditions))
    for row, (m, k) in enumerate(conditions):
        for column, (p, j) in enumerate(conditions):
            transfer = line.T[place[k], place[j]]
            found[row, column] = average(v[m] * transfer * site.fields[p].symbol, law)
    return found


def _overlap(site: SiteForm, fixed: tuple[int, ...], v: tuple[sp.Expr, ...], law: Law) -> sp.Matrix:
    """E[v_l v_m] between products of one matrix, zero elsewhere."""
    weights = [site.fields[k].weight for k in fixed]
    return sp.Matrix(len(fixed), len(fixed), lambda i, j: (
        average(v[i] * v[j], law) if weights[i] == weights[j] else sp.S.Zero))  # fmt: skip


def live_pairs(site: SiteForm, live: tuple[int, ...]) -> list[tuple[int, int]]:
    """Ordered pairs of live fields (by position) that share a matrix: the index of the gain matrix."""
    weights = [site.fields[k].weight for k in live]
    return [(k, m) for k in range(len(live)) for m in range(len(live)) if weights[k] == weights[m]]


def strongly_connected(K: sp.Matrix) -> tuple[tuple[int, ...], ...]:
    """Irreducible blocks of the gain matrix that hold a cycle; the rest carries no eigenvalue."""
    size = K.rows
    reach = [[K[i, j] != 0 for j in range(size)] for i in range(size)]
    for via in range(size):
        for i in range(size):
            if reach[i][via]:
                for j in range(size):
                    reach[i][j] = reach[i][j] or reach[via][j]
    blocks: list[tuple[int, ...]] = []
    for i in range(size):
        block = tuple(j for j in range(size) if reach[i][j] and reach[j][i])
        if i in block and block not in blocks:
            blocks.append(block)
    return tuple(blocks)


def _boundary(K: sp.Matrix, block: tuple[int, ...]) -> sp.Expr:
    """X such that det(1 - K_block) = 1 - X, with common factors in front."""
    part = K.extract(list(block), list(block))
    averages = sorted(part.atoms(Average) | part.atoms(sp.Function), key=sp.default_sort_key)
    names = {node: sp.Symbol(f"A[{number}]") for number, node in enumerate(averages)}
    back = {symbol: node for node, symbol in names.items()}
    determinant = (sp.eye(len(block)) - part.xreplace(names)).det(method="berkowitz")
    return sp.factor(sp.expand(1 - determinant)).xreplace(back)


def _steps(site: SiteForm, spectrum: SpectralTheory) -> tuple[Step, ...]:
    names = [site.fields[k].name for k in spectrum.fields]
    transfer = tuple(
        (sp.Symbol(f"T[{names[k]},{names[m]}]"), spectrum.T[k, m])
        for k in range(len(names))
        for m in range(len(names))
        if spectrum.T[k, m] != 0
    )
    boundary = tuple((sp.S.One, expression) for expression in spectrum.boundary)
    if not names:
        return (
            Step("transfer matrix", (), "no field feeds back on itself: the Jacobian's eigenvalues are those of L"),
        )
    return (
        Step(
            "transfer matrix",
            transfer,
            "T(lam) = b (lam - L)^-1 a + e at the fixed point; fields that feed nothing drop out",
            "lam is not an eigenvalue of L",
        ),
        Step(
            "boundary of the support",
            boundary,
            "the support ends where the spectral radius of K(lam) = sigma^2 E|T|^2 is one: det(1 - K) = 0",
            "gradient independence: the Jacobian's weights are independent of the site's state",
        ),
    )
