"""Site measures: weighted units of a static solution or of a finite network, the input of all random-matrix theory."""

from solvers.measure.network import UnitColumns, network_measure
from solvers.measure.site_measure import SiteMeasure, mixture
from solvers.measure.static import NodeRule, StaticSites, static_measure

__all__ = [
    "NodeRule",
    "SiteMeasure",
    "StaticSites",
    "UnitColumns",
    "mixture",
    "network_measure",
    "static_measure",
]
