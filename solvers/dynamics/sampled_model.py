"""What the sampler needs of a cell at given parameters: the compiled site, its time scale and its symmetries."""

from __future__ import annotations

from itertools import product

import numpy as np
import sympy as sp

from derive.cell.parameters import Settings
from derive.site import SiteForm
from solvers.chain.model import Model
from solvers.chain.streams import CanonicalSite, canonical_site

_MOST_FLIPS = 10


class SampledModel:
    """The compiled site with canonical names.

    pace : the shortest time of the linearised site at rest (1 in discrete time); plateaus : (K, K) of ones and zeros,
    zero where a symmetry of the site makes v odd and no unit differs from others for ever, so that E[v(t) v(t + tau)]
    vanishes at large lags unless the symmetry breaks.
    """

    def __init__(self, site: SiteForm, settings: Settings) -> None:
        self.site = site
        self.canonical = canonical_site(site, settings)
        self.compiled = Model(self.canonical)
        self.discrete = site.discrete
        self.gains = np.array([item.gain for item in self.canonical.fields])
        self.pace = 1.0 if self.discrete else self._pace()
        quiet = all(item.std == 0.0 or item.fresh for item in self.canonical.draws)
        odd = odd_operands(self.canonical) if quiet else np.zeros(len(self.gains), dtype=bool)
        self.plateaus = np.where(odd[:, None] | odd[None, :], 0.0, 1.0)

    def _pace(self) -> float:
        states = len(self.canonical.states)
        if self.compiled.divergent:
            return 1.0
        zeros = [np.zeros(1)] * states
        draws = [np.full(1, item.mean) for item in self.canonical.draws]
        fields = [np.zeros(1)] * len(self.gains)
        with np.errstate(all="ignore"):
            local = self.compiled.local([*zeros, *draws, *self.compiled.constants, *fields], arguments=False)
        L = np.zeros((states, states))
        for (row, column), value in local.L.items():
            L[row, column] = float(np.asarray(value).reshape(-1)[0])
        fastest = float(np.abs(np.linalg.eigvals(L)).max(initial=0.0)) if np.isfinite(L).all() else 0.0
        return 1.0 / fastest if fastest > 0 else 1.0


def odd_operands(site: CanonicalSite) -> np.ndarray:
    """For every field, whether a change of sign of some states and matrices leaves the site as it is and flips v."""
    numbers = [*site.constants, *((item.symbol, item.mean) for item in site.draws if item.std == 0.0)]
    constants = {symbol: sp.S.Zero for symbol, value in numbers if value == 0.0}
    F = [f.xreplace(constants) for f in site.F]
    v = [item.v.xreplace(constants) for item in site.fields]
    fresh = [item.symbol for item in site.draws if item.fresh and item.mean == 0.0]
    groups = sorted({item.group for item in site.fields})
    units: list[list[sp.Symbol]] = [[s] for s in site.states]
    units += [[item.symbol for item in site.fields if item.group == group] for group in groups]
    units += [[symbol] for symbol in fresh]
    found = np.zeros(len(v), dtype=bool)
    if len(units) > _MOST_FLIPS:
        return found
    parity = site.functions.parity_of
    for signs in product((False, True), repeat=len(units)):
        flipped = frozenset(symbol for unit, flip in zip(units, signs, strict=True) if flip for symbol in unit)
        kept = all(parity(f, flipped) == (-1 if s in flipped else 1) for f, s in zip(F, site.states, strict=True))
        if flipped and kept:
            found |= np.array([parity(expression, flipped) == -1 for expression in v], dtype=bool)
    return found
