"""Theory against finite networks.

check(cell, parameters, N=1000, seeds=8)      # -> Comparison: rows with z-scores, and a verdict
simulate(cell, parameters, N=1000, seeds=8)   # the measured side alone
"""

from solvers.compare.check import Comparison, check, simulate
from solvers.compare.verdict import ComparisonRow

__all__ = ["Comparison", "ComparisonRow", "check", "simulate"]
