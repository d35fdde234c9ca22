"""Critical initialisations: where chi1 = 1, or where the support of a static solution touches the line of stability."""

from solvers.critical.result import Critical, CriticalPoint
from solvers.critical.search import critical

__all__ = ["Critical", "CriticalPoint", "critical"]
