"""The site measure of one finite network: its units, equally weighted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from derive.cell.parameters import Settings
from derive.site import SiteForm
from solvers.codegen.emit import broadcast_rows, compile_function
from solvers.measure.columns import assemble, entries, fed_fields, refuse_deltas
from solvers.measure.site_measure import Array, SiteMeasure


class UnitColumns:
    """The site form of a cell, compiled once, at the units of any network of it.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    """

    def __init__(self, site: SiteForm, settings: Settings) -> None:
        self.site, self.settings = site, settings
        self._fields = fed_fields(site)
        derivatives = entries((site.L, site.a, site.b, site.e), self._fields)
        refuse_deltas(derivatives, site.functions)
        v = [site.fields[k].v for k in self._fields]
        columns = {item.symbol: item.name for item in site.fields}
        columns |= {item.symbol: item.name for item in site.quenched}
        columns |= {state: str(state) for state in site.states}
        used = sorted(set().union(set(), *(x.free_symbols for x in (*derivatives, *v))), key=str)
        self._columns = [(columns.get(symbol), str(symbol)) for symbol in used]
        self._size = len(derivatives)
        self._function = compile_function(used, [*derivatives, *v], site.functions)

    def measure(self, sites: Mapping[str, npt.NDArray[np.floating]]) -> SiteMeasure:
        """The measure of units given by (N,) columns: every state, field, bias and input, by name (`sites_of`)."""
        units = len(next(iter(sites.values())))
        arguments = [
            sites[column] if column is not None else self.settings.parameters[name] for column, name in self._columns
        ]
        with np.errstate(all="ignore"):
            rows = broadcast_rows(self._function(*arguments), units)
        names = [self.site.fields[k].name for k in self._fields]
        u: Array = np.array([sites[name] for name in names], dtype=float).reshape(len(names), units)
        gains = [self.settings.gains[self.site.fields[k].weight] for k in self._fields]
        weights = np.full(units, 1.0 / units)
        return assemble(self.site, self._fields, weights, rows[: self._size], u, rows[self._size :], gains)


def network_measure(site: SiteForm, settings: Settings, sites: Mapping[str, npt.NDArray[np.floating]]) -> SiteMeasure:
    """The units of one network as a site measure, equally weighted.

    sites : (N,) columns by name of every state, field, bias and input, as `solvers.simulate.sites_of` gives them.

    Raises
    ------
    AnsatzError : a site derivative holds a delta function.
    """
    return UnitColumns(site, settings).measure(sites)
