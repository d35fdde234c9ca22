"""The zero state of an untied theory whose moments do not close: it needs no chain, for nothing in it is sampled.

There states and the fields they feed vanish, the site derivatives hold biases and inputs of gates alone, and both chi1
and the moments of the squared singular values are averages over those.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from derive.cell.parameters import Settings, resolve
from derive.gaussian.average import average
from derive.stability.critical import zero_perturbation
from derive.stability.zero_state import find_zero_state
from derive.theory import Theory
from solvers.averages import Estimate, Evaluator, Values
from solvers.codegen.sampling import normal_points
from solvers.measure import network_measure
from solvers.replicas import spectral_radius_of
from solvers.spectrum.singular_moments import moments_of

LOG2_UNITS = 13


class ZeroGrowth:
    """chi1 - 1 of the zero state, as a criterion."""

    name = "chi1"

    def __init__(self, matrix: sp.Matrix) -> None:
        self.matrix = matrix

    def excess(self, theory: Theory, values: Values, evaluator: Evaluator, rtol: float) -> Estimate:
        """chi1 - 1 at the values of the parameters."""
        site, known = theory.site, dict(values)
        for k in site.input_fields:
            item = site.fields[k]
            known[theory.variances[item.name]] = evaluator(item.gain**2 * average(item.v**2, theory.law), values).value
        chi1 = spectral_radius_of(self.matrix, evaluator, known, rtol)
        return Estimate(chi1.value - 1.0, chi1.error)


def zero_growth(theory: Theory, settings: Settings) -> ZeroGrowth | None:
    """The criterion at the zero state; None where these parameters have no such state, or the algebra no such map."""
    matrix = zero_perturbation(theory) if theory.closure == "sampled" else None
    zero = find_zero_state(theory) if matrix is not None else None
    if matrix is None or zero is None:
        return None
    names = {item.symbol: item for item in theory.site.quenched}
    fields = {item.symbol: item for item in theory.site.fields}
    inputs = [item.symbol for item in theory.site.quenched if item.kind == "input"
              and settings.inputs[item.name].variance > 0]  # fmt: skip
    loud = {symbol for symbol, item in names.items()
            if item.kind == "bias" and settings.biases[item.name] != (0.0, 0.0)}  # fmt: skip
    loud |= set(inputs)
    loud |= {symbol for symbol, item in fields.items()
             if settings.gains[item.weight] > 0 and item.v.free_symbols & set(inputs)}  # fmt: skip
    return None if loud & set(zero.quiet) else ZeroGrowth(matrix)


class ZeroIsometry:
    """m2/m1^2 - 1 of the zero state, from its site measure."""

    reason = ""

    def __init__(self, theory: Theory) -> None:
        self.theory = theory

    def variance(self, values: Values, rtol: float) -> Estimate:
        """Exact where no bias varies; else over units, with the difference of two halves of them as error."""
        site = self.theory.site
        settings = resolve(site.cell, {name: values[symbol] for name, symbol in site.parameters.items()})
        spreads = self._spreads(settings)
        varying = [name for name, (_, std) in spreads.items() if std > 0]
        points = normal_points(len(varying), LOG2_UNITS) if varying else np.zeros((0, 1))
        units = points.shape[1]
        columns = {str(name): np.zeros(units) for name in (*site.states, *(item.name for item in site.fields))}
        columns |= {name: mean + np.zeros(units) for name, (mean, _) in spreads.items()}
        for name, row in zip(varying, points, strict=True):
            columns[name] = columns[name] + spreads[name][1] * row
        whole = self._of(columns, settings)
        if units == 1:
            return Estimate(whole, 1e-14 * (1.0 + whole))
        halves = [self._of({k: v[part::2] for k, v in columns.items()}, settings) for part in (0, 1)]
        return Estimate(whole, abs(halves[0] - halves[1]) + 1e-14)

    def _of(self, columns: dict[str, np.ndarray], settings: Settings) -> float:
        m1, m2 = moments_of(network_measure(self.theory.site, settings, columns))
        return m2 / m1**2 - 1.0

    def _spreads(self, settings: Settings) -> dict[str, tuple[float, float]]:
        """Mean and deviation of biases, inputs and the fields that inputs alone feed."""
        site = self.theory.site
        found = dict(settings.biases)
        for name, own in settings.inputs.items():
            found[name] = own.mean, max(own.variance - own.mean**2, 0.0) ** 0.5
        for k in site.input_fields:
            item = site.fields[k]
            second = sum(settings.inputs[q.name].variance for q in site.quenched if q.symbol == item.v)
            found[item.name] = 0.0, settings.gains[item.weight] * second**0.5
        return found
