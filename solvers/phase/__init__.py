"""Phase diagrams: the regimes of a cell over two parameters, and the curves between them."""

from solvers.phase.diagram import PhaseDiagram
from solvers.phase.search import phase

__all__ = ["PhaseDiagram", "phase"]
