"""Means and covariances of affine forms of Gaussian symbols at given parameter values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sympy as sp

from derive.errors import AnsatzError
from derive.gaussian.average import Law
from derive.gaussian.forms import Form
from solvers.codegen.emit import compile_function


class FormLaw:
    """The joint law of forms, compiled once: y = rows @ symbols."""

    def __init__(self, forms: Sequence[Form], parameters: Sequence[sp.Symbol], law: Law) -> None:
        self.parameters = tuple(parameters)
        self.symbols = tuple(sorted({s for form in forms for s in form.coefficients}, key=str))
        moments: list[sp.Expr] = [law.mean_of(s) for s in self.symbols]
        moments += [law.covariance(s, t) for s in self.symbols for t in self.symbols]
        rows = [form.coefficients.get(s, sp.S.Zero) for form in forms for s in self.symbols]
        self._moments = compile_function(self.parameters, moments, law.functions)
        self._rows = compile_function(self.parameters, rows, law.functions)
        self._count = len(forms)

    def of_symbols(self, values: Mapping[sp.Symbol, float]) -> tuple[np.ndarray, np.ndarray]:
        """Mean (n,) and covariance (n, n) of the Gaussian symbols."""
        size = len(self.symbols)
        moments = np.array([float(x) for x in self._moments(*(values[p] for p in self.parameters))])
        return moments[:size], moments[size:].reshape(size, size)

    def of_forms(self, values: Mapping[sp.Symbol, float]) -> tuple[np.ndarray, np.ndarray]:
        """Mean (m,) and covariance (m, m) of the forms.

        Raises
        ------
        AnsatzError : a coefficient is infinite at these parameters.
        """
        mean, covariance = self.of_symbols(values)
        given = (values[p] for p in self.parameters)
        try:
            rows = np.array([float(x) for x in self._rows(*given)]).reshape(self._count, len(self.symbols))
        except ZeroDivisionError as reason:
            raise AnsatzError(
                "the theory divides by an expression in parameters that vanishes at the values given, such as the leak "
                "of a state that was eliminated: no state is defined there; move a parameter off that value"
            ) from reason
        return rows @ mean, rows @ covariance @ rows.T
