"""The gain matrix K(lam) and the outlier map A(lam) of one static solution, for arrays of lam."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import sympy as sp

from derive.gaussian.average import Average
from derive.theory import SpectralTheory, Theory
from solvers.averages import CompiledAverage, Evaluator, Values
from solvers.codegen.emit import broadcast_rows, compile_function
from solvers.spectrum.lambda_average import LambdaAverage, Tables

_tables: WeakKeyDictionary[Evaluator, Tables] = WeakKeyDictionary()
"""Conditional tables are dear; whoever shares an evaluator shares them."""

_sources: WeakKeyDictionary[Evaluator, dict[sp.ImmutableMatrix, _Source]] = WeakKeyDictionary()
"""Compiled matrices, which are the same at all values; shared in the same way."""


class _Source:
    """A matrix split into averages that depend on lam, averages that do not, and compiled arithmetic over them."""

    def __init__(self, matrix: sp.Matrix, theory: Theory) -> None:
        spectrum = _spectrum(theory)
        lam, conj = spectrum.lam, spectrum.lam_conj
        nodes = sorted(matrix.atoms(Average), key=sp.default_sort_key)
        self.moving = [node for node in nodes if node.integrand.free_symbols & {lam, conj}]
        self.fixed = [node for node in nodes if node not in self.moving]
        self.whole = [
            CompiledAverage((node.integrand,), theory.law, theory.implicit, extra=(lam, conj)) for node in self.moving
        ]
        names = {node: sp.Symbol(f"average[{k}]") for k, node in enumerate([*self.moving, *self.fixed])}
        plain = [entry.xreplace(names) for entry in matrix]
        self.parameters = sorted(
            set().union(*(e.free_symbols for e in plain)) - {lam, conj, *names.values()}, key=str
        )  # fmt: skip
        ordered = [*(names[node] for node in self.fixed), *(names[node] for node in self.moving)]
        self.function = compile_function([*self.parameters, *ordered, lam, conj], plain, theory.law.functions)


class LambdaMatrix:
    """A matrix whose entries are polynomials in averages, some of which depend on lam."""

    def __init__(self, matrix: sp.Matrix, theory: Theory, values: Values, evaluator: Evaluator, tol: float) -> None:
        spectrum = _spectrum(theory)
        self.shape = matrix.shape
        known, key = _sources.setdefault(evaluator, {}), sp.ImmutableMatrix(matrix)
        if key not in known:
            known[key] = _Source(matrix, theory)
        source = known[key]
        tables = _tables.setdefault(evaluator, {})
        self._averages = [
            LambdaAverage(node.integrand, theory.law, theory.implicit, spectrum.lam, spectrum.lam_conj, values, tables,
                          whole)
            for node, whole in zip(source.moving, source.whole, strict=True)
        ]  # fmt: skip
        fixed = [evaluator.average(node, values, tol) for node in source.fixed]
        self.fixed_error = max((e.error / max(abs(e.value), 1e-300) for e in fixed if e.value), default=0.0)
        self._fixed = [values[p] for p in source.parameters]
        self._known = [estimate.value for estimate in fixed]
        self._function = source.function

    def __call__(self, lam: np.ndarray, rtol: float) -> tuple[np.ndarray, np.ndarray]:
        """Matrices (n, P, P) and, for each lam, the largest relative error of an average in it."""
        lam = np.atleast_1d(np.asarray(lam, complex))
        error = np.full(lam.size, self.fixed_error)
        moving = []
        for item in self._averages:
            value, own = item(lam, rtol)
            moving.append(value)
            with np.errstate(all="ignore"):
                error = np.maximum(error, np.nan_to_num(own / np.abs(value), nan=0.0, posinf=np.inf))
        with np.errstate(all="ignore"):
            rows = broadcast_rows(self._function(*self._fixed, *self._known, *moving, lam, np.conj(lam)), lam.size)
        return np.moveaxis(rows, -1, 0).reshape(lam.size, *self.shape), error


def _spectrum(theory: Theory) -> SpectralTheory:
    if theory.spectrum is None:
        raise ValueError("this theory carries no spectrum; only static theories do")
    return theory.spectrum


class GainMatrix:
    """Spectral radius of K(lam), the number that decides where the support ends."""

    def __init__(self, theory: Theory, values: Values, evaluator: Evaluator, tol: float) -> None:
        spectrum = _spectrum(theory)
        self.blocks = spectrum.blocks
        self._K = LambdaMatrix(spectrum.K, theory, values, evaluator, tol) if spectrum.blocks else None

    @property
    def empty(self) -> bool:
        """No field feeds back on itself: no support at all."""
        return self._K is None

    def log_radius(self, lam: np.ndarray, rtol: float = 1e-9) -> tuple[np.ndarray, np.ndarray]:
        """ln of the spectral radius of K (n,), and its absolute error; -inf where there is no gain."""
        lam = np.atleast_1d(np.asarray(lam, complex))
        if self._K is None:
            return np.full(lam.size, -np.inf), np.zeros(lam.size)
        K, error = self._K(lam, rtol)
        radius = np.zeros(lam.size)
        for block in self.blocks:
            radius = np.maximum(radius, spectral_radii(K[:, block][:, :, block]))
        with np.errstate(divide="ignore"):
            return np.log(radius), 2 * error


def spectral_radii(matrices: np.ndarray) -> np.ndarray:
    """Largest modulus of the eigenvalues of each matrix; not finite where lam is on a pole of an entry."""
    if matrices.shape[1] == 1:
        return np.abs(matrices[:, 0, 0])
    finite = np.isfinite(matrices).all(axis=(1, 2))
    safe = np.where(finite[:, None, None], matrices, 0.0)
    return np.where(finite, np.abs(np.linalg.eigvals(safe)).max(axis=1), np.inf)


class OutlierMap:
    """det(1 - A(lam)); A acts on conditions: a live field and a field of the same matrix."""

    def __init__(self, theory: Theory, values: Values, evaluator: Evaluator, tol: float) -> None:
        spectrum = _spectrum(theory)
        self._response = LambdaMatrix(spectrum.response, theory, values, evaluator, tol)
        size = len(spectrum.fixed)
        overlap = np.array([evaluator(entry, values, tol).value for entry in spectrum.overlap]).reshape(size, size)
        self._inverse = _inverse_overlap(spectrum, overlap)
        self.empty = not np.any(self._inverse)

    def matrix(self, lam: np.ndarray, rtol: float = 1e-9) -> np.ndarray:
        """A(lam), shape (n, C, C)."""
        return self._inverse @ self._response(lam, rtol)[0]

    def determinant(self, lam: np.ndarray, rtol: float = 1e-9) -> np.ndarray:
        """det(1 - A(lam)), shape (n,)."""
        A = self.matrix(lam, rtol)
        return np.linalg.det(np.eye(A.shape[1]) - A)


def _inverse_overlap(spectrum: SpectralTheory, overlap: np.ndarray) -> np.ndarray:
    """(C^-1)_lm acting on the first index of a condition, C_lm = E[v_l v_m]; zero where v vanishes."""
    size = np.sqrt(np.maximum(np.diag(overlap), 0.0))
    with np.errstate(all="ignore"):
        share = np.where(np.outer(size, size) > 0, overlap / np.outer(size, size), 0.0)
        inverse = np.linalg.pinv(share, rcond=1e-12, hermitian=True) if size.size else share
        inverse = np.where(np.outer(size, size) > 0, inverse / np.outer(size, size), 0.0)
    position = {k: index for index, k in enumerate(spectrum.fixed)}
    result = np.zeros((len(spectrum.conditions), len(spectrum.conditions)))
    for row, (left, k) in enumerate(spectrum.conditions):
        for column, (m, other) in enumerate(spectrum.conditions):
            if k == other:
                result[row, column] = inverse[position[left], position[m]]
    return result
