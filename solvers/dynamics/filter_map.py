"""One step C -> sigma^2 E[v v'] of the stationary mean field where every nonlinearity is memoryless (theory, 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.dynamics.filter_model import FilterModel, Function, NumericSignal, NumericTerm
from solvers.dynamics.grid import Grid
from solvers.dynamics.hermite_series import Coefficients, covariance_at, hermite_coefficients


@dataclass(frozen=True)
class Moments:
    """What follows from a field covariance.

    C : (K, K, n) image sigma^2 E[v_k(t) v_l(t + tau)]; states : state name -> E[s(t) s(t + tau)], (n,), uncentred;
    error : largest absolute error of an average.
    """

    C: np.ndarray
    states: dict[str, np.ndarray]
    error: float


class FilterMap:
    """The map on one grid."""

    def __init__(self, model: FilterModel, grid: Grid) -> None:
        self.model, self.grid = model, grid
        z = model.z(grid.frequencies * (grid.dt if model.discrete else 1.0))
        self._directions = model.directions_of_base(z)
        self._states = model.states_of_base(z)
        self._operands, self._filtered = model.outputs_of_signals(z)

    def __call__(self, C: np.ndarray) -> np.ndarray:
        """The image of a field covariance, (K, K, n)."""
        return self.moments(C, states=False).C

    def moments(self, C: np.ndarray, *, states: bool = True) -> Moments:
        """Image, state covariances and error."""
        found = SignalCovariances(self.model, self.grid, self.direction_covariance(C))

        def pair(k: int, m: int) -> np.ndarray:
            factor = float(self.model.gains[k]) ** 2
            if factor == 0.0:
                return np.zeros(self.grid.n)
            covariance = factor * found.combined(self._operands[:, k], self._operands[:, m])
            return covariance if k != m else 0.5 * (covariance + self.grid.reflected(covariance))

        image = self.grid.field_covariances(self.model.groups, len(C), pair)
        return Moments(image, self._state_covariances(C, found) if states else {}, found.error)

    def direction_covariance(self, C: np.ndarray) -> np.ndarray:
        """Centred covariances of the directions, (D, D, n)."""
        return self.grid.covariance(filtered(self._directions, self.base_spectrum(C)))

    def base_spectrum(self, C: np.ndarray) -> np.ndarray:
        """Spectra of fields, biases and inputs, (n/2 + 1, R, R)."""
        K, count = C.shape[0], len(self.model.form.base)
        found = np.zeros((self.grid.n // 2 + 1, count, count), dtype=complex)
        found[:, :K, :K] = np.moveaxis(self.grid.spectrum(C), -1, 0)
        for number in range(K, count):
            variance = self.model.base_variances[number]
            if self.model.fresh[number]:
                found[:, number, number] = variance
            else:
                found[0, number, number] = variance * self.grid.n
        return found

    def _state_covariances(self, C: np.ndarray, found: SignalCovariances) -> dict[str, np.ndarray]:
        form, named = self.model.form, {}
        gaussian = self.grid.covariance(filtered(self._states, self.base_spectrum(C)))
        for number, state in enumerate(form.gaussian):
            named[str(state)] = gaussian[number, number] + self.model.state_means[number] ** 2
        for number, state in enumerate(form.filtered):
            response = self._filtered[:, number]
            named[str(state)] = found.combined(response, response)
        first = len(self.model.gains) + len(form.filtered)
        for number, state in enumerate(form.memoryless, start=first):
            named[str(state)] = found.pair(number, number)
        return {str(state): named[str(state)] for state in self.model.site.states}


def filtered(response: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """Spectra behind linear filters: conj(R) S R^T at every frequency, (n, i, j), with frequencies last, (i, j, n)."""
    return np.moveaxis(np.conj(response) @ spectrum @ np.swapaxes(response, 1, 2), 0, -1)


class SignalCovariances:
    """E[y_i(t) y_j(t + tau)] of memoryless signals, from the covariances of their directions."""

    def __init__(self, model: FilterModel, grid: Grid, directions: np.ndarray) -> None:
        self.model, self.grid, self.error = model, grid, 0.0
        self._cov = directions
        self._sd = np.sqrt(np.maximum(np.einsum("dd->d", directions[:, :, 0]), 0.0))
        self._known: dict[tuple[int, int], Coefficients] = {}
        self._functions: list[Function] = []

    def pair(self, i: int, j: int) -> np.ndarray:
        """E[y_i(t) y_j(t + tau)], (n,)."""
        return self.product(self.model.signals[i], self.model.signals[j])

    def product(self, left: NumericSignal, right: NumericSignal) -> np.ndarray:
        """The same for any two signals."""
        total = np.zeros(self.grid.n)
        for first in left:
            for second in right:
                total += self._terms(first, second)
        return total

    def combined(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Covariance of two linear filters of the signals, responses (n/2 + 1, J) each."""
        rows, columns = (np.flatnonzero(np.any(r != 0, axis=0)) for r in (left, right))
        if _plain(left, rows) and _plain(right, columns):
            return left[0, rows[0]].real * right[0, columns[0]].real * self.pair(int(rows[0]), int(columns[0]))
        spectrum = np.zeros(self.grid.n // 2 + 1, dtype=complex)
        for i in rows:
            for j in columns:
                spectrum += np.conj(left[:, i]) * self.grid.spectrum(self.pair(int(i), int(j))) * right[:, j]
        return self.grid.covariance(spectrum)

    def _terms(self, left: NumericTerm, right: NumericTerm) -> np.ndarray:
        constant = left.constant * right.constant
        found = np.full(self.grid.n, constant)
        sizes = abs(constant)
        errors: list[float] = []
        free = list(right.factors)
        for one, f in left.factors:
            own = self._coefficients(one, f)
            partner = next((g for g in free if self._correlated(one, g[0])), None)
            if partner is None:
                found *= own.series[0]
                continue
            free.remove(partner)
            other = self._coefficients(*partner)
            values, error = covariance_at(own, other, self._correlation(one, partner[0]))
            found, sizes = found * values, sizes * (own.norm * other.norm) ** 0.5
            errors.append(error / max((own.norm * other.norm) ** 0.5, 1e-300))
        for number, g in free:
            found *= self._coefficients(number, g).series[0]
        self.error = max(self.error, sizes * sum(errors))
        return found

    def _correlated(self, one: int, other: int) -> bool:
        directions = self.model.directions
        return bool(directions[one].groups & directions[other].groups)

    def _correlation(self, one: int, other: int) -> np.ndarray:
        scale = self._sd[one] * self._sd[other]
        return np.clip(self._cov[one, other] / scale, -1.0, 1.0) if scale > 0 else np.zeros(self.grid.n)

    def _coefficients(self, number: int, function: Function) -> Coefficients:
        key = (number, id(function))
        if key not in self._known:
            self._functions.append(function)  # kept alive, so that its id stays its own
            mean, sd = float(self.model.means[number]), float(self._sd[number])
            self._known[key] = hermite_coefficients(function, mean, sd)
        return self._known[key]


def _plain(response: np.ndarray, held: np.ndarray) -> bool:
    """Whether a response is one signal times a constant, so that no transform is needed."""
    return len(held) == 1 and not np.ptp(response[:, held[0]].real) and not response[:, held[0]].imag.any()
