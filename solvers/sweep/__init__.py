"""Sweeps: a request at many points, computed in chunks by any executor, kept in a store that survives a kill."""

from solvers.sweep.engine import Networks
from solvers.sweep.loop import ExecutorError
from solvers.sweep.run import Swept, sweep
from solvers.sweep.store import StoreError

__all__ = ["ExecutorError", "Networks", "StoreError", "Swept", "sweep"]
