"""Stationary dynamics: autocorrelations, time scales and the maximal Lyapunov exponent of large networks."""

from solvers.dynamics.result import Dynamics, StationaryState
from solvers.dynamics.search import dynamics

__all__ = ["Dynamics", "StationaryState", "dynamics"]
