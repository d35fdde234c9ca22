"""All points of a chunk at once, from tables of averages; what those cannot give is solved point by point.

Which engine evaluates a sweep is decided once, from the theory and what is asked; what a single point needed is part of
its verdict only where it did not converge, for both give the same numbers within their errors.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from derive.theory import Theory
from solvers.budget import check_budget
from solvers.grid.engine import EDGES, Found, Plan
from solvers.grid.program import Unsupported
from solvers.sweep.engine import ABSENT, CONVERGED, NO_SOLUTION, NOT_CONVERGED, Answer, Engine, Points, Request
from solvers.sweep.pointwise import evaluate_points, theory_of
from solvers.sweep.quantities import Quantity

POINTS = 16_384
"""Points of a chunk: a fraction of a second, and arrays that stay in the cache."""

FAMILIES = ("q", "q_total", "Q")
