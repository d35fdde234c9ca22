"""From rows of compiled expressions to the columns of a site measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp

from derive.elementary import FunctionTable
from derive.errors import AnsatzError
from derive.site import SiteForm
from solvers.measure.site_measure import Array, SiteMeasure

Matrices = tuple[sp.Matrix, sp.Matrix, sp.Matrix, sp.Matrix]


def fed_fields(site: SiteForm) -> tuple[int, ...]:
    """Numbers of the fields that a state feeds, directly or through other fields."""
    return tuple(k for k in range(len(site.fields)) if k not in site.input_fields)


def entries(matrices: Matrices, fields: Sequence[int]) -> list[sp.Expr]:
    """Entries of L, a, b, e row by row, with a, b and e restricted to ``fields``."""
    L, a, b, e = matrices
    pick, states = list(fields), list(range(L.rows))
    parts = (L, a.extract(states, pick), b.extract(pick, states), e.extract(pick, pick))
    return [entry for part in parts for entry in part]


def refuse_deltas(expressions: Sequence[sp.Expr], functions: FunctionTable) -> None:
    """Raise AnsatzError where a site derivative holds the delta function of a jump."""
    if any(functions.has_delta(entry) for entry in expressions):
        raise AnsatzError(
            "the site derivatives hold a delta function, the derivative of a jump (sign, step, --limit): the Jacobian"
            " has no density; use a steep smooth function instead"
        )


def assemble(
    site: SiteForm, fields: Sequence[int], weights: Array, rows: Array, u: Array, v: Array, gains: Sequence[float]
) -> SiteMeasure:
    """A measure from ``rows`` (m, n) in the order of `entries`, u and v (K, n), gains (K,)."""
    S, K, n = len(site.states), len(fields), weights.size
    ends = np.cumsum([S * S, S * K, K * S])
    L, a, b, e = np.split(np.ascontiguousarray(rows.T), ends, axis=1)
    names = [site.fields[k].weight for k in fields]
    return SiteMeasure(
        weights=weights,
        L=L.reshape(n, S, S),
        a=a.reshape(n, S, K),
        b=b.reshape(n, K, S),
        e=e.reshape(n, K, K),
        u=np.ascontiguousarray(u.T).reshape(n, K),
        v=np.ascontiguousarray(v.T).reshape(n, K),
        fields=tuple(site.fields[k].name for k in fields),
        matrices=tuple(names),
        gains=np.array(gains, dtype=float).reshape(K),
        ensembles=tuple(site.cell.weights[name].ensemble for name in names),
        discrete=site.discrete,
    )
