"""Units drawn from the site measure of a static solution: fields, biases, inputs and the states they lead to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp
from scipy.special import ndtri
from scipy.stats import qmc

from derive.theory import Theory
from solvers.averages import Values
from solvers.codegen.emit import broadcast_rows, compile_function
from solvers.gaussian_geometry import pivoted_cholesky
from solvers.simulate.elementwise import Array
from solvers.site_roots import SiteRoots


class MeanFieldDraw:
    """Draws units of one static solution.

    The Gaussians (fields, biases, inputs) have the solution's covariances; the states solve the site's fixed-point
    equations at these.  Points are a scrambled Sobol sequence, whose sample moments scatter far less than those of
    independent draws, so that N units stand for the measure as well as N units can.

    theory : a static theory; values : parameters and unknowns of one of its solutions.
    """

    def __init__(self, theory: Theory, values: Values) -> None:
        site, law = theory.site, theory.law
        self._gaussians = (*(item.symbol for item in site.fields), *(item.symbol for item in site.quenched))
        self._names = (*(item.name for item in site.fields), *(item.name for item in site.quenched))
        self._fields = len(site.fields)
        self._states = tuple(str(state) for state in site.states)
        moments = [law.mean_of(s) for s in self._gaussians]
        moments += [law.covariance(s, t) for s in self._gaussians for t in self._gaussians]
        symbols = sorted(set().union(*(m.free_symbols for m in moments), set(site.parameters.values())), key=str)
        self._given = [values[symbol] for symbol in symbols]
        numbers = [float(x) for x in compile_function(symbols, moments, law.functions)(*self._given)]
        size = len(self._gaussians)
        self._mean = np.array(numbers[:size])
        self._covariance = np.array(numbers[size:]).reshape(size, size)
        hidden = tuple(state for state, _ in theory.implicit)
        arguments = (*symbols, *self._gaussians)
        self._roots = (
            SiteRoots(hidden, [residual for _, residual in theory.implicit], arguments, law.functions)
            if hidden
            else None
        )
        expressions: list[sp.Expr] = [theory.states.get(state, state) for state in site.states]
        self._solved = compile_function((*arguments, *hidden), expressions, law.functions)

    def __call__(self, N: int, rng: np.random.Generator) -> dict[str, Array]:
        """(N,) columns by name: every state, field, bias and input."""
        return self.given({}, N, rng)

    def given(self, quenched: Mapping[str, Array], N: int, rng: np.random.Generator) -> dict[str, Array]:
        """The same with the biases and inputs in ``quenched`` (by name, (N,)) in place of drawn ones."""
        spread = pivoted_cholesky(self._covariance)
        rows = self._mean[:, None] + spread @ _normal_points(spread.shape[1], N, rng)
        for position in range(self._fields, len(self._names)):
            if self._names[position] in quenched:
                rows[position] = quenched[self._names[position]]
        arguments: list[Any] = [*self._given, *rows]
        hidden = self._roots.solve(arguments, N) if self._roots else ()
        with np.errstate(all="ignore"):
            states = broadcast_rows(self._solved(*arguments, *hidden), N)
        return dict(zip(self._states, states, strict=True)) | dict(zip(self._names, rows, strict=True))


def _normal_points(dimension: int, count: int, rng: np.random.Generator) -> Array:
    """(dimension, count) standard normals from a scrambled Sobol sequence in random order."""
    if dimension == 0:
        return np.zeros((0, count))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # balance needs a power of two; it is not relied upon
        uniform = qmc.Sobol(dimension, scramble=True, seed=rng).random(count)
    normal = ndtri(np.clip(uniform, 1e-12, 1.0 - 1e-12)).T
    return np.asarray(normal[:, rng.permutation(count)])
