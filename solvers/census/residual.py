"""What vanishes at the fixed points of a network, free of the gates that only hold a unit back.

A gate that multiplies the velocity of a unit makes it small without bringing the unit closer to rest, and descent in
the velocity runs off to where gates close.  The fixed-point equations with such factors divided out, s = S(u) where
they can be solved for the state, have the same roots and no such traps.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from derive.cell.spec import Cell
from derive.errors import AnsatzError
from derive.meanfield.static import eliminate
from derive.site import SiteForm, site_form
from solvers.codegen.emit import broadcast_rows, compile_function
from solvers.simulate.elementwise import Array
from solvers.simulate.network import Network


class SiteResidual:
    """R(s, u) of a cell, compiled once; `at` evaluates it with u = W v at the units of any of its networks.

    reduced : whether gates were divided out (else R is the velocity); loose : names of states that functions which may
    shut exactly (ReLU, step) were divided out of, so that fixed points with shut units may be missed.
    """

    def __init__(self, cell: Cell) -> None:
        self.site = site_form(cell)
        rows, self.reduced, self.loose = _rows(self.site)
        fields = [item.symbol for item in self.site.fields]
        states = list(self.site.states)
        K, S = len(fields), len(states)
        parts = [rows, _slopes(rows, states), _slopes(rows, fields), [*self.site.b], [*self.site.e]]
        self._ends = np.cumsum([len(part) for part in parts])
        self._shapes = [(S,), (S, S), (S, K), (K, S), (K, K)]
        self._parameters = sorted(self.site.parameters.values(), key=str)
        quenched = [item.symbol for item in self.site.quenched]
        arguments = [*self._parameters, *states, *quenched, *fields]
        self._function = compile_function(arguments, [entry for part in parts for entry in part], self.site.functions)

    def at(self, network: Network, state: Array) -> tuple[Array, Array]:
        """R (S*N,) and its derivative by the states (S*N, S*N), state-major, at ``state`` (S, N)."""
        S, N = state.shape
        R, by_state, by_field, b, e = self._units(network, state)
        U: list[Array] = []  # derivative of each field by all states, (N, S*N)
        for k, item in enumerate(self.site.fields):
            inner = np.zeros((N, S, N))
            inner[np.arange(N), :, np.arange(N)] = b[k].T
            block = inner.reshape(N, S * N)
            for m in range(k):
                if np.any(e[k, m]):
                    block = block + e[k, m][:, None] * U[m]
            U.append(network.weights[item.weight] @ block)
        A = np.zeros((S, N, S, N))
        for i in range(S):
            for j in range(S):
                A[i, np.arange(N), j, np.arange(N)] = by_state[i, j]
            for k, block in enumerate(U):
                if np.any(by_field[i, k]):
                    A[i] += (by_field[i, k][:, None] * block).reshape(N, S, N)
        return R.ravel(), A.reshape(S * N, S * N)

    def value(self, network: Network, state: Array) -> Array:
        """R alone, (S*N,)."""
        return self._units(network, state)[0].ravel()

    def _units(self, network: Network, state: Array) -> list[Array]:
        """R, dR/ds, dR/du, b and e, each with the units as last axis."""
        N = state.shape[1]
        fields = network.evaluate(state).fields
        own = {**network.biases, **network.inputs}
        given = [network.settings.parameters[str(symbol)] for symbol in self._parameters]
        arguments = [*given, *state, *(own[item.name] for item in self.site.quenched),
                     *(fields[item.name] for item in self.site.fields)]  # fmt: skip
        with np.errstate(all="ignore"):
            rows = broadcast_rows(self._function(*arguments), N)
        parts = np.split(rows, self._ends[:-1])
        return [part.reshape(*shape, N) for part, shape in zip(parts, self._shapes, strict=True)]


def _rows(site: SiteForm) -> tuple[list[sp.Expr], bool, tuple[str, ...]]:
    try:
        found = eliminate(site)
    except AnsatzError:  # an equation fixes no state by itself: the velocity as it stands
        return [f - s if site.discrete else f for s, f in zip(site.states, site.F, strict=True)], False, ()
    implicit = dict(found.implicit)
    rows = [implicit[s] if s in implicit else s - found.states[s] for s in site.states]
    return rows, True, tuple(str(state) for state, _ in found.loose)


def _slopes(rows: list[sp.Expr], symbols: list[sp.Symbol]) -> list[sp.Expr]:
    return [row.diff(symbol) for row in rows for symbol in symbols]
