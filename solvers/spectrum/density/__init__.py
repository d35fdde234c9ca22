"""The density of eigenvalues of the Jacobian, and fractions of them in regions, from a site measure.

density = static_density(theory, solution.linearised_at)
density(lam).rho, density.count(parse_region("disk:0.3,0.5"), "disk:0.3,0.5")
Density(network_measure(site, settings, sites))
"""

from solvers.spectrum.density.estimate import Count, Density, Grid, pencil_size, static_density
from solvers.spectrum.density.of_measure import MeasureDensity, Points
from solvers.spectrum.density.regions import Annulus, Disk, HalfPlane, Region, parse_region

__all__ = [
    "Annulus",
    "Count",
    "Density",
    "Disk",
    "Grid",
    "HalfPlane",
    "MeasureDensity",
    "Points",
    "Region",
    "parse_region",
    "pencil_size",
    "static_density",
]
