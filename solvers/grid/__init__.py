"""Mean fields at many parameter points at once, from tables of averages."""

from solvers.grid.engine import Found, Plan
from solvers.grid.program import Unsupported

__all__ = ["Found", "Plan", "Unsupported"]
