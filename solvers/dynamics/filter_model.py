"""A filter site in numbers: linear responses of its directions and outputs, and its functions, compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from derive.cell.parameters import Settings
from derive.meanfield.filters import Direction, FilterSite, Signal
from derive.site import SiteForm
from solvers.codegen.emit import compile_function

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class NumericTerm:
    """A constant times functions of directions, by their numbers."""

    constant: float
    factors: tuple[tuple[int, Function], ...]


NumericSignal = tuple[NumericTerm, ...]


class FilterModel:
    """Numbers and compiled functions of one `FilterSite`.

    K fields, D directions, G Gaussian and P filtered states, R base variables (fields, then biases and inputs);
    gains : (K,); groups : field numbers that share a matrix; means : (D,) of the directions; memory : the longest time
    in which a linear filter forgets, pace : the shortest (steps, or units of time).
    """

    def __init__(self, site: SiteForm, form: FilterSite, settings: Settings) -> None:
        self.site, self.form = site, form
        self.discrete = site.discrete
        self._values = {symbol: settings.parameters[name] for name, symbol in site.parameters.items()}
        self.gains = np.array([settings.gains[item.weight] for item in site.fields])
        self.groups = tuple(site.groups.values())
        self._A, self._B = self._matrix(form.A), self._matrix(form.B)
        self._filtered, self._combine = self._matrix(form.A_filtered), self._matrix(form.combine)
        self.directions = form.directions
        self._number = {d.symbol: k for k, d in enumerate(self.directions)}
        self._weights = [{key: self._constant(c) for key, c in d.coefficients.items()} for d in self.directions]
        self._quenched(settings)
        self.signals = tuple(self.numeric(signal) for signal in form.signals)
        self.state_means = self._state_means()
        self.means = np.array([self._mean(weights) for weights in self._weights])
        self.slowest, self.memory, self.pace = self._times()

    def numeric(self, signal: Signal) -> NumericSignal:
        """A signal with its functions compiled; constants that vanish leave no term."""
        found = []
        for term in signal:
            constant = self._constant(term.constant)
            if constant != 0.0:
                found.append(NumericTerm(constant, tuple(
                    (self._number[f.direction.symbol], self._compiled(f.function, f.direction)) for f in term.factors
                )))  # fmt: skip
        return tuple(found)

    def z(self, frequencies: np.ndarray, rate: float = 0.0) -> np.ndarray:
        """The argument of responses for perturbations that grow as exp(rate t): exp(i w + rate), or i w + rate."""
        return np.exp(1j * frequencies + rate) if self.discrete else 1j * frequencies + rate

    def directions_of_base(self, z: np.ndarray) -> np.ndarray:
        """Response of every direction to the base variables, (n, D, R)."""
        count = len(self.form.base)
        states = self.states_of_base(z)
        found = np.zeros((z.size, len(self.directions), count), dtype=complex)
        for row, weights in enumerate(self._weights):
            for (symbol, delay), factor in weights.items():
                turn = factor * z**-delay if delay else factor * np.ones(z.size)
                if symbol in self.form.gaussian:
                    found[:, row] += turn[:, None] * states[:, self.form.gaussian.index(symbol)]
                else:
                    found[:, row, self.form.base.index(symbol)] += turn
        return found

    def states_of_base(self, z: np.ndarray) -> np.ndarray:
        """Response of the Gaussian states to the base variables, (n, G, R)."""
        return self._solve(self._A, z, np.broadcast_to(self._B, (z.size, *self._B.shape)))

    def outputs_of_signals(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Responses of the K operands, and of the P filtered states, to the signals: (n, K, J) and (n, P, J)."""
        K, P, J = len(self.gains), len(self.form.filtered), len(self.signals)
        drives = np.zeros((P, J))
        drives[:, K : K + P] = np.eye(P)
        states = self._solve(self._filtered, z, np.broadcast_to(drives, (z.size, P, J)))
        operands = np.zeros((z.size, K, J), dtype=complex)
        operands[:, np.arange(K), np.arange(K)] = 1.0
        return operands + self._combine @ states, states

    @staticmethod
    def _solve(A: np.ndarray, z: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(z - A)^-1 right at every frequency."""
        size = A.shape[0]
        if size == 0:
            return np.zeros((z.size, 0, right.shape[-1]), dtype=complex)
        return np.linalg.solve(z[:, None, None] * np.eye(size) - A, right.astype(complex))

    def _compiled(self, function: sp.Expr, direction: Direction) -> Function:
        names = tuple(self._values)
        given = [np.float64(self._values[symbol]) for symbol in names]
        generated = compile_function((*names, direction.symbol), [function], self.site.functions)

        def values_at(x: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                return np.broadcast_to(np.asarray(generated(*given, x)[0], dtype=float), x.shape)

        return values_at

    def _constant(self, expression: sp.Expr) -> float:
        symbols = tuple(self._values)
        return float(compile_function(symbols, [expression], self.site.functions)(*self._values.values())[0])

    def _matrix(self, matrix: sp.Matrix) -> np.ndarray:
        rows, columns = matrix.shape
        entries = [0.0 if entry == 0 else self._constant(entry) for entry in matrix]
        return np.array(entries, dtype=float).reshape(rows, columns)

    def _quenched(self, settings: Settings) -> None:
        """Mean of every base variable, its variance, and whether it is drawn anew at every step."""
        count = len(self.form.base)
        self.base_means, self.base_variances = np.zeros(count), np.zeros(count)
        self.fresh = np.zeros(count, dtype=bool)
        for number, item in enumerate(self.site.quenched, start=len(self.site.fields)):
            if item.kind == "bias":
                self.base_means[number], std = settings.biases[item.name]
                self.base_variances[number] = std**2
            else:
                given = settings.inputs[item.name]
                self.base_means[number] = given.mean
                self.base_variances[number] = max(given.variance - given.mean**2, 0.0)
                self.fresh[number] = given.time == "iid"

    def _state_means(self) -> np.ndarray:
        if not self.form.gaussian:
            return np.zeros(0)
        constant = self._B @ self.base_means + self._matrix(self.form.constant)[:, 0]
        z = 1.0 if self.discrete else 0.0
        return np.linalg.solve(z * np.eye(len(self.form.gaussian)) - self._A, constant)

    def _mean(self, weights: Mapping[tuple[sp.Symbol, int], float]) -> float:
        known = dict(zip(self.form.gaussian, self.state_means, strict=True))
        known |= dict(zip(self.form.base, self.base_means, strict=True))
        return float(sum(factor * known[symbol] for (symbol, _), factor in weights.items()))

    def _times(self) -> tuple[float, float, float]:
        """Growth rate of the slowest linear mode (negative if all decay), and the times of slowest and fastest."""
        values: Sequence[complex] = [*np.linalg.eigvals(self._A), *np.linalg.eigvals(self._filtered)]
        if self.discrete:
            moduli = [max(abs(value), 1e-300) for value in values]
            rates = [float(np.log(modulus)) for modulus in moduli]
            memory = max([1.0, *(-1.0 / rate for rate in rates if rate < 0)])
            return max(rates, default=-np.inf), memory, 1.0
        rates = [float(value.real) for value in values]
        memory = max((-1.0 / rate for rate in rates if rate < 0), default=1.0)
        pace = min((1.0 / abs(value) for value in values if value != 0), default=1.0)
        return max(rates, default=-np.inf), memory, pace
