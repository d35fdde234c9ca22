"""The spectrum of the Jacobian at one static solution: support, filament, outliers, atoms."""

from solvers.spectrum.result import SpectrumResult, orthogonal_weights, spectrum_of

__all__ = ["SpectrumResult", "orthogonal_weights", "spectrum_of"]
