"""Finite networks: they evaluate a cell's parsed equations with drawn matrices and know no theory.

network = Network(load("..."), settings, N=1000, rng=np.random.default_rng(0))
step = network.evaluate(state)              # new state and every field, by name
network.jacobian(state), network.jvp(state, direction)
relax(network, state), newton_from(network, state), plant(network, sites)
measure_static(cell, settings, N=1000, seeds=8)
measure_untied(cell, settings, N=1000, seeds=8)
measure_trajectories(cell, settings, N=1000, seeds=8, lags=20)     # autocorrelations with tied weights
measure_lyapunov(cell, settings, N=1000, seeds=8, exponents=10)
measure_untied_gradient(cell, settings, N=300, seeds=8), measure_tied_gradient(...)
"""

from solvers.simulate.backward import GradientMeasurement, measure_tied_gradient, measure_untied_gradient
from solvers.simulate.fixed_point import FixedPoint, newton_from, relax, velocity
from solvers.simulate.linearisation import Linearisation
from solvers.simulate.lyapunov import LyapunovMeasurement, LyapunovSample, measure_lyapunov
from solvers.simulate.measurement import Measurement, Row
from solvers.simulate.network import Network, Step
from solvers.simulate.planted import plant
from solvers.simulate.spectra import eigenvalues, singular_values, spectral_abscissa, spectral_radius
from solvers.simulate.static import StaticMeasurement, StaticSample, measure_static, sample_static, sites_of
from solvers.simulate.trajectory import TrajectoryMeasurement, TrajectorySample, measure_trajectories
from solvers.simulate.untied import UntiedMeasurement, UntiedSample, measure_untied, sample_untied

__all__ = [
    "FixedPoint",
    "GradientMeasurement",
    "Linearisation",
    "LyapunovMeasurement",
    "LyapunovSample",
    "Measurement",
    "Network",
    "Row",
    "StaticMeasurement",
    "StaticSample",
    "Step",
    "TrajectoryMeasurement",
    "TrajectorySample",
    "UntiedMeasurement",
    "UntiedSample",
    "eigenvalues",
    "measure_lyapunov",
    "measure_static",
    "measure_tied_gradient",
    "measure_trajectories",
    "measure_untied",
    "measure_untied_gradient",
    "newton_from",
    "plant",
    "relax",
    "sample_static",
    "sample_untied",
    "singular_values",
    "sites_of",
    "spectral_abscissa",
    "spectral_radius",
    "velocity",
]
